"""Claims about which columns are taken for times and values, and which are left out."""

import io

import numpy as np
import pytest

from pyimagesearch.data import series_csv
from pyimagesearch.data.series import SeriesError
from pyimagesearch.data.series_columns import Learned

N_ROWS = 200
JANUARY = 1_704_067_200  # the first of January 2024, in seconds since 1970
RNG = np.random.default_rng(0)
SHUFFLED = RNG.permutation(N_ROWS)
VALUES = np.round(20 + 5 * np.sin(np.arange(N_ROWS) / 8) + RNG.random(N_ROWS), 3)
# Energy, in whole watt-hours: unique and rising, as an index is, but not by one step.
METER = 1_300_000_000 + np.cumsum(RNG.integers(20, 90, N_ROWS))
PIECES = np.cumsum(RNG.random(N_ROWS) < 0.97)
DATES = np.datetime64("2024-01-01T00:00:00") + np.arange(N_ROWS) * np.timedelta64(300, "s")


def read(columns, **options):
    """A series of these columns, by name."""
    lines = [",".join(columns)]
    lines += [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    return series_csv.read_series(io.BytesIO("\n".join(lines).encode()), **options)


@pytest.mark.parametrize(
    ("name", "cells", "reason"),
    [
        ("", np.arange(N_ROWS), "an index"),
        ("Unnamed: 0", np.arange(N_ROWS), "an index"),
        ("index", np.delete(np.arange(N_ROWS + 3), [5, 50, 51]), "an index"),
        ("", np.arange(N_ROWS) % 150, "an index"),
        ("row", np.arange(1, N_ROWS + 1), "counts the rows"),
        ("sample", 1000.0 + 10 * np.arange(N_ROWS), "counts the rows"),
        ("elapsed", 0.1 * np.arange(N_ROWS), "counts the rows"),
        ("backwards", np.arange(N_ROWS)[::-1], "counts the rows"),
        ("order", SHUFFLED, "counts the rows"),
        ("record_id", 1_000 + 7 * SHUFFLED, "an identifier"),
        ("sensorId", np.full(N_ROWS, 4711), "an identifier"),
        ("ID", np.full(N_ROWS, 3), "an identifier"),
        ("batch", [f"{number:x}" for number in 65_535 - 300 * SHUFFLED], "no numbers"),
        ("comment", [""] * N_ROWS, "empty"),
        ("anomaly", np.zeros(N_ROWS), "says what is an anomaly"),
        ("received", JANUARY + 300 * np.arange(N_ROWS), "the same times"),
        ("billed", 10**8 + JANUARY + 86_400 * np.arange(N_ROWS), "times, too"),
    ],
)
def test_a_column_that_measures_nothing_is_left_out_with_the_reason(name, cells, reason):
    series = read({name: cells, "when": DATES, "load": VALUES})
    assert (series.time_name, series.names) == ("when", ("load",))
    assert series.columns.left_out == {name or "Unnamed: 0": reason}
    assert f"left out: {name or 'Unnamed: 0'!r} ({reason})" in str(series.columns)


@pytest.mark.parametrize(
    "cells",
    [
        METER,
        METER.astype(float) / 10,
        PIECES,
        np.full(N_ROWS, 7),
        np.round(1e9 * RNG.random(N_ROWS)).astype(int),  # whole and unique, by chance
        np.arange(N_ROWS) // 2,
        np.append(np.arange(N_ROWS - 1), N_ROWS + 5),
    ],
    ids=["meter", "meter with decimals", "pieces", "constant", "bytes", "every other", "a step"],
)
def test_a_measured_quantity_is_no_counter_and_no_time(cells):
    series = read({"x": cells, "when": DATES, "load": VALUES})
    assert (series.time_name, series.names) == ("when", ("x", "load"))
    assert read({"x": cells, "load": VALUES}).names == ("x", "load")


@pytest.mark.parametrize("name", ["when", "t", "epoch", "value", "Unnamed: 0"])
@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize("kind", [int, float])
def test_numbers_that_can_only_be_times_are_times_whatever_they_are_called(name, unit, kind):
    times = [kind((JANUARY + 300 * row) * unit) for row in range(N_ROWS)]
    times[9:12] = [times[10], times[9], times[10]]  # out of order, and twice
    series = read({"load": VALUES, name: times})
    assert (series.time_name, series.names) == (name, ("load",))
    apart = np.diff(series.times)
    assert np.median(apart) == pytest.approx(300e9)
    assert series.times[0] == JANUARY * 10**9


def test_irregular_numbers_that_could_be_times_are_values_and_that_is_said():
    irregular = JANUARY + np.cumsum(RNG.integers(1, 900, N_ROWS))
    series = read({"logged": irregular, "load": VALUES})
    assert (series.time_name, series.names) == (None, ("logged", "load"))
    (note,) = series.notes
    assert note.startswith("'logged' could be seconds since 1970, but not at regular steps")
    assert read({"logged": irregular, "load": VALUES}, timestamp_column="logged").names == ("load",)


@pytest.mark.parametrize(
    ("offset", "said"),
    [("", "as UTC"), ("Z", "with zones"), ("+01:00", "with zones"), ("-0530", "with zones")],
)
def test_dates_are_read_with_their_zones(offset, said):
    series = read({"moment": [f"{date}{offset}" for date in DATES], "load": VALUES})
    assert series.columns.time_kind == f"ISO 8601, {said}"
    hours = {"+01:00": -1, "-0530": 5.5}.get(offset, 0)
    assert series.times[0] == (JANUARY + hours * 3600) * 10**9


def test_options_overrule_what_the_columns_look_like():
    columns = {"n": np.arange(N_ROWS), "when": DATES, "t": JANUARY + 60 * np.arange(N_ROWS)}
    series = read(columns, timestamp_column="t", value_columns=["n"])
    assert (series.time_name, series.names) == ("t", ("n",))
    assert series.columns.left_out == {"when": "not asked for"}


def test_a_table_whose_columns_pandas_numbered_has_a_header():
    columns = {"": np.arange(N_ROWS), "0": VALUES, "1": VALUES[::-1]}
    series = read(columns)
    assert series.names == ("0", "1")
    assert len(series.values) == N_ROWS
    assert read({"timestamp": DATES, "0": VALUES}).names == ("0",)


def test_where_nothing_is_left_to_judge_the_reasons_are_said():
    with pytest.raises(SeriesError, match=r"holds numbers to judge: 'n' \(counts the rows\)"):
        read({"n": np.arange(N_ROWS), "when": DATES})


def test_learned_columns_are_matched_by_name_and_others_refused():
    columns = {"b": VALUES, "extra": METER, "when": DATES, "a": VALUES + 1}
    series = read(columns, learned=Learned("when", ["a", "b"]))
    assert series.names == ("a", "b")
    assert series.columns.left_out == {"extra": "not learned"}
    with pytest.raises(SeriesError) as refused:
        read(columns, learned=Learned("when", ["a", "c"]))
    assert str(refused.value).startswith(
        "the model learned the values 'a', 'c', and the columns are 'b', 'extra', 'when', 'a': "
        "'c' missing"
    )


def test_very_many_columns_are_named_in_one_line():
    columns = {f"sensor_{number}": VALUES + number for number in range(300)}
    line = str(read({"when": DATES, **columns}).columns)
    assert "values from 'sensor_0', " in line
    assert "'sensor_9' and 290 more" in line
    assert len(line) < 400


def dates_and_hours(*more_dates):
    hours = np.arange(N_ROWS) % 24
    days = DATES[0].astype("datetime64[D]") + np.arange(N_ROWS) // 24
    clocks = [f"{hour}:00" for hour in hours]
    return {"day": days, **dict.fromkeys(more_dates, days + 40), "hour": clocks, "load": VALUES}


def test_a_date_and_a_time_of_day_are_joined_to_the_times():
    series = read(dates_and_hours())
    assert series.time_name == "day hour"
    assert series.columns.left_out == {"day": "part of the times", "hour": "part of the times"}
    assert series.when(25) == "2024-01-02 1:00"
    assert (np.diff(series.times) == 3600 * 10**9).all()


def test_two_dates_and_a_time_of_day_are_not_joined():
    with pytest.raises(SeriesError, match="all look like times"):
        read(dates_and_hours("until"))
