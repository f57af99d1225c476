"""Reconstruction errors of a network's windows, as a notebook computes and draws them."""

from __future__ import annotations

import os
from typing import Protocol

import numpy as np

from pyimagesearch.reports import drawing, plots
from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.console import UserError


class Predictor(Protocol):
    """A Keras model, or whatever else reconstructs windows."""

    def predict(self, x: np.ndarray, /) -> np.ndarray:
        """(n_windows, time_steps, n_columns) -> the same shape."""


def calculate_mae(
    model: Predictor,
    x_data: np.ndarray,
    mode: str = "train",
    histogram: str | os.PathLike[str] | None = None,
    *,
    unit: str = plots.ERROR_UNIT,
    threshold: float | None = None,
) -> tuple[np.ndarray, float, np.ndarray]:
    """Reconstruct windows, and compute how far off each one is.

    As in Keras' example "Timeseries anomaly detection using an Autoencoder": the largest error of
    the training windows is the threshold above which other windows are anomalies. No window is
    opened; the histogram goes to a file.

    Args:
        model: has ``predict``, as a Keras model.
        x_data: (n_windows, time_steps, n_columns) float, finite; from ``create_sequences``.
        mode: what the windows are for, such as "train" or "test"; in the histogram's title.
        histogram: file of a histogram of the errors to write, .png; whole or not at all.
        unit: of the values, which is also that of the errors; at the histogram's axis.
        threshold: to mark in the histogram, such as that of the training windows; None marks the
            largest error. It does not change what is returned.

    Returns:
        The predictions, (n_windows, time_steps, n_columns); the threshold, which is the largest
        of the errors; and these, (n_windows, n_columns) float, each the mean absolute error of a
        column over a window's time steps, in the unit of ``x_data``.

    Raises:
        ValueError: no such windows, a model that does not reconstruct them, or a histogram that
            is no .png.
        OSError: the histogram cannot be written; found out before the model is asked.
    """
    x_data = _checked_windows(x_data)
    path = None if histogram is None else os.fspath(histogram)
    if path is not None:
        try:
            drawing.check_picture_name(path, (".png",))
        except UserError as error:
            raise ValueError(str(error)) from error
        atomic_files.check_writable(path)
    predictions = _predict(model, x_data)
    with np.errstate(over="ignore", invalid="ignore"):
        # Whole numbers of few bits would wrap around.
        exact = np.result_type(predictions, x_data, np.float32)
        mae = np.mean(np.abs(np.subtract(predictions, x_data, dtype=exact)), axis=1)
    if not np.isfinite(mae).all():
        raise ValueError("the model's predictions have errors that are not finite")
    if path is not None:
        atomic_files.write_bytes(path, plots.plot_errors(mae, mode, unit, threshold))
    return predictions, float(mae.max()), mae


def _checked_windows(x_data: np.ndarray) -> np.ndarray:
    windows = np.asarray(x_data)
    if windows.ndim != 3 or not windows.size:
        raise ValueError(
            f"x_data has the shape {windows.shape}; it takes windows, (n_windows, time_steps, "
            "n_columns), as create_sequences makes them"
        )
    if not (np.issubdtype(windows.dtype, np.floating) or np.issubdtype(windows.dtype, np.integer)):
        raise ValueError(f"x_data holds {windows.dtype}, not numbers")
    if not np.isfinite(windows).all():
        raise ValueError("x_data has values that are not finite: fill them, or leave them out")
    return windows


def _predict(model: Predictor, windows: np.ndarray) -> np.ndarray:
    if not hasattr(model, "predict"):
        raise ValueError(f"a {type(model).__name__} has no predict: it is no model")
    found, taken = windows.shape[1:], getattr(model, "input_shape", None)
    # Keras itself passes over other lengths, or fails deep inside.
    if isinstance(taken, tuple) and len(taken) == 3:
        taken = taken[1:]
        if any(size not in (None, other) for size, other in zip(taken, found, strict=True)):
            raise ValueError(
                f"the model takes windows of {_in_words(taken)} values, not {_in_words(found)}"
            )
    try:
        predictions = np.asarray(model.predict(windows))
    except ValueError as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"the model takes no windows of {_in_words(found)} values: {reason}"
        ) from error
    if predictions.shape != windows.shape:
        raise ValueError(
            f"the model makes {predictions.shape} of windows of the shape {windows.shape}: it is "
            "no autoencoder of these"
        )
    return predictions


def _in_words(shape: tuple[int | None, ...]) -> str:
    return " x ".join("any" if size is None else str(size) for size in shape)
