"""The training loop of all networks: epochs that can be interrupted, stored and resumed.

A loop of its own, since with ``Model.fit`` a resumed training would not end with the same network:
``EarlyStopping`` then starts anew with its best epoch, its weights and its patience. Nor does
``fit`` take the median over held-out items as ``val_loss``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from pyimagesearch.runtime.keras import keras, tf

TensorLoss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # of targets and outputs


class TrainingDiverged(ArithmeticError):
    """The loss is no longer a number."""


class Training:
    """Adam with a cosine-shaped learning rate on the mean squared error, an epoch at a time.

    A training that was stopped after any epoch and resumed from ``state()`` ends with the same
    weights, bit for bit, as one that was not: the order of the items depends on the seed and the
    number of the epoch alone, and what dropout draws on the state.

    Args:
        autoencoder: changed in place.
        items: (n, ...), images or windows; may lie on disk or be a view, and is never copied as a
            whole.
        rows: indices of the items to learn from.
        held_out: indices of the items to validate with; not learned from.
        as_floats: some of the items -> float32 of the same shape, as the network takes them.
        epochs: at most. One passes once over all items, or as often as makes ``least_steps``
            steps.
        batch_size: items a step.
        learning_rate: at the start; it falls to a fiftieth.
        seed: of the order of the items.
        least_steps: of an epoch.
        most_items: of an epoch: where there are more, each epoch takes others, evenly spaced; of
            ``held_out``, always the same tenth as many.
        patience: stop after as many epochs in which ``val_loss`` did not improve; None never does.

    Attributes:
        history: ``loss`` and ``val_loss`` of the epochs that are done.
    """

    _FINAL_RATE = 0.02

    def __init__(
        self,
        autoencoder: keras.Model,
        items: np.ndarray,
        rows: np.ndarray,
        held_out: np.ndarray,
        as_floats: Callable[[np.ndarray], np.ndarray],
        *,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        seed: int,
        least_steps: int,
        most_items: int | None = None,
        patience: int | None = None,
    ) -> None:
        self.autoencoder = autoencoder
        self._items = items
        self._rows = np.sort(rows)
        self._held_out = np.sort(held_out)
        self._stride = 1
        if most_items is not None:
            self._stride = math.ceil(len(rows) / most_items)
            self._held_out = self._held_out[:: math.ceil(10 * len(held_out) / most_items)]
        self._as_floats = as_floats
        n_items = len(rows) // self._stride
        self._batch_size = min(batch_size, n_items)
        self._steps = n_items // self._batch_size
        self._n_passes = math.ceil(least_steps / self._steps)
        self._seed = seed
        self._patience = patience
        self.epochs = epochs
        schedule = keras.optimizers.schedules.CosineDecay(
            learning_rate, self._steps * self._n_passes * epochs, alpha=self._FINAL_RATE
        )
        # XLA is slower than plain TensorFlow on a CPU.
        autoencoder.compile(keras.optimizers.Adam(schedule), self._loss(), jit_compile=False)
        autoencoder.optimizer.build(autoencoder.trainable_variables)
        self.history: dict[str, list[float]] = {"loss": [], "val_loss": []}
        self._best = autoencoder.get_weights()

    def _loss(self) -> str | TensorLoss:
        """The loss, as ``compile`` takes it."""
        return "mse"

    @property
    def n_done(self) -> int:
        """Number of epochs that are done."""
        return len(self.history["loss"])

    @property
    def best_epoch(self) -> int:
        """The number, from 1, of the epoch with the least ``val_loss``; 0 before the first."""
        losses = self.history["val_loss"]
        return 1 + int(np.argmin(losses)) if losses else 0

    @property
    def is_done(self) -> bool:
        """Whether all epochs are, or as many as ``patience`` allows."""
        patience = self.epochs if self._patience is None else self._patience
        return self.n_done >= min(self.epochs, self.best_epoch + patience)

    def run(self, between_steps: Callable[[], None] = lambda: None) -> Iterator[dict[str, float]]:
        """Train the epochs that are left, yielding each one's losses.

        ``loss`` is the mean squared error while learning; ``val_loss`` is the median over the
        held-out items of their mean squared error, which a few anomalies among them cannot move.

        Args:
            between_steps: is called after each; what it raises ends the training.

        Raises:
            TrainingDiverged: the loss is not finite.
        """
        while not self.is_done:
            epoch = self.n_done
            losses = {"loss": self._learn(epoch, between_steps), "val_loss": self._validate()}
            for loss in losses.values():
                if not math.isfinite(loss):
                    raise TrainingDiverged(f"the loss became {loss} in epoch {epoch + 1}")
            for name, loss in losses.items():
                self.history[name].append(loss)
            if self.best_epoch == self.n_done:
                self._best = self.autoencoder.get_weights()
            yield losses

    def take_best(self) -> None:
        """Give the autoencoder the weights of the best epoch."""
        self.autoencoder.set_weights(self._best)

    def state(self) -> dict[str, np.ndarray]:
        """All that ``restore`` needs to resume."""
        return {
            **{name: np.array(values) for name, values in self.history.items()},
            **{f"variable.{i}": v.numpy() for i, v in enumerate(self._variables)},
            **{f"best.{i}": weights for i, weights in enumerate(self._best)},
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Resume from what ``state()`` gave for the same arguments.

        Raises:
            ValueError: it is not from such a training.
        """
        try:
            for i, variable in enumerate(self._variables):
                variable.assign(state[f"variable.{i}"])
            best = [state[f"best.{i}"] for i in range(len(self._best))]
            losses = {name: state[name] for name in self.history}
        except KeyError as error:
            raise ValueError(f"{error} is missing") from error
        if [weights.shape for weights in best] != [weights.shape for weights in self._best]:
            raise ValueError("its best weights have other shapes")
        if len({values.shape for values in losses.values()}) > 1 or any(
            values.ndim != 1 or not np.isfinite(values).all() for values in losses.values()
        ):
            raise ValueError("its losses are no lists of numbers of one length")
        self._best = best
        self.history = {name: values.tolist() for name, values in losses.items()}

    @property
    def _variables(self) -> list[keras.Variable]:
        # Unlike ``weights``, these have the state from which dropout draws.
        model = self.autoencoder
        return [
            *model.trainable_variables,
            *model.non_trainable_variables,
            *model.optimizer.variables,
        ]

    def _learn(self, epoch: int, between_steps: Callable[[], None]) -> float:
        """Train one epoch; its mean loss."""
        self.autoencoder.reset_metrics()
        for batch in self._batches(epoch):
            x = self._as_floats(self._items[batch])
            logs = self.autoencoder.train_on_batch(x, x, return_dict=True)
            between_steps()
        return float(logs["loss"])

    def _batches(self, epoch: int) -> Iterator[np.ndarray]:
        """The rows of each step of an epoch."""
        rng = np.random.default_rng([self._seed, epoch])
        for _ in range(self._n_passes):
            rows = self._rows[rng.integers(self._stride) :: self._stride]
            order = rng.permutation(rows)[: self._steps * self._batch_size]
            # Sorted: neighbours on the disk are read together.
            yield from map(np.sort, order.reshape(self._steps, -1))

    def _validate(self) -> float:
        """The median over the held-out items of their mean squared error."""
        errors = []
        for start in range(0, len(self._held_out), self._batch_size):
            x = self._as_floats(self._items[self._held_out[start : start + self._batch_size]])
            squares = np.square(self.autoencoder.predict_on_batch(x) - x)
            errors.append(squares.reshape(len(x), -1).mean(axis=1))
        return float(np.median(np.concatenate(errors)))
