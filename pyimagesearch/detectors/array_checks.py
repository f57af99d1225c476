"""Arrays that others hand over: what they must be before anything is done with them."""

from __future__ import annotations

from typing import Any

import numpy as np


def checked(
    arrays: dict[str, np.ndarray],
    name: str,
    dtype: Any,
    shape: tuple[int | None, ...],
    *,
    positive: bool = False,
    least: int = 1,
) -> np.ndarray:
    """One of a model file's arrays, if it is what it must be.

    Args:
        arrays: those of the model file.
        name: of the one.
        dtype: its type.
        shape: its shape; None stands for a length that the array itself decides.
        positive: whether all its numbers must be above 0.
        least: that such a length may be.

    Returns:
        The array; its numbers are finite.

    Raises:
        ValueError: it is missing, or another kind of array.
    """
    array = arrays.get(name)
    if array is None:
        raise ValueError(f"it has no array {name!r}")
    # Of as many dimensions, each of its length or long enough.
    fits = array.ndim == len(shape) and all(
        length >= least if expected is None else length == expected
        for length, expected in zip(array.shape, shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        lengths = ", ".join("n" if length is None else str(length) for length in shape)
        raise ValueError(f"its array {name!r} is not {np.dtype(dtype)} of shape ({lengths})")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"its array {name!r} has numbers that are not finite")
    if positive and not (array > 0).all():
        raise ValueError(f"its array {name!r} has numbers that are not positive")
    return array


def check_rows(features: np.ndarray, n_features: int, of: str) -> None:
    """Refuse what are no feature vectors of a length.

    Args:
        features: should be (n_items, n_features).
        n_features: that length.
        of: what has so many, for the message.

    Raises:
        ValueError: they are something else.
    """
    if features.ndim != 2 or features.shape[1] != n_features:
        raise ValueError(f"features of shape {features.shape} for {of}")
