"""stumpy's matrix profile: a peer of benchmarks/series.py, which starts this.

  PYTHON benchmarks/stumpy_peer.py

PYTHON is that of an environment with stumpy, which has nothing of the toolkit's. The compiler is
warmed up, then each line of stdin names a series to judge (.npy, (n_rows,)), one whose windows are
known ("-": the same), the rows of a window, and a file for the profile. The answer is the CPU
seconds that it took.
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
import stumpy

_WARM_UP = np.random.default_rng(0).standard_normal((2, 500))


def profile(judged: np.ndarray, known: np.ndarray | None, window: int) -> np.ndarray:
    """Distances to nearest windows: (n_rows - window + 1,) float64."""
    if known is None:
        found = stumpy.stump(judged, window)
    else:
        found = stumpy.stump(judged, window, known, ignore_trivial=False)
    return found[:, 0].astype(np.float64)


def main() -> None:
    warnings.simplefilter("ignore")  # of constant columns: that the two series are equal
    for known in (None, _WARM_UP[1]):
        profile(_WARM_UP[0], known, 20)
    for line in sys.stdin:
        judged_path, known_path, window, found_path = line.rstrip("\n").split("\t")
        judged = np.load(judged_path)
        known = None if known_path == "-" else np.load(known_path)
        begun = time.process_time()
        found = profile(judged, known, int(window))
        spent = time.process_time() - begun
        np.save(found_path, found)
        print(spent, flush=True)


if __name__ == "__main__":
    main()
