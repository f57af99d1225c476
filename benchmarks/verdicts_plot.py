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
ASKED = (1, 5)  # per cent, the first two columns of the table
RULES = {
    "`--false-discovery-rate 0.05`": "asked 5%",
    "`--false-discovery-rate 0.1`": "asked 10%",
    "`--false-alarm-rate 0.01`": "by a false-\nalarm rate of 1%",
}
SHARES = ("1% anomalies", "5% anomalies", "20% anomalies")
COLOURS = ("#9db8d2", "#5b86b1", "#1f4e79")


def main() -> None:
    text = (CHECKOUT / "docs" / "benchmarks.md").read_text()
    table = text.partition("<!-- benchmarks.verdicts -->")[2].partition("<!-- /")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in table.splitlines()
        if line.startswith("| ")
    ]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    draw_alarms(left, rows)
    draw_discoveries(right, rows)
    figure.savefig(TARGET, dpi=110)
    print(TARGET)


def numbers(cell: str) -> list[float]:
    return [float(number) for number in re.findall(r"([\d.]+)%", cell)]


def draw_alarms(axes: Axes, rows: list[list[str]]) -> None:
    """What was promised and what was realised, a point for each set and rate."""
    sets = [row for row in rows if re.fullmatch(r".+: \d+, \d+", row[0])]
    for column, (asked, colour) in enumerate(zip(ASKED, COLOURS[1:], strict=True), start=1):
        found = [numbers(row[column]) for row in sets]
        axes.plot(
            [promised for _, promised, _ in found],
            [realised for realised, _, _ in found],
            "o",
            color=colour,
            label=f"asked {asked}%, {len(sets)} sets",
        )
    axes.plot([0, 6], [0, 6], color="#999999", linewidth=1)
    axes.annotate("as promised", (4.2, 4.3), rotation=38, color="#666666", ha="center")
    axes.set(xlim=(0, 6), ylim=(0, 6), title="False alarms among normal images")
    axes.set(xlabel="promised by the threshold, %", ylabel="realised, %")
    axes.legend(frameon=False, loc="upper left")


def draw_discoveries(axes: Axes, rows: list[list[str]]) -> None:
    """The share of normal images among anomalies, mean and worst set."""
    for place, (rule, _) in enumerate(RULES.items()):
        row = next(row for row in rows if row[0] == rule)
        for number, (share, colour) in enumerate(zip(SHARES, COLOURS, strict=True)):
            mean, worst, _ = numbers(row[1 + 2 * number])
            x = place + (number - 1) * 0.26
            axes.bar(x, mean, 0.24, color=colour, label=None if place else share)
            axes.plot([x, x], [mean, worst], color="#444444", linewidth=1)
    for place, limit in ((0, 5), (1, 10)):
        axes.plot([place - 0.42, place + 0.42], [limit, limit], "--", color="#b3261e")
    axes.set_xticks(range(len(RULES)), RULES.values())
    axes.set(title="Normal images among what is called anomalies", ylabel="mean of the sets, %")
    axes.annotate("lines: worst set", (1.55, 40), color="#444444", ha="right")
    axes.legend(frameon=False, loc="upper left")


if __name__ == "__main__":
    main()
