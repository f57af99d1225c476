"""A canvas over a level ground, the brushes that all scenes share, and a camera.

Positions and sizes on the easel are fractions of its side; colours are BGR floats from 0 to 1,
written as hue (degrees), saturation and value; lengths on the ground are metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from pyimagesearch.data.synthetic.noise import fractal_noise, smoothstep

SUBPIXEL_BITS = 4
FOCAL_LENGTH = 0.9
FARTHEST = 1000.0

HSV = tuple[float, float, float]
Window = slice | tuple[slice, slice]


@dataclass(frozen=True)
class Weather:
    """The light of a scene: sky colours, cloud cover, haze, strength and warmth of the sun."""

    zenith: HSV
    horizon: HSV
    cover: float
    haze: float
    sun: float
    warmth: float


WEATHERS = (
    Weather((213, 0.66, 0.80), (204, 0.26, 0.96), cover=0.25, haze=0.15, sun=1.0, warmth=0.04),
    Weather((212, 0.52, 0.78), (206, 0.18, 0.94), cover=0.55, haze=0.2, sun=0.8, warmth=0.0),
    Weather((212, 0.14, 0.72), (205, 0.08, 0.9), cover=0.8, haze=0.3, sun=0.4, warmth=-0.03),
    Weather((214, 0.52, 0.72), (36, 0.4, 0.98), cover=0.4, haze=0.3, sun=0.9, warmth=0.12),
    Weather((205, 0.06, 0.8), (200, 0.05, 0.9), cover=0.9, haze=0.6, sun=0.35, warmth=0.0),
)


def bgr(hue: ArrayLike, saturation: ArrayLike, value: ArrayLike) -> np.ndarray:
    """Convert hue (degrees), saturation and value (0 to 1) to float32 BGR of shape (..., 3).

    The arguments broadcast, so one call colours one brush or ten thousand leaves.
    """
    hsv = np.stack(np.broadcast_arrays(hue, saturation, value), axis=-1).astype(np.float32)
    hsv[..., 0] %= 360
    hsv[..., 1:] = hsv[..., 1:].clip(0, 1)
    return cv2.cvtColor(hsv.reshape(-1, 1, 3), cv2.COLOR_HSV2BGR).reshape(hsv.shape)


class Easel:
    """A square float32 BGR ``canvas`` over a level ground, with the brushes all scenes share.

    ``x`` and ``y`` hold the position of every pixel, ``lateral`` and ``depth`` its place in
    metres on the ground, and ``below`` masks what lies under the horizon.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        side: int,
        weather: Weather,
        horizon: float,
        eye: float,
    ) -> None:
        self.rng, self.side, self.weather = rng, side, weather
        self.horizon, self.eye = horizon, eye
        self.vanishing, self.bend = rng.uniform(0.38, 0.62), rng.normal(0, 0.0006)
        self.sun = np.array([rng.choice([-1, 1]) * rng.uniform(0.2, 0.8), -0.8], np.float32)
        self.canvas = np.zeros((side, side, 3), np.float32)
        steps = (np.arange(side, dtype=np.float32) + 0.5) / side
        self.x, self.y = np.meshgrid(steps, steps)
        self.below = self.y > horizon
        drop = np.maximum(self.y - horizon, FOCAL_LENGTH * eye / FARTHEST)
        self.depth = (FOCAL_LENGTH * eye / drop).astype(np.float32)
        aside = (self.x - self.vanishing) / FOCAL_LENGTH - self.bend * self.depth
        self.lateral = (aside * self.depth).astype(np.float32)

    def project(self, lateral: ArrayLike, height: ArrayLike, depth: ArrayLike) -> np.ndarray:
        """Return easel points (..., 2) of metres to the right, above ground and ahead."""
        lateral, height, depth = np.broadcast_arrays(lateral, height, depth)
        x = self.vanishing + FOCAL_LENGTH * (lateral / depth + self.bend * depth)
        return np.stack([x, self.horizon + FOCAL_LENGTH * (self.eye - height) / depth], axis=-1)

    def noise(self, cells: float, octaves: int = 5, stretch: float = 1.0) -> np.ndarray:
        """Make fractal noise of the size of the canvas."""
        return fractal_noise(self.rng, (self.side, self.side), cells, octaves, stretch)

    def relief(self, across: np.ndarray, along: np.ndarray, *sizes: float) -> np.ndarray:
        """Lay noise on ground coordinates, the mean of features of the given ``sizes``."""
        cells = 24
        slope = np.abs(np.gradient(along, axis=0)) + 1e-6
        total = np.zeros_like(self.x)
        for size in sizes:
            texture = self.noise(cells, 4)
            scale = self.side / cells / size
            mirrored = [self._fold(axis * scale) for axis in (across, along)]
            laid = cv2.remap(texture, *mirrored, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
            # Features smaller than a pixel average out instead of glittering.
            total += 0.5 + (laid - 0.5) * np.minimum(0.5 * size / slope, 1)
        return total / len(sizes)

    def _fold(self, steps: np.ndarray) -> np.ndarray:
        """Mirror texture steps at both borders so that a texture never shows a seam."""
        turns = steps / (2 * self.side) + self.rng.random()
        return (np.abs(2 * (turns - np.floor(turns)) - 1) * self.side).astype(np.float32)

    def soil_relief(self, *sizes: float) -> np.ndarray:
        """Lay noise with features of ``sizes`` metres on the ground."""
        return self.relief(self.lateral, self.depth, *sizes)

    def hazed(self, colour: np.ndarray, distance: ArrayLike) -> np.ndarray:
        """Fade a colour into the haze; ``distance`` is 0 at hand and 1 at the horizon."""
        veil = np.minimum(0.92, distance * (0.25 + self.weather.haze))
        hue, saturation, value = self.weather.horizon
        return colour + (bgr(hue, 0.4 * saturation, value) - colour) * veil

    def blend(self, colour: np.ndarray, mask: np.ndarray, window: Window = np.s_[:]) -> None:
        """Paint a colour, or an image, as strongly as the mask (height, width) says.

        Only a ``window`` of the canvas is touched, by default the whole of it.
        """
        opacity = cv2.merge([mask.astype(np.float32)] * 3)
        self.canvas[window] += (colour - self.canvas[window]) * opacity

    def cover(self, colour: np.ndarray, texture: np.ndarray, mask: np.ndarray) -> None:
        """Cover the ground with a colour times a texture, fading into the haze with depth."""
        far = smoothstep(15, 600, self.depth)[..., None]
        self.blend(self.hazed(colour * texture[..., None], far), mask * self.below)

    def polygon(self, points: np.ndarray, colour: np.ndarray) -> None:
        """Fill a convex polygon (n, 2) with one colour."""
        fixed = np.rint(points * self.side * 2**SUBPIXEL_BITS).astype(np.int32)
        cv2.fillConvexPoly(self.canvas, fixed, colour.tolist(), shift=SUBPIXEL_BITS)

    def panel(
        self,
        sides: tuple[float, float],
        heights: tuple[float, float],
        depth: float,
        colour: np.ndarray,
        inset: float = 0.0,
    ) -> None:
        """Fill an upright panel facing the camera, narrower at its top by ``inset`` a side."""
        (left, right), (low, high) = sides, heights
        corners = [left, left + inset, right - inset, right]
        self.polygon(self.project(corners, [low, high, high, low], depth), colour)

    def strokes(
        self,
        points: np.ndarray,
        lengths: np.ndarray,
        widths: np.ndarray,
        angles: np.ndarray,
        colours: np.ndarray,
    ) -> None:
        """Paint a leaf-shaped stroke at each of the (n, 2) points, in order.

        ``lengths`` and ``widths`` are halves; ``angles`` are radians from the x axis.
        """
        heading = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        along = heading * lengths[:, None]
        across = heading[:, ::-1] * [-1, 1] * widths[:, None]
        corners = points[:, None] + np.stack([along, across, -along, -across], axis=1)
        fixed = np.rint(corners * self.side * 2**SUBPIXEL_BITS).astype(np.int32)
        seen = ((corners.max(axis=1) > 0) & (corners.min(axis=1) < 1)).all(axis=1)
        for corner, colour in zip(fixed[seen], colours[seen].tolist(), strict=True):
            cv2.fillConvexPoly(self.canvas, corner, colour, shift=SUBPIXEL_BITS)


def photograph(easel: Easel, size: int) -> np.ndarray:
    """Photograph the easel with a hand-held camera: (size, size, 3) uint8 BGR.

    Tilt, crop, softness, bloom, vignette, white balance, exposure and grain vary a little.
    """
    rng, side = easel.rng, easel.side
    turn = cv2.getRotationMatrix2D(
        (side / 2, side / 2), rng.normal(0, 1.2), rng.uniform(1.04, 1.15)
    )
    view = cv2.warpAffine(easel.canvas, turn, (side, side), borderMode=cv2.BORDER_REFLECT_101)
    view = cv2.GaussianBlur(view.clip(0, 1), (0, 0), rng.uniform(0.4, 1.0))
    view = cv2.resize(view, (size, size), interpolation=cv2.INTER_AREA)
    view += 0.12 * cv2.GaussianBlur(np.maximum(view - 0.6, 0), (0, 0), size / 25)
    corners = cv2.resize((easel.x - 0.5) ** 2 + (easel.y - 0.5) ** 2, (size, size))
    view *= 1 - rng.uniform(0.1, 0.4) * corners[..., None]
    view *= 1 + easel.weather.warmth * np.array([-0.5, 0.0, 0.35]) + rng.normal(0, 0.015, 3)
    view = view * rng.uniform(0.94, 1.12) + rng.normal(0, 0.004, view.shape)
    view += rng.normal(0, rng.uniform(0.004, 0.012), (size, size, 1))
    return np.rint(view.clip(0, 1) * 255).astype(np.uint8)
