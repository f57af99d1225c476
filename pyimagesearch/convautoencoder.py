"""The layers of the convolutional autoencoder of images."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pyimagesearch.runtime.keras import keras

layers = keras.layers

# Keras' 0.99 remembers the statistics of hundreds of steps ago, when the weights were others: after
# a few epochs, reconstructions of the trained network are three times worse than while it trains.
MOMENTUM = 0.9


class ConvAutoencoder:
    """Strided convolutions down to a dense latent vector, and transposed ones up again."""

    @staticmethod
    def build(
        width: int,
        height: int,
        depth: int,
        filters: Sequence[int] = (32, 64),
        latentDim: int = 16,
    ) -> tuple[keras.Model, keras.Model, keras.Model]:
        """Build the network for images of one size, any size.

        Args:
            width, height: of the images, in pixels.
            depth: number of channels.
            filters: of each 3x3 convolution of stride 2, from the image inwards.
            latentDim: length of the latent vector.

        Returns:
            The encoder, (n, height, width, depth) -> (n, latentDim); the decoder, back again,
            with values in (0, 1); and the autoencoder, the one after the other.
        """
        inputs = layers.Input((height, width, depth))
        x = inputs
        for f in filters:
            x = layers.Conv2D(f, (3, 3), strides=2, padding="same")(x)
            x = layers.LeakyReLU(negative_slope=0.2)(x)
            x = layers.BatchNormalization(axis=-1, momentum=MOMENTUM)(x)
        volume = tuple(int(side) for side in x.shape[1:])
        latent = layers.Dense(latentDim)(layers.Flatten()(x))
        encoder = keras.Model(inputs, latent, name="encoder")

        latent_inputs = layers.Input((latentDim,))
        x = layers.Reshape(volume)(layers.Dense(math.prod(volume))(latent_inputs))
        for f in filters[::-1]:
            x = layers.Conv2DTranspose(f, (3, 3), strides=2, padding="same")(x)
            x = layers.LeakyReLU(negative_slope=0.2)(x)
            x = layers.BatchNormalization(axis=-1, momentum=MOMENTUM)(x)
        x = layers.Conv2DTranspose(depth, (3, 3), padding="same")(x)
        # Sides that the strides do not divide come out larger by what was rounded up.
        surplus = (int(x.shape[1]) - height, int(x.shape[2]) - width)
        if any(surplus):
            x = layers.Cropping2D(((0, surplus[0]), (0, surplus[1])))(x)
        decoder = keras.Model(latent_inputs, layers.Activation("sigmoid")(x), name="decoder")

        autoencoder = keras.Model(inputs, decoder(encoder(inputs)), name="autoencoder")
        return encoder, decoder, autoencoder
