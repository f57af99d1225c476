"""Scenes: nights among days, the tutorial's exercise; and buildings and the sea among forests.

  python -m benchmarks.scenes [--write docs/benchmarks.md]

Each model learns normal photos alone. Called anomalies are those that a false-alarm rate of 1%
calls so, or of 5%. Why colours fail on nights is counted in the histograms that `--method forest`
makes of the photos.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.measure import DATA, machine, measured_parser, needs_real_data, write_into
from benchmarks.patch_accuracy import train
from pyimagesearch import metrics
from pyimagesearch.data import images
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.runtime.system import available_cores

DAYS = DATA / "day_night" / "day"
FORESTS = DATA / "intel_scenes"
RATES = (0.01, 0.05)
NEIGHBOURS = ("--method", "neighbours")
COLOURS = ("--method", "forest")
METHODS = {"default": (), "neighbours": NEIGHBOURS, "forest on histograms": COLOURS}
# Of the forests that training lists as unlike the rest, those that show none: a plain under a blue
# sky, a meadow, a lake.
LESS = "neighbours, without 3 photos that show no forest"
NO_FORESTS = ("2145.jpg", "1768.jpg", "16949.jpg")


def photos(folder: Path) -> list[str]:
    return list(images.list_images(str(folder)))


def table(
    title: str,
    normal: Path,
    folders: Mapping[str, Path],
    model: Path,
    methods: Mapping[str, Sequence[object]],
) -> list[str]:
    """What each method makes of some folders, of which the first is of normal photos.

    Args:
        title: of the table.
        normal: photos to learn.
        folders: to label, by what they show.
        model: file to write each model to.
        methods: options of training, by name.
    """
    shows = [f"{kind} called anomalies at {rate:.0%}" for rate in RATES for kind in folders]
    lines = [f"| {title} | AUROC | {' | '.join(shows)} |", f"|---|---|{'---|' * len(shows)}"]
    for name, options in methods.items():
        train(normal, model, *options)
        labeller = Labeller.open(str(model))
        found = {
            kind: list(labeller.label(photos(folder), available_cores()))
            for kind, folder in folders.items()
        }
        first = next(iter(folders))
        truth = [kind != first for kind, verdicts in found.items() for _ in verdicts]
        scores = [verdict.score for verdicts in found.values() for verdict in verdicts]
        cells = [
            f"{np.mean([verdict.p_value <= rate for verdict in verdicts]):.1%}"
            for rate in RATES
            for verdicts in found.values()
        ]
        lines.append(
            f"| {name} | {metrics.auroc(np.array(truth), scores):.3f} | {' | '.join(cells)} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def why_colours_fail(model: Path) -> list[str]:
    """Of the days and nights: how many shares of colours are unusual, and how bright they are."""
    train(DAYS / "train" / "good", model, *COLOURS)
    extractor = Labeller.open(str(model)).extractor
    shares, brightness = [], []
    for folder in ("train/good", "test/good", "test/night"):
        pictures = [images.read_image(path, extractor.min_side) for path in photos(DAYS / folder)]
        shares.append(np.array([extractor.extract(picture) for picture in pictures]))
        brightness.append(np.array([picture.mean() for picture in pictures]))
    low, high = np.quantile(shares[0], [0.05, 0.95], axis=0)
    unusual = [((rows < low) | (rows > high)).sum(axis=1).mean() for rows in shares[1:]]
    truth = np.repeat([False, True], [len(brightness[1]), len(brightness[2])])
    auroc = metrics.auroc(truth, -np.concatenate(brightness[1:]))
    darker = (brightness[2] < brightness[0].min()).mean()
    return [
        f"Of the {len(low)} shares of colours, {unusual[1]:.1f} of a night and {unusual[0]:.1f} of "
        "a day, on average, lie outside what nine tenths of the learned days have. The mean "
        f"brightness alone has an AUROC of {auroc:.3f}; {darker:.0%} of the nights are darker than "
        "each of these days.",
    ]


def main() -> None:
    ap = measured_parser(__doc__)
    args = ap.parse_args()
    needs_real_data()
    with tempfile.TemporaryDirectory() as folder:
        model, excluded = Path(folder) / "scenes.model", Path(folder) / "excluded.txt"
        excluded.write_text("".join(f"{name}\n" for name in NO_FORESTS))
        lines = [
            f"Measured on {machine()}.",
            "",
            *table(
                f"{len(photos(DAYS / 'train' / 'good'))} days learned",
                DAYS / "train" / "good",
                {"days": DAYS / "test" / "good", "nights": DAYS / "test" / "night"},
                model,
                METHODS,
            ),
            "",
            *why_colours_fail(model),
            "",
            *table(
                f"{len(photos(FORESTS / 'train' / 'forest'))} forests learned",
                FORESTS / "train" / "forest",
                {kind: FORESTS / "valid" / kind for kind in ("forest", "buildings", "sea")},
                model,
                {**METHODS, LESS: (*NEIGHBOURS, "--exclude", excluded)},
            ),
        ]
    text = "\n".join(lines) + "\n"
    print(text)
    if args.write:
        write_into(args.write, "benchmarks.scenes", text)


if __name__ == "__main__":
    main()
