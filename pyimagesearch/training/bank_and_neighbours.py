"""Train a memory bank and neighbours together: see the detector of this name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pyimagesearch.detectors.image.bank_and_neighbours import Balance, BankAndNeighboursDetector
from pyimagesearch.detectors.image.knn import KnnDetector
from pyimagesearch.detectors.image.memory_bank import MemoryBankDetector
from pyimagesearch.training.patches import PatchFit


def add_neighbours(
    fitted: PatchFit[MemoryBankDetector],
    wholes: Mapping[bytes, np.ndarray],
    kept: Sequence[bytes],
    fit: Callable[[np.ndarray], KnnDetector],
    balance: Balance | None = None,
) -> PatchFit[BankAndNeighboursDetector]:
    """Add neighbours to a memory bank, on the same folds, and calibrate the two together.

    Each fold's balance is learned from the images of the others, as the scale of its maps is.

    Args:
        fitted: the memory bank.
        wholes: ``means_of_halves`` of every image, by its digest.
        kept: digests of the images that the memory bank was calibrated on, in its order.
        fit: makes a detector of (n_images, n_features) float32.
        balance: of an older model, to keep; None learns it.
    """
    digests = sorted(wholes)
    rows = np.array([wholes[digest] for digest in digests])
    number = {digest: i for i, digest in enumerate(digests)}
    numbers = np.array([number[digest] for digest in kept])
    scores, of_folds = np.empty(len(kept)), []
    for _, outside in fitted.folds.splits:
        of_folds.append(fit(np.delete(rows, numbers[outside], axis=0)))
        scores[outside] = of_folds[-1].score(rows[numbers[outside]])

    calibration, detectors = fitted.calibration.copy(), []
    parts = zip(fitted.of_folds, of_folds, fitted.folds.splits, strict=True)
    for bank, neighbours, (inside, outside) in parts:
        others = balance or Balance.fit(fitted.calibration[inside], scores[inside])
        calibration[outside] *= others.factor(scores[outside])
        detectors.append(BankAndNeighboursDetector(bank, neighbours, others))
    balance = balance or Balance.fit(fitted.calibration, scores)
    detector = BankAndNeighboursDetector(fitted.detector, fit(rows), balance)
    return replace(fitted, detector=detector, calibration=calibration, of_folds=detectors)
