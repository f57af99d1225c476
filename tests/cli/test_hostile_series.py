"""Claims about CSV that is damaged, endless, no CSV at all, or meant to do harm."""

import bz2
import csv
import gzip
import io
import json
import os
import zipfile

import numpy as np
import pytest

from helpers import bombs
from helpers.model_files import rewritten
from helpers.scripts import run_script
from pyimagesearch.data import csv_text

HEADER = "timestamp,value"
METHODS = ("nearest-window", "stream")


def good_rows(n_rows=600):
    """Rows of CSV, one each five minutes, of a value with a period of 60 of them."""
    times = np.datetime64("2024-01-01T00:00", "m") + 5 * np.arange(n_rows)
    values = np.sin(np.arange(n_rows) * 2 * np.pi / 60) + 0.01 * (np.arange(n_rows) % 7)
    return [f"{time},{value:.4f}" for time, value in zip(times, values, strict=True)]


def write(path, lines, header=HEADER, **options):
    path.write_text("\n".join([header, *lines]) + "\n", **options)
    return path


def train(dataset, model, *options):
    return run_script("train_anomaly_detector.py", "-d", dataset, "-m", model, *options)


def find(model, dataset, *options, **settings):
    return run_script("find_anomalies.py", "-m", model, "-d", dataset, *options, **settings)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model of each method."""
    folder = tmp_path_factory.mktemp("models")
    dataset = write(folder / "good.csv", good_rows())
    found = {method: folder / f"{method}.model" for method in METHODS}
    for method, model in found.items():
        done = train(dataset, model, "--method", method)
        assert done.returncode == 0, done.stderr.decode()
    return found


def shown(value):
    """What a case is called."""
    return repr(value)[:40]


def said(done):
    """What a script wrote to stderr, but for [INFO]; each a line of its own."""
    lines = done.stderr.decode().splitlines()
    assert all(line.startswith(("[INFO] ", "[WARNING] ", "[ERROR] ")) for line in lines), lines
    return [line for line in lines if not line.startswith("[INFO]")]


def table(text):
    return list(csv.reader(io.StringIO(text, newline="")))


LAST = "2024-02-01 01:00,500"  # an anomaly


def follow(models, *lines):
    """Follow a good row, these, and an anomaly; the latter has its alarm, whatever lies between."""
    lines = [HEADER.encode(), b"2024-02-01 00:00,0.1", *lines, LAST.encode(), b""]
    done = find(models["stream"], "-", "--follow", input=b"\n".join(lines))
    alarms = table(done.stdout.decode())
    assert [alarm[0] for alarm in alarms] == ["start", "2024-02-01 01:00"]
    return done


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b'2024-02-01 00:05,"0.2', "row 2: a quote is not closed"),
        (b'"2024-02-01 00:05,0.2', "row 2: a quote is not closed"),
        (b"2024-02-01 00:05,\r0.2", "row 2: a carriage return inside"),
        (b"2024-02-01 00:05," + b"7" * 200_000, "row 2: a cell of more than 131,072 characters"),
        (b"2024-02-01 00:05,0.2\0", "row 2: zero bytes"),
        (b"9999-12-31 00:00,0.2", "9999-12-31 00:00: its time is unreadable"),
        (b"0001-01-01 00:00,0.2", "0001-01-01 00:00: its time is unreadable"),
        (
            b"2262-04-11T23:47:16.854775807,0.2",
            "2262-04-11T23:47:16.854775807: its time is unreadable",
        ),
        (b"9999-12-31T23:59:59-14:00,0.2", "9999-12-31T23:59:59-14:00: its time is unreadable"),
        (b"-0001-01-01,0.2", "-0001-01-01: its time is unreadable"),
        (b"2024-02-01 23:59:60,0.2", "2024-02-01 23:59:60: its time is unreadable"),
        (b"1e300,0.2", "1e300: its time is unreadable"),
        (b"now,0.2", "now: its time is unreadable"),
        (b"2024-02-01 00:05,1e400", "2024-02-01 00:05: no number"),
        (b"2024-02-01 00:05,1_000", "2024-02-01 00:05: no number"),
        (b"2024-02-01 00:05,\xff", "2024-02-01 00:05: no number"),
        (b"\xff\xfe2024,0.2", "2024: its time is unreadable"),
        (b"2024-02-01 00:05,0,2", "row 2: 3 cells, and the first line has 2"),
        (b",0.2", "row 2: its time is unreadable"),
    ],
    ids=shown,
)
def test_a_followed_row_that_cannot_be_read_costs_only_itself(models, line, sentence):
    done = follow(models, line)
    assert done.returncode == 3
    (warning,) = said(done)
    assert sentence in warning
    assert len(warning) < 200


def test_a_line_that_does_not_end_is_passed_over(models):
    done = follow(models, b"2024-02-01 00:05," + b"1" * (csv_text.MAX_LINE + 200_000))
    assert done.returncode == 3
    assert said(done) == ["[WARNING] row 2: longer than 4,000,000 bytes"]


def test_empty_lines_and_mixed_line_ends_are_no_rows_of_their_own(models):
    done = follow(models, b"2024-02-01 00:05,0.2\r", b"", b"\r", b"  ", b"2024-02-01 00:10,0.3")
    assert done.returncode == 0
    assert said(done) == []


def test_rows_ahead_of_their_time_make_no_later_row_late(models):
    ahead = b"2099-12-31 00:00,0.2"
    done = follow(models, ahead, ahead, b"2024-02-01 00:10,0.3", ahead, b"2024-02-01 00:15,0.3")
    assert done.returncode == 0
    assert said(done) == []


def test_rows_of_an_earlier_day_are_late_all_the_same(models):
    late = (b"2024-01-31 00:00,0.2", b"2024-01-15 00:05,0.2", b"2024-02-01 00:00,0.2")
    done = follow(models, b"2024-02-01 00:05,0.2", *late)
    assert done.returncode == 3
    assert len(said(done)) == len(late)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"v" * (csv_text.MAX_LINE + 1), "its first line is longer than 4,000,000 bytes"),
        (b"," * 20_000, "its first line has 20,001 columns, and 16,384 are the most"),
        (b"timestamp," + b"v" * 200_000, "its first line is not CSV: a cell of more than"),
        (b'timestamp,"value\n', "its first line is not CSV"),
        (b"timestamp,value\r2024-01-01,1\r", "its first line is not CSV: a carriage return"),
        ("timestamp,value\n2024-01-01,1\n".encode("utf-16"), "in UTF-16: save it in UTF-8"),
        (gzip.compress(b"timestamp,value\n", mtime=0), "a gzip file: unpack it first"),
        (b"", "the first line should name the columns"),
    ],
    ids=shown,
)
def test_a_followed_header_that_is_none_is_refused_with_a_sentence(models, text, sentence):
    done = find(models["stream"], "-", "--follow", input=text)
    assert done.returncode == 1
    (error,) = said(done)
    assert sentence in error
    assert len(error) < 200


def test_followed_columns_of_one_name_are_those_of_a_whole_file(tmp_path):
    header = "timestamp,value,value"
    lines = [f"{line},{number % 5}" for number, line in enumerate(good_rows(200))]
    dataset, model = write(tmp_path / "two.csv", lines, header), tmp_path / "model"
    assert train(dataset, model, "--method", "stream").returncode == 0
    lines[50] = lines[50].rpartition(",")[0] + ",900"
    write(dataset, lines, header)
    whole = find(model, dataset)
    followed = find(model, "-", "--follow", input=dataset.read_bytes())
    assert len(table(whole.stdout.decode())) == 2
    assert followed.stdout == whole.stdout


SENTINELS = ("0001-01-01", "9999-12-31", "2262-04-11 23:47:16", "9999-12-31T23:59:59-14:00")


@pytest.fixture
def with_sentinels(tmp_path):
    lines = good_rows()
    for number, sentinel in enumerate(SENTINELS):
        lines[100 * number + 50] = f"{sentinel},0.5"
    return write(tmp_path / "sentinels.csv", lines)


@pytest.mark.parametrize("method", METHODS)
def test_a_series_with_sentinel_dates_is_learned_without_them(method, with_sentinels, tmp_path):
    done = train(with_sentinels, tmp_path / "model", "--method", method)
    assert done.returncode == 0
    assert any("4 times unreadable, first '0001-01-01' in row 51" in line for line in said(done))


def test_an_autoencoder_counts_sentinel_dates_too(tmp_path):
    short = write(tmp_path / "short.csv", [*good_rows(50), "9999-12-31,1", "0001-01-01,2"])
    done = run_script(
        *("train_autoencoder.py", "-d", short, "-m", tmp_path / "model"),
        *("-v", tmp_path / "vis.png", "-p", tmp_path / "plot.png"),
    )
    assert done.returncode == 1
    *warnings, error = said(done)
    assert any("2 times unreadable, first '9999-12-31' in row 51" in line for line in warnings)
    assert "50 rows without a gap: too few" in error


@pytest.mark.parametrize("method", METHODS)
def test_sentinel_dates_are_unreadable_rows_in_every_result(
    method, models, with_sentinels, tmp_path
):
    out = {option: tmp_path / f"found{option}" for option in (".csv", ".json", ".html", ".png")}
    done = find(
        *(models[method], with_sentinels, "--csv", out[".csv"], "--json", out[".json"]),
        *("--report", out[".html"], "-o", out[".png"]),
    )
    assert done.returncode == 3
    assert any("4 times unreadable, first '0001-01-01' in row 51" in line for line in said(done))
    rows = table(out[".csv"].read_text())[1:]
    unreadable = [row[0] for row in rows if row[-1] == "unreadable"]
    assert unreadable == list(SENTINELS)
    parsed = [json.loads(line) for line in out[".json"].read_text().splitlines()]
    assert [row["time"] for row in parsed if row["label"] == "unreadable"] == unreadable
    assert "rows not judged</dt><dd>4<" in out[".html"].read_text()
    assert out[".png"].stat().st_size > 0


def test_a_series_of_sentinel_dates_alone_has_no_times(models, tmp_path):
    dataset = write(tmp_path / "none.csv", ["9999-12-31,1"] * 300)
    for done in (train(dataset, tmp_path / "model"), find(models["stream"], dataset)):
        assert done.returncode == 1
        assert "the column 'timestamp' holds no times: '9999-12-31' in row 1" in said(done)[-1]


def test_times_that_are_numbers_beyond_all_bounds_are_unreadable(models, tmp_path):
    lines = [f"{1_704_067_200 + 300 * i},{i % 60}" for i in range(600)]
    for number, time in enumerate(("1e300", "1e308", "-1e300", "inf", "9" * 400)):
        lines[number] = f"{time},1"
    done = find(models["stream"], write(tmp_path / "huge.csv", lines))
    assert done.returncode == 3
    assert any("5 times unreadable, first '1e300' in row 1" in line for line in said(done))


def bomb(kind):
    """Bytes of CSV that would take far more memory or time than they should."""
    wide = ",".join(f"c{number}" for number in range(16_384))
    return {
        "columns": b",".join([b"1"] * 20_000) + b"\n",
        "one line": b"1,2," * (csv_text.MAX_LINE // 4 + 1),
        "a header": b"v" * (csv_text.MAX_LINE + 1) + b"\n2024-01-01,1\n",
        "a row": b"t,x\n2024-01-01,1\n2024-01-02," + b"1" * csv_text.MAX_LINE + b"\n",
        "a row of commas": b"t,x\n2024-01-01,1\n2024-01-02" + b",1" * 1_000_000 + b"\n",
        "a quote": b't,x\n2024-01-01,1\n2024-01-02,"1\n' + b"2024-01-03 00:00,1\n" * 250_000,
        "short rows": wide.encode() + b"\n" + b"1\n" * 1_000,
    }[kind]


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("columns", "its first line has 20,000 columns, and 16,384 are the most"),
        ("one line", "its first line is longer than 4,000,000 bytes"),
        ("a header", "its first line is longer than 4,000,000 bytes"),
        ("a row", "it has a line longer than 4,000,000 bytes"),
        ("a row of commas", "not CSV: Error tokenizing data. C error: Expected 2 fields in line 3"),
        ("a quote", "a quote is not closed: what follows it is longer than 4,000,000 bytes"),
        ("short rows", "not CSV: most rows are shorter than the first, of 16,384 columns"),
    ],
)
@pytest.mark.parametrize("piped", [False, True])
def test_csv_without_bounds_is_refused_with_the_limit(kind, sentence, piped, models, tmp_path):
    dataset = tmp_path / "bomb.csv"
    dataset.write_bytes(bomb(kind))
    for done in (
        find(models["stream"], "-" if piped else dataset, input=dataset.read_bytes()),
        train(dataset, tmp_path / "model", "--method", "stream"),
    ):
        assert done.returncode == 1
        (error,) = said(done)
        assert sentence in error
        assert len(error) < 300


def zipped(data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("series.csv"), data)  # without the time of day
    return buffer.getvalue()


TEXT = f"{HEADER}\n2024-01-01,1\n".encode()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (bz2.compress(TEXT), "this is a bzip2 file: unpack it first"),
        (
            zipped(b"PK\x03\x04"),
            "this is a zip file or a spreadsheet: unpack it, or save it as CSV",
        ),
        (
            gzip.compress(TEXT, mtime=0)[:-9],
            "the file is damaged or truncated",
        ),
        (TEXT.decode().encode("utf-16"), "this is in UTF-16: save it in UTF-8"),
        (bytes(range(1, 256)) * 9, "this is a binary file, not CSV"),
        (b"\n" * 200_000, "the file is empty"),
    ],
    ids=shown,
)
def test_what_is_called_csv_and_is_none_is_refused(data, sentence, models, tmp_path):
    dataset = tmp_path / "series.csv"
    dataset.write_bytes(data)
    done = find(models["stream"], dataset)
    assert done.returncode == 1
    (error,) = said(done)
    assert sentence in error


def test_a_compressed_file_on_stdin_is_expanded(models):
    text = "\n".join([HEADER, *good_rows()]).encode()
    assert find(models["stream"], "-", input=gzip.compress(text, mtime=0)).returncode == 0


def test_a_pipe_that_nobody_writes_to_is_refused_and_not_waited_for(models, tmp_path):
    pipe = tmp_path / "series.csv"
    os.mkfifo(pipe)
    for done in (find(models["stream"], pipe), train(pipe, tmp_path / "model")):
        assert done.returncode == 1
        assert said(done) == [f"[ERROR] {pipe}: not a regular file"]


def test_zero_bytes_far_inside_a_file_cost_their_rows(models, tmp_path):
    lines = good_rows(5_000)
    lines[4_000] = lines[4_000].replace(".", ".\0")
    out = tmp_path / "out.csv"
    done = find(models["stream"], write(tmp_path / "zeros.csv", lines), "--csv", out)
    assert done.returncode == 3
    labels = [row[-1] for row in table(out.read_text())[1:]]
    assert [i for i, label in enumerate(labels) if label == "unreadable"] == [4_000]


def test_names_of_columns_are_drawn_as_they_are(tmp_path):
    header = r"$\time{$,$\frac$,値"
    lines = [f"{line},{number % 9}" for number, line in enumerate(good_rows(200))]
    dataset, model = write(tmp_path / "names.csv", lines, header, encoding="utf-8"), tmp_path / "m"
    assert train(dataset, model, "--method", "stream").returncode == 0
    done = find(model, dataset, "-o", tmp_path / "plot.png", "--report", tmp_path / "page.html")
    assert done.returncode == 0
    assert said(done) == []


def test_a_row_without_a_finite_score_has_no_label_and_is_counted(models, tmp_path):
    steps = 24

    def change(manifest, arrays):
        manifest["detector"] = {"name": "window-autoencoder", "time_steps": steps}
        arrays |= {"detector.mean": np.zeros(1), "detector.std": np.ones(1)}

    network = {"network": bombs.infinite_when_large((None, steps, 1))}
    model = rewritten(models["nearest-window"], tmp_path / "m.model", change, network)
    lines = good_rows(200)
    lines[100] = lines[100].partition(",")[0] + ",1e9"
    dataset, out = write(tmp_path / "large.csv", lines), tmp_path / "out.csv"
    done = find(model, dataset, "--csv", out)
    assert done.returncode == 3
    assert table(done.stdout.decode())[1:] == []
    # A row's score is the mean over the windows that hold it.
    n_lost = 2 * steps - 1
    sentence = f"the model finds no finite score for {n_lost} rows: not judged"
    assert said(done) == [f"[WARNING] {model}: {sentence}"]
    labels = [row[-1] for row in table(out.read_text())[1:]]
    lost = range(101 - steps, 100 + steps)
    assert labels == ["unreadable" if i in lost else "normal" for i in range(200)]
    done = find(model, write(tmp_path / "all.csv", [f"{line}e9" for line in good_rows(200)]))
    assert done.returncode == 1
    assert said(done) == [f"[ERROR] {model}: the model finds no finite score for any row"]


def test_a_cell_that_a_spreadsheet_would_run_gets_an_apostrophe_in_the_csv(models, tmp_path):
    notes = [
        '=HYPERLINK("http://example.org")',
        "+1+1",
        "-1+1",
        "@SUM(A1)",
        "\t=1",
        "'=1",
        "-",
        "-5.5",
        "+1,5",
        "plain",
        "o'clock",
        "two\r=1+1",
    ]
    rows = [line.split(",") for line in good_rows()]
    for row, note in zip(rows, notes, strict=False):
        row.append(note)
    dataset, out, lines = (tmp_path / name for name in ("in.csv", "out.csv", "out.jsonl"))
    with open(dataset, "w", newline="") as file:
        csv.writer(file).writerows([["timestamp", "value", "=note"], *rows])
    done = find(models["stream"], dataset, "--csv", out, "--json", lines)
    assert done.returncode == 0
    header, *written = table(out.read_bytes().decode())
    assert header == ["timestamp", "value", "'=note", "score", "smoothed_score", "p_value", "label"]
    assert [row[:2] for row in written] == [row[:2] for row in rows]
    assert [row[2] for row in written[: len(notes)]] == [
        *("'" + note for note in notes[:6]),
        *notes[6:],
    ]
    assert all(len(row) == len(header) for row in written)
    assert [json.loads(line)["time"] for line in lines.read_text().splitlines()] == [
        row[0] for row in rows
    ]
