"""Numbers as people write them: decimal commas, and groups of three digits set apart."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SPACES = " \u00a0\u202f'\u2019"  # which group and are never decimal


def _pattern(decimal: str, group: str) -> re.Pattern[str]:
    whole = rf"\d+|[1-9]\d{{0,2}}(?:[{re.escape(group)}]\d{{3}})+" if group else r"\d+"
    return re.compile(rf"\s*([-+]?)({whole}|)(?:{re.escape(decimal)}(\d+))?\s*")


# By their decimal sign: numbers whose groups have a space or the other sign between.
_PATTERNS = {decimal: _pattern(decimal, _SPACES + ".,".replace(decimal, "")) for decimal in ".,"}
_GROUPS = re.compile(rf"[{_SPACES}.,]")
# How a column writes numbers, as a model keeps it. Of a column of whole numbers, that is not known;
# with the second, points among the other numbers were decimal, too.
DECIMAL_POINT, DECIMAL_COMMA, GROUPING_POINT = "1234.5", "1234,5", "1.234,5"
NUMBER_FORMATS = (DECIMAL_POINT, DECIMAL_COMMA, GROUPING_POINT)


def sign_of(number_format: str) -> str:
    """The decimal sign of one of the ``NUMBER_FORMATS``."""
    return "." if number_format == DECIMAL_POINT else ","


def decimal_sign(cells: Sequence[str], usual: str) -> tuple[str, bool]:
    """Find out which sign is decimal in a column.

    Args:
        cells: those of the column that are no number as computers write it.
        usual: "." or ",", which it is in doubt.

    Returns:
        "." or ",", whichever makes more of the cells numbers; and whether the other would make as
        many, and different ones.
    """
    read = {decimal: [parse_number(cell, decimal) for cell in cells] for decimal in _PATTERNS}
    other = "," if usual == "." else "."
    n_usual, n_other = (sum(n is not None for n in read[sign]) for sign in (usual, other))
    if n_other > n_usual:
        return other, False
    return usual, n_usual == n_other and read[usual] != read[other]


def parse_number(cell: str, decimal: str) -> float | None:
    """Read a number with groups and a decimal sign; None where it is none.

    Args:
        cell: text such as "-1.234,5" or "12 000".
        decimal: "." or ",".
    """
    found = _PATTERNS[decimal].fullmatch(cell)
    if found is None or not (found[2] or found[3]):
        return None
    return float(f"{found[1]}{_GROUPS.sub('', found[2])}.{found[3] or 0}")
