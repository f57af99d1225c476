"""How often lines get a notice of a drift, and how soon one after a change of light.

  python -m benchmarks.drift [--write docs/benchmarks.md] [--only "forests, trained on 100"]

Normal images are split at random into some to train on and a pool, as in ``benchmarks.shifts``, and
labelled there with the same changes. A line is drawn from the pool, with replacement: unchanged,
with real anomalies among its parts, or changed from one part on. Its calibration is the model's
own; or drawn from the pool, too, and then new parts are exchangeable with it, as they are where
images are not used again and again. Lines are counted side by side, by the code that counts one.
"""

from __future__ import annotations

import copy
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import chi2

from benchmarks.measure import machine, measured_parser, needs_real_data, write_into
from benchmarks.shifts import CHANGES, TRIALS, UNCHANGED, label_pool
from pyimagesearch.labelling.verdict import Verdict
from pyimagesearch.line.drift import MOST_DEFECTS, Ranks, Wealth, known_values, limits

TRIED = (
    "forests, trained on 16",
    "forests, trained on 100",
    "bottles, default",
    "castings, patches without a network",
)
N_PARTS = 10_000
N_LINES = 100
N_CHANGED = 50  # lines, for each change
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2)  # of anomalies
START, EARLY, LATE = 1_000, 100, 9_000  # parts before a change
SOON = 200  # parts in which it should be noticed
DARKER = "brightness x 0.8"


class Lines:
    """Several lines side by side.

    Args:
        known: of each, its calibration: scores, and those of each capture condition.
        rng: of their order.
    """

    def __init__(self, known: Sequence[Sequence[np.ndarray]], rng: np.random.Generator) -> None:
        self._shape = (len(known), 1 + len(known[0]), 2)
        both = [known_values(scores, np.stack(conditions, 1)) for scores, *conditions in known]
        margins = np.concatenate([margins for _, margins in both])
        self._ranks = Ranks([values for line, _ in both for values in line], margins, rng)
        self._wealth = Wealth(len(margins))
        self._limits = limits(self._shape[1])
        # Of each, after how many parts there was a notice: of any kind, and if scores were all.
        self.noticed = np.full((len(known), 2), np.inf)
        self.n_parts = 0

    def add(self, rows: np.ndarray) -> None:
        """Add a part to each: (n_lines, 1 + len(CONDITIONS))."""
        self.n_parts += 1
        values = np.column_stack([rows[:, 0], rows]).ravel()  # scores are ranked in two ways
        wealth = self._wealth.add(self._ranks.add(values)).reshape(self._shape)
        is_noticed = (wealth >= self._limits).any(axis=(1, 2))
        is_of_scores = (wealth[:, :2] >= limits(2)).any(axis=(1, 2))
        is_new = np.stack([is_noticed, is_of_scores], axis=1) & np.isinf(self.noticed)
        self.noticed[is_new] = self.n_parts


def table_of(verdicts: Sequence[Verdict]) -> np.ndarray:
    """(n, 1 + len(CONDITIONS)) scores and capture conditions."""
    return np.array([[v.score, *v.conditions] for v in verdicts if v.score is not None], float)


def drawn(table: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return table[rng.integers(len(table), size=count)]


@dataclass
class Column:
    """What was found of one trial.

    Attributes:
        cells: by their rows.
        n_notices: false ones, with no more anomalies than may be.
        n_parts: in which they were.
    """

    cells: dict[str, str] = field(default_factory=dict)
    n_notices: int = 0
    n_parts: int = 0

    def add(self, row: str, lines: Lines) -> None:
        """Add lines in which nothing changes."""
        self.cells[row] = noticed(lines)
        self.n_notices += int(np.isfinite(lines.noticed[:, 0]).sum())
        self.n_parts += lines.n_parts * len(lines.noticed)


def measure(name: str) -> Column:
    """Find what one column says."""
    rng = np.random.default_rng(0)
    pool = label_pool(TRIALS[name], rng)
    tables = {kind: table_of(verdicts) for kind, verdicts in pool.good.items()}
    normal, anomalies = tables[UNCHANGED], table_of(pool.anomalies)
    own = [pool.labeller.calibration, *pool.labeller.conditions.T.astype(float)]
    alike = [list(drawn(normal, len(own[0]), rng).T) for _ in range(N_LINES)]

    found = Column()
    lines = Lines(alike, rng)
    for _ in range(N_PARTS):
        lines.add(drawn(normal, N_LINES, rng))
    found.add("nothing changes", lines)
    lines, before = Lines([own] * N_CHANGED, rng), {}
    for number in range(N_PARTS):
        if number in (EARLY, START, LATE):
            before[number] = copy.deepcopy(lines)
        lines.add(drawn(normal, N_CHANGED, rng))
    found.add("nothing changes, the model's own calibration", lines)
    for share in SHARES:
        lines = Lines([own] * N_CHANGED, rng)
        for _ in range(N_PARTS):
            rows = drawn(normal, N_CHANGED, rng)
            is_anomaly = rng.random(N_CHANGED) < share
            rows[is_anomaly] = drawn(anomalies, int(is_anomaly.sum()), rng)
            lines.add(rows)
        row = f"{share:.0%} real anomalies"
        if share <= MOST_DEFECTS:
            found.add(row, lines)
        else:
            found.cells[row] = noticed(lines)

    for kind in CHANGES:
        found.cells[kind] = noticed_soon(before[START], tables[kind], rng)
    for start in (EARLY, LATE):
        row = f"{DARKER}, after {start:,} parts"
        found.cells[row] = noticed_soon(before[start], tables[DARKER], rng)
    return found


def noticed(lines: Lines) -> str:
    """The share of lines that got a notice, such as "0% (0%)"."""
    every, scores = np.isfinite(lines.noticed).mean(axis=0)
    return f"{every:.0%} ({scores:.0%})"


def noticed_soon(before: Lines, table: np.ndarray, rng: np.random.Generator) -> str:
    """The share of lines that get a notice soon after a change, and after how many parts."""
    lines = copy.deepcopy(before)
    lines.noticed[:] = np.inf
    for _ in range(SOON):
        lines.add(drawn(table, len(lines.noticed), rng))
    found = noticed(lines)
    half = np.median(lines.noticed[:, 0]) - before.n_parts
    return f"{found}, {half:.0f}" if np.isfinite(half) else found


def main() -> None:
    ap = measured_parser(__doc__)
    ap.add_argument("--only", choices=TRIED, nargs="+", default=TRIED, help="some columns")
    args = ap.parse_args()
    needs_real_data()
    columns = {}
    for name in args.only:
        columns[name] = measure(name)
        print(name, file=sys.stderr, flush=True)
    n_notices = sum(column.n_notices for column in columns.values())
    n_parts = sum(column.n_parts for column in columns.values())
    most_notices = chi2.ppf(0.95, 2 * (n_notices + 1)) / 2  # as so few of a Poisson law allow
    about = [
        f"Measured on {machine()}. Of {N_LINES} lines of {N_PARTS:,} parts in the first row, and "
        f"of {N_CHANGED} in the others, how many get a notice; in brackets, how many if scores "
        f"are all that is counted. Of changes, after {START:,} parts where nothing else is said: "
        f"how many get one within {SOON} parts, and after how many parts half of them have it.",
        f"Where nothing changes and at most {MOST_DEFECTS:.0%} are anomalies, the number of "
        f"notices in {n_parts:,} parts is {n_notices}, so that the mean run length to a false one "
        f"is above {n_parts / most_notices:,.0f} parts with a confidence of 95%.",
    ]
    lines = [f"{textwrap.fill(text, 100)}\n" for text in about]
    lines += [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for row in columns[args.only[0]].cells:
        lines.append(f"| {row} | {' | '.join(found.cells[row] for found in columns.values())} |")
    table = "\n".join(lines) + "\n"
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.drift", table)


if __name__ == "__main__":
    main()
