"""Claims about generate_validation_metrics.py and what it is made of."""

import csv
import io
import json
import shutil

import cv2
import numpy as np
import pytest

from helpers.scripts import run_script
from pyimagesearch import metrics
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling import validation


def validate(model, *options):
    return run_script("generate_validation_metrics.py", "-m", model, *options)


def printed(done):
    assert done.returncode == 0, done.stderr.decode()
    rows = csv.DictReader(io.StringIO(done.stdout.decode()))
    return {(row["metric"], row["rule"]): row for row in rows}


@pytest.fixture(scope="module")
def validated(parts_model, good_parts, faulty_parts, tmp_path_factory):
    """What a run printed and wrote."""
    folder = tmp_path_factory.mktemp("validated")
    done = validate(
        parts_model,
        *("--normal", good_parts / "test" / "good", "--anomalous", faulty_parts / "test"),
        *("--masks", faulty_parts / "ground_truth", "--json", folder / "m.json"),
        *("--csv", folder / "m.csv", "--scores", folder / "s.csv", "--plot", folder / "h.png"),
    )
    return done, folder


@pytest.fixture
def category(good_parts, faulty_parts, tmp_path):
    """A dataset as MVTec AD has them."""
    folder = tmp_path / "category"
    shutil.copytree(faulty_parts, folder)
    shutil.copytree(good_parts / "test" / "good", folder / "test" / "good")
    return folder


def test_the_printed_metrics_are_those_of_the_scores(validated):
    done, folder = validated
    found = printed(done)
    rows = list(csv.DictReader((folder / "s.csv").open()))
    truth = np.array([row["truth"] == "anomaly" for row in rows])
    scores = np.array([float(row["score"]) for row in rows])
    assert float(found["auroc", ""]["value"]) == pytest.approx(metrics.auroc(truth, scores))
    reported = np.array([row["part"] == "report" for row in rows])
    for rule in validation.RULES:
        called = scores > float(found["threshold", rule]["value"])
        hits = int((called & truth & reported).sum())
        assert int(found["true_positives", rule]["value"]) == hits
        missed = float(found["escape_rate", rule]["value"])
        assert missed == pytest.approx(1 - hits / (truth & reported).sum(), abs=1e-6)
        low, high = (float(found["escape_rate", rule][end]) for end in ("low", "high"))
        assert low <= missed <= high


def test_a_good_model_is_found_good_and_its_heat_maps_too(validated):
    found = printed(validated[0])
    assert float(found["auroc", ""]["value"]) > 0.8
    assert float(found["pixel_auroc", ""]["value"]) > 0.7
    assert 0 < float(found["aupro", ""]["value"]) < 1


def test_the_files_hold_what_was_printed(validated):
    done, folder = validated
    assert (folder / "m.csv").read_bytes() == done.stdout
    found, measured = printed(done), json.loads((folder / "m.json").read_text())
    value = measured["thresholds"]["overlap"]["recall"]["value"]
    assert f"{value:.6g}" == found["recall", "overlap"]["value"]
    assert measured["chosen_on"] == {"normal": 12, "anomalous": 12}
    assert cv2.imread(str(folder / "h.png")).std() > 5
    assert b"confusion with f1" in done.stderr


def test_the_same_command_gives_the_same_metrics_whatever_the_files_are_called(
    validated, parts_model, good_parts, faulty_parts, tmp_path
):
    for number, path in enumerate(sorted((good_parts / "test" / "good").iterdir(), reverse=True)):
        (tmp_path / "good").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "good" / f"{number}.png")
    again = validate(
        parts_model,
        *("--normal", tmp_path / "good", "--anomalous", faulty_parts / "test", "--jobs", "2"),
        *("--masks", faulty_parts / "ground_truth"),
    )
    assert again.stdout == validated[0].stdout


def test_any_model_of_images_will_do(forest_model, tmp_path):
    for kind, folder in (("forest", "good"), ("highway", "bad")):
        command = ("generate_data.py", "scenes", "-o", tmp_path / folder, "--kinds", kind)
        run_script(*command, "--count", "6", "--size", "64", "--seed", "5")
    found = printed(
        validate(forest_model, "--normal", tmp_path / "good", "--anomalous", tmp_path / "bad")
    )
    assert float(found["auroc", ""]["value"]) > 0.9
    assert ("aupro", "") not in found


def test_a_rate_that_so_few_pictures_cannot_promise_is_a_sentence(
    parts_model, good_parts, faulty_parts
):
    refused = validate(
        parts_model,
        *("--normal", good_parts / "test" / "good", "--anomalous", faulty_parts / "test"),
        *("--false-alarm-rate", "0.001"),
    )
    assert refused.returncode == 1
    assert b"cannot be promised from 12 calibration items" in refused.stderr


def test_update_changes_the_threshold_and_nothing_else(
    parts_model, good_parts, faulty_parts, tmp_path
):
    model = tmp_path / "parts.model"
    shutil.copy(parts_model, model)
    before = model_file.load_model(str(model))
    done = validate(
        model,
        *("--normal", good_parts / "test" / "good", "--anomalous", faulty_parts / "test"),
        *("--rule", "overlap", "--update"),
    )
    wanted = float(printed(done)["threshold", "overlap"]["value"])
    after = model_file.load_model(str(model))
    assert after.manifest["threshold"]["rule"] == "overlap"
    assert after.manifest["threshold"]["value"] == pytest.approx(wanted, rel=1e-5)
    assert after.manifest["threshold"]["chosen_on"]["normal"] == 12
    assert after.manifest.pop("earlier_thresholds") == [before.manifest.pop("threshold")]
    after.manifest.pop("threshold")
    assert after.manifest == before.manifest
    labelled = run_script("test_anomaly_detector.py", "-m", model, "-d", faulty_parts / "test")
    for row in csv.DictReader(io.StringIO(labelled.stdout.decode())):
        assert (row["label"] == "anomaly") == (float(row["score"]) > wanted)


def test_pictures_that_are_in_both_folders_are_not_reported_on(parts_model, category, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(category, other)
    for number, path in enumerate(sorted((other / "test" / "good").iterdir())):
        picture = cv2.imread(str(path))
        if number < 7:
            picture[0, 0] = number  # another content
            cv2.imwrite(str(path), picture)
        else:
            path.rename(path.with_name(f"renamed_{number}.png"))
    changed = sorted(p for p in (other / "test").rglob("*.png") if p.parent.name != "good")[:5]
    for path in changed:
        picture = cv2.imread(str(path))
        picture[0, 0] = 77
        cv2.imwrite(str(path), picture)
    done = validate(parts_model, "--select-on", category, "--report-on", other)
    found = printed(done)
    counted = [
        int(found[name, "f1"]["value"])
        for name in ("true_negatives", "false_positives", "true_positives", "false_negatives")
    ]
    assert sum(counted[:2]) == 7
    assert sum(counted[2:]) == 5
    assert b"equals" in done.stderr


def test_choosing_and_reporting_on_the_same_folder_is_refused(parts_model, category):
    refused = validate(parts_model, "--select-on", category, "--report-on", category)
    assert refused.returncode == 1
    assert b"too few different normal images to report on: 0" in refused.stderr


def test_a_picture_that_is_said_to_be_both_is_an_error(parts_model, category):
    good = next((category / "test" / "good").iterdir())
    kind = next(p for p in (category / "test").iterdir() if p.name != "good")
    shutil.copy(good, kind / "the_same.png")
    refused = validate(parts_model, "--dataset", category)
    assert refused.returncode == 1
    assert b"one is said to be normal and the other an anomaly" in refused.stderr


def test_unreadable_pictures_are_named_and_left_out(parts_model, category):
    (category / "test" / "good" / "broken.png").write_bytes(b"no picture")
    done = validate(parts_model, "--dataset", category)
    assert done.returncode == 3
    assert b"broken.png" in done.stderr


@pytest.fixture
def masks(category):
    return sorted((category / "ground_truth").rglob("*.png"))


def test_masks_of_other_sizes_and_grey_values_are_read_as_stated(
    validated, parts_model, category, masks
):
    for number, path in enumerate(masks):
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if number % 3 == 0:  # 0 and 1
            mask = (mask > 0).astype(np.uint8)
        elif number % 3 == 1:  # soft, and with three channels
            mask = np.repeat((mask // 255 * 200)[:, :, None], 3, axis=2)
        else:
            mask = cv2.resize(mask, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(path), mask)
    found = printed(validate(parts_model, "--dataset", category))
    # Nearest neighbours of an enlarged mask are the mask.
    assert found["aupro", ""]["value"] == printed(validated[0])["aupro", ""]["value"]


def test_what_is_wrong_with_masks_is_said(parts_model, category, masks):
    stretched, empty, broken, missing = masks[:4]
    cv2.imwrite(str(stretched), np.full((20, 48), 255, np.uint8))
    cv2.imwrite(str(empty), np.zeros((48, 48), np.uint8))
    broken.write_bytes(b"no picture")
    missing.unlink()
    cv2.imwrite(str(missing.with_name("nobody_mask.png")), np.full((48, 48), 255, np.uint8))
    done = validate(parts_model, "--dataset", category, "--json", category / "m.json")
    said = done.stderr.decode()
    assert f"{stretched}: it is 48 x 20, and its image 48 x 48" in said
    assert f"{empty}: nothing is marked in it" in said
    assert f"{broken}: not an image" in said
    assert "nobody_mask.png: a mask without an image" in said
    assert "1 of 24 anomalous images has no mask" in said
    assert json.loads((category / "m.json").read_text())["pixels"]["pictures"] == 24 + 24 - 4


def test_two_masks_of_one_picture_are_an_error(parts_model, category, masks):
    shutil.copy(masks[0], masks[0].with_name(masks[0].name.replace("_mask", "")))
    refused = validate(parts_model, "--dataset", category)
    assert refused.returncode == 1
    assert b"masks of the same image" in refused.stderr


@pytest.mark.parametrize(
    ("options", "status", "sentence"),
    [
        ([], 2, b"give --normal and --anomalous"),
        (["--normal", "a"], 2, b"--anomalous is missing"),
        (["--normal", "a", "--anomalous", "b", "--dataset", "c"], 2, b"give --normal"),
        (["--dataset", "a", "--masks", "b"], 2, b"--masks goes with"),
        (["--dataset", "nowhere"], 1, b"nowhere: no such folder"),
        (["--dataset", "docs"], 1, b"docs: there is no test/good in it"),
        (["--normal", "nowhere", "--anomalous", "b"], 1, b"nowhere: no such folder"),
    ],
)
def test_what_cannot_work_is_a_sentence(parts_model, options, status, sentence):
    refused = validate(parts_model, *options)
    assert refused.returncode == status
    assert sentence in refused.stderr
    assert b"Traceback" not in refused.stderr
