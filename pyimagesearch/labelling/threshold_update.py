"""The threshold of a model file: replaced by one chosen on known images, and given back."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from pyimagesearch.detectors import model_file
from pyimagesearch.labelling.ground_truth import SELECTING, Counts, Item
from pyimagesearch.labelling.thresholds import Threshold
from pyimagesearch.runtime.console import UserError, printable

EARLIER = "earlier_thresholds"  # of a model file: those that were replaced, the latest last
_MOST_EARLIER = 20


def update_threshold(path: str, threshold: Threshold, items: Sequence[Item]) -> None:
    """Write another threshold into a model file, in one step, and what it was chosen on.

    The file keeps the one that is replaced, for ``undo_update``.

    Args:
        path: of the model file.
        threshold: the new one.
        items: that it was chosen on are those for ``SELECTING``.

    Raises:
        model_file.ModelFileError: not a usable model file.
        OSError: it cannot be read or written.
    """
    selecting = [item for item in items if item.used_for == SELECTING]
    digests = b"".join(sorted(item.digest for item in selecting))
    chosen_on: dict[str, Any] = asdict(Counts.from_items(selecting))
    chosen_on["sha256"] = hashlib.sha256(digests).hexdigest()
    model = model_file.load_model(path)
    manifest = dict(model.manifest)
    manifest[EARLIER] = [*_earlier(model), manifest["threshold"]][-_MOST_EARLIER:]
    manifest["threshold"] = threshold.describe() | {"chosen_on": chosen_on}
    model_file.save_model(path, manifest, model.arrays, model.networks)


def undo_update(path: str) -> tuple[float, float]:
    """Give a model file the threshold back that it had before the last ``update_threshold``.

    Args:
        path: of the model file.

    Returns:
        The threshold that it has now, and the one that it had until now.

    Raises:
        UserError: it is no usable model, or keeps no earlier threshold.
        OSError: it cannot be read or written.
    """
    model = model_file.open_model(path, model_file.load_model)
    with model_file.named(path), model_file.usable():
        until_now = model.threshold
        *others, last = _earlier(model) or [None]
        if last is not None:
            now = replace(model, manifest={**model.manifest, "threshold": last, EARLIER: others})
            _ = now.threshold  # raises where it is no score
    if last is None:
        raise UserError(f"{printable(path)}: it has the threshold that it was trained with")
    if not others:
        del now.manifest[EARLIER]
    now.save(path)
    return now.threshold, until_now


def _earlier(model: model_file.ModelFile) -> list[Any]:
    found = model.manifest.get(EARLIER, [])
    if not isinstance(found, list):
        raise ValueError(f"its {EARLIER} are {found!r}")
    return found
