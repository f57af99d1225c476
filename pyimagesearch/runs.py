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

from pyimagesearch import files, modelfiles
from pyimagesearch.options import UserError, info, open_model, printable
from pyimagesearch.trackers import Tracker


def train(run: Any, model: str, config: dict[str, Any], tracker: Tracker) -> bool:
    """Train the epochs that are left, then take the best one's weights.

    The state is saved beside the model file after every epoch; see ``go_on``.

    Args:
        run: a ``networks.Training``.
        model: the model file that will be written.
        config: what the run was made from, as JSON types.
        tracker: told of every epoch.

    Returns:
        Whether Ctrl-C ended it.

    Raises:
        UserError: the loss is no longer a number.
        KeyboardInterrupt: Ctrl-C before the first epoch was done.
    """
    started, before = time.monotonic(), len(run.history["loss"])
    interrupted = False
    try:
        for logs in run.run():
            done = len(run.history["loss"])
            left = (time.monotonic() - started) / (done - before) * (run.epochs - done)
            info(
                f"epoch {done} of {run.epochs}: loss {logs['loss']:.5f}, "
                f"held out {logs['val_loss']:.5f}, {left:.0f} s left"
            )
            with files.written_whole(_state_path(model)) as file:
                np.savez(file, fingerprint=np.array(_fingerprint(config)), **run.state())
            tracker.log_losses(done - 1, logs)
    except KeyboardInterrupt:
        if not run.best_epoch:
            raise
        info(f"interrupted: keeping epoch {run.best_epoch}, the best so far; --resume goes on")
        interrupted = True
    except ArithmeticError as error:
        raise UserError(f"{error}; try a smaller --learning-rate") from error
    if not interrupted and len(run.history["loss"]) < run.epochs:
        info(f"the held-out loss no longer falls: keeping epoch {run.best_epoch}")
    run.take_best()
    return interrupted


def go_on(run: Any, model: str, config: dict[str, Any]) -> bool:
    """Restore what a killed training of the same model file left.

    Args:
        run: a new ``networks.Training``.
        model: the model file that will be written.
        config: what the run was made from, as JSON types.

    Returns:
        Whether there was anything.

    Raises:
        UserError: it is damaged, or from a run with another configuration.
    """
    path = _state_path(model)
    try:
        with np.load(path, allow_pickle=False) as saved:
            state = dict(saved)
        if str(state.pop("fingerprint", "")) != _fingerprint(config):
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


def forget(model: str) -> None:
    """Remove the state of a training that is done."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_state_path(model))


def take_weights(autoencoder: Any, path: str) -> None:
    """Start from the network of a model file.

    Args:
        autoencoder: a Keras model.
        path: the model file.

    Raises:
        UserError: it is no model file, or its network has another shape.
        OSError: it cannot be read.
    """
    arrays = open_model(path, modelfiles.load_model).arrays
    weights = [arrays[name] for name in sorted(arrays) if name.startswith("weights.")]
    if [w.shape for w in weights] != [w.shape for w in autoencoder.get_weights()]:
        raise UserError(
            f"{printable(path)}: its network has another shape than this one, or it has none"
        )
    autoencoder.set_weights(weights)


def _state_path(model: str) -> str:
    return f"{model}.training"


def _fingerprint(config: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
