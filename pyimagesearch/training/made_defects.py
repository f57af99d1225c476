"""What a model would find: defects made on training images that its detectors had not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyimagesearch.data import images
from pyimagesearch.data.synthetic.defects import add_defects
from pyimagesearch.detectors.base import ImageDetector
from pyimagesearch.features import Extractor
from pyimagesearch.labelling import thresholds
from pyimagesearch.metrics.intervals import wilson_interval
from pyimagesearch.runtime.console import counted, info, warn
from pyimagesearch.runtime.threads import ordered_map
from pyimagesearch.training.calibration import Folds, outlying

_N_TRIED = 30  # which costs as much as labelling so many
_LITTLE = 0.5
_HIGHER_RATES = (0.05, 0.1, 0.2)
_LARGE_SIDE = 384


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


def report_made_defects(
    scores: np.ndarray, threshold: float, calibration: np.ndarray, side: int | None
) -> None:
    """Say how many of the made defects would be found; where these are few, warn of what helps.

    Args:
        scores: (n,) of images with a defect each.
        threshold: the score above which an image is an anomaly.
        calibration: (m,) scores of normal images by detectors that had not seen them.
        side: what images are resized to, in pixels, where another can still be chosen, or None.
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
        helps = [_at_higher_rates(scores, threshold, calibration)]
        strange = outlying(calibration)
        if len(strange) and threshold > np.delete(calibration, strange).max():
            helps.append(
                "--audit and --exclude, where the training images that look unlike the rest "
                f"({len(strange)} of {len(calibration)}) are not good: they keep the threshold high"
            )
        if side is not None and side < _LARGE_SIDE:
            helps.append(
                f"--image-size {_LARGE_SIDE}, which shows smaller details at twice the time"
            )
        if len(calibration) < thresholds.items_needed(thresholds.DEFAULT_FALSE_ALARM_RATE):
            helps.append("more images, with which the threshold is less a matter of luck")
        warn(
            "this model would miss most small defects, which matters on parts if not in photos of "
            f"scenes. What may help: {'; '.join(helps)}"
        )


def _at_higher_rates(scores: np.ndarray, threshold: float, calibration: np.ndarray) -> str:
    """How many would be found if more false alarms were allowed."""
    least = thresholds.best_rate(len(calibration))
    rates = [rate for rate in _HIGHER_RATES if rate >= least]
    limits = [thresholds.score_for_rate(calibration, rate) for rate in rates]
    now = int((scores > threshold).sum())
    found = {rate: int((scores > limit).sum()) for rate, limit in zip(rates, limits, strict=True)}
    more = [f"{n} with {rate:g}" for rate, n in found.items() if n > now]
    if not more:
        return f"no --false-alarm-rate up to {_HIGHER_RATES[-1]:g}, which finds no more"
    return f"a higher --false-alarm-rate, which finds {', '.join(more)}"
