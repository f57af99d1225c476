"""Synthetic images of outdoor scenes, painted with NumPy and OpenCV alone.

Every image is a function of its kind, seed and index, so a data set of forests, coasts or highways
can be made anywhere, offline, and come out the same each time. A scene is painted back to front on
an ``Easel`` larger than the image, then seen through an imperfect camera.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pyimagesearch.data.synthetic.painting.coast import paint_coast
from pyimagesearch.data.synthetic.painting.desert import paint_desert
from pyimagesearch.data.synthetic.painting.easel import WEATHERS, Easel, photograph
from pyimagesearch.data.synthetic.painting.forest import paint_forest
from pyimagesearch.data.synthetic.painting.highway import paint_highway
from pyimagesearch.data.synthetic.painting.mountain import paint_mountain

SUPERSAMPLING = 2  # pixels of the easel for one of the image, along each side


@dataclass(frozen=True)
class Scene:
    """A kind of scene: its painter, the chances of each weather and where the camera stands."""

    paint: Callable[[Easel, int], None]
    weathers: tuple[float, ...]
    horizons: tuple[float, float]
    eyes: tuple[float, float]

    def render(self, rng: np.random.Generator, index: int, size: int) -> np.ndarray:
        """Paint and photograph the scene: (size, size, 3) uint8 BGR."""
        weather = WEATHERS[rng.choice(len(WEATHERS), p=self.weathers)]
        horizon, eye = rng.uniform(*self.horizons), rng.uniform(*self.eyes)
        easel = Easel(rng, size * SUPERSAMPLING, weather, horizon, eye)
        self.paint(easel, index)
        return photograph(easel, size)


SCENES = {
    "forest": Scene(paint_forest, (0.4, 0.2, 0.15, 0.13, 0.12), (0.5, 0.66), (1.5, 1.8)),
    "coast": Scene(paint_coast, (0.52, 0.32, 0.08, 0.08, 0.0), (0.3, 0.48), (1.7, 3.5)),
    "highway": Scene(paint_highway, (0.44, 0.33, 0.17, 0.03, 0.03), (0.42, 0.56), (1.5, 4.5)),
    "mountain": Scene(paint_mountain, (0.5, 0.3, 0.1, 0.1, 0.0), (0.6, 0.75), (2.0, 6.0)),
    "desert": Scene(paint_desert, (0.6, 0.2, 0.0, 0.2, 0.0), (0.4, 0.55), (2.0, 4.0)),
}


def render_scene(kind: str, seed: int, index: int, size: int = 256) -> np.ndarray:
    """Render image ``index`` of a ``kind`` of scene: (size, size, 3) uint8 BGR.

    The same arguments always give the same image. Raises ValueError if the kind is not one
    of ``SCENES``.
    """
    if kind not in SCENES:
        raise ValueError(f"unknown kind of scene {kind!r}: choose from {', '.join(SCENES)}")
    rng = np.random.default_rng([seed, index, int.from_bytes(kind.encode(), "big")])
    return SCENES[kind].render(rng, index, size)
