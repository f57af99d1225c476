"""What hypothesis draws: numbers, names, JSON, cells and whole tables of CSV."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

NUMBERS = st.one_of(
    st.integers(-2, 300),
    st.integers(0, 70).map(lambda bits: 2**bits - 1),
    st.integers(0, 70).map(lambda bits: 2**bits),
    st.sampled_from([-(2**31), -(2**63), 10**18, 10**30, 10**400, -(10**400)]),
    st.floats(),
    st.sampled_from([1e-320, 5e-324, 3e38, 1e39, 1e100, 1.7e308, -1e308, 0.0, -0.0]),
)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            *("images", "series", "conv", "pca", "memory-bank", "stream", "pixels", "patches"),
            *("features.backbone", "../../etc/passwd", "/dev/zero", "notes.txt", "x" * 5000),
            *("\0", "\ud800", "=1+1", "nan", "inf", "1e400", "0x10", "__class__", "{0}", "%s"),
            "__import__('os').system('touch code_ran')",
        ]
    ),
)
_PLAIN = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
JSON = st.one_of(
    _PLAIN,
    _PLAIN.map(lambda value: [value] * 3000),
    st.recursive(
        _PLAIN,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)
        ),
        max_leaves=8,
    ),
)
DATES = st.one_of(
    st.datetimes().map(str),
    st.datetimes().map(lambda date: date.isoformat() + "Z"),
    st.datetimes().map(lambda date: date.strftime("%d.%m.%Y %H:%M")),
    st.sampled_from(
        [
            *("0001-01-01", "9999-12-31 23:59:59", "0000-00-00", "1e20", "-1e30", "1e400"),
            *("2026-02-30", "12:00", "now", "today", "NaT", "2262-04-12", "1677-09-21"),
            *("2026-01-01T00:00:00+99:99", "2026-W01-1", "20260101", "9" * 400, "infinity"),
            *("2026-01-01 00:00:00.000000000001", "1.1.1", "31.12.9999", "01/02/03", "2026-01"),
        ]
    ),
)
CELLS = st.one_of(
    NUMBERS.map(lambda number: f"{number:.6g}" if isinstance(number, float) else str(number)),
    TEXTS,
    DATES,
    st.sampled_from(["", " ", '"', '""', "1,5", "1_000", "\r", "\n", "'", "١٢", "1e", "-", "+nan"]),
)


@st.composite
def _tables(draw: st.DrawFn) -> bytes:
    """CSV: a header and rows, more or less."""
    names = st.one_of(TEXTS, st.sampled_from(["timestamp", "value", "date", "label"]))
    rows = [draw(st.lists(names, max_size=5)), *draw(st.lists(st.lists(CELLS, max_size=6)))]
    delimiter, end = draw(st.sampled_from(",;\t")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    return end.join(delimiter.join(row) for row in rows).encode("utf-8", "surrogatepass")


_KINDS = {
    "number": NUMBERS,
    "text": TEXTS,
    "json": JSON,
    "date": DATES,
    "cell": CELLS,
    "table": _tables(),
}


def drawn(kinds: Iterable[str], number: int, how_many: int) -> dict[str, list[Any]]:
    """Values of some kinds, always the same for a number.

    Args:
        kinds: number, text, json, date, cell or table.
        number: the seed.
        how_many: of each kind, at most.
    """
    return {kind: _drawn(_KINDS[kind], number, how_many) for kind in kinds}


def _drawn(strategy: st.SearchStrategy[Any], number: int, how_many: int) -> list[Any]:
    found: list[Any] = []

    @seed(number)
    @settings(
        max_examples=how_many,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def keep(value: Any) -> None:
        found.append(value)

    keep()
    return found
