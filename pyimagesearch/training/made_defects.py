"""What a model would find: defects made on training images that its detectors had not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyimagesearch.data import images
from pyimagesearch.data.synthetic.defects import add_defects
from pyimagesearch.detectors.base import ImageDetector
from pyimagesearch.features import Extractor
from pyimagesearch.metrics.intervals import wilson_interval
from pyimagesearch.runtime.console import counted, info, warn
from pyimagesearch.runtime.threads import ordered_map
from pyimagesearch.training.calibration import Folds

_N_TRIED = 30  # which costs as much as labelling so many
_LITTLE = 0.5


def score_made_defects(
    extractor: Extractor,
    names: Sequence[str],
    folds: Folds,
    detectors: Sequence[ImageDetector],
    seed: int,
    jobs: int,
) -> np.ndarray:
    """Make a defect on some of the images, and score each by a detector that had not seen it.

    Args:
        extractor: of the detectors' features.
        names: files of the images, numbered as in ``folds``.
        folds: of the calibration.
        detectors: of each fold.
        seed: of the choices.
        jobs: number of threads; the scores do not depend on it.

    Returns:
        (n,) float64 scores; images that can no longer be read are left out.
    """
    detector_of = {
        image: detector
        for detector, (_, outside) in zip(detectors, folds.splits, strict=True)
        for image in outside
    }
    chosen = np.random.default_rng(seed).permutation(len(names))[:_N_TRIED]

    def score(image: int) -> float:
        try:
            pixels = images.read_image(names[image], extractor.min_side)
            made = add_defects(pixels, np.random.default_rng([seed, image]))
            found = extractor.extract(made.image)
        except (images.ImageError, OSError):
            return np.nan
        return float(detector_of[image].score([found])[0])

    scores = np.array(list(ordered_map(score, chosen, jobs)))
    return scores[np.isfinite(scores)]


def report_made_defects(scores: np.ndarray, threshold: float) -> None:
    """Say how many of the made defects would be found, and warn where these are few.

    Args:
        scores: (n,) of images with a defect each.
        threshold: the score above which an image is an anomaly.
    """
    if not len(scores):
        return
    n_found = int((scores > threshold).sum())
    rate = wilson_interval(n_found, len(scores))
    info(
        f"of {counted(len(scores), 'defect')} made on images that the model had not seen, it would "
        f"find {n_found}: {rate.value:.0%} (95% interval: {rate.low:.0%} to {rate.high:.0%})"
    )
    if rate.value < _LITTLE:
        warn(
            "this model would miss most small defects, which matters on parts if not in photos of "
            "scenes: try --image-size 384, more images, or a higher --false-alarm-rate"
        )
