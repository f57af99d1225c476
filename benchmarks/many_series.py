"""Many series: what it costs to learn and to judge a thousand of them, and what comes out on top.

  python -m benchmarks.many_series [--series 1000] [--rows 5000] [--write docs/benchmarks.md]

Each series is rendered twice: a normal one to learn, and one to judge, in every twentieth of which
something goes wrong. They are a folder of CSV files, and one long table.
"""

from __future__ import annotations

import csv
import io
import itertools
import tempfile
from pathlib import Path

from benchmarks.measure import CHECKOUT, Usage, machine, measured_parser, run_python, write_into
from pyimagesearch.data.synthetic.series import ROWS_PER_DAY, VARIANTS, make_series

EVERY = 20
TRAIN, FIND = (CHECKOUT / name for name in ("train_anomaly_detector.py", "find_anomalies.py"))


def render(folder: Path, n_series: int, n_rows: int, wrong: bool) -> set[str]:
    """Write the series as files and as one table; the names of those with an anomaly."""
    files = folder / "files"
    files.mkdir(parents=True)
    kinds = itertools.cycle(name for name in VARIANTS if name != "normal")
    days = -(-n_rows // ROWS_PER_DAY)
    anomalous = set()
    with (folder / "table.csv").open("w") as table:
        table.write("timestamp,value,machine\n")
        for number in range(n_series):
            name, variant = f"machine_{number:04}", "normal"
            if wrong and number % EVERY == 0:
                variant = next(kinds)
                anomalous.add(name)
            times, values, _ = make_series(variant, days, seed=number + n_series * wrong)
            rows = [f"{t},{v:.3f}" for t, v in zip(times[:n_rows], values, strict=False)]
            (files / f"{name}.csv").write_text("\n".join(("timestamp,value", *rows)) + "\n")
            table.writelines(f"{row},{name}\n" for row in rows)
    return anomalous


def measure(n_series: int, n_rows: int) -> list[str]:
    """The tables: of cost, and of what was found."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        render(folder / "known", n_series, n_rows, wrong=False)
        anomalous = render(folder / "new", n_series, n_rows, wrong=True)
        models, page = folder / "models", folder / "page.html"

        def commands(dataset: str, *options: str) -> tuple[list[object], list[object]]:
            return (
                [TRAIN, "-d", folder / "known" / dataset, "-m", models, *options],
                [FIND, "-m", models, "-d", folder / "new" / dataset, *options],
            )

        learn, judge = commands("table.csv", "--group-by", "machine")
        of_table = [run_python(*learn), run_python(*judge)]
        learn, judge = commands("files")
        of_files = [run_python(*learn), run_python(*judge)]
        files = ("--csv", folder / "rows.csv", "--report", page)
        written, size = run_python(*judge, *files), page.stat().st_size / 1e6
        rows = [
            cost("a folder of CSV files: learn", of_files[0]),
            cost("judge", of_files[1]),
            cost(f"judge, with `--csv` and `--report` (a page of {size:.1f} MB)", written),
            cost("one table, `--group-by`: learn", of_table[0]),
            cost("judge", of_table[1]),
        ]
    found = list(csv.DictReader(io.StringIO(written.output)))
    named = list(dict.fromkeys(row["series"] for row in found))
    first = len(anomalous & set(named[: len(anomalous)]))
    wrong = sum(row["series"] not in anomalous for row in found)
    n_normal = n_series - len(anomalous)
    return [
        f"| {n_series:,} series of {n_rows:,} rows | seconds | CPU seconds | memory |",
        "|---|---|---|---|",
        *rows,
        "",
        f"Of the {len(anomalous)} series with an anomaly {len(anomalous & set(named))} have a "
        f"range; {first} are among the {len(anomalous)} that come first. The {n_normal:,} normal "
        f"ones have {wrong:,} ranges.",
    ]


def cost(title: str, usage: Usage) -> str:
    """A row of the table."""
    return f"| {title} | {usage.seconds:.0f} | {usage.cpu:.0f} | {usage.memory:.0f} MB |"


def main() -> None:
    ap = measured_parser(__doc__)
    ap.add_argument("--series", type=int, default=1000, metavar="N", help="how many")
    ap.add_argument("--rows", type=int, default=5000, metavar="N", help="of each")
    args = ap.parse_args()
    table = "\n".join([f"Measured on {machine()}.", "", *measure(args.series, args.rows)]) + "\n"
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.many_series", table)


if __name__ == "__main__":
    main()
