"""How a network wants its images: which order of colours, and which scale of values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np


@dataclass(frozen=True)
class Preprocessing:
    """A network's preprocessing: ``(pixel / scale - mean) / std`` in its order of colours.

    Attributes:
        colours: ``rgb`` or ``bgr``.
        scale: what 8-bit values are divided by.
        mean, std: one number for each colour, in that order.
    """

    colours: str = "rgb"
    scale: float = 255.0
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if self.colours not in ("rgb", "bgr"):
            raise ValueError(f"colours are 'rgb' or 'bgr', not {self.colours!r}")
        if not is_number(self.scale) or self.scale <= 0:
            raise ValueError(f"scale must be a positive number, not {self.scale!r}")
        for name, triple in (("mean", self.mean), ("std", self.std)):
            if len(triple) != 3 or not all(map(is_number, triple)):
                raise ValueError(f"{name} must be three numbers, not {triple!r}")
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, not {self.std!r}")

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> Preprocessing:
        """Make it from JSON types.

        Raises:
            ValueError: an unknown setting, or one of a wrong type.
        """
        try:
            lists = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
            return cls(**lists)
        except TypeError as error:
            raise ValueError(f"settings of the network's preprocessing: {error}") from error

    def apply(self, image: np.ndarray) -> np.ndarray:
        """(height, width, 3) uint8 BGR -> (height, width, 3) float32."""
        if self.colours == "rgb":
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        std = np.array(self.std) * self.scale
        shift = np.array(self.mean) / self.std
        return image * (1 / std).astype(np.float32) - shift.astype(np.float32)


def is_number(value: object) -> bool:
    """Whether a value of JSON is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
