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
_AT_FIRST = 64


class DistinctFrames:
    """Tells which frames are unlike all that came before.

    Attributes:
        n_copies: frames that were near-equal to an earlier one.
    """

    def __init__(self) -> None:
        self._known = np.empty((_AT_FIRST, SIDE * SIDE * 3), np.int16)
        self._n_known = 0
        self.n_copies = 0

    def add(self, frame: np.ndarray) -> bool:
        """Add a frame; whether it is unlike all before it.

        It is near-equal to another one where no area, a thousandth of the frame, differs by more
        than ``TOLERANCE`` in any channel.

        Args:
            frame: (height, width, 3) uint8.
        """
        small = cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        row = small.reshape(-1).astype(np.int16)
        # The latest first: of a part that lies still, that one is a copy.
        for start in range(self._n_known, 0, -_AT_FIRST):
            known = self._known[max(start - _AT_FIRST, 0) : start]
            if (np.abs(known - row).max(axis=1) <= TOLERANCE).any():
                self.n_copies += 1
                return False
        if self._n_known == len(self._known):
            self._known = np.concatenate([self._known, np.empty_like(self._known)])
        self._known[self._n_known] = row
        self._n_known += 1
        return True
