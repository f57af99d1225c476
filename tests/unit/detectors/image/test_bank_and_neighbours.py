"""A memory bank and neighbours together, on drawn parts."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from helpers import tiny
from pyimagesearch.backbones.patch_features import ColourPatches
from pyimagesearch.detectors.image.bank_and_neighbours import (
    Balance,
    BankAndNeighboursDetector,
    means_of_halves,
)
from pyimagesearch.detectors.image.knn import KnnDetector
from pyimagesearch.detectors.image.memory_bank import MemoryBankDetector
from pyimagesearch.training.bank_and_neighbours import add_neighbours
from pyimagesearch.training.patches import PatchReservoir, fit_patches

EXTRACTOR = ColourPatches(side=96)
N_PARTS = 12


@pytest.fixture(scope="module")
def fitted():
    features = {
        bytes([i]) * 32: EXTRACTOR.extract(tiny.part(np.random.default_rng(i)))
        for i in range(N_PARTS)
    }
    reservoir = PatchReservoir(memory=2**30, bank_size=100)
    for digest, patches in features.items():
        reservoir.add(digest, patches)
    kept, whole, pool = reservoir.result()

    def fit(pool):
        return MemoryBankDetector.fit(pool, groups=EXTRACTOR.feature_groups)

    bank = fit_patches(whole, pool, fit, fit(pool).scale, False, jobs=1)
    wholes = {d: means_of_halves(f, EXTRACTOR.length) for d, f in features.items()}
    return bank, add_neighbours(bank, wholes, kept, KnnDetector.fit)


def extract(seed, scratch=False):
    part = tiny.part(np.random.default_rng(seed))
    return EXTRACTOR.extract(tiny.scratched(part, (70, 90)) if scratch else part)


def test_two_scores_become_the_sum_of_their_standardised_logarithms():
    rng = np.random.default_rng(0)
    patches, wholes = rng.lognormal(0, 0.1, 200), rng.lognormal(2, 0.7, 200)
    balance = Balance.fit(patches, wholes)
    together = patches * balance.factor(wholes)
    logs = np.log(patches), np.log(wholes)
    slow = sum(w * (x - x.mean()) / x.std() for w, x in zip((1, 0.25), logs, strict=True))
    slow = slow * logs[0].std() + logs[0].mean()
    np.testing.assert_allclose(np.log(together), slow, atol=1e-12)


def test_images_that_all_look_alike_as_wholes_are_judged_by_their_patches():
    balance = Balance.fit(np.array([0.9, 1.0, 1.1]), np.zeros(3))
    assert balance.exponent <= 1
    assert np.isfinite(balance.factor(np.array([0.0, 1.0]))).all()


def test_calibration_is_by_detectors_that_had_not_seen_the_image(fitted):
    bank, both = fitted
    assert len(both.of_folds) == len(both.folds.splits) == N_PARTS
    for detector, (_, outside) in zip(both.of_folds, both.folds.splits, strict=True):
        assert not (detector.bank.groups[0].owners == outside[0]).any()
        assert len(detector.neighbours.bank) == N_PARTS - 1
    assert np.corrcoef(bank.calibration, both.calibration)[0, 1] > 0.5


def test_heat_is_in_line_with_the_verdict_and_its_place_is_the_banks(fitted):
    detector = fitted[1].detector
    threshold = fitted[1].calibration.max()

    def relative(score):
        return (score - 0.9) / (threshold - 0.9)

    for found in (extract(50), extract(51, scratch=True)):
        heat = detector.heat(found, relative)
        assert heat.max() == relative(detector.score([found])[0])
        assert heat.argmax() == detector.bank.anomaly_map(found).argmax()
    assert heat.max() > 1  # of the scratch


def test_an_image_of_another_kind_counts_as_a_whole(fitted):
    detector = fitted[1].detector
    other = EXTRACTOR.extract(cv2.bitwise_not(tiny.part(np.random.default_rng(60))))
    gain = detector.score([other, extract(61)]) / detector.bank.score([other, extract(61)])
    assert gain[0] > gain[1]


def test_it_is_the_same_after_saving(fitted):
    detector = fitted[1].detector
    again = BankAndNeighboursDetector.restore(detector.parameters(), detector.arrays(), {})
    found = [extract(70), extract(71, scratch=True)]
    np.testing.assert_array_equal(again.score(found), detector.score(found))
    again.check()


@pytest.mark.parametrize(
    "wrong",
    [
        {"usual": 0.0},
        {"usual": float("inf")},
        {"usual": True},
        {"exponent": 1.5},
        {"exponent": None},
        {"bank": None},
        {"neighbours": [2]},
    ],
)
def test_parameters_that_do_not_fit_are_refused(fitted, wrong):
    detector = fitted[1].detector
    with pytest.raises(ValueError, match="detector"):
        BankAndNeighboursDetector.restore(detector.parameters() | wrong, detector.arrays(), {})
