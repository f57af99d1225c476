"""Whether a false-alarm rate holds for each camera, with --group-by and without.

  python -m benchmarks.groups [--write docs/benchmarks.md] [--only bottle tile]

The images of the sets of ``benchmarks.verdicts`` are dealt to three cameras, of which the second
gives three fifths and the third three tenths of the light. The normal ones are divided anew,
several times: two thirds are learned by the method neighbours on the default network, the rest are
judged, by the threshold of their own camera (--group-by) or by one for all.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.measure import machine, measured_parser, needs_real_data, write_into
from benchmarks.verdicts import N_SPLITS, NAMES, photos, possible
from pyimagesearch.data import images
from pyimagesearch.detectors.image.knn import KnnDetector
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.image_groups import GroupRule, ImageGroups
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.runtime.system import available_cores
from pyimagesearch.runtime.threads import ordered_map
from pyimagesearch.training.calibration import fit_calibrated
from pyimagesearch.training.image_features import (
    DEFAULT_BACKBONE,
    BackboneOptions,
    FeatureOptions,
)

LIGHTS = (1.0, 0.6, 0.3)
RATE = 0.05
WAYS = ("by camera", "one threshold")


@dataclass(frozen=True)
class Judged:
    """What one division of a set comes to for a camera, in one way.

    Attributes:
        n_alarms, n_normal: normal images that are called anomalies, and all of them.
        n_found, n_anomalous: the same of anomalies.
        is_inside: whether the alarms lie in the band of 95% around what the threshold promises, or
            below it.
        promised: the share of normal images that may be called anomalies.
    """

    n_alarms: int
    n_normal: int
    n_found: int
    n_anomalous: int
    is_inside: bool
    promised: float


def features_of(name: str) -> tuple[np.ndarray, np.ndarray, int]:
    """The features of a set's images under the light of their cameras, dealt in turn.

    Returns:
        (n, n_features) float32, (n,) which camera each is of, and how many of the first are normal.
    """
    normal, anomalous = photos(name)
    rng = np.random.default_rng(0)
    cameras = np.concatenate(
        [rng.permutation(len(some)) % len(LIGHTS) for some in (normal, anomalous)]
    )
    options = FeatureOptions(BackboneOptions(DEFAULT_BACKBONE))
    extractor = options.extractor(normal, patches=False)

    def extract(numbered: tuple[str, int]) -> np.ndarray:
        path, camera = numbered
        image = images.read_image(path, extractor.min_side)
        return extractor.extract(cv2.convertScaleAbs(image, alpha=LIGHTS[camera]))

    pairs = list(zip(normal + anomalous, cameras.tolist(), strict=True))
    return np.array(list(ordered_map(extract, pairs, available_cores()))), cameras, len(normal)


def judged(name: str, seed: int) -> dict[str, list[list[Judged]]]:
    """For each of ``WAYS`` and each division, what it comes to for each camera."""
    features, cameras, n_normal = features_of(name)
    rng = np.random.default_rng(seed)
    anomalies, their_cameras = features[n_normal:], cameras[n_normal:]
    results: dict[str, list[list[Judged]]] = {way: [] for way in WAYS}
    for _ in range(N_SPLITS):
        order = rng.permutation(n_normal)
        learned, others = np.split(order, [2 * n_normal // 3])
        fitted = fit_calibrated(KnnDetector, features[learned], {}, seed=seed, jobs=1)
        names = [str(camera) for camera in cameras[learned]]
        groups = ImageGroups.fit(GroupRule("([0-9])"), names, fitted.calibration, fitted.training)
        smallest = min((group.calibration for group in groups.members.values()), key=len)
        rate = possible(RATE, smallest)
        groups = groups.choose(ThresholdRule(thresholds.FALSE_ALARM_RATE, rate))
        one = thresholds.score_for_rate(fitted.calibration, rate)
        of_others, of_anomalies = (
            fitted.detector.score(some) for some in (features[others], anomalies)
        )
        for way in WAYS:
            cells = []
            for camera in range(len(LIGHTS)):
                group = groups.members[str(camera)]
                is_grouped = way == WAYS[0]
                limit = group.threshold if is_grouped else one
                known = group.calibration if is_grouped else fitted.calibration
                normal = of_others[cameras[others] == camera]
                faulty = of_anomalies[their_cameras == camera]
                expected = thresholds.false_alarms(limit, known, len(normal))
                n_alarms = int((normal > limit).sum())
                cells.append(
                    Judged(
                        n_alarms,
                        len(normal),
                        int((faulty > limit).sum()),
                        len(faulty),
                        n_alarms <= expected.high,
                        expected.rate,
                    )
                )
            results[way].append(cells)
    return results


def row(name: str, every: dict[str, list[list[Judged]]]) -> str:
    """A row of the table: for each way, the false alarms of each camera, and what is found."""
    cells = []
    for way in WAYS:
        shares = []
        for camera in zip(*every[way], strict=True):
            shares.append(
                f"{sum(c.n_alarms for c in camera) / sum(c.n_normal for c in camera):.1%}"
            )
        flat = [one for division in every[way] for one in division]
        found = sum(one.n_found for one in flat) / sum(one.n_anomalous for one in flat)
        inside = np.mean([one.is_inside for one in flat])
        promised = np.mean([one.promised for one in flat])
        cells += [", ".join(shares), f"{promised:.1%}, {inside:.0%}", f"{found:.0%}"]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    ap = measured_parser(__doc__)
    ap.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="some sets")
    args = ap.parse_args()
    needs_real_data()
    titles = [
        f"{way}: {what}" for way in WAYS for what in ("false alarms", "promised, kept", "found")
    ]
    lines = [
        f"Measured on {machine()}: {N_SPLITS} divisions of each set, asked for {RATE:.0%}. Normal "
        "images of the three cameras that are called anomalies; the share that the thresholds "
        "promise, and in how many of all cameras and divisions no more than the band of 95% of the "
        "beta-binomial distribution allows were called so; and the share of the anomalies of all "
        "cameras that is found.",
        "",
        f"| set | {' | '.join(titles)} |",
        f"|---|{'---|' * len(titles)}",
    ]
    all_of = {way: [] for way in WAYS}
    for seed, name in enumerate(args.only):
        every = judged(name, seed)
        for way in WAYS:
            all_of[way] += every[way]
        lines.append(row(name, every))
        print(lines[-1], file=sys.stderr, flush=True)
    lines.append(row("**all**", all_of))
    table = "\n".join(lines) + "\n"
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.groups", table)


if __name__ == "__main__":
    main()
