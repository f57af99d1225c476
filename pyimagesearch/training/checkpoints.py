"""One run of a network's training: its checkpoint on disk, its tracker, and Ctrl-C."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import time
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from pyimagesearch.data.npy_format import parse_npy
from pyimagesearch.data.zip_archive import open_archive
from pyimagesearch.detectors import model_file
from pyimagesearch.detectors.model_file import open_model
from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.console import UserError, info, printable
from pyimagesearch.runtime.input_files import open_input
from pyimagesearch.runtime.interrupts import DeferredInterrupt
from pyimagesearch.training.trackers import Tracker, open_tracker

if TYPE_CHECKING:  # Keras takes seconds to import
    from pyimagesearch.runtime.keras import keras
    from pyimagesearch.training.keras_loop import Training

_FINGERPRINT = "fingerprint.npy"


class Checkpoint:
    """The state of an unfinished training, in a file next to the model file.

    Args:
        model: the model file that will be written.
        config: what the training was made from, as JSON types; another training's checkpoint is
            refused.
    """

    def __init__(self, model: str, config: dict[str, Any]) -> None:
        self._path = f"{model}.training"
        text = json.dumps(config, sort_keys=True)
        self._fingerprint = hashlib.sha256(text.encode()).hexdigest()

    def save(self, training: Training) -> None:
        """Store the state of a training; raises ``OSError`` where that is not possible."""
        with atomic_files.atomic_write(self._path) as file:
            np.savez(file, fingerprint=np.array(self._fingerprint), **training.state())

    def restore(self, training: Training) -> bool:
        """Give a training the stored state; whether there was one.

        Raises:
            UserError: it is damaged, or of a training with another configuration.
        """
        name = printable(self._path)
        try:
            saved, state = _read(self._path)
            if saved != _npy(np.array(self._fingerprint)):
                raise UserError(
                    f"{name}: that training was begun with other options or other data; "
                    "without --resume a new one replaces it"
                )
            training.restore(state)
        except FileNotFoundError:
            info(f"{name} is not there: nothing to resume, starting from the beginning")
            return False
        except ValueError as error:
            raise UserError(f"{name}: not the state of a training ({error})") from error
        return True

    def remove(self) -> None:
        """Remove the stored state, if there is one."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _read(path: str) -> tuple[bytes, dict[str, np.ndarray]]:
    """The fingerprint of a stored state, as bytes of NumPy's format, and its arrays.

    Raises:
        ValueError: it is damaged, or nothing that ``Checkpoint.save`` wrote.
        OSError: it cannot be read.
    """
    with open_input(path) as file, open_archive(file, ValueError) as archive:
        members = archive.infolist()
        # What is not compressed, and stands in the file once, cannot expand.
        is_stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
        n_bytes = sum(member.file_size for member in members)
        if not is_stored or n_bytes > os.fstat(file.fileno()).st_size:
            raise ValueError("it claims more bytes than it has")
        contents = {member.filename: archive.read(member) for member in members}
        saved = contents.pop(_FINGERPRINT, b"")
        return saved, {
            name.removesuffix(".npy"): parse_npy(content) for name, content in contents.items()
        }


class TrainingRun:
    """A training as a command runs it: it can be interrupted and resumed, and a tracker logs it.

    A checkpoint is saved after every epoch, so that a killed training can be resumed.

    Args:
        model: the model file that will be written.
        resume: whether to resume a killed training of the same model file.
        tracker, log_dir: see ``trackers.open_tracker``.

    Attributes:
        tracker: logs every epoch; before ``train``, one that logs nothing.
        interrupted: whether Ctrl-C ended the training.
    """

    def __init__(
        self, model: str, resume: bool = False, tracker: str = "none", log_dir: str = "runs"
    ) -> None:
        self.tracker = Tracker()
        self.interrupted = False
        self._model = model
        self._resume = resume
        self._tracker_options = (tracker, log_dir)
        self._checkpoint: Checkpoint | None = None

    def train(self, training: Training, config: dict[str, Any]) -> None:
        """Train the epochs that are left, all or after a checkpoint; take the best one's weights.

        Args:
            training: a new one.
            config: what it was made from, as JSON types.

        Raises:
            UserError: the loss is no longer a number; or the checkpoint to resume from is damaged,
                or of a training with another configuration.
            KeyboardInterrupt: Ctrl-C before the first epoch was done.
        """
        checkpoint = self._checkpoint = Checkpoint(self._model, config)
        resumed = self._resume and checkpoint.restore(training)
        n_before = training.n_done
        if resumed:
            info(f"going on after epoch {n_before} of {training.epochs}")
        self.tracker = open_tracker(*self._tracker_options, config, resumed)
        started = time.monotonic()
        try:
            # TensorFlow may swallow a Ctrl-C that comes in the middle of a step, or die of it.
            with DeferredInterrupt() as interrupt:
                for losses in training.run(between_steps=interrupt.raise_if_requested):
                    seconds = (time.monotonic() - started) / (training.n_done - n_before)
                    left = seconds * (training.epochs - training.n_done)
                    info(
                        f"epoch {training.n_done} of {training.epochs}: loss {losses['loss']:.5f}, "
                        f"held out {losses['val_loss']:.5f}, {left:.0f} s left"
                    )
                    checkpoint.save(training)
                    self.tracker.log_losses(training.n_done - 1, losses)
                    interrupt.raise_if_requested()
        except KeyboardInterrupt:
            best = training.best_epoch
            if not best:
                raise
            info(f"interrupted: keeping epoch {best}, the best so far; --resume goes on")
            self.interrupted = True
        except ArithmeticError as error:
            raise UserError(f"{error}; try a smaller --learning-rate") from error
        if not self.interrupted and training.n_done < training.epochs:
            info(f"the held-out loss no longer falls: keeping epoch {training.best_epoch}")
        training.take_best()

    def finish(self) -> None:
        """Close the log; remove the checkpoint, unless the training was interrupted."""
        self.tracker.finish()
        if self._checkpoint is not None and not self.interrupted:
            self._checkpoint.remove()


def load_weights(network: keras.Model, path: str) -> None:
    """Start a network from the weights in a model file.

    Args:
        network: changed in place.
        path: of the model file.

    Raises:
        UserError: it is no model file, or its network has another shape.
        OSError: it cannot be read.
    """
    arrays = open_model(path, model_file.load_model).arrays
    weights = [arrays[name] for name in sorted(arrays) if name.startswith("weights.")]
    if [w.shape for w in weights] != [w.shape for w in network.get_weights()]:
        raise UserError(
            f"{printable(path)}: its network has another shape than this one, or it has none"
        )
    network.set_weights(weights)
