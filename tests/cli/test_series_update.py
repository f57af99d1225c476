"""Claims about models of series that are updated by later rows."""

import json

import pytest

from helpers.scripts import run_script
from pyimagesearch.data.synthetic import series as synthetic_series
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling.series import SeriesLabeller


def train(dataset, model, *options, **settings):
    return run_script("train_anomaly_detector.py", "-d", dataset, "-m", model, *options, **settings)


def find(model, dataset, *options, **settings):
    return run_script("find_anomalies.py", "-m", model, "-d", dataset, *options, **settings)


@pytest.fixture(scope="module")
def weeks(tmp_path_factory):
    """A rendered series of four weeks, and both halves of it: files of CSV by their names."""
    folder = tmp_path_factory.mktemp("weeks")
    times, values, _ = synthetic_series.make_series("normal", days=28)
    lines = [f"{time},{value:.4f}\n" for time, value in zip(times, values, strict=True)]
    half = len(lines) // 2
    found = {"whole": lines, "first": lines[:half], "second": lines[half:]}
    for name, part in found.items():
        found[name] = folder / f"{name}.csv"
        found[name].write_text("timestamp,value\n" + "".join(part))
    return found


@pytest.fixture(scope="module")
def stream(weeks):
    """A stream model of the first half."""
    path = weeks["first"].with_name("stream.model")
    assert train(weeks["first"], path, "--method", "stream").returncode == 0
    return path


def state(path):
    """What the detector of a model file is made of."""
    model = model_file.load_model(str(path))
    detector = SeriesLabeller.from_model(model).detector
    arrays = {name: array.tolist() for name, array in detector.arrays().items()}
    return json.dumps([detector.parameters(), arrays])


def test_a_stream_that_is_updated_goes_on_as_if_it_had_followed_the_rows(weeks, stream, tmp_path):
    updated, followed = tmp_path / "updated.model", tmp_path / "followed.model"
    assert train(weeks["second"], updated, "--update", stream).returncode == 0
    done = find(
        *(stream, "-", "--follow", "--save-state", followed), input=weeks["second"].read_bytes()
    )
    assert done.returncode == 0
    assert state(updated) == state(followed)
    manifests = [model_file.load_model(str(path)).manifest for path in (updated, followed, stream)]
    assert manifests[0]["last_row"]["time"] == manifests[1]["last_row"]["time"]
    assert manifests[0]["threshold"] == manifests[2]["threshold"]
    assert manifests[0]["preprocessing"] == manifests[2]["preprocessing"]
    # Following goes on behind the rows that were learned.
    done = find(updated, "-", "--follow", input=weeks["second"].read_bytes())
    assert b"0 rows not judged, 4,032 rows skipped" in done.stderr


def test_rows_that_a_stream_has_seen_are_left_out(weeks, stream, tmp_path):
    overlapping, plain = tmp_path / "overlapping.model", tmp_path / "plain.model"
    done = train(weeks["whole"], overlapping, "--update", stream)
    assert b"4,032 rows up to 2024-01-14 23:55:00 left out: the model has seen them" in done.stderr
    assert train(weeks["second"], plain, "--update", stream).returncode == 0
    assert state(overlapping) == state(plain)
    for known, until in ((stream, "14"), (plain, "28")):
        model = tmp_path / "none.model"
        done = train(weeks["first"], model, "--update", known)
        assert done.returncode == 1
        assert f"no row is later than 2024-01-{until} 23:55:00" in done.stderr.decode()
        assert not model.exists()


def test_rows_that_were_followed_join_the_calibration_once_and_leave_the_state_as_it_is(
    weeks, stream, tmp_path
):
    followed, updated = tmp_path / "followed.model", tmp_path / "updated.model"
    rows = weeks["second"].read_bytes()
    assert find(stream, "-", "--follow", "--save-state", followed, input=rows).returncode == 0
    done = train(weeks["whole"], updated, "--update", followed)
    assert done.returncode == 0, done.stderr
    assert b"4,032 rows up to 2024-01-28 23:55:00 followed already" in done.stderr
    assert state(updated) == state(followed)
    sizes = [
        len(model_file.load_model(str(path)).arrays["calibration_scores"])
        for path in (followed, updated)
    ]
    assert sizes[1] > sizes[0]
    done = train(weeks["whole"], tmp_path / "again.model", "--update", updated)
    assert done.returncode == 1
    assert b"there is nothing to learn" in done.stderr


def test_the_threshold_of_a_stream_is_renewed_by_the_rule_that_it_has_or_another(weeks, tmp_path):
    known, updated = tmp_path / "known.model", tmp_path / "updated.model"
    rate = ("--false-alarm-rate", "0.02")
    assert train(weeks["first"], known, "--method", "stream", *rate).returncode == 0
    assert train(weeks["second"], updated, "--update", known).returncode == 0
    before, after = (model_file.load_model(str(path)) for path in (known, updated))
    assert after.manifest["threshold"]["rule"] == "false-alarm-rate"
    assert after.manifest["threshold"]["parameter"] == 0.02
    assert after.threshold != before.threshold
    old, new = (model.arrays["calibration_scores"].tolist() for model in (before, after))
    assert len(new) > len(old)
    assert set(old) <= set(new)
    assert train(weeks["second"], updated, "--update", known, "-t", "3").returncode == 0
    assert model_file.load_model(str(updated)).threshold == 3


def test_windows_are_fitted_anew_with_the_options_of_the_model(weeks, tmp_path):
    known, updated, new = (tmp_path / f"{name}.model" for name in ("known", "updated", "new"))
    options = ("--seed", "7", "--contamination", "0.05", "--false-alarm-rate", "0.03")
    assert train(weeks["first"], known, *options).returncode == 0
    done = train(weeks["second"], updated, "--update", known)
    assert b"fitted anew on these rows alone, with the model's columns and options" in done.stderr
    assert train(weeks["second"], new, *options).returncode == 0
    assert updated.read_bytes() == new.read_bytes()
    # A default stays the default, which depends on the length of the series.
    assert train(weeks["first"], known).returncode == 0
    assert train(weeks["whole"], updated, "--update", known).returncode == 0
    assert train(weeks["whole"], new).returncode == 0
    assert updated.read_bytes() == new.read_bytes()


def test_what_does_not_fit_the_model_is_refused(weeks, stream, forest_model, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text(weeks["second"].read_text().replace("value", "load", 1))
    model = tmp_path / "model"
    for dataset, options, sentence in (
        (other, ["--update", stream], "the model learned the values 'value', and the columns are"),
        (weeks["second"], ["--update", forest_model], "cannot be added to a model of images"),
        (weeks["second"], ["--update", other], "not a model file"),
        (
            weeks["second"],
            ["--update", stream, "--method", "nearest-window"],
            "it is not a model of the method nearest-window",
        ),
        ("forest", ["--update", stream], "stream.model"),
    ):
        done = train(dataset, model, *options)
        assert done.returncode == 1
        assert sentence in done.stderr.decode()
        assert b"Traceback" not in done.stderr
        assert not model.exists()
    renamed = ("--update", stream, "--value-column", "load")
    assert train(other, model, *renamed).returncode == 0


def test_a_damaged_model_is_not_updated(weeks, stream, tmp_path):
    loaded = model_file.load_model(str(stream))
    manifest = {k: v for k, v in loaded.manifest.items() if k != "members"}
    broken = tmp_path / "broken.model"
    for change in (
        {"hyperparameters": {}},
        {"hyperparameters": {"seed": "x"}},
        {"threshold": {"value": 1.0}},
        {"threshold": {"value": 1.0, "rule": "quantile", "parameter": "x"}},
        {"learned_until": "x"},
    ):
        model_file.save_model(str(broken), manifest | change, loaded.arrays)
        done = train(weeks["second"], tmp_path / "model", "--update", broken)
        assert done.returncode == 1
        assert b"broken.model: the model cannot be used: " in done.stderr, change
