"""One run of a network's training: its state on the disk, its trackers, and Ctrl-C."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import zipfile
from typing import Any

import numpy as np

from pyimagesearch.detectors import model_file
from pyimagesearch.detectors.model_file import open_model
from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.console import UserError, info, printable
from pyimagesearch.runtime.interrupts import Stop
from pyimagesearch.training.trackers import Tracker, open_tracker


class Keeper:
    """Keeps what comes of a training: its state beside the model file, and a tracker's log.

    The state is saved after every epoch, so that a training that was killed can go on.

    Args:
        model: the model file that will be written.
        resume: whether to go on with what a killed training of the same model file left.
        tracker, log_dir: see ``trackers.open_tracker``.

    Attributes:
        tracker: told of every epoch; before a training begins, one that keeps nothing.
        interrupted: whether Ctrl-C ended the training.
    """

    def __init__(
        self, model: str, resume: bool = False, tracker: str = "none", log_dir: str = "runs"
    ) -> None:
        self.tracker = Tracker()
        self.interrupted = False
        self._resume = resume
        self._tracked = (tracker, log_dir)
        self._path = f"{model}.training"
        self._run: Any = None
        self._fingerprint = ""

    def begin(self, run: Any, config: dict[str, Any]) -> None:
        """Take a training, restore what a killed one left where that is wanted, open the tracker.

        Args:
            run: a new ``keras_loop.Training``.
            config: what it was made from, as JSON types.

        Raises:
            UserError: what was left is damaged, or from a run with another configuration.
        """
        self._run = run
        text = json.dumps(config, sort_keys=True)
        self._fingerprint = hashlib.sha256(text.encode()).hexdigest()
        resumed = self._resume and self._go_on()
        self.tracker = open_tracker(*self._tracked, config, resumed)

    def _go_on(self) -> bool:
        """Restore what was left; whether there was anything."""
        path, run = self._path, self._run
        try:
            with np.load(path, allow_pickle=False) as saved:
                state = dict(saved)
            if str(state.pop("fingerprint", "")) != self._fingerprint:
                raise UserError(
                    f"{printable(path)}: that training was begun with other options or other data; "
                    "without --resume a new one replaces it"
                )
            run.restore(state)
        except FileNotFoundError:
            info(f"{printable(path)} is not there: nothing to resume, starting from the beginning")
            return False
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"{printable(path)}: not the state of a training ({error})") from error
        info(f"going on after epoch {len(run.history['loss'])} of {run.epochs}")
        return True

    def train(self) -> None:
        """Train the epochs that are left, then take the best one's weights.

        Raises:
            UserError: the loss is no longer a number.
            KeyboardInterrupt: Ctrl-C before the first epoch was done.
        """
        run = self._run
        started, before = time.monotonic(), len(run.history["loss"])
        try:
            # TensorFlow may swallow a Ctrl-C that comes in the middle of a step, or die of it.
            with Stop() as stop:
                for logs in run.run(between_steps=stop.heed):
                    self._take_epoch(logs, started, before)
                    stop.heed()
        except KeyboardInterrupt:
            if not run.best_epoch:
                raise
            info(f"interrupted: keeping epoch {run.best_epoch}, the best so far; --resume goes on")
            self.interrupted = True
        except ArithmeticError as error:
            raise UserError(f"{error}; try a smaller --learning-rate") from error
        if not self.interrupted and len(run.history["loss"]) < run.epochs:
            info(f"the held-out loss no longer falls: keeping epoch {run.best_epoch}")
        run.take_best()

    def _take_epoch(self, logs: dict[str, float], started: float, before: int) -> None:
        run = self._run
        done = len(run.history["loss"])
        left = (time.monotonic() - started) / (done - before) * (run.epochs - done)
        info(
            f"epoch {done} of {run.epochs}: loss {logs['loss']:.5f}, "
            f"held out {logs['val_loss']:.5f}, {left:.0f} s left"
        )
        with atomic_files.atomic_write(self._path) as file:
            np.savez(file, fingerprint=np.array(self._fingerprint), **run.state())
        self.tracker.log_losses(done - 1, logs)

    def end(self) -> None:
        """Remove the state of a training that is done; one that was interrupted may go on."""
        if not self.interrupted:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)


def take_weights(autoencoder: Any, path: str) -> None:
    """Start from the network of a model file.

    Args:
        autoencoder: a Keras model.
        path: the model file.

    Raises:
        UserError: it is no model file, or its network has another shape.
        OSError: it cannot be read.
    """
    arrays = open_model(path, model_file.load_model).arrays
    weights = [arrays[name] for name in sorted(arrays) if name.startswith("weights.")]
    if [w.shape for w in weights] != [w.shape for w in autoencoder.get_weights()]:
        raise UserError(
            f"{printable(path)}: its network has another shape than this one, or it has none"
        )
    autoencoder.set_weights(weights)
