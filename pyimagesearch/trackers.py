"""Experiment trackers, as Keras callbacks; each is imported only when it is asked for."""

from __future__ import annotations

import importlib
import os
from typing import Any

from pyimagesearch.options import UserError

TRACKERS = ("none", "csv", "tensorboard", "wandb")
_PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb"}


def check_tracker(tracker: str) -> None:
    """Find out, before long work, whether a tracker is installed.

    Raises:
        UserError: it is not.
    """
    if package := _PACKAGES.get(tracker):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise UserError(
                f"--tracker {tracker} needs the package {package} ({error}): pip install {package}"
            ) from error


def callbacks_for(tracker: str, folder: str, config: dict[str, Any], resumed: bool) -> list[Any]:
    """Make the Keras callbacks that log every epoch's losses.

    Args:
        tracker: one of ``TRACKERS``.
        folder: where the logs go: ``losses.csv``, TensorBoard's event files, or wandb's run.
        config: the options of this training, for trackers that keep them.
        resumed: add to what an earlier, killed training has logged.
    """
    if tracker == "none":
        return []
    import keras

    os.makedirs(folder, exist_ok=True)
    if tracker == "csv":
        return [keras.callbacks.CSVLogger(os.path.join(folder, "losses.csv"), append=resumed)]
    if tracker == "tensorboard":
        return [keras.callbacks.TensorBoard(folder, write_graph=False)]
    import wandb

    run = wandb.init(dir=folder, config=config, project="anomaly-detection")

    def log(epoch: int, logs: dict[str, float]) -> None:
        run.log({"epoch": epoch + 1, **logs})

    def finish(_logs: dict[str, float] | None) -> None:
        run.finish()

    return [keras.callbacks.LambdaCallback(on_epoch_end=log, on_train_end=finish)]
