"""Detectors of others for series, which the accuracy benchmark runs next to the toolkit's own.

Sub-PCA and KMeansAD are written anew with scikit-learn, as TSB-AD defines them (Liu and Paparrizos,
The Elephant in the Room: Towards A Reliable Time-Series Anomaly Detection Benchmark, NeurIPS 2024,
and its repository); the matrix profile is that of stumpy, in an environment of its own.
"""

from __future__ import annotations

import math
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from benchmarks.measure import CHECKOUT
from pyimagesearch.data.series import row_scores

STUMPY = "stumpy==1.14.1"
CENTRES = 20
MOST_LEARNED = 20_000  # windows; of more, so many at equal distances
MOST_WINDOW = 300  # rows of Sub-PCA and KMeansAD, TSB-AD's longest period
MOST_PROFILE_ROWS = 12_000  # of several columns; of more, every second
_BLOCK = 4096
_LEAST_SHARE = 1e-12  # of the variance: what arithmetic leaves of none

# From a training series (n_train, n_columns), one to judge (n_rows, n_columns) and the rows of a
# window: scores (n_rows,), higher is more anomalous, and CPU seconds. A series that was learned
# itself is judged where both are the same object.
Method = Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, float]]


def accounted(scores: Callable[[np.ndarray, np.ndarray, int], np.ndarray]) -> Method:
    """Add the CPU seconds that this process takes for scores."""

    def measured(train: np.ndarray, test: np.ndarray, window: int) -> tuple[np.ndarray, float]:
        begun = time.process_time()
        found = scores(train, test, window)
        return found, time.process_time() - begun

    return measured


def sub_pca(train: np.ndarray, test: np.ndarray, window: int) -> np.ndarray:
    """Add up a window's distances to the principal components, each divided by its variance.

    Shyu, Chen, Sarinnapakorn and Chang, A Novel Anomaly Detection Scheme Based on Principal
    Component Classifier, ICDM 2003, as PyOD and TSB-AD compute it: each value of a window is
    standardised first, and a distance is that to the end of a component of length 1.

    Args:
        train, test: (n_rows, n_columns) float64.
        window: rows of a window.

    Returns:
        (n_rows of test,) float64, a window's score in its middle row.
    """
    window = min(window, MOST_WINDOW)
    train, test = _standardised(train, test)
    learned = _learned(train, window)
    mean, deviation = learned.mean(axis=0), _deviation(learned)
    with np.errstate(invalid="ignore"):  # of columns that are all constant, 0 of 0
        model = PCA(svd_solver="covariance_eigh").fit((learned - mean) / deviation)
    weights = 1 / np.maximum(np.nan_to_num(model.explained_variance_ratio_), _LEAST_SHARE)
    scores = []
    for block in _blocks(test, window):
        values = (block - mean) / deviation
        squares = (values**2).sum(axis=1)[:, None] + 1 - 2 * values @ model.components_.T
        scores.append(np.sqrt(np.maximum(squares, 0)) @ weights)
    return _in_the_middle(np.concatenate(scores), window, "edge")


def kmeans_ad(train: np.ndarray, test: np.ndarray, window: int) -> np.ndarray:
    """Average, over the windows that hold a row, the distance to the nearest of 20 centres.

    Yairi, Kato and Hori, Fault Detection by Mining Association Rules from House-keeping Data,
    i-SAIRAS 2001, as TimeEval and TSB-AD compute it. Windows of one column have mean 0 and
    deviation 1, as there; of several, whose columns are standardised, it is better without.

    Args:
        train, test: (n_rows, n_columns) float64.
        window: rows of a window.

    Returns:
        (n_rows of test,) float64.
    """
    window = min(window, MOST_WINDOW)
    prepared = _normalised if train.shape[1] == 1 else np.asarray
    train, test = _standardised(train, test)
    model = KMeans(CENTRES, n_init=1, random_state=0).fit(prepared(_learned(train, window)))
    scores = [model.transform(prepared(block)).min(axis=1) for block in _blocks(test, window)]
    starts = np.arange(len(test) - window + 1)
    return row_scores(starts, np.concatenate(scores), len(test), window)[0]


def _standardised(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale columns by the training rows, so that several can be compared."""
    mean, deviation = train.mean(axis=0), _deviation(train)
    return (train - mean) / deviation, (test - mean) / deviation


def _deviation(values: np.ndarray) -> np.ndarray:
    deviation = values.std(axis=0)
    return np.where(deviation > 0, deviation, 1)


def _windows(values: np.ndarray, window: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(values, window, axis=0)


def _learned(values: np.ndarray, window: int) -> np.ndarray:
    """(n_windows, window * n_columns), at most 20,000 of them."""
    windows = _windows(values, window)
    windows = windows[:: math.ceil(len(windows) / MOST_LEARNED)]
    return windows.reshape(len(windows), -1)


def _blocks(values: np.ndarray, window: int) -> Iterator[np.ndarray]:
    windows = _windows(values, window)
    for first in range(0, len(windows), _BLOCK):
        block = windows[first : first + _BLOCK]
        yield block.reshape(len(block), -1)


def _normalised(windows: np.ndarray) -> np.ndarray:
    deviation = windows.std(axis=1, ddof=1, keepdims=True)
    return (windows - windows.mean(axis=1, keepdims=True)) / np.where(deviation > 0, deviation, 1)


def _in_the_middle(scores: np.ndarray, window: int, ends: Literal["edge", "minimum"]) -> np.ndarray:
    before = window // 2
    return np.pad(scores, (before, window - 1 - before), ends)


@contextmanager
def matrix_profile(python: Path) -> Iterator[Method]:
    """Distances to the nearest z-normalised window, of several columns their mean, by stumpy.

    Yeh et al., Matrix Profile I, ICDM 2016. The CPU seconds leave out what its compiler takes.

    Args:
        python: of an environment with stumpy; its process lasts as long as the context.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [python, "benchmarks/stumpy_peer.py"],
            cwd=CHECKOUT,
            env=os.environ | {"NUMBA_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        judged, known, found = (Path(folder) / f"{n}.npy" for n in ("judged", "known", "found"))

        def profile(train: np.ndarray, test: np.ndarray, window: int) -> tuple[np.ndarray, float]:
            step = 1 if test.shape[1] == 1 else math.ceil(len(test) / MOST_PROFILE_ROWS)
            total, spent = np.zeros(-(-len(test) // step) - window + 1), 0.0
            for column in range(test.shape[1]):
                np.save(judged, test[::step, column])
                if train is not test:
                    np.save(known, train[::step, column])
                known_name = "-" if train is test else known
                print(judged, known_name, window, found, sep="\t", file=process.stdin, flush=True)
                spent += float(process.stdout.readline())
                total += np.load(found)
            scores = np.repeat(_in_the_middle(total / test.shape[1], window, "minimum"), step)
            return scores[: len(test)], spent

        yield profile
        process.stdin.close()
