"""Files as people have them: what is taken of each, and that a normal fortnight raises nothing."""

import gzip
import io
import zipfile
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from helpers.scripts import run_script
from pyimagesearch.data.synthetic import series as synthetic_series

EVERY = 6  # rows of five minutes: half an hour


def fortnight(number):
    """Times and values of one of two normal fortnights."""
    times, values, _ = synthetic_series.make_series("normal", days=14, seed=number)
    shift = timedelta(days=14 * number)
    return pd.DatetimeIndex([time + shift for time in times[::EVERY]]), values[::EVERY]


def frame(number, **columns):
    times, values = fortnight(number)
    return pd.DataFrame({"timestamp": times, "value": values.round(3)} | columns)


def epochs(number, unit, name):
    times, values = fortnight(number)
    whole = times.astype(f"datetime64[{unit}]").astype("int64")
    return pd.DataFrame({name: whole, "value": values})


def csv(table, **options):
    return table.to_csv(index=False, **options).encode()


def with_index(number):
    return frame(number).to_csv().encode()


def zipped(number):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("rows.csv", csv(frame(number)))
    return packed.getvalue()


def parquet(number):
    pytest.importorskip("pyarrow", reason="no pyarrow: pip install pyarrow")
    packed = io.BytesIO()
    frame(number).to_parquet(packed)
    return packed.getvalue()


def xlsx(number):
    pytest.importorskip("openpyxl", reason="no openpyxl: pip install openpyxl")
    packed = io.BytesIO()
    frame(number).to_excel(packed, index=False)
    return packed.getvalue()


def many_columns(number):
    times, values = (some[::2] for some in fortnight(number))
    noise = np.random.default_rng(number).standard_normal((len(times), 200))
    columns = pd.DataFrame(values[:, None] + noise).add_prefix("sensor_")
    return csv(pd.concat([pd.Series(times, name="timestamp"), columns], axis=1))


def thousands(number):
    table = frame(number)
    return csv(table.assign(value=[f"{value:,.1f}" for value in table["value"] * 1000]))


def with_zone(zone):
    def made(number):
        table = frame(number)
        times = table["timestamp"].dt.tz_localize("UTC").dt.tz_convert(zone)
        return csv(table.assign(timestamp=[time.isoformat() for time in times]))

    return made


def sentinels(number):
    table = frame(number)
    times = table["timestamp"].astype(str)
    times[[5, 300]] = "9999-12-31"
    return csv(table.assign(timestamp=times))


def date_and_clock(number):
    table = frame(number)
    date, clock = (
        table["timestamp"].dt.strftime("%d/%m/%Y"),
        table["timestamp"].dt.strftime("%H:%M"),
    )
    return csv(pd.DataFrame({"Date": date, "Time": clock, "value": table["value"]}))


ISO = "times from 'timestamp' (ISO 8601, as UTC), values from 'value'"
KINDS = {
    "index.csv": (with_index, f"{ISO}; left out: 'Unnamed: 0' (an index)"),
    "counter.csv": (
        lambda n: csv(frame(n, row=range(1, 673))),
        "left out: 'row' (counts the rows)",
    ),
    "identifier.csv": (
        lambda n: csv(frame(n, meter_id=np.arange(672) * 37 % 1009)),
        "left out: 'meter_id' (an identifier)",
    ),
    "constant.csv": (lambda n: csv(frame(n, site=7.0)), "values from 'value', 'site'"),
    "seconds.csv": (lambda n: csv(epochs(n, "s", "t")), "times from 't' (seconds since 1970)"),
    "milli.csv": (
        lambda n: csv(epochs(n, "ms", "ts")),
        "times from 'ts' (milliseconds since 1970)",
    ),
    "micro.csv": (lambda n: csv(epochs(n, "us", "x")), "times from 'x' (microseconds since 1970)"),
    "nano.csv": (lambda n: csv(epochs(n, "ns", "clock")), "'clock' (nanoseconds since 1970)"),
    "float.csv": (
        lambda n: csv(epochs(n, "s", "when").astype({"when": float})),
        "times from 'when' (seconds since 1970)",
    ),
    "columns.csv": (many_columns, "values from 'sensor_0'"),
    "rows.csv.gz": (lambda n: gzip.compress(csv(frame(n))), ISO),
    "rows.zip": (zipped, ISO),
    "rows.parquet": (parquet, "times from 'timestamp'"),
    "rows.xlsx": (xlsx, "times from 'timestamp'"),
    "thousands.csv": (thousands, ISO),
    "comma.csv": (lambda n: csv(frame(n), sep=";", decimal=","), ISO),
    "utc.csv": (with_zone("UTC"), "ISO 8601, with zones"),
    "berlin.csv": (with_zone("Europe/Berlin"), "ISO 8601, with zones"),
    "kolkata.csv": (with_zone("Asia/Kolkata"), "ISO 8601, with zones"),
    "sentinels.csv": (sentinels, ISO),
    "date_and_clock.csv": (date_and_clock, "times from 'Date Time' (dates, day first, as UTC)"),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_normal_fortnight_that_was_learned_raises_nothing_in_the_next(name, tmp_path):
    make, taken = KINDS[name]
    model = tmp_path / "series.model"
    known, coming = (tmp_path / f"{number}_{name}" for number in (0, 1))
    known.write_bytes(make(0))
    coming.write_bytes(make(1))
    done = run_script("train_anomaly_detector.py", "-d", known, "-m", model)
    assert done.returncode == 0, done.stderr
    assert taken in done.stderr.decode()
    found = run_script("find_anomalies.py", "-m", model, "-d", coming)
    assert found.stdout.decode().splitlines() == ["start,end,peak,score,p_value"]
    assert taken.split("left out")[0].rstrip("; ") in found.stderr.decode()
