"""The stream detector on the Numenta Anomaly Benchmark, and detectors published with it.

  python -m benchmarks.nab [--write docs/benchmarks.md] [--splits 5]

The benchmark's own score uses the threshold that is best on the very series that are scored. In
addition, the table has the score of the default threshold, and scores on the other half of the
series: of the threshold that is best on one half, and of the settings that are.
"""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pandas as pd

from benchmarks.measure import DATA, machine, measured_parser, write_into
from benchmarks.nab_score import NAB_PROFILES, NabFile, nab_curve, nab_file, nab_score
from pyimagesearch.detectors.series.stream import DEFAULT_THRESHOLD, StreamDetector, default_warm_up
from pyimagesearch.detectors.series.stream_state import Settings

PEERS = {"numenta": "HTM", "contextOSE": "contextual OSE", "knncad": "KNN-CAD"}
# What "all settings" means: lengths and slot at half and twice their defaults, and the larger unit
# at a third and three times its own (with a free threshold, only the ratio of the units counts).
SHORTER, DEFAULT, LONGER = Settings(6, 2, 24), Settings(), Settings(24, 6, 96)
SLOTS = (900, 1_800, 3_600)
UNITS_OF_MINIMA_AND_DEPARTURES = (0.03, 0.1, 0.3)
UNIT_OF_VALUES = 0.01
REST_SHARES = (0.1, 0.2, 0.3)

Scores = dict[str, np.ndarray]


@dataclass(frozen=True)
class Recording:
    """One series: times (n,) datetime64, values (n,), and the value of alarms."""

    times: np.ndarray
    values: np.ndarray
    worth: NabFile

    @property
    def warm_up(self) -> int:
        return default_warm_up(len(self.values))


def load(folder: Path) -> dict[str, Recording]:
    """Read the benchmark's series and label windows."""
    recordings = {}
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text())
    for name, windows in sorted(labels.items()):
        table = pd.read_csv(folder / "data" / name, parse_dates=["timestamp"])
        times = table["timestamp"].to_numpy()
        rows = [
            tuple(int(np.flatnonzero(times == np.datetime64(edge))[0]) for edge in window)
            for window in windows
        ]
        values = table["value"].to_numpy(float)
        recordings[name] = Recording(times, values, nab_file(len(values), rows))
    return recordings


def run(recordings: dict[str, Recording]) -> tuple[Scores, float]:
    """The scores of the default detector, and its CPU microseconds per row."""
    begun = time.process_time()
    scores = {
        name: StreamDetector(warm_up=recording.warm_up).update(recording.times, recording.values)
        for name, recording in recordings.items()
    }
    used = time.process_time() - begun
    return scores, 1e6 * used / sum(len(recording.values) for recording in recordings.values())


class Candidates:
    """The scores of every combination of settings, at the rows where any of them has one."""

    def __init__(self, recordings: dict[str, Recording]) -> None:
        self.files: dict[str, NabFile] = {}
        columns = [self._score_file(name, recording) for name, recording in recordings.items()]
        self.scores = [
            dict(zip(recordings, column, strict=True)) for column in zip(*columns, strict=True)
        ]

    def _score_file(self, name: str, recording: Recording) -> list[np.ndarray]:
        surprise_scores = {
            (settings, slot): self._surprise_scores(recording, settings, slot)
            for settings in (SHORTER, DEFAULT, LONGER)
            for slot in SLOTS
        }
        scores = []
        for minimum, short, long in itertools.product((SHORTER, DEFAULT, LONGER), repeat=3):
            for slot in SLOTS:
                values = surprise_scores[minimum, slot][:, :3]
                short_ones = surprise_scores[short, slot][:, 3:5]
                long_ones = surprise_scores[long, slot][:, 5:]
                for unit in UNITS_OF_MINIMA_AND_DEPARTURES:
                    strength = np.maximum(
                        values[:, [0, 2]].max(axis=1) / UNIT_OF_VALUES,
                        np.column_stack([values[:, 1], short_ones, long_ones]).max(axis=1) / unit,
                    )
                    scores += [rested(strength, recording.warm_up, s) for s in REST_SHARES]
        # Rows without a score give no alarm; but each window must keep a row, to count as missed.
        worth = recording.worth
        kept = np.max(scores, axis=0) > 0
        kept[worth.probation + np.unique(worth.window[worth.probation :], return_index=True)[1]] = 1
        rows = np.flatnonzero(kept)
        probation = int((rows < worth.probation).sum())
        self.files[name] = NabFile(worth.window[rows], worth.value[rows], probation)
        return [column[rows] for column in scores]

    @staticmethod
    def _surprise_scores(recording: Recording, settings: Settings, slot: int) -> np.ndarray:
        settings = Settings(settings.minimum, settings.short, settings.long, slot)
        detector = StreamDetector(warm_up=recording.warm_up, settings=settings)
        return detector.explain(recording.times, recording.values)[1][:, 0]


def rested(strength: np.ndarray, warm_up: int, share: float) -> np.ndarray:
    """The scores that the detector makes of surprise scores, with another rest."""
    rest = max(int(share * warm_up), 1)
    before = pd.Series(strength).rolling(rest, min_periods=1).max().shift(1, fill_value=0.0)
    scores = np.where(strength > before.to_numpy(), strength, 0.0)
    scores[:warm_up] = 0.0
    return scores


def on_the_other_half(
    files: dict[str, NabFile], candidates: list[Scores], n_splits: int
) -> list[float]:
    """Choose one of several scores and a threshold on half of the files, and score the other half.

    Args:
        files: by name.
        candidates: scores by name, one for each combination of settings.
        n_splits: random ones; both halves of each are chosen on.
    """
    names = np.array(sorted(files))
    results = []
    for seed in range(n_splits):
        shuffled = np.random.default_rng(seed).permutation(names)
        halves = shuffled[: len(names) // 2], shuffled[len(names) // 2 :]
        for chosen_on, scored_on in (halves, halves[::-1]):
            best = (-np.inf, np.inf, candidates[0])
            for scores in candidates:
                thresholds, values = nab_curve(
                    _select(files, chosen_on), _select(scores, chosen_on)
                )
                top = int(np.argmax(values))
                if values[top] > best[0]:
                    best = (values[top], thresholds[top], scores)
            _, threshold, scores = best
            other = _select(files, scored_on), _select(scores, scored_on)
            results.append(nab_score(*other, threshold=threshold))
    return results


def _select(by_name: dict, names: np.ndarray) -> dict:
    return {name: by_name[name] for name in names}


def published(folder: Path, recordings: dict[str, Recording]) -> dict[str, Scores]:
    """The outputs of other detectors, by the names of ``PEERS``."""
    with np.load(folder / "results.npz") as outputs:
        return {
            title: {name: outputs[f"{peer}/{name}"] for name in recordings}
            for peer, title in PEERS.items()
        }


def main() -> None:
    parser = measured_parser(__doc__)
    parser.add_argument("--splits", type=int, default=5, help="random halves (default: 5)")
    options = parser.parse_args()

    folder = DATA / "nab"
    recordings = load(folder)
    files = {name: recording.worth for name, recording in recordings.items()}
    scores, cost = run(recordings)
    candidates = Candidates(recordings)

    def row(title: str, figures: list[float], half: str) -> str:
        return f"| {title} | {' | '.join(f'{figure:.1f}' for figure in figures)} | {half} |"

    def other_half(evaluated: dict[str, NabFile], tried: list[Scores]) -> str:
        results = on_the_other_half(evaluated, tried, options.splits)
        return f"{mean(results):.1f} ± {stdev(results):.1f}"

    def best(found: Scores) -> list[float]:
        return [nab_score(files, found, profile) for profile in NAB_PROFILES]

    default = [nab_score(files, scores, profile, DEFAULT_THRESHOLD) for profile in NAB_PROFILES]
    n_tried = len(candidates.scores)
    every = [
        max(nab_score(candidates.files, tried, profile) for tried in candidates.scores)
        for profile in NAB_PROFILES
    ]
    lines = [
        f"Measured on {machine()}; {cost:.1f} µs of CPU for each row of `stream`.",
        "",
        f"| NAB, {len(files)} series | standard | low FP | low FN | standard, other half |",
        "|---|---|---|---|---|",
        row("`stream`, best threshold", best(scores), other_half(files, [scores])),
        row(f"`stream`, threshold {DEFAULT_THRESHOLD:g}", default, ""),
        row(
            f"`stream`, best of {n_tried} settings",
            every,
            other_half(candidates.files, candidates.scores),
        ),
    ]
    for title, outputs in published(folder, recordings).items():
        lines.append(row(title, best(outputs), other_half(files, [outputs])))
    table = "\n".join(lines) + "\n"
    print(table)
    if options.write:
        write_into(options.write, "benchmarks.nab", table)


if __name__ == "__main__":
    main()
