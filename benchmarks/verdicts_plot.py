"""Draw what verdicts promise and what was measured, from the tables in docs/benchmarks.md.

python -m benchmarks.verdicts_plot
"""

from __future__ import annotations

import re

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.measure import CHECKOUT

TARGET = CHECKOUT / "docs" / "guarantees.png"
ASKED = (1, 5)  # per cent: two columns of a table
RULES = {
    "`--false-discovery-rate 0.05`": "asked 5%",
    "`--false-discovery-rate 0.1`": "asked 10%",
    "`--false-alarm-rate 0.01`": "by a false-\nalarm rate of 1%",
}
SHARES = ("1% anomalies", "5% anomalies", "20% anomalies")
COLOURS = ("#9db8d2", "#5b86b1", "#1f4e79")
NEIGHBOURS, DEFAULT = "neighbours", "auto"
TABLES = {NEIGHBOURS: "benchmarks.verdicts", DEFAULT: "benchmarks.verdicts.auto"}
# Method, first column of the table, and marker.
POINTS = {
    "method neighbours": (NEIGHBOURS, 1, "o"),
    "method auto, the default": (DEFAULT, 1, "D"),
    "auto with --contamination 0": (DEFAULT, 3, "x"),
}
MOST = 6  # per cent, of the axes
MUCH = 1.2  # times what was promised: sets that are named


def main() -> None:
    text = (CHECKOUT / "docs" / "benchmarks.md").read_text()
    tables = {method: rows_of(text, name) for method, name in TABLES.items()}
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    draw_alarms(left, tables)
    draw_discoveries(right, tables)
    figure.savefig(TARGET, dpi=110)
    print(TARGET)


def rows_of(text: str, name: str) -> list[list[str]]:
    """The cells of the tables between the marks of some name."""
    tables = text.partition(f"<!-- {name} -->")[2].partition("<!-- /")[0]
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in tables.splitlines()
        if line.startswith("| ")
    ]


def numbers(cell: str) -> list[float]:
    return [float(number) for number in re.findall(r"([\d.]+)%", cell)]


def draw_alarms(axes: Axes, tables: dict[str, list[list[str]]]) -> None:
    """What was promised and what was realised, a point for each method, set and rate."""
    for label, (method, first, marker) in POINTS.items():
        sets = [row for row in tables[method] if re.fullmatch(r".+: \d+, \d+", row[0])]
        for column, (asked, colour) in enumerate(zip(ASKED, COLOURS[1:], strict=True), first):
            found = [numbers(row[column]) for row in sets]
            axes.plot(
                [promised for _, promised, _ in found],
                [realised for realised, _, _ in found],
                marker,
                color=colour,
                markerfacecolor=colour if method == NEIGHBOURS else "none",
                label=label if asked == ASKED[-1] else None,
            )
            for row, (realised, promised, _) in zip(sets, found, strict=True):
                if realised > MUCH * promised:
                    name = row[0].partition(":")[0]
                    axes.annotate(name, (promised + 0.25, realised), va="center", size="small")
    axes.plot([0, MOST], [0, MOST], color="#999999", linewidth=1)
    axes.annotate("as promised", (3.2, 3.35), rotation=36, color="#666666", ha="center")
    axes.set(xlim=(0, MOST), ylim=(0, MOST), title="False alarms among normal images")
    axes.set(xlabel="promised by the threshold, %", ylabel="realised, %")
    axes.legend(frameon=False, loc="lower right", fontsize="small")


def draw_discoveries(axes: Axes, tables: dict[str, list[list[str]]]) -> None:
    """The share of normal images among anomalies: means and worst sets."""
    for place, rule in enumerate(RULES):
        rows = {
            method: next(row for row in table if row[0] == rule) for method, table in tables.items()
        }
        for number, (share, colour) in enumerate(zip(SHARES, COLOURS, strict=True)):
            x = place + (number - 1) * 0.26
            found = {method: numbers(row[1 + 2 * number]) for method, row in rows.items()}
            for shift, (mean, worst, _) in zip((-0.04, 0.06), found.values(), strict=True):
                axes.plot([x + shift] * 2, [mean, worst], color="#444444", linewidth=1)
            axes.bar(x, found[NEIGHBOURS][0], 0.24, color=colour, label=None if place else share)
            at = x + 0.06, found[DEFAULT][0]
            axes.plot(*at, "D", color="#444444", markerfacecolor="white", markersize=5)
    for place, limit in ((0, 5), (1, 10)):
        axes.plot([place - 0.42, place + 0.42], [limit, limit], "--", color="#b3261e")
    axes.set_xticks(range(len(RULES)), RULES.values())
    axes.set(title="Normal images among what is called anomalies", ylabel="mean of the sets, %")
    about = "bars: neighbours\npoints: auto, the default\nlines: worst set"
    axes.annotate(about, (0.02, 0.5), xycoords="axes fraction", color="#444444")
    axes.legend(frameon=False, loc="upper left")


if __name__ == "__main__":
    main()
