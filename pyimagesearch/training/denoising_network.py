"""The denoising autoencoder: learns to reconstruct the good part from an image with defects.

Two networks in one. A U-shaped one reconstructs the good part: only its coarse layers have skip
connections, so that fine detail has to pass the bottleneck and comes out as good parts have it
(Collin and De Vleeschouwer, Improved Anomaly Detection by Training an Autoencoder with Skip
Connections on Images Corrupted with Stain-shaped Noise, ICPR 2020). A small one behind it compares
the image with its reconstruction and segments the defects (Zavrtanik, Kristan and Skocaj, DRAEM,
ICCV 2021), since not every difference is a defect.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np

from pyimagesearch.convautoencoder import MOMENTUM
from pyimagesearch.data.synthetic import defects
from pyimagesearch.features import as_floats
from pyimagesearch.runtime.keras import keras, tf
from pyimagesearch.training.keras_loop import TensorLoss, Training
from pyimagesearch.training.noisy_images import NoisyImages

layers = keras.layers

_SKIP_CONNECTIONS = 2
_SSIM_WINDOW = 7
# These make the terms of the loss about equally large.
_MSE_WEIGHT, _SSIM_WEIGHT, _MASK_WEIGHT = 10.0, 0.5, 2.0
_FOCUS = 2.0  # exponent of the focal loss
_DEFECT_WEIGHT = 2.0  # defective pixels are few
_COMPARISON = (16, 32, 48)  # filters
# What is learned from: this share of images as they are, the others with so many defects at most.
_CLEAN_SHARE = 0.25
_MOST_DEFECTS = 3
# Parts never lie quite alike under quite the same lamp.
_SHIFT = 0.02  # of the side
_BRIGHTNESS = 0.05
_LEAST_NOISE = 8.0  # grey levels; a pixel of a noisy image that differs by more is defective
_SOFTNESS = 0.35  # pixels; edges in large images that were made small are no softer
_OTHERS = 64  # images that foreign patches come from
_VALIDATION = 1_000_000  # in place of the epoch's number
_AHEAD = 4  # batches that are prepared while one is learned


class DenoisingAutoencoder:
    """Strided convolutions down to a bottleneck and up again, and the comparison behind them."""

    @staticmethod
    def build(
        width: int,
        height: int,
        depth: int,
        filters: Sequence[int],
        bottleneck: int,
    ) -> keras.Model:
        """Build the network for images of one size, any size.

        Args:
            width, height: of the images, in pixels.
            depth: number of channels.
            filters: of each 3x3 convolution of stride 2, from the image inwards.
            bottleneck: number of channels of the innermost layer.

        Returns:
            (n, height, width, depth) -> (n, height, width, depth + 1), with values in (0, 1): the
            reconstruction, and as the last channel the mask of the defects.
        """
        inputs = layers.Input((height, width, depth))
        # All strides must divide the sides.
        factor = 2 ** max(len(filters), 3)
        surplus = ((0, -height % factor), (0, -width % factor))
        x = image = layers.ZeroPadding2D(surplus)(inputs) if np.any(surplus) else inputs
        levels = []
        for f in filters:
            x = _convolve(x, f, strides=2)
            levels.append(x)
        x = _convolve(layers.Conv2D(bottleneck, 1)(x), filters[-1])
        context = x
        for level in range(len(filters) - 2, -1, -1):
            x = layers.UpSampling2D(2)(x)
            if level >= len(filters) - 1 - _SKIP_CONNECTIONS:
                x = layers.Concatenate()([x, levels[level]])
            x = _convolve(x, filters[level])
            if level == 1:
                context = x
        x = _convolve(layers.UpSampling2D(2)(x), filters[0])
        reconstruction = layers.Conv2D(depth, 3, padding="same", activation="sigmoid")(x)
        mask = _compare(image, reconstruction, context)
        x = layers.Concatenate()([reconstruction, mask])
        if np.any(surplus):
            x = layers.Cropping2D(surplus)(x)
        return keras.Model(inputs, x, name="denoising_autoencoder")


def _convolve(x: keras.KerasTensor, filters: int, strides: int = 1) -> keras.KerasTensor:
    x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=MOMENTUM)(x)
    return layers.LeakyReLU(negative_slope=0.1)(x)


def _compare(
    image: keras.KerasTensor, reconstruction: keras.KerasTensor, context: keras.KerasTensor
) -> keras.KerasTensor:
    """Segment the defects; ``context`` is a layer of the other network at a quarter of the size."""
    near, middle, far = _COMPARISON
    difference = layers.Subtract()([image, reconstruction])
    x = layers.Concatenate()([image, reconstruction, difference])
    x = half = _convolve(x, near, strides=2)
    x = _convolve(x, middle, strides=2)
    if context.shape[1:3] == x.shape[1:3]:
        x = layers.Concatenate()([x, context])
    x = _convolve(x, middle)
    x = _convolve(_convolve(x, middle, strides=2), far)
    x = _convolve(layers.UpSampling2D(2)(x), middle)
    x = _convolve(layers.Concatenate()([layers.UpSampling2D(2)(x), half]), near)
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)
    return layers.UpSampling2D(2)(mask)


class DenoisingTraining(Training):
    """As ``Training``, from defective images to good ones and to the masks of the defects.

    Defective images are made when they are needed, or taken from ``noisy``. Which, and how, are
    functions of the seed, the epoch and the number of the step.

    Args:
        autoencoder: from ``DenoisingAutoencoder.build``; changed in place.
        pixels: (n, height, width, depth) uint8; may lie on disk.
        rows: indices of the images to learn from.
        held_out: indices of the images to validate with; not learned from.
        loss: of the reconstruction: ``mse``, ``ssim`` (Wang et al., IEEE TIP 13, 2004) or their
            sum, ``mix``.
        noisy: defective versions of the images.
        kinds: of synthetic defects; none means all.
        options: of ``Training``.
    """

    def __init__(
        self,
        autoencoder: keras.Model,
        pixels: np.ndarray,
        rows: np.ndarray,
        held_out: np.ndarray,
        *,
        loss: str,
        noisy: NoisyImages | None = None,
        kinds: Sequence[str] = (),
        **options: Any,
    ) -> None:
        self.loss = loss
        self._noisy = noisy
        self._kinds = kinds
        super().__init__(autoencoder, pixels, rows, held_out, as_floats, **options)

    def defective_images(self, rows: np.ndarray) -> np.ndarray:
        """Some of the images with a synthetic defect each: (n, height, width, depth) uint8."""
        good, others = self._items[rows], self._others()
        return np.stack(
            [
                defects.add_defects(
                    image, self._rng(_VALIDATION, row), kinds=self._kinds, others=others
                ).image
                for row, image in zip(rows.tolist(), good, strict=True)
            ]
        )

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, *key])

    def _others(self) -> np.ndarray:
        return self._items[self._rows[:: -(-len(self._rows) // _OTHERS)]]

    def _loss(self) -> TensorLoss:
        reconstruction_loss = _reconstruction_loss(self.loss, min(self._items.shape[1:3]))

        def loss(wanted: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
            (good, mask), (reconstruction, found_mask) = _split(wanted), _split(found)
            return reconstruction_loss(good, reconstruction) + _mask_loss(mask, found_mask)

        return loss

    def _learn(self, epoch: int, between_steps: Callable[[], None]) -> float:
        self.autoencoder.reset_metrics()
        for x, y in self._prepared(list(self._batches(epoch)), epoch):
            logs = self.autoencoder.train_on_batch(x, y, return_dict=True)
            between_steps()
        return float(logs["loss"])

    def _validate(self) -> float:
        """The mean loss over the held-out images."""
        # The same defects after every epoch, or chance would choose the best one.
        n_batches = -(-len(self._held_out) // self._batch_size)
        total = 0.0
        for x, y in self._prepared(np.array_split(self._held_out, n_batches), _VALIDATION):
            total += len(x) * float(self._loss()(y, self.autoencoder.predict_on_batch(x)))
        return total / len(self._held_out)

    def _prepared(
        self, batches: list[np.ndarray], key: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield network inputs and targets for each batch of rows, made while others are used."""

        def prepare(step: int) -> tuple[np.ndarray, np.ndarray]:
            return self._prepare(batches[step], key, step)

        with ThreadPoolExecutor(1) as pool:
            waiting = deque(pool.submit(prepare, step) for step in range(len(batches))[:_AHEAD])
            for following in range(_AHEAD, len(batches) + _AHEAD):
                if waiting:
                    ready = waiting.popleft().result()
                    if following < len(batches):
                        waiting.append(pool.submit(prepare, following))
                    yield ready

    def _prepare(self, batch: np.ndarray, key: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Defective images, and good ones with the mask of the defects as the last channel."""
        others = self._others()
        defective, wanted = zip(
            *(
                self._make_defective(int(row), others, self._rng(key, step, number))
                for number, row in enumerate(batch)
            ),
            strict=True,
        )
        return as_floats(np.stack(defective)), as_floats(np.stack(wanted))

    def _make_defective(
        self, row: int, others: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        good = self._items[row]
        if rng.random() < _CLEAN_SHARE:
            defective, mask = good, np.zeros(good.shape[:2], np.uint8)
        elif self._noisy is not None and (versions := self._noisy.versions(row)):
            defective = self._noisy.pixels[versions[rng.integers(len(versions))]]
            mask = _difference(defective, good)
        else:
            made = defects.add_defects(
                good,
                rng,
                kinds=self._kinds,
                n_defects=int(rng.integers(1, _MOST_DEFECTS + 1)),
                others=others,
                softness=_SOFTNESS,
            )
            defective, mask = made.image, made.mask
        defective, good, mask = _augmented(rng, defective, good, mask[:, :, None])
        return defective, np.concatenate([good, mask], axis=2)


def _difference(defective: np.ndarray, good: np.ndarray) -> np.ndarray:
    """The mask of the defects, (height, width) uint8."""
    distance = np.abs(defective.astype(np.int16) - good).max(axis=2).astype(np.float32)
    return (cv2.GaussianBlur(distance, (0, 0), 1) > _LEAST_NOISE).astype(np.uint8) * 255


def _augmented(
    rng: np.random.Generator, defective: np.ndarray, good: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move two images and a mask alike; change the brightness of the images."""
    height, width = good.shape[:2]
    # By whole pixels: otherwise it would blur what is sharp when it is labelled.
    dx, dy = np.rint(rng.uniform(-_SHIFT, _SHIFT, 2) * (width, height))
    move = np.float32([[1, 0, dx], [0, 1, dy]])
    defective, good, mask = (
        cv2.warpAffine(array, move, (width, height), borderMode=cv2.BORDER_REFLECT_101).reshape(
            array.shape
        )
        for array in (defective, good, mask)
    )
    brightness = np.float32(1 + rng.uniform(-_BRIGHTNESS, _BRIGHTNESS))
    defective, good = (
        np.clip(image * brightness + 0.5, 0, 255).astype(np.uint8) for image in (defective, good)
    )
    return defective, good, mask


def _split(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Images, and masks."""
    return x[..., :-1], x[..., -1:]


def _reconstruction_loss(kind: str, side: int) -> TensorLoss:
    window = min(_SSIM_WINDOW, side)

    def mse(good: tf.Tensor, reconstruction: tf.Tensor) -> tf.Tensor:
        return _MSE_WEIGHT * tf.reduce_mean(tf.square(good - reconstruction))

    def ssim(good: tf.Tensor, reconstruction: tf.Tensor) -> tf.Tensor:
        similarity = tf.image.ssim(good, reconstruction, 1.0, filter_size=window)
        return _SSIM_WEIGHT * (1 - tf.reduce_mean(similarity))

    def mix(good: tf.Tensor, reconstruction: tf.Tensor) -> tf.Tensor:
        return mse(good, reconstruction) + ssim(good, reconstruction)

    return {"mse": mse, "ssim": ssim, "mix": mix}[kind]


def _mask_loss(mask: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
    """Focal loss: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, equation 5."""
    found = tf.clip_by_value(found, 1e-6, 1 - 1e-6)
    defective = _DEFECT_WEIGHT * mask * tf.math.log(found) * (1 - found) ** _FOCUS
    good = (1 - mask) * tf.math.log(1 - found) * found**_FOCUS
    return -_MASK_WEIGHT * tf.reduce_mean(defective + good)
