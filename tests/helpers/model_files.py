"""Model files that are written again after a change, with digests that fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pyimagesearch.detectors import model_file

Change = Callable[[dict[str, Any], dict[str, np.ndarray]], None]


def rewritten(
    path: str | Path,
    target: str | Path,
    change: Change,
    networks: Mapping[str, bytes] | None = None,
) -> str:
    """Write a model file again.

    Args:
        path: the model file.
        target: where the new one goes.
        change: made to its manifest and its arrays.
        networks: in place of its own.

    Returns:
        ``target``.
    """
    model = model_file.load_model(str(path))
    manifest = {key: value for key, value in model.manifest.items() if key != "members"}
    arrays = dict(model.arrays)
    change(manifest, arrays)
    model_file.save_model(
        str(target), manifest, arrays, model.networks if networks is None else dict(networks)
    )
    return str(target)
