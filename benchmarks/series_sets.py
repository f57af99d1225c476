"""Real series with labels: what is learned, what is judged, and where the anomalies are."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks import nab
from benchmarks.measure import DATA
from pyimagesearch.detectors.series.window_lengths import estimate_period

BUFFER = 100  # rows of VUS-PR, for series with several columns or without a published period
SKAB_LEARNED = 400  # rows
CWRU_LEARNED = 30_000
WINDOW_OF_SEVERAL = 20  # rows, of several columns: TSB-AD's default of KMeansAD


@dataclass(frozen=True)
class LabelledSeries:
    """A series to learn and one to judge; the same object where a series is learned itself.

    Attributes:
        name: of its file or of its line in an index.
        train, test: (n_rows, n_columns) float64.
        labels: (n_rows of test,) bool.
        period: rows, the windows' length of the peers.
        buffer: of VUS-PR, in rows.
        first_test_row: the anomalies lie behind; 0 where all rows count.
    """

    name: str
    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray
    period: int
    buffer: int = BUFFER
    first_test_row: int = 0


def ucr_index() -> dict[str, tuple[int, int, int]]:
    """Of each series by its id: the rows of the training part, the anomaly's first and last."""
    with (DATA / "ucr/index.csv").open() as file:
        return {
            row["id"]: (int(row["train_end"]), int(row["anomaly_start"]), int(row["anomaly_end"]))
            for row in csv.DictReader(file)
        }


def ucr() -> Iterator[LabelledSeries]:
    """The series of the UCR anomaly archive, learned themselves."""
    with np.load(DATA / "ucr/ucr.npz") as archive:
        for name, (train_end, first, last) in ucr_index().items():
            values = archive[name].astype(float)
            labels = np.zeros(len(values), bool)
            labels[first : last + 1] = True
            period = estimate_period(values)
            column = values[:, None]
            yield LabelledSeries(
                name, column, column, labels, period, period, first_test_row=train_end
            )


def published_rows() -> list[dict[str, str]]:
    """TSB-AD's VUS-PR of each of its methods: a row for each series."""
    with (DATA / "tsb_ad_published.csv").open() as file:
        return list(csv.DictReader(file))


def published(kind: str) -> Iterator[LabelledSeries]:
    """The series of a kind, "ucr" or "nab", for which TSB-AD published numbers, with its period."""
    rows = {row["series"]: row for row in published_rows() if row["kind"] == kind}
    if kind == "ucr":
        found = {s.name: (s.test, s.labels) for s in ucr() if s.name in rows}
    else:
        recordings = nab.load(DATA / "nab")
        found = {
            name: (recordings[name].values[:, None], recordings[name].worth.window >= 0)
            for name in rows
        }
    for name, row in rows.items():
        values, labels = found[name]
        period = int(row["period"])
        yield LabelledSeries(name, values, values, labels, period, period)


def smd() -> Iterator[LabelledSeries]:
    """Server machines of 38 columns."""
    return _archives("smd")


def nasa() -> Iterator[LabelledSeries]:
    """Telemetry of SMAP and MSL, 25 and 55 columns, many of them constant in training."""
    return _archives("nasa")


def _archives(folder: str) -> Iterator[LabelledSeries]:
    for path in sorted((DATA / folder).glob("*.npz")):
        with np.load(path) as arrays:
            train, test = (arrays[name].astype(float) for name in ("train", "test"))
            labels = arrays["label"] > 0
        yield LabelledSeries(path.stem, train, test, labels, WINDOW_OF_SEVERAL)


def skab() -> Iterator[LabelledSeries]:
    """A water pump's 8 sensors: the first 400 rows of a file are learned, the others judged."""
    for path in sorted((DATA / "skab").glob("*_*.csv")):
        table = pd.read_csv(path, index_col="timestamp")
        labels = table["label"].to_numpy() > 0
        values = table.drop(columns=["label", "changepoint"]).to_numpy(float)
        train, test = np.split(values, [SKAB_LEARNED])
        yield LabelledSeries(path.stem, train, test, labels[SKAB_LEARNED:], WINDOW_OF_SEVERAL)


def cwru() -> Iterator[LabelledSeries]:
    """A bearing's vibration: the first 30,000 rows of a file are learned, the others judged."""
    for path in sorted((DATA / "cwru_spliced").glob("*.csv")):
        table = pd.read_csv(path)
        train, test = np.split(table[["value"]].to_numpy(float), [CWRU_LEARNED])
        labels = table["label"].to_numpy()[CWRU_LEARNED:] > 0
        yield LabelledSeries(path.stem, train, test, labels, estimate_period(train[:, 0]))
