"""Capture conditions: those under which an image was taken: light, colour, focus, direction.

A few numbers per image that hardly depend on what it shows, so that a change of lamp, lens or
camera stands out from one image to the next. Where photos differ in what they show, their mean
brightness and colour say little, and these more:

- the brightest and the darkest parts, which an exposure puts at the same place in every photo;
- the colours of edges, which are grey on average whatever the scene (van de Weijer, Gevers and
  Gijsenij, Edge-Based Color Constancy, IEEE Transactions on Image Processing 16, 2007);
- how much stronger differences between pixels two apart are than those between neighbours, which
  the scale invariance of natural images fixes (Field, Relations between the statistics of natural
  images and the response properties of cortical cells, JOSA A 4, 1987), and only focus, noise,
  compression and resizing change.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import cv2
import numpy as np

from pyimagesearch.detectors.array_checks import checked
from pyimagesearch.runtime.console import counted

# So many images' capture conditions go into a model file: with more, no test gets better.
MOST_IMAGES = 1_000
_MANIFEST_KEY = _ARRAY = "conditions"
_TINY = 3  # pixels; smaller images have no neighbours two apart
_ENOUGH_PIXELS, _LEAST_ROWS = 4 * 1024, 32
_QUANTILES = np.array((0.001, 0.5, 0.999), np.float32)  # darkest, middle and brightest parts
# Grey levels that keep logarithms of dark images finite, and the noise of ratios of them small;
# the latter of differences.
_DARK = 1.0
_FLAT = 0.05
_MOST_GREY = 255
_LEAST_RATIO, _MOST_LOGARITHM = 1 / 256, math.log(256 / _FLAT)


@dataclass(frozen=True)
class Condition:
    """One number about an image.

    Attributes:
        name: in model files.
        family: what is said once, however many of its conditions have changed.
        more, less: what images are of which it is larger, or smaller, than of others.
        unnoticed: a difference that is of no account, though it may be plain among parts that lie
            in a machine and are all alike: a hundredth of the light, a neighbouring grey level.
        unit: of the number: the logarithm of a ratio, a ratio, or grey levels.
    """

    name: str
    family: str
    more: str
    less: str
    unnoticed: float
    unit: Literal["logarithm", "ratio", "grey levels"] = "logarithm"

    def difference(self, now: float, usual: float) -> str:
        """How much an image differs from usual ones in it, in words and without a sign.

        Args:
            now: the number of the image.
            usual: that of the others.
        """
        # Whatever numbers a model file says: those of images lie within these bounds.
        if self.unit == "grey levels":
            return counted(round(min(max(abs(now - usual), 1), _MOST_GREY)), "grey level")
        if self.unit == "ratio":
            share = max(now, _LEAST_RATIO) / max(usual, _LEAST_RATIO)
        else:
            share = math.exp(min(now - usual, _MOST_LOGARITHM))
        return f"{abs(share - 1):.0%}"


CONDITIONS = (
    Condition("brightness", "light", "brighter", "darker", 0.01),
    Condition(
        "brightest", "light", "brighter where brightest", "darker where brightest", 0, "grey levels"
    ),
    Condition(
        "darkest", "light", "brighter where darkest", "darker where darkest", 1, "grey levels"
    ),
    Condition(
        "middle",
        "light",
        "brighter in the middle tones",
        "darker in the middle tones",
        0.01,
        "ratio",
    ),
    Condition("red_green", "colour", "redder", "greener", 0.005),
    Condition("blue_yellow", "colour", "bluer", "yellower", 0.005),
    Condition("red_green_edges", "colour", "redder", "greener", 0.04),
    Condition("blue_yellow_edges", "colour", "bluer", "yellower", 0.02),
    Condition("sharpness", "sharpness", "sharper or noisier", "less sharp", 0.005),
    Condition(
        "upright", "direction", "more upright in their edges", "more level in their edges", 0.01
    ),
    Condition(
        "slanting", "direction", "slanting more to the left", "slanting more to the right", 0.01
    ),
    Condition("left", "side", "lit more from the left", "lit more from the right", 0.0025),
    Condition("top", "side", "lit more from above", "lit more from below", 0.0025),
)
NAMES = tuple(condition.name for condition in CONDITIONS)
UNNOTICED = np.array([condition.unnoticed for condition in CONDITIONS], np.float32)


def measure(image: np.ndarray) -> np.ndarray:
    """Measure an image's capture conditions.

    Some rows do, evenly spread, each with its two neighbours below: labelling by colours takes less
    than half a millisecond an image, of which this is to be a small part.

    Args:
        image: (height, width, 3) uint8 BGR, as the model receives it: a decoder that
            halves images changes their sharpness.

    Returns:
        (len(CONDITIONS),) float32, finite.
    """
    height, width = image.shape[:2]
    if min(height, width) < _TINY:
        surplus = (0, max(0, _TINY - height), 0, max(0, _TINY - width))
        return measure(cv2.copyMakeBorder(image, *surplus, cv2.BORDER_REPLICATE))
    step = max(1, min(height * width // _ENOUGH_PIXELS, height // _LEAST_ROWS))
    start = (height - 3) % step // 2
    rows, below, second = (image[start + i : height - 2 + i : step] for i in range(3))
    n_pixels = rows.shape[0] * width

    across = cv2.mean(cv2.absdiff(rows[:, 1:], rows[:, :-1]))[:3]
    down = cv2.mean(cv2.absdiff(below, rows))[:3]
    blue_edges, green_edges, red_edges = (a + d + _FLAT for a, d in zip(across, down, strict=True))
    further = (_differing(rows[:, 2:], rows[:, :-2]) + _differing(second, rows)) / n_pixels + _FLAT
    falling = _differing(below[:, 1:], rows[:, :-1]) / n_pixels + _FLAT
    rising = _differing(below[:, :-1], rows[:, 1:]) / n_pixels + _FLAT

    grey = cv2.cvtColor(rows, cv2.COLOR_BGR2GRAY)
    counts = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel().cumsum()
    darkest, middle, brightest = counts.searchsorted(_QUANTILES * grey.size).tolist()
    mean = cv2.mean(grey)[0] + _DARK
    left = cv2.mean(grey[:, : width // 2])[0] + _DARK
    top = cv2.mean(grey[: len(grey) // 2 + 1])[0] + _DARK
    blue, green, red = (value + _DARK for value in cv2.mean(rows)[:3])
    log = math.log
    return np.array(
        (
            log(mean),
            brightest,
            darkest,
            (middle + 1) / (brightest + 1),
            log(red / green),
            log(blue / math.sqrt(red * green)),
            log(red_edges / green_edges),
            log(blue_edges / math.sqrt(red_edges * green_edges)),
            log((sum(across) + sum(down) + _FLAT) / further),
            log((sum(across) + _FLAT) / (sum(down) + _FLAT)),
            log(rising / falling),
            log(left / mean),
            log(top / mean),
        ),
        np.float32,
    )


def _differing(one: np.ndarray, other: np.ndarray) -> float:
    return cv2.norm(one, other, cv2.NORM_L1)


def from_files(measured: Iterable[np.ndarray], digests: Iterable[bytes]) -> np.ndarray:
    """Choose what a model file holds of training images.

    Args:
        measured: the conditions of each.
        digests: SHA-256 of each: those with the smallest are as good as drawn at random, and do not
            depend on the order of the images.

    Returns:
        (at most ``MOST_IMAGES``, len(CONDITIONS)) float32, in random order.
    """
    chosen = sorted(zip(digests, measured, strict=True), key=lambda pair: pair[0])[:MOST_IMAGES]
    return _stacked(row for _, row in chosen)


def from_images(images: Iterable[np.ndarray], n_images: int) -> np.ndarray:
    """Measure training images that are not files.

    Args:
        images: (height, width, 3) uint8 BGR each.
        n_images: how many these are.

    Returns:
        (at most ``MOST_IMAGES``, len(CONDITIONS)) float32, in random order.
    """
    order = np.random.default_rng(0).permutation(n_images)[:MOST_IMAGES]
    wanted, place = set(order.tolist()), {index: i for i, index in enumerate(order.tolist())}
    rows = np.empty((len(order), len(NAMES)), np.float32)
    for index, image in enumerate(islice(images, n_images)):
        if index in wanted:
            rows[place[index]] = measure(image)
    return rows


def merged(old: np.ndarray, n_old: int, new: np.ndarray, n_new: int) -> np.ndarray:
    """Merge the capture conditions of two sets of training images, each in proportion to its size.

    Args:
        old, new: (at most ``MOST_IMAGES``, len(CONDITIONS)) float32.
        n_old, n_new: how many images they were chosen from.
    """
    n_rows = min(MOST_IMAGES, n_old + n_new)
    from_old = round(n_rows * n_old / (n_old + n_new))
    return np.concatenate([old[:from_old], new[: n_rows - from_old]])


def _stacked(rows: Iterable[np.ndarray]) -> np.ndarray:
    return np.array(list(rows), np.float32).reshape(-1, len(NAMES))


def described(rows: np.ndarray) -> dict[str, Any]:
    """What a manifest says of (n, len(CONDITIONS)) conditions of training images."""
    return {_MANIFEST_KEY: {"names": list(NAMES), "images": len(rows)}}


def members(rows: np.ndarray) -> dict[str, np.ndarray]:
    """These conditions under the name that they have in a model file."""
    return {_ARRAY: rows}


def restore(manifest: dict[str, Any], arrays: dict[str, np.ndarray]) -> np.ndarray | None:
    """Read the training images' capture conditions from a model file.

    Returns:
        (n, len(CONDITIONS)) float32; None where the file has none, as older ones.

    Raises:
        ValueError: they are damaged, or others than this version measures.
    """
    said = manifest.get(_MANIFEST_KEY)
    if said is None and _ARRAY not in arrays:
        return None
    if not isinstance(said, dict) or said.get("names") != list(NAMES):
        raise ValueError(
            "the capture conditions of its training images are not those that are measured"
        )
    rows = checked(arrays, _ARRAY, np.float32, ("n", len(NAMES)))
    if len(rows) != said.get("images") or len(rows) > MOST_IMAGES:
        raise ValueError(
            "it holds the capture conditions of more or fewer training images than it says"
        )
    return rows
