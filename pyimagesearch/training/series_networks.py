"""Autoencoders of series: the Conv1D and LSTM networks of windows, and how they are trained.

The networks are those of Keras' example "Timeseries anomaly detection using an Autoencoder",
changed so that they take windows of any length and do not learn to copy every window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyimagesearch.runtime.console import counted
from pyimagesearch.runtime.keras import keras
from pyimagesearch.training import keras_loop

layers = keras.layers

HELD_OUT = 0.1
PATIENCE = 5
LEAST_STEPS = 20
MOST_WINDOWS = 10_000
_DROPOUT = 0.2
# At each end of a block, windows that overlap it are lost: it is at least as many times as long.
_LEAST_BLOCK = 4
_MOST_BLOCKS = 10


class Conv1DAutoencoder:
    """Strided convolutions over time down to a latent vector, and transposed ones up again."""

    @staticmethod
    def build(
        time_steps: int,
        n_columns: int = 1,
        filters: Sequence[int] = (32, 16, 16),
        latent_dim: int = 16,
    ) -> keras.Model:
        """Build the network for windows of one length, any length.

        The latent vector is bounded and has dropout; what was tried: docs/methods.md.

        Args:
            time_steps: of a window.
            n_columns: values of each step.
            filters: of each convolution of 7 steps and stride 2, from the window inwards.
            latent_dim: length of the latent vector.

        Returns:
            The autoencoder, (n, time_steps, n_columns) -> the same shape.
        """
        inputs = layers.Input((time_steps, n_columns))
        options = {"padding": "same", "strides": 2, "activation": "relu"}
        x = inputs
        for f in filters:
            x = layers.Conv1D(f, 7, **options)(x)
            x = layers.Dropout(_DROPOUT)(x)
        steps, channels = map(int, x.shape[1:])
        x = layers.Dense(latent_dim, activation="tanh")(layers.Flatten()(x))
        x = layers.Dropout(_DROPOUT)(x)
        x = layers.Reshape((steps, channels))(layers.Dense(steps * channels)(x))
        for f in filters[::-1]:
            x = layers.Conv1DTranspose(f, 7, **options)(x)
        x = layers.Conv1DTranspose(n_columns, 7, padding="same")(x)
        # Lengths that the strides do not divide come out larger by what was rounded up.
        surplus = int(x.shape[1]) - time_steps
        if surplus:
            x = layers.Cropping1D((0, surplus))(x)
        return keras.Model(inputs, x, name="conv1d")


class LSTMAutoencoder:
    """Recurrent layers that read a window into one vector, and others that write it again.

    Each step of such a layer waits for the one before, so that long windows take long: they are
    averaged down to at most ``MOST_STEPS`` on the way in and interpolated linearly on the way out.
    """

    MOST_STEPS = 24

    @staticmethod
    def build(
        time_steps: int,
        n_columns: int = 1,
        units: Sequence[int] = (64, 32, 16),
        most_steps: int = MOST_STEPS,
    ) -> keras.Model:
        """Build the network for windows of one length, any length.

        Args:
            time_steps: of a window.
            n_columns: values of each step.
            units: of each recurrent layer, from the window inwards; the decoder has the same
                backwards, without the last.
            most_steps: of a recurrent layer.

        Returns:
            The autoencoder, (n, time_steps, n_columns) -> the same shape.
        """
        down, up = resampling(time_steps, most_steps)
        inputs = layers.Input((time_steps, n_columns))
        x = keras.ops.matmul(down, inputs)
        for u in units[:-1]:
            x = layers.LSTM(u, return_sequences=True)(x)
            x = layers.Dropout(_DROPOUT)(x)
        x = layers.LSTM(units[-1])(x)
        x = layers.RepeatVector(len(down))(x)
        for number, u in enumerate(units[-2::-1]):
            if number:
                x = layers.Dropout(_DROPOUT)(x)
            x = layers.LSTM(u, return_sequences=True)(x)
        x = layers.TimeDistributed(layers.Dense(n_columns))(x)
        return keras.Model(inputs, keras.ops.matmul(up, x), name="lstm")


ARCHITECTURES = {"conv1d": Conv1DAutoencoder, "lstm": LSTMAutoencoder}


def new_training(
    autoencoder: keras.Model,
    windows: np.ndarray,
    rows: np.ndarray,
    held_out: np.ndarray,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> keras_loop.Training:
    """Prepare the training of an autoencoder, with the example's settings.

    An epoch takes at most ``MOST_WINDOWS``. Training ends when the loss of the held-out windows
    has not improved for ``PATIENCE`` epochs.

    Args:
        autoencoder: of one of ``ARCHITECTURES``.
        windows: (n_windows, time_steps, n_columns) float32, a view of the scaled series.
        rows, held_out: from ``hold_out``.
        epochs: at most.
        batch_size: windows a step.
        learning_rate: at the start.
        seed: of the order of the windows.
    """
    return keras_loop.Training(
        autoencoder,
        windows,
        rows,
        held_out,
        np.asarray,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        least_steps=LEAST_STEPS,
        most_items=MOST_WINDOWS,
        patience=PATIENCE,
    )


def hold_out(
    starts: np.ndarray, time_steps: int, share: float = HELD_OUT
) -> tuple[np.ndarray, np.ndarray]:
    """Keep blocks of windows apart that share no row with those to learn from.

    The blocks are the ends of up to ten equal parts of the series; of one part if it is short.

    Args:
        starts: (n_windows,) int, first rows of the windows, in ascending order.
        time_steps: rows of a window.
        share: of the windows to hold out.

    Returns:
        The starts to learn from, and those held out; those that overlap both are in neither.

    Raises:
        ValueError: so few windows that none is left.
    """
    n_blocks = int(share * len(starts)) // (_LEAST_BLOCK * time_steps)
    learned = starts
    held_out: list[np.ndarray] = []
    for part in np.array_split(starts, min(max(n_blocks, 1), _MOST_BLOCKS)):
        block = part[len(part) - max(round(share * len(part)), 1) :]
        overlaps = (learned > block[0] - time_steps) & (learned < block[-1] + time_steps)
        learned = learned[~overlaps]
        held_out.append(block)
    if not len(learned):
        raise ValueError(
            f"{counted(len(starts), 'window')} of {counted(time_steps, 'row')}: too few to hold "
            "some out that do not overlap the others"
        )
    return learned, np.concatenate(held_out)


def resampling(time_steps: int, most_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Make the matrices that shorten a window and lengthen it again.

    Args:
        time_steps: length of the window.
        most_steps: length of the short one, at most.

    Returns:
        (n_steps, time_steps) float32, averages over stretches that differ in length by one at
        most; and (time_steps, n_steps) float32, linear interpolation between their middles.
    """
    n_steps = -(-time_steps // -(-time_steps // most_steps))
    edges = np.arange(n_steps + 1) * time_steps // n_steps
    down = np.zeros((n_steps, time_steps), np.float32)
    for row, start, end in zip(down, edges[:-1], edges[1:], strict=True):
        row[start:end] = 1 / (end - start)
    middles = (edges[:-1] + edges[1:] - 1) / 2
    steps = np.arange(time_steps)
    up = np.stack([np.interp(steps, middles, unit) for unit in np.eye(n_steps)], axis=1)
    return down, up.astype(np.float32)
