"""Claims about --false-discovery-rate: verdicts over all images of a folder."""

import csv
import json
import shutil

import pytest

from helpers.scripts import CHECKOUT

Q = ("--false-discovery-rate", "0.1")
ALONE = "coast_1.jpg"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """``few``: 20 forests and one coast; ``many``: the same and 13 more images of no forest."""
    root = tmp_path_factory.mktemp("folders")
    for name in ("few", "many"):
        (root / name).mkdir()
        for number in range(1, 21):
            shutil.copy(CHECKOUT / "forest" / f"forest_{number}.jpg", root / name)
        shutil.copy(CHECKOUT / "examples" / ALONE, root / name)
    for number in range(13):
        source = CHECKOUT / "examples" / f"highway_{1 + number % 2}.jpg"
        shutil.copy(source, root / "many" / f"highway_{number:02}.jpg")
    return root


def rows_of(path):
    with open(path, newline="") as file:
        return {row["image"].rpartition("/")[2]: row for row in csv.DictReader(file)}


def test_whether_an_image_is_an_anomaly_depends_on_the_others_its_score_does_not(
    run, forest_model, folders, tmp_path
):
    found, said = {}, {}
    for name in ("few", "many"):
        ran = run(
            *("test_anomaly_detector.py", "-m", forest_model, "-d", folders / name, *Q),
            *("--csv", tmp_path / f"{name}.csv", "--report", tmp_path / f"{name}.html"),
        )
        assert ran.returncode == 0
        assert ran.stdout == (tmp_path / f"{name}.csv").read_bytes()
        found[name], said[name] = rows_of(tmp_path / f"{name}.csv"), ran.stderr.decode()
    few, many = (found[name][ALONE] for name in ("few", "many"))
    assert (few["label"], many["label"]) == ("normal", "anomaly")
    assert (few["score"], few["p_value"]) == (many["score"], many["p_value"])
    assert all(row["label"] == "normal" for row in found["few"].values())
    n_found = sum(row["label"] == "anomaly" for row in found["many"].values())
    assert 14 <= n_found < 20
    # 24 calibration items: 1/25 <= 0.1 k / 21 takes 9 images.
    assert "among 21 images, at a false-discovery rate of 0.1, only where at least 9" in said["few"]
    assert "no image stands out enough for a false-discovery rate of 0.1" in said["few"]
    sentence = f"f these {n_found}, about {round(n_found / 10)} "
    assert f"[INFO] o{sentence}" in said["many"]
    assert f"O{sentence}" in (tmp_path / "many.html").read_text()
    assert "False alarms to expect" not in (tmp_path / "many.html").read_text()


def test_both_labelling_scripts_call_the_same_images_anomalies(run, forest_model, folders):
    tested = run("test_anomaly_detector.py", "-m", forest_model, "-d", folders / "many", *Q)
    sought = run("find_anomalies.py", "-m", forest_model, "-d", folders / "many", *Q)
    assert (tested.returncode, sought.returncode) == (0, 0)
    anomalies = [row for row in tested.stdout.splitlines() if b",anomaly," in row]
    assert sorted(sought.stdout.splitlines()[1:]) == sorted(anomalies)


def test_scores_come_at_once_labels_last_and_a_resumed_run_decides_over_all(
    run, forest_model, folders, tmp_path
):
    def label(to, *more):
        return run(
            *("test_anomaly_detector.py", "-m", forest_model, "-d", folders / "many", *Q),
            *("--csv", to / "rows.csv", "--json", to / "rows.json", "-o", to / "pictures", *more),
        )

    whole, ended = tmp_path / "whole", tmp_path / "ended"
    for folder in (whole, ended):
        folder.mkdir()
    assert label(whole).returncode == 0
    # A file where a folder has to be ends the run when the first picture is drawn.
    (ended / "pictures").mkdir()
    in_the_way = ended / "pictures" / (next((whole / "pictures").iterdir()).name)
    in_the_way.write_bytes(b"")
    failed = label(ended)
    assert failed.returncode == 1
    assert b"Traceback" not in failed.stderr
    assert not (ended / "rows.csv").exists()
    rows = rows_of(ended / "rows.csv.partial")
    assert len(rows) == 34
    assert {row["label"] for row in rows.values()} == {""}
    assert rows[ALONE]["score"] == rows_of(whole / "rows.csv")[ALONE]["score"]
    lines = (ended / "rows.json.partial").read_text().splitlines()
    assert {json.loads(line)["label"] for line in lines} == {""}
    # The journal of a killed run has no more than the first rows.
    journal = ended / "rows.csv.journal"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:11]))
    in_the_way.unlink()
    assert label(ended, "--resume").returncode == 0
    for name in ("rows.csv", "rows.json"):
        assert (ended / name).read_bytes() == (whole / name).read_bytes()
    pictures = [
        {path.name: path.read_bytes() for path in folder.rglob("*.jpg")}
        for folder in (whole / "pictures", ended / "pictures")
    ]
    assert len(pictures[0]) == 34
    assert pictures[0] == pictures[1]


def test_pictures_show_the_label_that_was_decided_last(run, forest_model, folders, tmp_path):
    same = ("--false-alarm-rate", "0.04")  # of 24 calibration items, the same threshold
    for name, rule in (("last", Q), ("known", same)):
        run(
            *("test_anomaly_detector.py", "-m", forest_model, "-d", folders / "many"),
            *("-o", tmp_path / name, *rule),
        )
    pictures = [
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.jpg")}
        for name in ("last", "known")
    ]
    assert pictures[0] == pictures[1]


def test_a_rate_that_no_folder_could_show_is_refused(run, forest_model, folders):
    refused = run(
        *("find_anomalies.py", "-m", forest_model, "-d", folders / "few"),
        *("--false-discovery-rate", "0.03"),
    )
    assert refused.returncode == 1
    assert refused.stdout == b""
    message = b"a false-discovery rate of 0.03 cannot be promised from 24 calibration items"
    assert message in refused.stderr
    assert b"0.03 needs 9 more" in refused.stderr


def test_rows_of_a_series_are_not_judged_so(run, tmp_path):
    data = CHECKOUT / "examples" / "daily_normal.csv"
    run("train_anomaly_detector.py", "-d", data, "-m", tmp_path / "m.model", "--method", "stream")
    refused = run("find_anomalies.py", "-m", tmp_path / "m.model", "-d", data, *Q)
    assert refused.returncode == 1
    assert b"rows of a series depend on each other" in refused.stderr


def test_unreadable_images_keep_their_label_and_do_not_count(run, forest_model, tmp_path):
    for name in ("coast_1", "highway_1", "highway_2"):
        shutil.copy(CHECKOUT / "examples" / f"{name}.jpg", tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    ran = run("test_anomaly_detector.py", "-m", forest_model, "-d", tmp_path, *Q)
    assert ran.returncode == 3
    assert b"broken.jpg,unreadable,," in ran.stdout
    assert b"among 3 images" in ran.stderr
