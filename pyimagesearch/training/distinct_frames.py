"""Frames of a video that are not near-equal: a part that lies still is one part, not a hundred.

Counted often, it would be learned often, and calibration would score copies of what was learned.
"""

from __future__ import annotations

import cv2
import numpy as np

SIDE = 32  # of the small copies that are compared
# Grey levels, of 255. Noise of 4 levels makes up to 6 of frames of 128 pixels and 3 of 480; the two
# good images that are most alike differ by 6 to 70 in ten datasets of real parts.
TOLERANCE = 6
_COARSE = 4  # side of smaller ones yet, which most of the others differ from already


class DistinctFrames:
    """Tells which frames are unlike all that came before.

    Attributes:
        n_copies: frames that were near-equal to an earlier one.
    """

    def __init__(self) -> None:
        self._known: list[np.ndarray] = []
        self._coarse = np.empty((64, _COARSE**2 * 3), np.float32)
        self.n_copies = 0

    def add(self, frame: np.ndarray) -> bool:
        """Add a frame; whether it is unlike all before it.

        It is near-equal to another one where no area, a thousandth of the frame, differs by more
        than ``TOLERANCE`` in any channel.

        Args:
            frame: (height, width, 3) uint8.
        """
        small = cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.int16)
        # Means of areas: they differ by no more than the areas themselves do.
        coarse = small.reshape(_COARSE, SIDE // _COARSE, _COARSE, SIDE // _COARSE, 3)
        means = coarse.mean(axis=(1, 3), dtype=np.float32).reshape(-1)
        n_known = len(self._known)
        distances = np.abs(self._coarse[:n_known] - means).max(axis=1)
        for number in np.flatnonzero(distances <= TOLERANCE):
            if np.abs(self._known[number] - small).max() <= TOLERANCE:
                self.n_copies += 1
                return False
        if n_known == len(self._coarse):
            self._coarse = np.concatenate([self._coarse, np.empty_like(self._coarse)])
        self._coarse[n_known] = means
        self._known.append(small)
        return True
