"""The grid of a series as one would make it by hand, row by row; and series that are awkward."""

import bisect
import itertools

import numpy as np

from pyimagesearch.data.series import MOST_FILLED, NOT_A_TIME
from pyimagesearch.runtime.console import counted

MINUTE = 60_000_000_000
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
GAPS = ([1], [1] * 9 + [2, 24, 25], [1] * 40 + [25, 26, 10_000])


def awkward_series(seed):
    """Values, (n, n_columns), and times, (n,) or None, with some of all that can be odd."""
    rng = np.random.default_rng(seed)
    n = int(rng.choice([1, 2, 3, 5, 20, 60, 120]))
    step = int(rng.choice([1, 7, MINUTE, 5 * MINUTE, 1440 * MINUTE, 333_333_333]))
    place = np.cumsum(rng.choice(GAPS[seed % 3], n))
    times = place * step + int(rng.integers(0, 10**17))
    odd = rng.random(6) < 0.3
    if odd[0]:  # a little, or much, off the usual step
        off = (rng.random(n) < rng.choice([0.05, 1])) * rng.uniform(-1, 1, n)
        times += (rng.choice([0.02, 0.12, 0.45]) * off * step).astype(np.int64)
    if odd[1]:
        times = times[np.sort(rng.integers(0, n, n))]
    if odd[2]:
        times = rng.permutation(times)
    if odd[3]:  # an hour that daylight saving repeats
        times[n // 2 :] -= 60 * MINUTE
    values = rng.normal(size=(n, int(rng.integers(1, 4))))
    if odd[4]:
        values[rng.random(values.shape) < rng.choice([0.05, 0.5])] = np.nan
        values[n // 3 : n // 3 + int(rng.integers(1, 60)), 0] = np.nan
    if odd[5]:
        values[n // 2 :] = 1.0
        times[rng.random(n) < 0.05] = NOT_A_TIME
    return values, times if rng.random() < 0.9 else None


def grid(values, times):
    """What ``Series.grid`` should give: values, stretches, row, position and notes; or a sentence.

    Args:
        values: (n, n_columns), NaN where there is no number.
        times: (n,) int64 nanoseconds, or None.
    """
    notes, n_columns = [], values.shape[1]
    usable = [
        any(np.isfinite(values[i])) and (times is None or times[i] != NOT_A_TIME)
        for i in range(len(values))
    ]
    if not any(usable):
        return "no row has a number that could be judged"
    if not all(usable):
        n_lost = usable.count(False)
        notes.append(f"{counted(n_lost, 'row')} without a usable number or time: not judged")
    places = _places(times, notes) if times is not None else {i: i for i in range(len(values))}
    if isinstance(places, str):
        return places
    rows_at = {}
    for row, place in places.items():
        if usable[row]:
            rows_at.setdefault(place, []).append(row)
    known = []  # of each column, the mean at each place that has one
    for c in range(n_columns):
        numbers = {
            place: [float(values[row, c]) for row in rows if np.isfinite(values[row, c])]
            for place, rows in sorted(rows_at.items())
        }
        known.append({place: sum(found) / len(found) for place, found in numbers.items() if found})

    def bridged(column, place):
        ends = _neighbours(column, place)
        return ends is not None and ends[1] - ends[0] <= MOST_FILLED + 1

    kept = [p for p in sorted(rows_at) if all(bridged(column, p) for column in known)]
    if not kept:
        return "there is no row near which every column has numbers"
    grid_values, stretches, row, at = [], [], [], {}
    for place in kept:
        before = max(at, default=None)
        if before is None or any(_has_gap(column, before, place) for column in known):
            stretches.append([len(row), len(row)])
            before = place - 1
        for p in range(before + 1, place + 1):
            at_row = rows_at[p][0] if p == place else -1
            row.append(at_row)
            grid_values.append([_on_line(column, p) for column in known])
        at[place] = len(row) - 1
        stretches[-1][1] = len(row)
    position = [-1] * len(values)
    for place, number in at.items():
        for one in rows_at[place]:
            position[one] = number

    n_complete = sum(all(p in column for column in known) for p in kept)
    if n_missing := len(row) - n_complete:
        notes.append(f"{counted(n_missing, 'missing row')}: filled by straight lines")
    if n_gaps := len(stretches) - 1:
        notes.append(f"{counted(n_gaps, 'gap')} of more than {MOST_FILLED} rows: not bridged")
    if n_lost := sum(len(rows) for place, rows in rows_at.items() if place not in at):
        notes.append(f"{counted(n_lost, 'row')} in long gaps of single columns: not judged")
    longest = same = 1
    for i in range(1, len(row)):
        same = same + 1 if grid_values[i] == grid_values[i - 1] else 1
        longest = max(longest, same)
    if longest > max(MOST_FILLED, len(row) // 10):
        notes.append(f"nothing changes for {longest:,} rows on end")
    return grid_values, [tuple(s) for s in stretches], row, position, notes


def _places(times, notes):
    """The place of each row that has a time; or a sentence."""
    rows = [i for i in range(len(times)) if times[i] != NOT_A_TIME]
    if n_early := sum(times[b] < times[a] for a, b in itertools.pairwise(rows)):
        notes.append(f"{counted(int(n_early), 'row')} earlier than the one before: sorted")
    rows.sort(key=lambda i: int(times[i]))
    steps = [int(times[b]) - int(times[a]) for a, b in itertools.pairwise(rows)]
    apart = sorted(step for step in steps if step)
    if steps and not apart:
        return f"all {len(rows):,} rows have the same time"
    if n_equal := steps.count(0):
        notes.append(f"{counted(n_equal, 'row')} with the time of another: averaged with it")
    usual = apart[(len(apart) - 1) // 2] if apart else 1
    multiples = [step and max(round(step / usual), 1) for step in steps]
    n_off = sum(
        abs(step / usual - multiple) > 0.1 for step, multiple in zip(steps, multiples, strict=True)
    )
    if n_off:
        irregular = n_off > 0.1 * len(apart)
        done = "rows are taken as they follow each other" if irregular else "rounded to one"
        size, unit = next(((size, unit) for size, unit in _UNITS if usual / 1e9 >= size), (1, "s"))
        notes.append(
            f"{n_off:,} of {counted(len(apart), 'step')} no multiple of the usual "
            f"{usual / 1e9 / size:g} {unit}: {done}"
        )
        if irregular:
            multiples = [min(multiple, 1) for multiple in multiples]
    places, place = {}, 0
    for row, multiple in zip(rows, [0, *multiples], strict=True):
        place += multiple
        places[row] = place
    return places


def _neighbours(column, place):
    """The places, at or before one and at or behind it, where a column has numbers; or None."""
    known = list(column)
    after = bisect.bisect_left(known, place)
    before = bisect.bisect_right(known, place) - 1
    return (known[before], known[after]) if before >= 0 and after < len(known) else None


def _has_gap(column, first, second):
    """Whether a gap of a column that is too long to be filled lies between two places."""
    return any(
        b - a > MOST_FILLED + 1 and a < second and b > first for a, b in itertools.pairwise(column)
    )


def _on_line(column, place):
    before, after = _neighbours(column, place)
    if before == after:
        return column[before]
    return column[before] + (column[after] - column[before]) * (place - before) / (after - before)
