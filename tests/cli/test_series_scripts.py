"""Claims about series, made by running the scripts as a user would."""

import csv
import io
import itertools
import json
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest

from helpers.scripts import CHECKOUT, heed_interrupts, run_script
from pyimagesearch.data.synthetic import series as synthetic_series
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling.series import SeriesLabeller

NORMAL, JUMP = (CHECKOUT / "examples" / f"daily_{name}.csv" for name in ("normal", "jump"))


def rows(text) -> list[dict[str, str]]:
    text = text if isinstance(text, str) else text.decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def train(dataset, model, *options, **settings):
    return run_script("train_anomaly_detector.py", "-d", dataset, "-m", model, *options, **settings)


def find(model, dataset, *options, **settings):
    return run_script("find_anomalies.py", "-m", model, "-d", dataset, *options, **settings)


def write_series(path, values, times=None, names=("value",)):
    """A CSV file of values (n,) or (n, n_columns), one each five minutes, or with these times."""
    values = np.asarray(values).reshape(len(values), -1)
    times = times or [
        synthetic_series.START + i * synthetic_series.STEP for i in range(len(values))
    ]
    lines = [",".join(("timestamp", *names))]
    lines += [
        ",".join((str(time), *(f"{v:.4f}" if v == v else "" for v in row)))
        for time, row in zip(times, values, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model of each method, of the project's own normal series."""
    folder = tmp_path_factory.mktemp("series")
    found = {}
    for method in ("ensemble", "stream"):
        found[method] = folder / f"{method}.model"
        done = train(NORMAL, found[method], "--method", method)
        assert done.returncode == 0, done.stderr.decode()
    return found


def test_the_hours_of_the_jump_are_named(models):
    done = find(models["ensemble"], JUMP)
    assert done.returncode == 0
    (found,) = rows(done.stdout)
    times, _, wrong = synthetic_series.make_series("jump")
    first, last = np.flatnonzero(wrong)[[0, -1]]
    # The longest windows begin every 64 rows: so much more there may be on either side.
    assert str(times[first - 64]) <= found["start"] <= str(times[first])
    assert str(times[last]) <= found["end"] <= str(times[last + 64])
    assert found["start"] <= found["peak"] <= found["end"]
    assert float(found["p_value"]) <= 0.01


def test_a_normal_series_has_no_ranges_and_one_that_was_learned_may_be_looked_at(models, tmp_path):
    other = tmp_path / "other.csv"
    times, values, _ = synthetic_series.make_series("normal", seed=7)
    write_series(other, values, times)
    for dataset in (other, NORMAL):
        done = find(models["ensemble"], dataset)
        assert done.returncode == 0
        assert rows(done.stdout) == []


def test_an_anomaly_in_the_training_series_itself_is_found(tmp_path):
    model = tmp_path / "jump.model"
    assert train(JUMP, model).returncode == 0
    done = find(model, JUMP, "--threshold", "quantile", "--quantile", "0.99")
    (found,) = rows(done.stdout)
    assert found["peak"].startswith("2024-01-10 1")


def test_the_csv_has_every_row_with_its_own_columns_first(models, tmp_path):
    out, lines = tmp_path / "out.csv", tmp_path / "out.jsonl"
    done = find(models["ensemble"], JUMP, "--csv", out, "--json", lines, "--quiet")
    (found,) = rows(done.stdout)
    written = rows(out.read_text())
    assert list(written[0])[2:] == ["score", "smoothed_score", "p_value", "label"]
    original = rows(JUMP.read_text())
    assert [{k: r[k] for k in ("timestamp", "value")} for r in written] == original
    called = [r["timestamp"] for r in written if r["label"] == "anomaly"]
    assert called[0] == found["start"]
    assert called[-1] == found["end"]
    peak = next(r for r in written if r["timestamp"] == found["peak"])
    assert peak["score"] == found["score"]
    assert max(float(r["score"]) for r in written) == float(found["score"])
    parsed = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [r["label"] for r in parsed] == [r["label"] for r in written]
    threshold = model_file.load_model(str(models["ensemble"])).threshold
    assert [r["score"] > threshold for r in parsed] == [r["label"] == "anomaly" for r in parsed]
    assert parsed[5]["time"] == written[5]["timestamp"]


def test_where_nothing_is_above_the_threshold_the_strangest_stretches_are_told(models, tmp_path):
    plot = tmp_path / "plot.png"
    done = find(models["ensemble"], NORMAL, "-o", plot, "--threshold", "1e9")
    assert rows(done.stdout) == []
    assert done.stderr.decode().count("below the threshold, but strangest: 2024-01-") == 5
    picture = cv2.imread(str(plot)).astype(int)
    yellowish = (picture[:, :, 2] > 200) & (picture[:, :, 1] - picture[:, :, 0] > 40)
    assert yellowish.any(axis=0).sum() > 10


def test_top_prints_as_many_ranges_whatever_the_threshold_with_their_labels(models):
    found = rows(find(models["ensemble"], JUMP, "--top", 4).stdout)
    assert [r["label"] for r in found] == ["anomaly", "normal", "normal", "normal"]
    scores = [float(r["score"]) for r in found]
    assert scores == sorted(scores, reverse=True)
    spans = sorted((r["start"], r["end"]) for r in found)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(spans))
    assert len(rows(find(models["ensemble"], JUMP, "--top", 1).stdout)) == 1


@pytest.mark.parametrize("variant", ["jump", "flat", "spikes"])
def test_an_event_in_the_series_that_is_learned_does_not_hide_itself(variant, tmp_path):
    times, values, labels = synthetic_series.make_series(variant, seed=11)
    series = write_series(tmp_path / "own.csv", values, times=times)
    assert train(series, tmp_path / "own.model").returncode == 0
    found = rows(find(tmp_path / "own.model", series).stdout)
    inside = {str(time) for time, label in zip(times, labels, strict=True) if label}
    assert found
    assert all(any(r["start"] <= time <= r["end"] for time in inside) for r in found)


def test_the_plot_shows_the_range_in_red(models, tmp_path):
    plot = tmp_path / "plot.png"
    assert find(models["ensemble"], JUMP, "-o", plot).returncode == 0
    picture = cv2.imread(str(plot)).astype(int)
    reddish = (picture[:, :, 2] - picture[:, :, 1] > 30) & (picture[:, :, 2] > 200)
    assert reddish.any(axis=0).sum() > 10
    again = tmp_path / "again.png"
    assert find(models["ensemble"], JUMP, "-o", again).returncode == 0
    assert plot.read_bytes() == again.read_bytes()


def test_a_column_with_a_hostile_name_is_drawn_and_stands_in_the_page_as_text(tmp_path):
    name = "$\\frac{$<script>alert(1)</script>\x1b[2J"
    write_series(tmp_path / "s.csv", np.sin(np.arange(400) / 5), names=(name,))
    trained = train(tmp_path / "s.csv", tmp_path / "s.model", "--method", "stream")
    assert trained.returncode == 0, trained.stderr
    found = find(tmp_path / "s.model", tmp_path / "s.csv", "--report", tmp_path / "s.html")
    assert found.returncode == 0, found.stderr
    assert b"\x1b" not in trained.stderr + found.stderr
    assert "<script>alert" not in (tmp_path / "s.html").read_text()


def test_other_thresholds_can_be_asked_for_when_labelling(models):
    for options in (("--threshold", "max"), ("--false-alarm-rate", "0.5"), ("-t", "1.5")):
        done = find(models["ensemble"], JUMP, *options)
        assert done.returncode == 0
        assert len(rows(done.stdout)) >= 1
    assert rows(find(models["ensemble"], JUMP, "-t", "1e6").stdout) == []


def test_an_anomaly_can_fail_the_command(models):
    assert find(models["ensemble"], JUMP, "--fail-on-anomaly").returncode == 4
    assert find(models["ensemble"], NORMAL, "--fail-on-anomaly").returncode == 0


def test_the_same_command_writes_the_same_model(models, tmp_path):
    for method, model in models.items():
        again = tmp_path / method
        assert train(NORMAL, again, "--method", method).returncode == 0
        assert again.read_bytes() == model.read_bytes()


@pytest.mark.parametrize("method", ["ensemble", "stream"])
def test_several_columns_are_judged_together(method, tmp_path):
    columns = [synthetic_series.make_series("normal", seed=s)[1] for s in (1, 2, 3)]
    learned = write_series(tmp_path / "learn.csv", np.stack(columns, axis=1), names="abc")
    columns[1] = synthetic_series.make_series("jump", seed=5)[1]
    judged = write_series(tmp_path / "judge.csv", np.stack(columns, axis=1), names="abc")
    model = tmp_path / "model"
    assert train(learned, model, "--method", method).returncode == 0
    found = rows(find(model, judged, "-o", tmp_path / "plot.png").stdout)
    assert found[0]["start"].startswith("2024-01-10")


def test_a_series_comes_from_stdin_too(models):
    piped = find(models["ensemble"], "-", input=JUMP.read_bytes())
    assert piped.stdout == find(models["ensemble"], JUMP).stdout


def test_shuffled_rows_give_the_same_scores_in_their_own_order(models, tmp_path):
    header, *lines = JUMP.read_text().splitlines()
    order = np.random.default_rng(0).permutation(len(lines))
    shuffled = tmp_path / "shuffled.csv"
    shuffled.write_text("\n".join([header, *(lines[i] for i in order)]) + "\n")
    expected, found = tmp_path / "expected.csv", tmp_path / "found.csv"
    find(models["ensemble"], JUMP, "--csv", expected)
    done = find(models["ensemble"], shuffled, "--csv", found)
    assert done.returncode == 0
    assert b"sorted" in done.stderr
    straight = expected.read_text().splitlines()
    assert found.read_text().splitlines() == [straight[0], *(straight[1 + i] for i in order)]


def test_missing_and_unreadable_rows_are_counted_and_nothing_is_lost(models, tmp_path):
    header, *lines = JUMP.read_text().splitlines()
    lines[10] = lines[10].split(",")[0] + ",broken"
    lines[20] = lines[20].split(",")[0] + ","
    del lines[30:33]
    damaged, out = tmp_path / "damaged.csv", tmp_path / "out.csv"
    damaged.write_text("\n".join([header, *lines]) + "\n")
    done = find(models["ensemble"], damaged, "--csv", out)
    assert done.returncode == 3
    said = done.stderr.decode()
    assert "1 cell of 'value' not a number, first 'broken' in row 11" in said
    assert "2 rows without a usable number or time: not judged" in said
    assert "5 missing rows: filled by straight lines" in said
    written = rows(out.read_text())
    assert len(written) == len(lines)
    assert [i for i, r in enumerate(written) if r["label"] == "unreadable"] == [10, 20]
    assert written[10]["score"] == written[10]["p_value"] == ""
    assert written[10]["value"] == "broken"
    assert len(rows(done.stdout)) == 1


def test_stretches_shorter_than_a_window_are_not_judged(models, tmp_path):
    times, values, _ = synthetic_series.make_series("jump")
    kept = [*range(3000), *range(3100, 3150), *range(3400, len(times))]
    gappy = write_series(tmp_path / "gappy.csv", values[kept], [times[i] for i in kept])
    done = find(models["ensemble"], gappy, "--csv", tmp_path / "out.csv")
    assert done.returncode == 3
    assert b"2 gaps of more than 24 rows: not bridged" in done.stderr
    labels = [r["label"] for r in rows((tmp_path / "out.csv").read_text())]
    assert labels.count("unreadable") == 50
    assert set(labels[3000:3050]) == {"unreadable"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("timestamp,value\n2024-01-01,1\n", "too "),
        ("timestamp,value\n2024-01-01,1\n2024-01-02,2\n2024-01-03,4\n", "too "),
        ("timestamp,value\n" + "2024-01-01,5\n" * 300, "all 300 rows have the same time"),
        ("timestamp,value\n2024-01-01,\n2024-01-02,\n", "none of the columns"),
        ("timestamp,value\n2024-01-01,red\n2024-01-02,blue\n", "none of the columns"),
        ("", "the file is empty"),
    ],
)
@pytest.mark.parametrize("method", ["ensemble", "stream"])
def test_what_cannot_be_learned_is_refused_with_a_sentence(method, text, sentence, tmp_path):
    dataset, model = tmp_path / "bad.csv", tmp_path / "model"
    dataset.write_text(text)
    done = train(dataset, model, "--method", method)
    assert done.returncode == 1
    assert sentence in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert not model.exists()


def test_stream_refuses_a_series_that_never_changes(tmp_path):
    dataset, model = tmp_path / "constant.csv", tmp_path / "model"
    dataset.write_text("\n".join(["value", *["3.5"] * 5000]))
    done = train(dataset, model, "--method", "stream")
    assert done.returncode == 1
    assert "nothing changes in these 5,000 rows" in done.stderr.decode()
    assert not model.exists()


def test_a_series_that_never_changes_is_learned_and_any_change_named(tmp_path):
    dataset, changed, model = (tmp_path / name for name in ("one.csv", "other.csv", "model"))
    dataset.write_text("\n".join(["value", *["3.5"] * 1000]))
    changed.write_text("\n".join(["value", *["3.5"] * 700, *["3.6"] * 20, *["3.5"] * 280]))
    done = train(dataset, model)
    assert b"1 column of 1 constant: any change there is an anomaly" in done.stderr
    found = find(model, changed).stdout.decode().splitlines()
    assert [line.split(",")[:2] for line in found[1:]] == [["700", "719"]]
    assert len(find(model, dataset).stdout.splitlines()) == 1


def test_two_million_equal_times_are_refused_quickly(tmp_path):
    dataset = tmp_path / "equal.csv"
    dataset.write_text("timestamp,value\n" + "2024-01-01 00:00:00,5\n" * 2_000_000)
    done = train(dataset, tmp_path / "model")
    assert done.returncode == 1
    assert b"all 2,000,000 rows have the same time" in done.stderr


def test_a_series_with_other_columns_than_the_model_is_refused(models, tmp_path):
    two = write_series(tmp_path / "two.csv", np.random.default_rng(0).random((900, 2)), None, "xy")
    done = find(models["ensemble"], two)
    assert done.returncode == 1
    assert (
        b"the model learned the values 'value', and the columns are 'timestamp', 'x', 'y'"
        in done.stderr
    )
    done = find(models["ensemble"], two, "--value-column", "x", "y")
    assert done.returncode == 1
    assert b"it has 2 columns of values, and the model learned 1 (value)" in done.stderr


def test_what_was_taken_and_left_out_is_said_and_stands_in_the_model(tmp_path):
    values = synthetic_series.make_series("normal", days=4)[1]
    plain = np.stack([np.arange(len(values)), values, np.full(len(values), 4711)], axis=1)
    dataset = write_series(tmp_path / "all.csv", plain, names=("row", "load", "device_id"))
    model = tmp_path / "model"
    said = (
        "all.csv: times from 'timestamp' (ISO 8601, as UTC), values from 'load'; left out: 'row' "
        "({}), 'device_id' ({}); --timestamp-column and --value-column take others"
    )
    done = train(dataset, model)
    assert said.format("counts the rows", "an identifier") in done.stderr.decode()
    assert model_file.load_model(str(model)).manifest["preprocessing"] == {
        "timestamp_column": "timestamp",
        "value_columns": ["load"],
        "number_formats": ["1234.5"],
        "times": "ISO 8601, as UTC",
        "columns_left_out": {"row": "counts the rows", "device_id": "an identifier"},
    }
    done = find(model, dataset)
    assert done.returncode == 0
    assert said.format("not learned", "not learned") in done.stderr.decode()


def test_a_series_shorter_than_a_window_is_refused(models, tmp_path):
    short = write_series(tmp_path / "short.csv", np.arange(20.0))
    done = find(models["ensemble"], short)
    assert done.returncode == 1
    assert b"longest stretch without a gap has 20 rows" in done.stderr


def test_models_and_datasets_that_do_not_fit_each_other_are_told_apart(
    models, forest_model, tmp_path
):
    image = CHECKOUT / "examples" / "forest_1.jpg"
    for done in (
        run_script("test_anomaly_detector.py", "-m", models["ensemble"], "-i", image),
        find(forest_model, JUMP),
        find(models["ensemble"], JUMP, "--follow"),
    ):
        assert done.returncode in (1, 2)
        assert b"Traceback" not in done.stderr
    assert train(NORMAL, tmp_path / "m", "--method", "forest").returncode == 2
    assert train("forest", tmp_path / "m", "--method", "stream").returncode == 2


def test_a_damaged_model_of_a_series_is_refused(models, tmp_path):
    model = model_file.load_model(str(models["ensemble"]))
    for change in (
        {"preprocessing": {"timestamp_column": 3, "value_columns": ["value"]}},
        {"preprocessing": {"timestamp_column": None, "value_columns": ["a", "b"]}},
        {"detector": {"name": "forest-of-lies"}},
        {"detector": {"name": "ensemble"}},
    ):
        broken = tmp_path / "broken.model"
        manifest = {k: v for k, v in model.manifest.items() if k != "members"} | change
        model_file.save_model(str(broken), manifest, model.arrays)
        done = find(broken, JUMP)
        assert done.returncode == 1
        assert b"the model cannot be used" in done.stderr


def test_the_stream_sees_spikes_as_they_come(models, tmp_path):
    times, values, wrong = synthetic_series.make_series("spikes")
    spikes = write_series(tmp_path / "spikes.csv", values, times)
    done = find(models["stream"], "-", "--follow", input=spikes.read_bytes())
    assert done.returncode == 0
    alarms = [r["peak"] for r in rows(done.stdout)]
    assert str(times[int(np.flatnonzero(wrong)[0])]) in alarms


def test_following_prints_an_alarm_before_the_input_ends(models):
    command = [sys.executable, "find_anomalies.py", "-m", str(models["stream"]), "-d", "-"]
    with subprocess.Popen(
        [*command, "--follow"],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
    ) as process:
        assert process.stdout.readline().startswith(b"start,end,peak")
        process.stdin.write(b"timestamp,value\n")
        for minute in range(0, 60, 5):
            process.stdin.write(f"2024-01-15 00:{minute:02},20.0\n".encode())
        process.stdin.write(b"2024-01-15 01:00,500.0\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"2024-01-15 01:00,")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_following_equals_judging_the_whole_file(models, tmp_path):
    followed = find(models["stream"], "-", "--follow", input=JUMP.read_bytes())
    assert find(models["stream"], JUMP, "--csv", tmp_path / "out.csv").returncode == 0
    written = rows((tmp_path / "out.csv").read_text())
    called = {r["timestamp"]: r["score"] for r in written if r["label"] == "anomaly"}
    assert called
    assert {r["peak"]: r["score"] for r in rows(followed.stdout)} == called


def test_a_saved_state_goes_on_as_if_there_had_been_no_break(models, tmp_path):
    header, *lines = JUMP.read_text().splitlines()
    parts = []
    for number, part in enumerate((lines[:2000], lines[2000:])):
        parts.append(tmp_path / f"part{number}.csv")
        parts[-1].write_text("\n".join([header, *part]) + "\n")
    half, out = tmp_path / "half.model", [tmp_path / f"out{i}.csv" for i in range(3)]
    find(models["stream"], JUMP, "--csv", out[0])
    assert find(models["stream"], parts[0], "--csv", out[1], "--save-state", half).returncode == 0
    assert find(half, parts[1], "--csv", out[2]).returncode == 0
    whole = out[0].read_text().splitlines()
    both = out[1].read_text().splitlines() + out[2].read_text().splitlines()[1:]
    assert both == whole


def test_rows_that_come_too_late_are_named_and_not_judged(models):
    text = b"timestamp,value\n2024-01-15 00:05,20\n2024-01-15 00:00,20\n2024-01-15 00:10,x\n"
    done = find(models["stream"], "-", "--follow", input=text)
    assert done.returncode == 3
    assert b"2024-01-15 00:00: no number, or earlier than the row before" in done.stderr
    assert b"2024-01-15 00:10: no number" in done.stderr


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory):
    """A folder with a Conv1D autoencoder of the project's own normal series."""
    folder = tmp_path_factory.mktemp("conv1d")
    done = train_autoencoder(folder, NORMAL, "--epochs", "4", "--contamination", "0.2")
    assert done.returncode == 0, done.stderr.decode()
    return folder


def train_autoencoder(folder, dataset, *options):
    return run_script(
        *("train_autoencoder.py", "-d", dataset, "-m", folder / "model", "-v", folder / "vis.png"),
        *("-p", folder / "plot.png", *options),
    )


def test_an_autoencoder_finds_the_jump_and_nothing_else(autoencoder):
    for options in ((), ("--threshold", "max")):
        (found,) = rows(find(autoencoder / "model", JUMP, *options).stdout)
        assert "2024-01-10 06:00" < found["start"] <= found["end"] < "2024-01-10 19:00"


def test_an_autoencoder_draws_its_losses_its_first_window_and_its_errors(autoencoder):
    vis, plot = (cv2.imread(str(autoencoder / name)) for name in ("vis.png", "plot.png"))
    assert vis.std() > 5
    assert plot.std() > 5


def test_the_share_of_blocks_that_may_be_anomalous_is_kept_with_an_autoencoder(autoencoder):
    model = model_file.load_model(str(autoencoder / "model"))
    assert SeriesLabeller.from_model(model).contamination == 0.2


def test_the_rule_max_is_the_worst_error_of_the_training_windows(autoencoder):
    model = model_file.load_model(str(autoencoder / "model"))
    worst = model.arrays["training_scores"].max()
    said = find(autoencoder / "model", JUMP, "--threshold", "max").stderr.decode()
    assert f"anomalies score above {worst:.4f} (max)" in said


def test_an_autoencoder_takes_windows_of_any_length_and_several_columns(tmp_path):
    values = np.random.default_rng(0).random((400, 2))
    learned = write_series(tmp_path / "learn.csv", values, names="xy")
    options = ("-a", "lstm", "--time-steps", "37", "--epochs", "1")
    done = train_autoencoder(tmp_path, learned, *options)
    assert done.returncode == 0, done.stderr.decode()
    assert find(tmp_path / "model", learned, "-o", tmp_path / "found.png").returncode == 0


@pytest.mark.parametrize(
    ("values", "sentence"),
    [(np.arange(100.0) ** 2, "too few for windows of 288"), (np.ones(900), "nothing changes")],
)
def test_an_autoencoder_refuses_what_cannot_be_learned(values, sentence, tmp_path):
    done = train_autoencoder(tmp_path, write_series(tmp_path / "bad.csv", values))
    assert done.returncode == 1
    assert sentence in done.stderr.decode()
    assert not (tmp_path / "model").exists()


def test_options_of_images_do_not_go_with_series_and_the_other_way_round(tmp_path):
    for options in (("--image-size", "32"), ("-a", "pca")):
        assert train_autoencoder(tmp_path, NORMAL, *options).returncode == 2
    for options in (("--time-steps", "32"), ("-a", "lstm")):
        assert train_autoencoder(tmp_path, "digits", *options).returncode == 2


def test_the_benchmarks_daily_series_are_hit_in_their_windows_and_nowhere_else(data, tmp_path):
    folder = data / "nab" / "data"
    labels = json.loads((data / "nab/labels/combined_windows.json").read_text())
    model = tmp_path / "art.model"
    assert train(folder / "artificialNoAnomaly/art_daily_small_noise.csv", model).returncode == 0
    for name in ("jumpsup", "jumpsdown", "nojump"):
        name = f"artificialWithAnomaly/art_daily_{name}.csv"
        ((start, end),) = labels[name]
        found = rows(find(model, folder / name).stdout)
        assert found, name
        assert all(start <= r["start"] and r["end"] <= end for r in found), name
    quiet = find(model, folder / "artificialNoAnomaly/art_daily_no_noise.csv")
    assert rows(quiet.stdout) == []


def test_the_learned_series_is_searched_at_a_higher_rate_and_it_is_said(tmp_path):
    values = np.sin(np.arange(2_000) / 4) + np.random.default_rng(0).normal(0, 0.1, 2_000)
    learned = write_series(tmp_path / "learned.csv", values)
    other = write_series(tmp_path / "other.csv", values[:-1])
    model, chosen = tmp_path / "model", tmp_path / "chosen.model"
    train(learned, model)
    sentence = b"this is the series that was learned"
    assert sentence in find(model, learned).stderr
    assert sentence not in find(model, other).stderr
    assert sentence not in find(model, learned, "--false-alarm-rate", "0.02").stderr
    train(learned, chosen, "--false-alarm-rate", "0.02")
    assert sentence not in find(chosen, learned).stderr
