"""Cells of text into times and numbers: what is neither is counted, and the first one shown."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pyimagesearch.data.number_format import (
    DECIMAL_COMMA,
    DECIMAL_POINT,
    GROUPING_POINT,
    decimal_sign,
    parse_number,
    sign_of,
)
from pyimagesearch.data.series import NOT_A_TIME, SeriesError
from pyimagesearch.runtime.console import counted

if TYPE_CHECKING:  # half a second that labelling images should not pay
    import pandas as pd

LARGEST = 1e100  # of a number, so that its square is finite, too
TOO_MANY_BAD = 0.5  # of the cells: a column of which more are no numbers holds none
# Seconds since 1970 have 10 digits until the year 2286; each finer unit has three more.
EPOCH_LIMITS = (1e11, 1e14, 1e17)
SINCE_1970 = " since 1970"
EPOCH_UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds")
_NO_NUMBER = ("", "nan", "na", "n/a", "null", "none")
_HAS_SIGN = re.compile(r"\d[ .,'\u00a0\u202f\u2019]|,\d")  # of a number with groups or a comma
_LATEST = 9_200_000_000_000_000_000  # nanoseconds around 1970: the years 1678 to 2261
_DAY_AND_MONTH = r"^\s*([0-9]{1,2})[-./]([0-9]{1,2})[-./]\d"
_DAY_FIRST, _MONTH_FIRST = "dates, day first", "dates, month first"
_MONTHS = 12
_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_NO_TIMES = ("now", "today")  # which pandas takes for the time of the clock
_ZONE = r":\d\d(?:\.\d+)?\s*(?:Z|[-+]\d\d(?::?\d\d)?)\s*$"
_SAMPLE = 20
_SHOWN_CHARACTERS = 60  # of a cell
_SHOWN_NAMES = 10  # of columns


def sample(cells: pd.Series) -> pd.Series:
    """The first rows of a column, which nearly always tell what it holds."""
    return cells.iloc[:_SAMPLE]


def looks_like_time(cells: pd.Series) -> bool:
    """Whether most of the first cells of a column of text are dates."""
    return bool(_to_times(sample(cells), None)[0].notna().mean() > TOO_MANY_BAD)


def _to_times(cells: pd.Series, learned: str | None) -> tuple[pd.Series, str, str | None]:
    """Times, NaT where there is none; what they were read as; and what is in doubt, a sentence."""
    import pandas as pd

    cells, kind, doubt = cells.mask(cells.isin(_NO_TIMES), ""), "ISO 8601", None
    times = pd.to_datetime(cells, utc=True, errors="coerce", format="ISO8601")
    if times.isna().mean() > TOO_MANY_BAD:
        times, kind, doubt = _to_dates(cells, learned)
    zone = "with zones" if sample(cells).str.contains(_ZONE).any() else "as UTC"
    return times, f"{kind}, {zone}", doubt


def _to_dates(cells: pd.Series, learned: str | None) -> tuple[pd.Series, str, str | None]:
    """As ``_to_times``, of dates that are not ISO 8601: the order of day and month is found out.

    What is above 12 is a day. In doubt the order is the learned one; else the day comes first with
    dots between (24.12.2026), and the month with other signs.
    """
    import pandas as pd

    kind, day_first, in_doubt = "dates", False, False
    parts = cells.str.extract(_DAY_AND_MONTH).dropna()
    if len(parts):
        first, second = (int((parts[i].astype(int) > _MONTHS).sum()) for i in (0, 1))
        if first != second:
            day_first = first > second
        elif learned is not None and learned.startswith((_DAY_FIRST, _MONTH_FIRST)):
            day_first = learned.startswith(_DAY_FIRST)
        else:
            day_first = "." in cells[parts.index[0]].split()[0]
            in_doubt = not day_first
        kind = _DAY_FIRST if day_first else _MONTH_FIRST
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it looks at each cell, and at unknown zones
        times = pd.to_datetime(cells, utc=True, errors="coerce", dayfirst=day_first)
    if not in_doubt or pd.isna(time := times[parts.index[0]]):
        return times, kind, None
    cell = cells[parts.index[0]]
    return times, kind, f"{shortened(cell)!r} is read as {time:%Y-%m-%d}, month first"


def parse_times(
    cells: pd.Series, name: str, notes: list[str], learned: str | None = None
) -> tuple[np.ndarray, str]:
    """Read times.

    Args:
        cells: (n_rows,) text.
        name: of the column.
        notes: one is added where times cannot be read, or could be others.
        learned: what times were read as before, which decides in doubt; or None.

    Returns:
        (n_rows,) int64, nanoseconds since 1970, ``NOT_A_TIME`` where there is none; and what they
        were read as, such as "milliseconds since 1970".

    Raises:
        SeriesError: most cells hold no time.
    """
    import pandas as pd

    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(float)
    finite = np.abs(numbers) < LARGEST
    if finite.mean() > TOO_MANY_BAD:
        finer = int(np.searchsorted(EPOCH_LIMITS, np.median(np.abs(numbers[finite]))))
        times = np.where(finite, numbers, 0.0) * 1e9 / 1000.0**finer
        bad = ~finite | (np.abs(times) > _LATEST)
        times = np.where(bad, NOT_A_TIME, np.where(bad, 0.0, times).astype(np.int64))
        kind = EPOCH_UNITS[finer] + SINCE_1970
    else:
        found, kind, doubt = _to_times(cells, learned)
        if doubt is not None:
            notes.append(doubt)
        parsed = found.dt.tz_localize(None).to_numpy()
        unit = _NANOSECONDS[np.datetime_data(parsed.dtype)[0]]
        counts = parsed.astype(np.int64)
        # Years such as 1 or 9999, which stand for no time at all; so does NaT.
        bad = (counts < -(_LATEST // unit)) | (counts > _LATEST // unit)
        if bad.mean() > TOO_MANY_BAD:
            raise SeriesError(
                f"the column {name!r} holds no times: {_cell(cells, int(np.argmax(bad)))}"
            )
        times = np.where(bad, NOT_A_TIME, np.where(bad, 0, counts) * unit)
    if bad.any():
        row = int(np.argmax(bad))
        notes.append(f"{counted(int(bad.sum()), 'time')} unreadable, first {_cell(cells, row)}")
    return times, kind


def parse_time(text: str, learned: str | None = None) -> int:
    """Nanoseconds since 1970 of one cell, ``NOT_A_TIME`` where it holds no time.

    Args:
        text: of the cell.
        learned: what times were read as before; or None.
    """
    import pandas as pd

    if learned is not None and learned.endswith(SINCE_1970):
        with contextlib.suppress(ValueError):
            finer = EPOCH_UNITS.index(learned.removesuffix(SINCE_1970))
            time = float(text) * 1e9 / 1000.0**finer
            if abs(time) <= _LATEST:
                return int(time)
    try:
        return int(parse_times(pd.Series([text]), "", [], learned)[0][0])
    except SeriesError:
        return NOT_A_TIME


def finite_numbers(
    cells: pd.Series, comma_separates: bool, learned: str | None = None
) -> np.ndarray:
    """The numbers of a column: see ``read_numbers``."""
    return read_numbers(cells, comma_separates, learned)[0]


def read_numbers(
    cells: pd.Series, comma_separates: bool, learned: str | None = None
) -> tuple[np.ndarray, str | None, str | None]:
    """Read the numbers of a column, also those with decimal commas or groups of three digits.

    Where a point is seen to group, it groups in the whole column: 1.234 next to 1.234,5 is 1234.

    Args:
        cells: (n_rows,) text.
        comma_separates: whether columns are separated by commas: these are then less often decimal.
        learned: one of the ``NUMBER_FORMATS``, which decides in doubt; or None.

    Returns:
        (n_rows,) float64, NaN where there is none below ``LARGEST``; which of the
        ``NUMBER_FORMATS`` they have, or None; and a cell that could be another number, too.
    """
    import pandas as pd

    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(float, copy=True)
    odd, texts = np.flatnonzero(np.isnan(numbers)), []
    if len(odd):
        texts = cells.iloc[odd].tolist()
        has_sign = np.array([_HAS_SIGN.search(text) is not None for text in texts], bool)
        odd, texts = odd[has_sign], [text for text, has in zip(texts, has_sign, strict=True) if has]
    number_format, doubt = None, None
    if len(odd):
        usual = sign_of(learned) if learned else "." if comma_separates else ","
        decimal, in_doubt = decimal_sign(texts, usual)
        number_format = DECIMAL_POINT
        if decimal == ",":
            groups = any("." in text and parse_number(text, ",") for text in texts)
            groups = groups or learned == GROUPING_POINT or not _have_points(cells, numbers)
            number_format = GROUPING_POINT if groups else DECIMAL_COMMA
        if in_doubt and not learned:
            doubt = texts[0]
    elif learned == GROUPING_POINT and _have_points(cells, numbers):
        # Unless the column shows that its points are decimal.
        pointed = cells[cells.str.contains(".", regex=False)]
        groups = all(parse_number(text, ",") is not None for text in pointed)
        number_format = GROUPING_POINT if groups else DECIMAL_POINT
    elif _have_points(cells, numbers):
        number_format = DECIMAL_POINT
    if number_format == GROUPING_POINT:
        odd, texts = np.arange(len(numbers)), cells.tolist()
    decimal = sign_of(number_format or DECIMAL_POINT)
    for row, text in zip(odd.tolist(), texts, strict=True):
        number = parse_number(text, decimal)
        if number is not None:
            numbers[row] = number
    if doubt is not None:
        doubt = f"{shortened(doubt)!r} is read as {parse_number(doubt, decimal):.12g}"
    numbers[~(np.abs(numbers) < LARGEST)] = np.nan
    return numbers, number_format, doubt


def _have_points(cells: pd.Series, numbers: np.ndarray) -> bool:
    """Whether any of the cells that are (n_rows,) numbers, not NaN, is written with a point."""
    finite = np.isfinite(numbers)
    if (numbers[finite] % 1 != 0).any():  # as nearly always, and found at once
        return True
    return bool(cells[finite].str.contains(".", regex=False).any())


def is_text(cells: pd.Series, numbers: np.ndarray) -> np.ndarray:
    """Which cells hold something else than a number.

    Args:
        cells: (n_rows,) text.
        numbers: (n_rows,) their ``finite_numbers``.

    Returns:
        (n_rows,) bool; not those that are empty, or say that there is no number.
    """
    text = np.isnan(numbers)
    if text.any():
        text[text] = ~cells[text].str.strip().str.lower().isin(_NO_NUMBER).to_numpy(bool)
    return text


def parse_numbers(
    cells: pd.Series,
    name: str,
    comma_separates: bool,
    notes: list[str],
    learned: str | None = None,
) -> tuple[np.ndarray, str | None]:
    """Read the numbers of a column of values.

    Args:
        cells: (n_rows,) text.
        name: of the column.
        comma_separates, learned: see ``read_numbers``.
        notes: one is added where there is other text, or doubt.

    Returns:
        (n_rows,) float64, NaN where there is no number; and which of the ``NUMBER_FORMATS`` they
        have, or None.

    Raises:
        SeriesError: most cells are other text, or none has a number.
    """
    numbers, number_format, doubt = read_numbers(cells, comma_separates, learned)
    name = shortened(name)
    if doubt:
        notes.append(f"{name!r}: {doubt}")
    text = is_text(cells, numbers)
    if text.any():
        first = _cell(cells, int(np.argmax(text)))
        if text.mean() > TOO_MANY_BAD:
            raise SeriesError(f"the column {name!r} holds no numbers: {first}")
        notes.append(f"{counted(int(text.sum()), 'cell')} of {name!r} not a number, first {first}")
    if np.isnan(numbers).all():
        raise SeriesError(f"the column {name!r} has no number at all")
    return numbers, number_format


def _cell(cells: pd.Series, row: int) -> str:
    return f"{shortened(str(cells.iloc[row]))!r} in row {row + 1}"


def shortened(text: str) -> str:
    """What is shown of a cell or of a column's name."""
    return text[:_SHOWN_CHARACTERS]


def listed(names: Sequence[str]) -> str:
    """The names of columns for a sentence: the first of them, in quotes, and how many more."""
    shown = [repr(shortened(str(name))) for name in names[:_SHOWN_NAMES]]
    n_more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {n_more:,} more" if n_more else "")
