"""How far a row lies from what the rows before it let expect, of all columns together.

Windows are compared column by column: none of them shows that two columns no longer go together,
each of them as usual. So each column is predicted from all of them, some rows before, by ridge
regression (Hoerl and Kennard, Technometrics 12, 1970), which is vector autoregression with a few
lags. What was tried: docs/methods.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pyimagesearch.detectors.array_checks import (
    Array,
    checked_arrays,
    checked_count,
    checked_number,
)
from pyimagesearch.detectors.series.sharpening import moving_mean, sliding_maximum

LAGS = (1, 2, 3, 5, 8)
MOST_COLUMNS = 200  # of which the regression's cost, by the cube of their number, is still small
_LEAST_ROWS = 50
_PENALTY = 10.0
_MOST_DEVIATIONS = 5.0  # of a value that is predicted, or from which is
_MOST_RESIDUAL = 50.0  # in deviations of the residuals
_DEVIATION_FLOOR = 1e-3  # of residuals, in deviations of the column
_FITTED_SHARE = 0.75  # of the training rows; the others show what new rows' residuals are like
_COLUMN_SHARE = 0.2
_WEIGHT = 0.5
_STEADY = 1.3  # highest residuals over usual ones of a series whose residuals say most
_BLOCK = 4096


@dataclass(frozen=True)
class LaggedRidge:
    """A vector autoregression and what its residuals are like.

    Attributes:
        coefficients: (n_lags * n_columns + 1, n_columns) float64, the last row is the constant.
        deviations: (2, n_columns) float64, of the residuals of the rows that it was fitted on, and
            of the training rows after these.
        n_fitted: rows that it was fitted on.
        unit: what a row's residual is divided by.
        reach: rows on either side over which residuals are averaged.
    """

    ARRAYS: ClassVar = {
        "coefficients": Array(np.float64, ("n_terms", "n_columns")),
        "deviations": Array(np.float64, (2, "n_columns"), positive=True),
    }

    coefficients: np.ndarray
    deviations: np.ndarray
    n_fitted: int
    unit: float
    reach: int

    @classmethod
    def fit(cls, scaled: np.ndarray, reach: int) -> LaggedRidge | None:
        """Fit the regression on the first three quarters of a series.

        Args:
            scaled: (n_rows, n_columns) float32, in deviations of the columns.
            reach: rows on either side over which residuals are averaged.

        Returns:
            None where there is one column, or there are more than 200, or too few rows.
        """
        n_rows, n_columns = scaled.shape
        if not 1 < n_columns <= MOST_COLUMNS or n_rows < _LEAST_ROWS:
            return None
        n_fitted = int(_FITTED_SHARE * n_rows)
        n_terms = len(LAGS) * n_columns + 1
        gram, moments = np.zeros((n_terms, n_terms)), np.zeros((n_terms, n_columns))
        for terms, known in _blocks(scaled[:n_fitted]):
            gram += terms.T @ terms
            moments += terms.T @ known
        coefficients = np.linalg.solve(gram + _PENALTY * np.eye(n_terms), moments)
        ridge = cls(coefficients, np.ones((2, n_columns)), n_fitted, 1.0, reach)
        residuals = ridge._residuals(scaled)
        parts = residuals[LAGS[-1] : n_fitted], residuals[n_fitted:]
        deviations = np.maximum([part.std(axis=0) for part in parts], _DEVIATION_FLOOR)
        ridge = cls(coefficients, deviations, n_fitted, 1.0, reach)
        scores = ridge.scores(scaled, 0)[0][LAGS[-1] :]
        usual, high, highest = np.quantile(scores, (0.5, 0.99, 0.999))
        # Where normal rows have bursts of large residuals, these say less about anomalies.
        weight = _WEIGHT * min(1.0, _STEADY * usual / max(highest, _DEVIATION_FLOOR)) ** 2
        unit = high / 2 / weight if usual > 0 else np.inf
        return (
            cls(coefficients, deviations, n_fitted, float(unit), reach) if unit < np.inf else None
        )

    def scores(
        self, scaled: np.ndarray, own_start: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute how far rows lie from what is expected.

        Args:
            scaled: (n_rows, n_columns) float32, in deviations of the columns.
            own_start: where these are rows of the training series, the number of the first.

        Returns:
            (n_rows,) float64, the mean over the fifth of the columns that are furthest off,
            averaged over nearby rows, in units; and (n_rows,) float64, the least of these means
            nearby, which is high for rows that are themselves far off.
        """
        residuals = np.abs(self._residuals(scaled))
        rows = np.full(len(scaled), self.n_fitted)
        if own_start is not None:
            rows = own_start + np.arange(len(scaled))
        of_part = self.deviations[(rows >= self.n_fitted).astype(int)]
        strange = np.minimum(residuals / of_part, _MOST_RESIDUAL)
        n_columns = strange.shape[1]
        n_usual = n_columns - int(np.ceil(_COLUMN_SHARE * n_columns))
        strangest = np.partition(strange, n_usual, axis=1)[:, n_usual:].mean(axis=1)
        mean = moving_mean(strangest, self.reach) / self.unit
        # Together with the lags, no further than a window.
        return mean, -sliding_maximum(-mean, max(self.reach - LAGS[-1], 0))

    def parameters(self) -> dict[str, Any]:
        """What the manifest of a model file says of it."""
        return {"n_fitted": self.n_fitted, "unit": self.unit, "reach": self.reach}

    def arrays(self) -> dict[str, np.ndarray]:
        """Its arrays in a model file."""
        return {name: getattr(self, name) for name in self.ARRAYS}

    @classmethod
    def restore(
        cls, parameters: Any, arrays: Mapping[str, np.ndarray], n_columns: int
    ) -> LaggedRidge:
        """Make it again from what a model file holds.

        Raises:
            ValueError: parameters or arrays are missing, or not what they must be.
        """
        if not isinstance(parameters, dict) or not 1 < n_columns <= MOST_COLUMNS:
            raise ValueError("its detector's ridge is none of its columns")
        lengths = {"n_columns": n_columns, "n_terms": len(LAGS) * n_columns + 1}
        return cls(
            **checked_arrays(arrays, cls.ARRAYS, lengths),
            n_fitted=checked_count(parameters, "n_fitted"),
            unit=checked_number(parameters, "unit", sys.float_info.min),
            reach=checked_count(parameters, "reach"),
        )

    def _residuals(self, scaled: np.ndarray) -> np.ndarray:
        """(n_rows, n_columns) float64; 0 in the first rows, before which there are too few."""
        n_first = min(LAGS[-1], len(scaled))
        residuals = [np.zeros((n_first, scaled.shape[1]))]
        residuals += [known - terms @ self.coefficients for terms, known in _blocks(scaled)]
        return np.concatenate(residuals)


def _blocks(scaled: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What rows are predicted from, with a constant, and what they are; some rows at a time."""
    values = np.clip(scaled, -_MOST_DEVIATIONS, _MOST_DEVIATIONS).astype(np.float64)
    reach = LAGS[-1]
    for first in range(reach, len(values), _BLOCK):
        known = values[first : first + _BLOCK]
        earlier = [values[first - lag : first - lag + len(known)] for lag in LAGS]
        yield np.column_stack([*earlier, np.ones(len(known))]), known
