"""Plots, as PNG in memory; matplotlib is imported only when one is made."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pyimagesearch.runtime.console import counted, printable

if TYPE_CHECKING:  # takes a second to import
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ERROR_UNIT = "the values' own unit"
MOST_COLUMNS_DRAWN = 6
_SHOWN_CHARACTERS = 25  # of a name of a column
_N_BARS = 50
# Of the errors: bars of such that are all but equal would have no width.
_LEAST_SPREAD = 1e-6


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
    axis: tuple[np.ndarray, str],
    names: Sequence[str],
    errors: np.ndarray,
    threshold: float,
) -> bytes:
    """Plot a window of a series with its reconstruction, and a histogram of the errors.

    Args:
        window, reconstruction: (time_steps, n_columns); the first column is drawn.
        axis: (time_steps,) datetime64 or int, where the rows lie, and what this is called.
        names: of the columns.
        errors: (n,) of the training windows, in standard deviations of the columns.
        threshold: above which a window is an anomaly.
    """
    figure, (upper, lower) = new_figure((7, 6.5), 2)
    at, axis_name = axis
    upper.plot(at, window[:, 0], label="series")
    upper.plot(at, reconstruction[:, 0], label="reconstruction")
    upper.set_title(f"The first window, {counted(len(window), 'row')}, and its reconstruction")
    upper.set_ylabel(column_label(names[0]), parse_math=False)
    label_time_axis(upper, at, axis_name)
    upper.legend()
    _draw_errors(lower, errors[:, None], threshold, f"threshold {threshold:.4g}")
    lower.set_title(f"Reconstruction errors of {counted(len(errors), 'training window')}")
    lower.set_xlabel("mean absolute error (standard deviations)")
    return figure_png(figure)


def plot_errors(
    errors: np.ndarray, mode: str = "train", unit: str = ERROR_UNIT, threshold: float | None = None
) -> bytes:
    """Plot a histogram of the reconstruction errors of windows.

    Args:
        errors: (n_windows, n_columns) float, finite; the first few columns are drawn.
        mode: what the windows are for; in the title.
        unit: of the errors.
        threshold: above which a window is an anomaly; marked. None marks the largest error.
    """
    figure, axes = new_figure()
    name, marked = "threshold", threshold
    if marked is None:
        name, marked = "largest error", float(errors.max())
    _draw_errors(axes, errors, marked, f"{name} {marked:.4g}")
    more = max(errors.shape[1] - MOST_COLUMNS_DRAWN, 0)
    axes.set_title(
        f"Reconstruction errors of {counted(len(errors), 'window')} ({column_label(mode)})"
        + (f", {counted(more, 'more column')} not drawn" if more else ""),
        parse_math=False,
    )
    axes.set_xlabel(f"mean absolute error ({column_label(unit)})", parse_math=False)
    return figure_png(figure)


def _draw_errors(axes: Axes, errors: np.ndarray, marked: float, label: str) -> None:
    """Draw a histogram of errors, (n_windows, n_columns), with a line at one of them."""
    errors = errors[:, :MOST_COLUMNS_DRAWN].astype(float)
    low, high = errors.min(), errors.max()
    least = _LEAST_SPREAD * high or 1.0
    if high - low < least:
        low, high = low - least / 2, high + least / 2
    edges = np.linspace(low, high, _N_BARS + 1)
    if errors.shape[1] == 1:
        axes.hist(errors[:, 0], edges)
    else:
        for number, of_column in enumerate(errors.T, 1):
            axes.hist(of_column, edges, histtype="step", label=f"column {number}")
    axes.axvline(marked, color="#c62828", linestyle="--", label=label)
    axes.set_ylabel("number of windows")
    axes.legend()


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


def label_time_axis(axes: Axes, at: np.ndarray, name: str) -> None:
    """Label the axis along which a series runs, by days and hours where it runs in time.

    Args:
        axes: on which it is drawn.
        at: (n,) datetime64, or numbers of rows.
        name: of the axis.
    """
    axes.set_xlabel(column_label(name), parse_math=False)
    if np.issubdtype(at.dtype, np.datetime64):
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(
            ConciseDateFormatter(
                locator,
                formats=["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%H:%M:%S.%f"],
                zero_formats=["", "%Y", "%d %b", "%d %b", "%H:%M", "%H:%M"],
                offset_formats=["", "%Y", "%Y", "%d %b %Y", "%d %b %Y", "%d %b %Y %H:%M"],
            )
        )


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
