"""Arrays that others hand over: what they must be before anything is done with them."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST = 2**40  # that a number in a model file may be, unless something else is said


@dataclass(frozen=True)
class Array:
    """What an array of a model file must be; its numbers must be finite, too.

    Attributes:
        dtype: its type.
        shape: its lengths. A name stands for one that the array itself decides, or the first of
            several arrays that have it in common.
        positive: whether all its numbers must be above 0.
        least: that a length may be that the array itself decides.
    """

    dtype: type[np.generic]
    shape: tuple[int | str, ...]
    positive: bool = False
    least: int = 1


def checked_arrays(
    arrays: Mapping[str, np.ndarray],
    wanted: Mapping[str, Array],
    lengths: Mapping[str, int] | None = None,
) -> dict[str, np.ndarray]:
    """Some of a model file's arrays, if they are what they must be.

    Args:
        arrays: those of the model file.
        wanted: what each must be, by its name.
        lengths: those that are known already, by the names that shapes give them.

    Returns:
        The wanted arrays, by their names.

    Raises:
        ValueError: one is missing, or another kind of array.
    """
    found = {}
    known: dict[str, int] = dict(lengths or {})
    for name, array in wanted.items():
        shape = tuple(
            known.get(length, length) if isinstance(length, str) else length
            for length in array.shape
        )
        found[name] = checked(
            arrays, name, array.dtype, shape, positive=array.positive, least=array.least
        )
        for length, actual in zip(shape, found[name].shape, strict=True):
            if isinstance(length, str) and known.setdefault(length, actual) != actual:
                raise ValueError(f"its array {name!r} has two lengths of {length}")
    return found


def checked(
    arrays: Mapping[str, np.ndarray],
    name: str,
    dtype: type[np.generic],
    shape: tuple[int | str, ...],
    *,
    positive: bool = False,
    least: int = 1,
) -> np.ndarray:
    """One of a model file's arrays, if it is what it must be.

    Args:
        arrays: those of the model file.
        name: of the one.
        dtype, shape, positive, least: as of ``Array``.

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
        length >= least if isinstance(expected, str) else length == expected
        for length, expected in zip(array.shape, shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        lengths = ", ".join(map(str, shape))
        raise ValueError(f"its array {name!r} is not {np.dtype(dtype)} of shape ({lengths})")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"its array {name!r} has numbers that are not finite")
    if positive and not (array > 0).all():
        raise ValueError(f"its array {name!r} has numbers that are not positive")
    return array


def check_networks(networks: Collection[str], expected: Collection[str] = ()) -> None:
    """Refuse a model file whose networks are others than its detector has.

    Args:
        networks: their names.
        expected: those that the detector has.

    Raises:
        ValueError: one is missing, or there is one too many.
    """
    if set(networks) != set(expected):
        has = " and ".join(expected) or "no network"
        raise ValueError(f"its networks are {sorted(networks)}, and its detector has {has}")


def check_count(name: str, value: Any, least: int = 1, most: int = MOST) -> int:
    """Refuse what is not a whole number within bounds.

    Args:
        name: what it counts.
        value: from a caller or from a model file.
        least, most: both are allowed.

    Returns:
        The value.

    Raises:
        ValueError: with its name and value.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{name} is {value!r}, not a whole number from {least} to {most}")
    return value


def checked_count(
    parameters: Mapping[str, Any], name: str, least: int = 1, most: int = MOST
) -> int:
    """One of a detector's parameters in a model file that counts something.

    Args:
        parameters: those of the model file.
        name: of the one.
        least, most: both are allowed.

    Raises:
        ValueError: it is no whole number, or out of bounds.
    """
    return check_count(f"its detector's {name}", parameters.get(name), least, most)


def checked_number(
    parameters: Mapping[str, Any], name: str, least: float, most: float = math.inf
) -> float:
    """One of a detector's parameters in a model file that is a number.

    Args:
        parameters: those of the model file.
        name: of the one.
        least, most: ``least`` is allowed, ``most`` is if it is finite.

    Raises:
        ValueError: it is no number, or out of bounds.
    """
    value = parameters.get(name)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (is_number and least <= value <= min(most, sys.float_info.max)):
        raise ValueError(f"its detector's {name} is {value!r}")
    return float(value)


def below_prefix(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Those of a model file's arrays whose names begin with a prefix, by the rest of the name."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def check_rows(features: np.ndarray | Sequence[np.ndarray], n_features: int, of: str) -> None:
    """Refuse what are no feature vectors of a length.

    Args:
        features: should be (n_items, n_features).
        n_features: that length.
        of: what has so many, for the message.

    Raises:
        ValueError: they are something else.
    """
    shape = np.shape(features)
    if len(shape) != 2 or shape[1] != n_features:
        raise ValueError(f"features of shape {shape} for {of}")
