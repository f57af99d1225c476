"""Plots, as PNG in memory; matplotlib is imported only when one is made."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pyimagesearch.runtime.console import printable

if TYPE_CHECKING:  # takes a second to import
    from matplotlib.figure import Figure

_SHOWN_CHARACTERS = 25  # of a name of a column


def plot_losses(
    history: Mapping[str, Sequence[float]], best_epoch: int, loss: str = "mean squared error"
) -> bytes:
    """Plot the losses of a training over its epochs.

    Args:
        history: a list for each loss, one number an epoch.
        best_epoch: from 1; marked.
        loss: what the losses are.
    """
    figure, axes = new_figure()
    names = {"loss": "training (mean)", "val_loss": "held out (median)"}
    for name, losses in history.items():
        axes.plot(np.arange(1, len(losses) + 1), losses, marker=".", label=names.get(name, name))
    axes.axvline(best_epoch, color="grey", linestyle=":", label=f"kept: epoch {best_epoch}")
    axes.set(title="Training loss", xlabel="epoch", ylabel=loss, yscale="log")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    return figure_png(figure)


def plot_variances(variances: np.ndarray, latent_dim: int) -> bytes:
    """Plot the variances of the principal components.

    Args:
        variances: (n_components,) in descending order.
        latent_dim: how many of them a reconstruction uses; marked.
    """
    figure, axes = new_figure()
    axes.plot(np.arange(1, len(variances) + 1), variances, marker=".")
    axes.axvline(latent_dim, color="grey", linestyle=":", label=f"reconstruction: {latent_dim}")
    axes.set(title="Principal components", xlabel="component", ylabel="variance", yscale="log")
    axes.legend()
    return figure_png(figure)


def plot_reconstruction(
    window: np.ndarray,
    reconstruction: np.ndarray,
    names: Sequence[str],
    errors: np.ndarray,
    threshold: float,
) -> bytes:
    """Plot a window of a series with its reconstruction, and a histogram of the errors.

    Args:
        window, reconstruction: (time_steps, n_columns); the first column is drawn.
        names: of the columns.
        errors: (n,) of the training windows.
        threshold: above which a window is an anomaly.
    """
    figure, (upper, lower) = new_figure((7, 6.5), 2)
    upper.plot(window[:, 0], label="series")
    upper.plot(reconstruction[:, 0], label="reconstruction")
    upper.set(title="First window", xlabel="row")
    upper.set_ylabel(column_label(names[0]), parse_math=False)
    upper.legend()
    lower.hist(errors, bins=50)
    lower.axvline(threshold, color="#c62828", linestyle="--", label=f"threshold {threshold:.4g}")
    lower.set(title="Training windows", xlabel="mean absolute error", ylabel="number of windows")
    lower.legend()
    return figure_png(figure)


def plot_histogram(
    normal: np.ndarray, anomalies: np.ndarray, thresholds: Mapping[str, float], title: str
) -> bytes:
    """Plot histograms of the scores of normal items and of anomalies, with thresholds.

    Args:
        normal, anomalies: (n,) scores of each.
        thresholds: by name; marked.
        title: of the plot.
    """
    figure, axes = new_figure()
    edges = np.histogram_bin_edges(np.concatenate([normal, anomalies]), bins=40)
    for scores, name, colour in ((normal, "normal", "C2"), (anomalies, "anomalies", "C3")):
        label = f"{name} ({len(scores)})"
        axes.hist(scores, edges, alpha=0.6, label=label, color=colour)
    for number, (name, value) in enumerate(thresholds.items()):
        style = ("-", "--", ":", "-.")[number % 4]
        axes.axvline(value, color="black", linestyle=style, label=f"{name}: {value:.4g}")
    axes.set(title=title, xlabel="score", ylabel="pictures")
    axes.legend()
    return figure_png(figure)


def column_label(name: str) -> str:
    """The name of a column of the user's, short enough for an axis; draw it without mathematics."""
    name = printable(name[:_SHOWN_CHARACTERS])
    return name if len(name) < _SHOWN_CHARACTERS else f"{name[: _SHOWN_CHARACTERS - 1]}…"


def new_figure(
    size: tuple[float, float] = (7, 4.5), n_panels: int = 1, **options: Any
) -> tuple[Figure, Any]:
    """Make a matplotlib figure and its axes, one below the other.

    Args:
        size: in inches.
        n_panels: number of axes.
        options: of ``Figure.subplots``.

    Returns:
        The figure; and what ``Figure.subplots`` returns, axes or an array of them.
    """
    from matplotlib.figure import Figure  # without pyplot, so that no display is looked for

    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(n_panels, **options)


def figure_png(figure: Figure) -> bytes:
    """The figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # names in other scripts
        # Without the program's name and version, the same plot is the same file.
        figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()
