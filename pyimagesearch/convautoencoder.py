"""The convolutional autoencoder: its layers, its training, and its form for labelling (ONNX)."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep what TensorFlow's C++ part prints while it starts from stderr, unless it fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as chatter:
        os.dup2(chatter.fileno(), 2)
        try:
            yield
        except BaseException:
            chatter.seek(0)
            os.write(kept, chatter.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


with _without_chatter():
    import keras
    import tensorflow as tf
    from keras import layers

# Keras' 0.99 remembers the statistics of hundreds of steps ago, when the weights were others: after
# a few epochs, reconstructions of the trained network are three times worse than while it trains.
_MOMENTUM = 0.9


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
        """Build the network for pictures of one size, any size.

        Args:
            width, height: of the pictures, in pixels.
            depth: number of channels.
            filters: of each 3x3 convolution of stride 2, from the picture inwards.
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
            x = layers.BatchNormalization(axis=-1, momentum=_MOMENTUM)(x)
        volume = tuple(int(side) for side in x.shape[1:])
        latent = layers.Dense(latentDim)(layers.Flatten()(x))
        encoder = keras.Model(inputs, latent, name="encoder")

        latent_inputs = layers.Input((latentDim,))
        x = layers.Reshape(volume)(layers.Dense(math.prod(volume))(latent_inputs))
        for f in filters[::-1]:
            x = layers.Conv2DTranspose(f, (3, 3), strides=2, padding="same")(x)
            x = layers.LeakyReLU(negative_slope=0.2)(x)
            x = layers.BatchNormalization(axis=-1, momentum=_MOMENTUM)(x)
        x = layers.Conv2DTranspose(depth, (3, 3), padding="same")(x)
        # Sides that the strides do not divide come out larger by what was rounded up.
        surplus = (int(x.shape[1]) - height, int(x.shape[2]) - width)
        if any(surplus):
            x = layers.Cropping2D(((0, surplus[0]), (0, surplus[1])))(x)
        decoder = keras.Model(latent_inputs, layers.Activation("sigmoid")(x), name="decoder")

        autoencoder = keras.Model(inputs, decoder(encoder(inputs)), name="autoencoder")
        return encoder, decoder, autoencoder


class TrainingDiverged(ArithmeticError):
    """The loss is no longer a number."""


class Training:
    """Adam with a cosine-shaped learning rate on the mean squared error, an epoch at a time.

    A training that was stopped after any epoch and goes on from ``state()`` ends with the same
    weights, bit for bit, as one that was not: the order of the images depends on the seed and the
    number of the epoch alone.

    Args:
        autoencoder: from ``ConvAutoencoder.build``; changed in place.
        pixels: (n, height, width, depth) uint8; may lie on disk.
        rows: indices of the images to learn from.
        held_out: indices of images to watch; not learned from.
        as_floats: (m, height, width, depth) uint8 -> float32 in [0, 1].
        epochs: of one look at each image, or as many as make ``LEAST_STEPS`` steps.
        batch_size: images a step.
        learning_rate: at the start; it falls to a fiftieth.
        seed: of the order of the images.
    """

    LEAST_STEPS = 80
    _FINAL_RATE = 0.02

    def __init__(
        self,
        autoencoder: keras.Model,
        pixels: np.ndarray,
        rows: np.ndarray,
        held_out: np.ndarray,
        as_floats: Callable[[np.ndarray], np.ndarray],
        *,
        epochs: int = 5,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        seed: int = 42,
    ) -> None:
        self.autoencoder = autoencoder
        self._pixels = pixels
        self._rows = np.sort(rows)
        self._held_out = np.sort(held_out)
        self._as_floats = as_floats
        self._batch_size = min(batch_size, len(rows))
        self._seed = seed
        steps = len(rows) // self._batch_size
        self._looks = math.ceil(self.LEAST_STEPS / steps)
        self.epochs = epochs
        schedule = keras.optimizers.schedules.CosineDecay(
            learning_rate, steps * self._looks * epochs, alpha=self._FINAL_RATE
        )
        # XLA is slower than plain TensorFlow on a CPU.
        autoencoder.compile(keras.optimizers.Adam(schedule), loss="mse", jit_compile=False)
        autoencoder.optimizer.build(autoencoder.trainable_variables)
        self.history: dict[str, list[float]] = {"loss": [], "val_loss": []}
        self._best = autoencoder.get_weights()

    @property
    def best_epoch(self) -> int:
        """The number, from 1, of the epoch with the least ``val_loss``; 0 before the first."""
        losses = self.history["val_loss"]
        return 1 + int(np.argmin(losses)) if losses else 0

    def run(self) -> Iterator[dict[str, float]]:
        """Train the epochs that are left, yielding each one's losses.

        ``loss`` is the mean squared error while learning; ``val_loss`` is the median over the
        held-out images of their mean squared error, which a few anomalies among them cannot move.

        Raises:
            TrainingDiverged: the loss is not finite.
        """
        for epoch in range(len(self.history["loss"]), self.epochs):
            logs = {"loss": self._learn(epoch), "val_loss": self._watch()}
            if not all(map(math.isfinite, logs.values())):
                raise TrainingDiverged(f"the loss became {logs['loss']} in epoch {epoch + 1}")
            for name, value in logs.items():
                self.history[name].append(value)
            if self.best_epoch == epoch + 1:
                self._best = self.autoencoder.get_weights()
            yield logs

    def take_best(self) -> None:
        """Give the autoencoder the weights of the best epoch."""
        self.autoencoder.set_weights(self._best)

    def state(self) -> dict[str, np.ndarray]:
        """All that ``restore`` needs to go on."""
        variables = [*self.autoencoder.weights, *self.autoencoder.optimizer.variables]
        return {
            **{name: np.array(values) for name, values in self.history.items()},
            **{f"variable.{i}": v.numpy() for i, v in enumerate(variables)},
            **{f"best.{i}": weights for i, weights in enumerate(self._best)},
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what ``state()`` gave for the same arguments.

        Raises:
            ValueError: it is not from such a training.
        """
        variables = [*self.autoencoder.weights, *self.autoencoder.optimizer.variables]
        try:
            for i, variable in enumerate(variables):
                variable.assign(state[f"variable.{i}"])
            self._best = [state[f"best.{i}"] for i in range(len(self._best))]
            self.history = {name: state[name].tolist() for name in self.history}
        except KeyError as error:
            raise ValueError(f"{error} is missing") from error

    def _learn(self, epoch: int) -> float:
        rng = np.random.default_rng([self._seed, epoch])
        n_steps = len(self._rows) // self._batch_size
        self.autoencoder.reset_metrics()
        for _ in range(self._looks):
            order = rng.permutation(self._rows)[: n_steps * self._batch_size]
            for batch in order.reshape(n_steps, -1):
                # Sorted: neighbours on the disk are read together.
                x = self._as_floats(self._pixels[np.sort(batch)])
                logs = self.autoencoder.train_on_batch(x, x, return_dict=True)
        return float(logs["loss"])

    def _watch(self) -> float:
        errors = []
        for start in range(0, len(self._held_out), self._batch_size):
            x = self._as_floats(self._pixels[self._held_out[start : start + self._batch_size]])
            errors.append(np.square(self.autoencoder.predict_on_batch(x) - x).mean(axis=(1, 2, 3)))
        return float(np.median(np.concatenate(errors)))


def make_repeatable(seed: int) -> None:
    """Seed what TensorFlow draws, and have it add numbers up in the same order every time."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def to_onnx(autoencoder: keras.Model) -> bytes:
    """The network as an ONNX graph, (n, height, width, depth) float32 -> the same."""
    # Keras exports only models that were called.
    autoencoder.predict_on_batch(np.zeros((1, *autoencoder.input_shape[1:]), np.float32))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), _without_chatter():
        warnings.simplefilter("ignore", FutureWarning)  # the converter's, about numpy
        path = os.path.join(folder, "network.onnx")
        autoencoder.export(path, format="onnx", verbose=False)
        return _with_plain_names(path)


def _with_plain_names(path: str) -> bytes:
    """Read an ONNX file and name its parts by their order: the converter's names vary by run."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    names: dict[str, str] = {"": ""}
    for kind, values in (("input", graph.input), ("output", graph.output)):
        names |= {value.name: f"{kind}_{i}" for i, value in enumerate(values)}
    for number, node in enumerate(graph.node):
        node.name, node.doc_string = f"{node.op_type}_{number}", ""
        for places in (node.input, node.output):
            for i, name in enumerate(places):
                places[i] = names.setdefault(name, f"value_{len(names)}")
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = names[value.name]
    initializers = sorted(graph.initializer, key=lambda tensor: tensor.name)
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(initializers)
    graph.name, graph.doc_string = "autoencoder", ""
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)
