"""Plots, as PNG files in memory; matplotlib is imported only when one is made."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def plot_losses(history: Mapping[str, Sequence[float]], best_epoch: int) -> bytes:
    """Plot a training's losses over its epochs.

    Args:
        history: a list for each loss, one number an epoch.
        best_epoch: from 1; marked.
    """
    figure, axes = _figure()
    names = {"loss": "training (mean)", "val_loss": "held out (median)"}
    for name, losses in history.items():
        axes.plot(np.arange(1, len(losses) + 1), losses, marker=".", label=names.get(name, name))
    axes.axvline(best_epoch, color="grey", linestyle=":", label=f"kept: epoch {best_epoch}")
    axes.set(title="Training loss", xlabel="epoch", ylabel="mean squared error", yscale="log")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    return _png(figure)


def plot_variances(variances: np.ndarray, latent_dim: int) -> bytes:
    """Plot how the variance falls over the principal components.

    Args:
        variances: (n_components,) in descending order.
        latent_dim: how many of them a reconstruction uses; marked.
    """
    figure, axes = _figure()
    axes.plot(np.arange(1, len(variances) + 1), variances, marker=".")
    axes.axvline(latent_dim, color="grey", linestyle=":", label=f"reconstruction: {latent_dim}")
    axes.set(title="Principal components", xlabel="component", ylabel="variance", yscale="log")
    axes.legend()
    return _png(figure)


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # without pyplot, so that no display is looked for

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    return figure, figure.subplots()


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    # Without the program's name and version, the same plot is the same file.
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()
