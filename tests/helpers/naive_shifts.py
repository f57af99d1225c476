"""A slow, obvious form of the law of ``pyimagesearch.labelling.batch_shift``."""

from __future__ import annotations

from itertools import combinations


def chance_of_count(count: int, n_new: int, n_known: int, n_above: int) -> float:
    """Go through all orders of new and known values, which are equally probable."""
    places = range(n_new + n_known)
    n_orders = n_reached = 0
    for known in combinations(places, n_known):  # in ascending order of value
        limit = known[n_known - 1 - n_above]
        n_exceeding = sum(place > limit for place in places if place not in known)
        n_orders += 1
        n_reached += n_exceeding >= count
    return n_reached / n_orders
