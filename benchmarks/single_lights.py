"""How often one image is said to be far from all training images, rightly and wrongly.

  python -m benchmarks.single_lights [--write docs/benchmarks.md]

Good images of one kind are split at random, 30 times, into some that are known and the others: how
many of these get the notice. Then all good training images of a set are known, and its test images
get it, good and bad: nights among days, and defects under the same light.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.measure import DATA, machine, measured_parser, needs_real_data, write_into
from pyimagesearch.data import images
from pyimagesearch.labelling import capture_conditions
from pyimagesearch.labelling.known_range import KnownRange

SETS = (
    *("day_night/day", "mvtec_ad/bottle", "aws_cookies/cookie", "aws_aliens/alien"),
    *("casting/impeller", "mvtec_3d_rgb/tire", "magnetic_tile/tile", "kolektor_sdd/commutator"),
    *("elpv/mono", "sdu_fibre/layup"),
)
FORESTS = "intel_scenes"
SIZES = (16, 30, 60, 100, 200)
N_SPLITS = 30
LEAST_LEFT = 10  # images of a split that are not known
MOST_IMAGES = 400  # of a folder


def measured(*folders: Path) -> np.ndarray:
    """The capture conditions of all images of some folders, (n, len(CONDITIONS))."""
    paths = [path for f in folders for path in list(images.list_images(str(f)))[:MOST_IMAGES]]
    return np.array([capture_conditions.measure(images.read_image(path)) for path in paths])


def n_beyond(known: KnownRange, rows: np.ndarray) -> int:
    return sum(known.beyond(row) is not None for row in rows)


def false_rates(good: np.ndarray, rng: np.random.Generator) -> dict[int, float]:
    """The share of the images left that get the notice, for each number of known images."""
    found = {}
    for size in SIZES:
        if len(good) < size + LEAST_LEFT:
            continue
        shares = []
        for _ in range(N_SPLITS):
            order = rng.permutation(len(good))
            left = good[order[size:]]
            shares.append(n_beyond(KnownRange(good[order[:size]]), left) / len(left))
        found[size] = float(np.mean(shares))
    return found


def main() -> None:
    ap = measured_parser(__doc__)
    args = ap.parse_args()
    needs_real_data()
    rng = np.random.default_rng(0)
    rates = {FORESTS: false_rates(measured(DATA / FORESTS / "train" / "forest"), rng)}
    tested = {}
    for name in SETS:
        train = measured(DATA / name / "train" / "good")
        rates[name] = false_rates(train, rng)
        kinds = [kind for kind in (DATA / name / "test").iterdir() if kind.name != "good"]
        known, cells = KnownRange(train), []
        for rows in (measured(DATA / name / "test" / "good"), measured(*sorted(kinds))):
            cells.append(f"{n_beyond(known, rows)} of {len(rows)}")
        tested[name] = (len(train), *cells)
    lines = [
        f"Measured on {machine()}.",
        "",
        f"| ordinary images that get the notice, of known ones: | {' | '.join(map(str, SIZES))} |",
        f"|---|{'---|' * len(SIZES)}",
    ]
    for name, found in rates.items():
        cells = [f"{found[size]:.1%}" if size in found else "" for size in SIZES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    means = [np.mean([found[size] for found in rates.values() if size in found]) for size in SIZES]
    lines.append(f"| mean | {' | '.join(f'{mean:.1%}' for mean in means)} |")
    lines += ["", "| the whole set | known | good test images | others |", "|---|---|---|---|"]
    lines += [f"| {name} | {' | '.join(map(str, cells))} |" for name, cells in tested.items()]
    table = "\n".join(lines) + "\n"
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.single_lights", table)


if __name__ == "__main__":
    main()
