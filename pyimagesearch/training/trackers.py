"""Experiment trackers behind one interface; each is imported only when it is asked for."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from pyimagesearch.data import images
from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.console import UserError

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


class Tracker:
    """Logs what happens in a training; this one logs nothing."""

    def log_losses(self, epoch: int, losses: Mapping[str, float]) -> None:
        """Log the losses of an epoch.

        Args:
            epoch: from 0.
            losses: by name.
        """

    def log_image(self, name: str, image: np.ndarray) -> None:
        """Log an image, (height, width, 3) uint8 BGR."""

    def log_scores(self, name: str, scores: np.ndarray) -> None:
        """Log the distribution of scores, (n,) float."""

    def finish(self) -> None:
        """Close the log."""


def open_tracker(tracker: str, folder: str, config: dict[str, Any], resumed: bool) -> Tracker:
    """Start to log a training.

    Args:
        tracker: one of ``TRACKERS``.
        folder: where to: ``config.json``, ``losses.csv`` and files for the rest; TensorBoard's
            event files; or wandb's run, which is offline with ``WANDB_MODE=offline``.
        config: the options of this training.
        resumed: append to the log of an earlier, killed training.
    """
    if tracker == "none":
        return Tracker()
    os.makedirs(folder, exist_ok=True)
    kinds = {"csv": FileTracker, "tensorboard": TensorBoardTracker, "wandb": WandbTracker}
    return kinds[tracker](folder, config, resumed)


class FileTracker(Tracker):
    """Plain files: JSON, PNG, and CSV, of which Keras' own callback writes the losses."""

    def __init__(self, folder: str, config: dict[str, Any], resumed: bool) -> None:
        from pyimagesearch.runtime.keras import keras

        self._folder = folder
        self._write("config.json", (json.dumps(config, indent=2) + "\n").encode())
        path = os.path.join(folder, "losses.csv")
        self._losses = keras.callbacks.CSVLogger(path, append=resumed)
        self._losses.on_train_begin()

    def log_losses(self, epoch: int, losses: Mapping[str, float]) -> None:
        self._losses.on_epoch_end(epoch, losses)

    def log_image(self, name: str, image: np.ndarray) -> None:
        self._write(f"{name}.png", images.encode_picture(image, ".png"))

    def log_scores(self, name: str, scores: np.ndarray) -> None:
        lines = ["score", *(f"{score:.6g}" for score in scores)]
        self._write(f"{name}.csv", ("\n".join(lines) + "\n").encode())

    def finish(self) -> None:
        self._losses.on_train_end()

    def _write(self, name: str, data: bytes) -> None:
        atomic_files.write_bytes(os.path.join(self._folder, name), data)


class TensorBoardTracker(Tracker):
    """Event files, named as Keras' own callback names them.

    That callback takes no images and no scores, and writes to the disk only every ten events or
    two minutes, so that a killed training which is resumed would lack its last epochs.
    """

    def __init__(self, folder: str, config: dict[str, Any], resumed: bool) -> None:  # noqa: ARG002
        import tensorflow as tf

        self._summary = tf.summary
        self._writer = tf.summary.create_file_writer(os.path.join(folder, "train"))
        with self._writer.as_default():
            tf.summary.text("config", json.dumps(config, indent=2), step=0)

    def log_losses(self, epoch: int, losses: Mapping[str, float]) -> None:
        with self._writer.as_default(epoch):
            for name, loss in losses.items():
                self._summary.scalar(f"epoch_{name}", loss)
        self._writer.flush()

    def log_image(self, name: str, image: np.ndarray) -> None:
        with self._writer.as_default(0):
            self._summary.image(name, image[None, :, :, ::-1])

    def log_scores(self, name: str, scores: np.ndarray) -> None:
        with self._writer.as_default(0):
            self._summary.histogram(name, scores)

    def finish(self) -> None:
        self._writer.close()


class WandbTracker(Tracker):
    """A run of Weights & Biases, whose own callback would log the losses under other names."""

    def __init__(self, folder: str, config: dict[str, Any], resumed: bool) -> None:  # noqa: ARG002
        import wandb

        self._wandb = wandb
        self._run = wandb.init(dir=folder, config=config, project="anomaly-detection")

    def log_losses(self, epoch: int, losses: Mapping[str, float]) -> None:
        self._run.log({"epoch": epoch + 1, **losses})

    def log_image(self, name: str, image: np.ndarray) -> None:
        self._run.log({name: self._wandb.Image(np.ascontiguousarray(image[:, :, ::-1]))})

    def log_scores(self, name: str, scores: np.ndarray) -> None:
        self._run.log({name: self._wandb.Histogram(scores)})

    def finish(self) -> None:
        self._run.finish()
