"""Claims about inspectors' verdicts, made by calling generate_validation_metrics.py."""

import csv
import io
import json
import shutil
from statistics import NormalDist

import pytest

from helpers import naive_metrics
from helpers.inspections import as_csv, saved, verdicts_around
from helpers.scripts import run_script
from pyimagesearch.detectors.model_file import load_model


@pytest.fixture(scope="module")
def model(forest_model):
    return load_model(str(forest_model))


def measure(model_file, path, *options):
    return run_script(
        "generate_validation_metrics.py", "-m", model_file, "--verdicts", path, *options
    )


def printed(done):
    assert done.returncode == 0, done.stderr.decode()
    rows = csv.DictReader(io.StringIO(done.stdout.decode()))
    return {(row["metric"], row["rule"]): row for row in rows}


@pytest.mark.parametrize("form", ["json", "csv"])
def test_escapes_and_false_rejects_are_those_of_all_verdicts(form, model, forest_model, tmp_path):
    found = saved(model, verdicts_around(model.threshold))
    path = tmp_path / f"v.{form}"
    path.write_text(json.dumps(found) if form == "json" else as_csv(found))
    done = measure(forest_model, path)
    rows = printed(done)
    for name, wrong, of in (("escape_rate", 7, 21), ("false_reject_rate", 14, 35)):
        row = rows[name, "model"]
        assert float(row["value"]) == pytest.approx(wrong / of, abs=1e-6)
        low, high = naive_metrics.wilson_interval(wrong, of, NormalDist().inv_cdf(0.975))
        assert float(row["low"]) == pytest.approx(low, abs=1e-5)
        assert float(row["high"]) == pytest.approx(high, abs=1e-5)
    assert ("threshold", "overlap") in rows
    said = done.stderr.decode()
    if form == "json":
        assert "36 images called normal without a verdict" in said
        assert "5 images called anomaly without a verdict" in said
    else:
        assert "verdicts as JSON do" in said


def test_the_proposed_threshold_can_be_written_and_the_verdicts_still_belong(
    model, forest_model, tmp_path
):
    own = tmp_path / "own.model"
    shutil.copy(forest_model, own)
    path = tmp_path / "v.json"
    path.write_text(json.dumps(saved(model, verdicts_around(model.threshold))))
    done = measure(own, path, "--rule", "overlap", "--update")
    proposed = float(printed(done)["threshold", "overlap"]["value"])
    changed = load_model(str(own))
    assert changed.threshold == pytest.approx(proposed, rel=1e-5)
    assert changed.threshold != model.threshold
    again = measure(own, path)
    rows = printed(again)
    assert float(rows["threshold", "page"]["value"]) == pytest.approx(model.threshold, rel=1e-5)
    assert float(rows["threshold", "model"]["value"]) == pytest.approx(proposed, rel=1e-5)


def test_too_few_verdicts_measure_but_propose_nothing(model, forest_model, tmp_path):
    """On so many the threshold once moved to where every tenth defect escaped."""
    own = tmp_path / "own.model"
    shutil.copy(forest_model, own)
    path = tmp_path / "v.json"
    found = [(f"d{i}.jpg", model.threshold + 0.3 + i / 100, "defect") for i in range(20)]
    found += [(f"f{i}.jpg", model.threshold - 0.1 - i / 100, "fine") for i in range(3)]
    path.write_text(json.dumps(saved(model, found)))
    done = measure(own, path)
    assert {rule for _, rule in printed(done)} == {"", "model"}
    assert "20 defects and 3 fine images are too few to propose" in done.stderr.decode()
    refused = measure(own, path, "--update")
    assert refused.returncode == 1
    assert b"too few to choose a threshold" in refused.stderr
    assert own.read_bytes() == forest_model.read_bytes()


@pytest.mark.parametrize("rule", ["f1", "overlap", "false-alarm-rate"])
def test_a_threshold_that_no_verdict_contradicts_stays(rule, model, forest_model, tmp_path):
    own = tmp_path / "own.model"
    shutil.copy(forest_model, own)
    path = tmp_path / "v.json"
    found = [(f"d{i}.jpg", model.threshold + 0.3 + i / 100, "defect") for i in range(20)]
    found += [(f"f{i}.jpg", model.threshold - 0.1 - i / 100, "fine") for i in range(20)]
    path.write_text(json.dumps(saved(model, found)))
    done = measure(own, path, "--rule", rule, "--update")
    assert printed(done)["threshold", rule]["value"] == printed(done)["threshold", "model"]["value"]
    assert f"the threshold stays at {model.threshold:.4f}" in done.stderr.decode()
    assert own.read_bytes() == forest_model.read_bytes()


def test_undo_takes_back_one_update_after_the_other(model, forest_model, tmp_path):
    own = tmp_path / "own.model"
    shutil.copy(forest_model, own)
    path = tmp_path / "v.json"
    path.write_text(json.dumps(saved(model, verdicts_around(model.threshold))))
    moved = measure(own, path, "--rule", "overlap", "--update")
    assert "which chance alone does in" in moved.stderr.decode()
    first = own.read_bytes()
    rate = ("--rule", "false-alarm-rate", "--false-alarm-rate", "0.3")
    assert measure(own, path, *rate, "--update").returncode == 0
    assert own.read_bytes() != first

    def undo():
        return run_script("generate_validation_metrics.py", "-m", own, "--undo")

    assert undo().returncode == 0
    assert own.read_bytes() == first
    assert f"anomalies score above {model.threshold:.4f} again" in undo().stderr.decode()
    assert own.read_bytes() == forest_model.read_bytes()
    refused = undo()
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"the threshold that it was trained with" in refused.stderr


def test_escapes_are_counted_by_class(model, forest_model, tmp_path):
    path = tmp_path / "v.json"
    found = saved(model, verdicts_around(model.threshold))
    for number, row in enumerate(found["verdicts"]):
        row["class"] = "scratch" if number < 14 else "dent"  # the last seven defects escape
    path.write_text(json.dumps(found))
    said = measure(forest_model, path).stderr.decode()
    assert "scratch: 0 of 14 defects escape" in said
    assert "dent: 7 of 7 defects escape" in said


def test_verdicts_of_another_model_are_refused(parts_model, model, tmp_path):
    path = tmp_path / "v.json"
    path.write_text(json.dumps(saved(model, verdicts_around(model.threshold))))
    refused = measure(parts_model, path)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"of another model" in refused.stderr


def test_a_broken_file_is_told_in_one_sentence(forest_model, tmp_path):
    path = tmp_path / "v.json"
    path.write_text('{"format": ')
    refused = measure(forest_model, path)
    assert refused.returncode == 1
    assert refused.stderr.decode().count("\n") == 1
    assert refused.stderr.decode().startswith(f"[ERROR] {path}: it is not valid JSON")
