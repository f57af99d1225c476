"""Experiment trackers behind one interface; each is imported only when it is asked for."""

from __future__ import annotations

import csv
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
    """What is told of a training; this one keeps nothing."""

    def log_losses(self, epoch: int, losses: Mapping[str, float]) -> None:
        """Keep the losses of an epoch.

        Args:
            epoch: from 0.
            losses: by name.
        """

    def log_picture(self, name: str, picture: np.ndarray) -> None:
        """Keep a picture, (height, width, 3) uint8 BGR."""

    def log_scores(self, name: str, scores: np.ndarray) -> None:
        """Keep how scores, (n,) float, are spread."""

    def finish(self) -> None:
        """Nothing more will be told."""


def open_tracker(tracker: str, folder: str, config: dict[str, Any], resumed: bool) -> Tracker:
    """Start to keep what is told of a training.

    Args:
        tracker: one of ``TRACKERS``.
        folder: where to: ``config.json``, ``losses.csv`` and files for the rest; TensorBoard's
            event files; or wandb's run, which is offline with ``WANDB_MODE=offline``.
        config: the options of this training.
        resumed: add to what an earlier, killed training has logged.
    """
    if tracker == "none":
        return Tracker()
    os.makedirs(folder, exist_ok=True)
    kinds = {"csv": FileTracker, "tensorboard": TensorBoardTracker, "wandb": WandbTracker}
    return kinds[tracker](folder, config, resumed)


class FileTracker(Tracker):
    """Plain files: JSON, CSV and PNG."""

    def __init__(self, folder: str, config: dict[str, Any], resumed: bool) -> None:
        self._folder = folder
        with atomic_files.atomic_write(os.path.join(folder, "config.json")) as file:
            file.write((json.dumps(config, indent=2) + "\n").encode())
        path = os.path.join(folder, "losses.csv")
        self._has_header = resumed and os.path.exists(path)
        self._losses = open(path, "a" if resumed else "w", newline="")  # noqa: SIM115

    def log_losses(self, epoch: int, losses: Mapping[str, float]) -> None:
        writer = csv.writer(self._losses, lineterminator="\n")
        if not self._has_header:
            writer.writerow(["epoch", *losses])
            self._has_header = True
        writer.writerow([epoch, *losses.values()])
        self._losses.flush()

    def log_picture(self, name: str, picture: np.ndarray) -> None:
        with atomic_files.atomic_write(os.path.join(self._folder, f"{name}.png")) as file:
            file.write(images.encode_picture(picture, ".png"))

    def log_scores(self, name: str, scores: np.ndarray) -> None:
        lines = ["score", *(f"{score:.6g}" for score in scores)]
        with atomic_files.atomic_write(os.path.join(self._folder, f"{name}.csv")) as file:
            file.write(("\n".join(lines) + "\n").encode())

    def finish(self) -> None:
        self._losses.close()


class TensorBoardTracker(Tracker):
    """Event files, as Keras' own callback names them."""

    def __init__(self, folder: str, config: dict[str, Any], resumed: bool) -> None:  # noqa: ARG002
        import tensorflow as tf

        self._tf = tf
        self._writer = tf.summary.create_file_writer(os.path.join(folder, "train"))
        with self._writer.as_default():
            tf.summary.text("config", json.dumps(config, indent=2), step=0)

    def log_losses(self, epoch: int, losses: Mapping[str, float]) -> None:
        with self._writer.as_default():
            for name, loss in losses.items():
                self._tf.summary.scalar(f"epoch_{name}", loss, step=epoch)
        self._writer.flush()

    def log_picture(self, name: str, picture: np.ndarray) -> None:
        with self._writer.as_default():
            self._tf.summary.image(name, picture[None, :, :, ::-1], step=0)

    def log_scores(self, name: str, scores: np.ndarray) -> None:
        with self._writer.as_default():
            self._tf.summary.histogram(name, scores, step=0)

    def finish(self) -> None:
        self._writer.close()


class WandbTracker(Tracker):
    """A run of Weights & Biases."""

    def __init__(self, folder: str, config: dict[str, Any], resumed: bool) -> None:  # noqa: ARG002
        import wandb

        self._wandb = wandb
        self._run = wandb.init(dir=folder, config=config, project="anomaly-detection")

    def log_losses(self, epoch: int, losses: Mapping[str, float]) -> None:
        self._run.log({"epoch": epoch + 1, **losses})

    def log_picture(self, name: str, picture: np.ndarray) -> None:
        self._run.log({name: self._wandb.Image(np.ascontiguousarray(picture[:, :, ::-1]))})

    def log_scores(self, name: str, scores: np.ndarray) -> None:
        self._run.log({name: self._wandb.Histogram(scores)})

    def finish(self) -> None:
        self._run.finish()
