"""Rules that bound the share of false discoveries among items that are judged one by one.

Both spend a little of the rate on each item, and earn some back with each discovery. Half of the
rate is there at the start.
"""

from __future__ import annotations

import numpy as np

_LAMBDA = 0.5  # of SAFFRON: items above are no candidates


def lord_plus_plus(p_values: np.ndarray, rate: float) -> np.ndarray:
    """LORD++: Ramdas, Yang, Wainwright and Jordan, Online Control of the FDR, NeurIPS 2017.

    Args:
        p_values: (n,) in the order in which they come.
        rate: of false discoveries.

    Returns:
        (n,) bool, what is a discovery.
    """
    steps = np.arange(1.0, len(p_values) + 1)
    spent = 0.07720838 * np.log(np.maximum(steps, 2)) / (steps * np.exp(np.sqrt(np.log(steps))))
    return _discoveries(p_values, rate, spent, np.zeros(len(p_values), int), 1.0)


def saffron(p_values: np.ndarray, rate: float) -> np.ndarray:
    """SAFFRON, which spends on small p-values alone: Ramdas and others, ICML 2018.

    Arguments and value as of ``lord_plus_plus``.
    """
    spent = np.arange(1.0, 1_000_001) ** -1.6
    spent /= spent.sum()
    return _discoveries(p_values, rate, spent, (p_values <= _LAMBDA).astype(int), _LAMBDA)


def _discoveries(
    p_values: np.ndarray, rate: float, spent: np.ndarray, is_candidate: np.ndarray, most: float
) -> np.ndarray:
    """Compare each p-value with what may be spent on it.

    Args:
        p_values, rate: as of ``lord_plus_plus``.
        spent: the share of what is there that goes to the first, second, ... item after it came.
        is_candidate: (n,) 1 for items on which nothing is spent.
        most: that is spent on an item, and the share of the rate that is not.
    """
    n_before = np.concatenate([[0], np.cumsum(is_candidate)])
    starts, gains = [0], [rate / 2]  # after how many items what was earned
    found = np.zeros(len(p_values), bool)
    kept = most if most == 1 else 1 - most
    for number, p_value in enumerate(p_values):
        since = np.array(starts)
        n_spent_on = number - since - (n_before[number] - n_before[since])
        allowed = min(most, kept * float(np.dot(gains, spent[n_spent_on])))
        if p_value <= allowed * (1 + 1e-9):
            found[number] = True
            gains.append(rate / 2 if len(gains) == 1 else rate)
            starts.append(number + 1)
    return found
