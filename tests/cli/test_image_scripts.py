"""Claims about the commands, made by running them as a user would."""

import csv
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from helpers import hostile
from helpers.scripts import CHECKOUT, SCRIPTS, heed_interrupts, run_cold
from pyimagesearch.data import images
from pyimagesearch.detectors import model_file


def rows(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode(), newline="")))


def labels(text: bytes) -> dict[str, str]:
    return {os.path.basename(row["image"]): row["label"] for row in rows(text)}


@pytest.fixture
def train(run, tmp_path):
    def train(dataset, *options):
        model = tmp_path / "trained.model"
        command = ("train_anomaly_detector.py", "-d", dataset, "-m", model, "--method", "forest")
        return run(*command, *options), model

    return train


@pytest.fixture
def label(run, forest_model):
    def label(*options, run=run, **settings):
        return run("test_anomaly_detector.py", "-m", forest_model, *options, **settings)

    return label


def copies(folder, names, source=CHECKOUT / "forest"):
    folder.mkdir(exist_ok=True)
    for name in names:
        shutil.copy(source / name, folder / name)
    return folder


def test_the_projects_forests_are_normal_and_its_coasts_and_highways_are_anomalies(label):
    found = labels(label("--image", "examples").stdout)
    assert {name.split("_")[0]: verdict for name, verdict in found.items()} == {
        "forest": "normal",
        "coast": "anomaly",
        "highway": "anomaly",
    }


@pytest.mark.parametrize("seed", [42, 1])
def test_trained_on_16_forest_photos_coast_and_highway_are_anomalies(data, train, run, seed):
    trained, model = train(data / "scenes" / "forest", "--seed", seed)
    assert trained.returncode == 0, trained.stderr
    labelled = run("test_anomaly_detector.py", "-m", model, "-i", data / "scenes" / "examples")
    assert labels(labelled.stdout) == {
        "coast_osun52.jpg": "anomaly",
        "forest_cdmc290.jpg": "normal",
        "highway_a836030.jpg": "anomaly",
    }


def test_of_held_out_forests_the_asked_share_is_called_anomalies(data, train, run):
    scenes = data / "intel_scenes"
    trained, model = train(scenes / "train" / "forest", "--false-alarm-rate", 0.05)
    assert trained.returncode == 0, trained.stderr
    labelled = run("test_anomaly_detector.py", "-m", model, "-d", scenes / "valid" / "forest")
    verdicts = [row["label"] for row in rows(labelled.stdout)]
    alarms, n = verdicts.count("anomaly"), len(verdicts)
    # Both the calibration images and the held-out ones are a sample: their variances add.
    spread = np.sqrt(0.05 * 0.95 * (1 / n + 1 / 400))
    assert abs(alarms / n - 0.05) < 3 * spread


def test_the_same_command_gives_the_same_model_file_byte_for_byte(train):
    first, model = train("forest", "-n", 100, "--jobs", 1)
    before = model.read_bytes()
    second, _ = train("forest", "-n", 100, "--jobs", 2)
    assert (first.returncode, second.returncode) == (0, 0)
    assert model.read_bytes() == before


def test_sixteen_images_cannot_promise_one_per_cent(train, tmp_path):
    sixteen = copies(tmp_path / "16", [f"forest_{i}.jpg" for i in range(1, 17)])
    refused, model = train(sixteen, "--false-alarm-rate", 0.01)
    assert refused.returncode == 1
    assert b"1/17" in refused.stderr
    assert b"83 more" in refused.stderr
    assert not model.exists()


def test_the_audit_names_what_it_leaves_out_and_counts_copies_once(train, tmp_path):
    names = [f"forest_{i}.jpg" for i in range(1, 23)]
    folder = copies(tmp_path / "audited", names)
    copies(folder, ["highway_1.jpg"], CHECKOUT / "examples")
    shutil.copy(folder / "forest_1.jpg", folder / "z_copy.jpg")
    (folder / "broken.jpg").write_bytes(b"nothing")
    trained, model = train(folder, "-n", 300)
    messages = trained.stderr.decode()
    assert trained.returncode == 0
    assert "broken.jpg: not an image" in messages
    assert "z_copy.jpg equals" in messages
    assert "unlike the rest" in messages
    assert "highway_1.jpg (score" in messages
    assert model_file.load_model(str(model)).manifest["training"]["images"] == 23
    strict, _ = train(folder, "--strict")
    assert strict.returncode == 1
    assert b"--strict" in strict.stderr


def test_too_few_images_are_refused_with_the_number_it_takes(train, tmp_path):
    few = copies(tmp_path / "few", [f"forest_{i}.jpg" for i in range(1, 6)])
    refused, model = train(few)
    assert refused.returncode == 1
    assert b"5 different readable images are too few" in refused.stderr
    assert not model.exists()


def test_images_that_all_look_the_same_are_refused(train, tmp_path):
    folder = tmp_path / "same"
    folder.mkdir()
    jpeg = (CHECKOUT / "forest" / "forest_1.jpg").read_bytes()
    for i in range(20):
        (folder / f"{i}.jpg").write_bytes(jpeg + bytes([i]))  # what follows a JPEG is ignored
    refused, _ = train(folder)
    assert refused.returncode == 1
    assert b"look the same" in refused.stderr


def test_contamination_is_there_by_name(train):
    trained, model = train("forest", "-n", 100, "--threshold", "contamination")
    assert trained.returncode == 0
    threshold = model_file.load_model(str(model)).manifest["threshold"]
    assert (threshold["rule"], threshold["parameter"]) == ("contamination", 0.01)


def test_one_image_gives_a_header_and_one_row(label):
    printed = label("-i", "examples/coast_1.jpg")
    assert printed.returncode == 0
    lines = printed.stdout.decode().splitlines()
    assert lines[0] == "image,label,score,p_value"
    assert lines[1].startswith("examples/coast_1.jpg,anomaly,0.")
    assert len(lines) == 2


def test_a_score_is_the_same_alone_in_a_folder_in_any_order_and_with_any_jobs(label):
    paths = sorted((CHECKOUT / "forest").glob("*.jpg"))
    together = rows(label("-d", "forest", "--jobs", 1).stdout)
    assert rows(label("-d", "forest", "--jobs", 2).stdout) == together
    backwards = rows(label("-i", *[f"forest/{p.name}" for p in reversed(paths)]).stdout)
    assert sorted(backwards, key=str) == sorted(together, key=str)
    assert rows(label("-i", together[5]["image"]).stdout) == [together[5]]


def test_paths_can_come_from_stdin(label):
    printed = label("-i", "-", input=b"examples/coast_1.jpg\nexamples/forest_1.jpg\n")
    assert labels(printed.stdout) == {"coast_1.jpg": "anomaly", "forest_1.jpg": "normal"}


def test_csv_and_json_files_hold_the_same_rows(label, tmp_path):
    printed = label(
        "-i", "examples", "--csv", tmp_path / "out.csv", "--json", tmp_path / "out.json"
    )
    assert (tmp_path / "out.csv").read_bytes() == printed.stdout
    objects = [json.loads(line) for line in (tmp_path / "out.json").read_text().splitlines()]
    assert [o["image"] for o in objects] == [row["image"] for row in rows(printed.stdout)]
    assert [f"{o['score']:.6g}" for o in objects] == [row["score"] for row in rows(printed.stdout)]


def test_top_prints_the_strangest_first(label):
    everything = rows(label("-i", "examples", "forest").stdout)
    expected = sorted(everything, key=lambda row: -float(row["score"]))[:3]
    assert rows(label("-i", "examples", "forest", "--top", 3).stdout) == expected


def test_the_threshold_can_be_changed_without_retraining(label):
    assert set(labels(label("-i", "examples", "--threshold", "0.01").stdout).values()) == {
        "anomaly"
    }
    assert set(labels(label("-i", "examples", "--threshold", "0.99").stdout).values()) == {"normal"}
    half = [float(r["p_value"]) <= 0.5 for r in rows(label("-d", "forest").stdout)]
    asked = rows(label("-d", "forest", "--false-alarm-rate", 0.5).stdout)
    assert [row["label"] == "anomaly" for row in asked] == half
    refused = label("-i", "examples", "--false-alarm-rate", 0.001)
    assert refused.returncode == 1
    assert b"1/25" in refused.stderr


def test_fail_on_anomaly_is_status_4(label):
    assert label("-i", "examples/coast_1.jpg", "--fail-on-anomaly").returncode == 4
    assert label("-i", "examples/forest_1.jpg", "--fail-on-anomaly").returncode == 0


def test_a_normal_picture_stays_plain_and_an_anomaly_shows_its_map(label, tmp_path):
    label("-i", "examples", "-o", tmp_path / "out")
    for name, plain in (("forest_1.png", True), ("coast_1.png", False)):
        single = label("-i", f"examples/{name[:-4]}.jpg", "-o", tmp_path / name)
        assert single.returncode == 0
        picture = images.read_image(str(tmp_path / name)).astype(int)
        original = images.read_image(str(CHECKOUT / "examples" / f"{name[:-4]}.jpg"))
        assert picture.shape == (256, 512, 3)
        assert np.array_equal(picture[:, 256:], original) == plain
        assert np.array_equal(picture[100:, :256], original[100:])
        assert not np.array_equal(picture[:40, :256], original[:40])
    written = sorted(path.name for path in (tmp_path / "out" / "examples").iterdir())
    assert written == sorted(path.name for path in (CHECKOUT / "examples").glob("*.jpg"))


def test_labelling_imports_neither_scikit_learn_nor_tensorflow(forest_model, tmp_path):
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['test_anomaly_detector.py', '-m', {str(forest_model)!r}, '-i', 'examples',"
        f" '-o', {str(tmp_path / 'out')!r}]\n"
        "try: runpy.run_path('test_anomaly_detector.py', run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = {'sklearn', 'tensorflow', 'keras', 'scipy', 'pandas', 'matplotlib', 'joblib',"
        " 'distributed', 'dask', 'fsspec'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, check=False
    )
    assert ended.stderr.decode().splitlines()[-1] == "[]"


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_file_of_a_hostile_folder_gets_its_row(label, tmp_path, sample_jpeg, jobs):
    folder = tmp_path / "hostile"
    expected = hostile.make_folder(folder, sample_jpeg)
    ended = label(
        "-d", folder, "--jobs", jobs, "--json", tmp_path / "rows.json", "-o", tmp_path / "o"
    )
    assert ended.returncode == 3
    assert b"Traceback" not in ended.stderr
    found = {}
    for line in (tmp_path / "rows.json").read_text().splitlines():
        row = json.loads(line)
        found[os.fsencode(os.path.basename(row["image"]))] = row["label"]
    fates = {
        name: hostile.UNREADABLE if verdict == "unreadable" else hostile.READABLE
        for name, verdict in found.items()
    }
    assert fates == expected
    table = rows(ended.stdout)
    assert len(table) == len(expected)
    assert {row["label"] for row in table} <= {"normal", "anomaly", "unreadable"}
    assert all((row["score"] == "") == (row["label"] == "unreadable") for row in table)
    pictures = sum(len(files) for _, _, files in os.walk(os.fsencode(tmp_path / "o")))
    assert pictures == sum(fate == hostile.READABLE for fate in expected.values())


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (2 * 1024**3, 2 * 1024**3))


def test_a_picture_of_900_megapixels_is_refused_without_its_memory(label, tmp_path):
    (tmp_path / "huge.png").write_bytes(hostile.huge_png(30_000))
    ended = label("-i", tmp_path / "huge.png", "--jobs", 1, run=run_cold, preexec_fn=limit_memory)
    assert ended.returncode == 3
    assert b"huge.png: 30000 x 30000 takes 900 MB of memory, more than 400 MB" in ended.stderr


def test_training_on_a_hostile_folder_uses_what_can_be_read(train, tmp_path, sample_jpeg):
    folder = tmp_path / "hostile"
    hostile.make_folder(folder, sample_jpeg)
    copies(folder, [f"forest_{i}.jpg" for i in range(1, 9)])
    trained, _ = train(folder, "-n", 50)
    assert trained.returncode == 0, trained.stderr
    assert b"Traceback" not in trained.stderr


def test_a_file_name_is_no_formula_in_the_csv(run, forest_model, tmp_path):
    name = "=cmd|' !A1.jpg"
    shutil.copy(CHECKOUT / "examples" / "coast_1.jpg", tmp_path / name)
    script = CHECKOUT / "test_anomaly_detector.py"
    printed = run(script, "-m", forest_model, "-i", name, cwd=tmp_path)
    assert rows(printed.stdout)[0]["image"] == f"./{name}"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-m", "nowhere.model", "-i", "examples"], b"nowhere.model: No such file"),
        (["-m", "README.md", "-i", "examples"], b"README.md: this is not a model file"),
    ],
)
def test_a_model_that_cannot_be_used_is_status_1_and_a_sentence(run, arguments, sentence):
    ended = run("test_anomaly_detector.py", *arguments)
    assert ended.returncode == 1
    assert sentence in ended.stderr
    assert b"Traceback" not in ended.stderr


def test_a_model_with_another_number_of_bins_is_refused(run, forest_model, tmp_path):
    model = model_file.load_model(str(forest_model))
    model.manifest["preprocessing"]["bins"] = [4, 4, 4]
    del model.manifest["members"], model.manifest["format_version"], model.manifest["format"]
    changed = tmp_path / "changed.model"
    model_file.save_model(str(changed), model.manifest, model.arrays)
    ended = run("test_anomaly_detector.py", "-m", changed, "-i", "examples")
    assert ended.returncode == 1
    assert b"takes 27 features, but its preprocessing makes 64" in ended.stderr


def test_missing_and_empty_inputs_get_a_sentence(label, train, tmp_path):
    (tmp_path / "empty").mkdir()
    assert b"no images" in label("-d", tmp_path / "empty").stderr
    assert label("-d", tmp_path / "empty").returncode == 1
    missing = label("-i", "nowhere.jpg")
    assert missing.returncode == 3
    assert labels(missing.stdout) == {"nowhere.jpg": "unreadable"}
    for dataset, sentence in (("nowhere", b"No such file"), (tmp_path / "empty", b"no images")):
        refused, _ = train(dataset)
        assert refused.returncode == 1
        assert sentence in refused.stderr


def test_what_a_folder_holds_beside_images_is_counted_and_not_labelled(label, train, tmp_path):
    folder = copies(tmp_path / "mixed", [f"forest_{i}.jpg" for i in range(1, 10)])
    for name in ("a.cr2", "b.CR2", "c.psd", "notes.txt"):
        (folder / name).write_bytes(b"x")
    sentence = b"left out, not images that can be read: 2 .cr2, 1 .psd\n"
    trained, model = train(folder, "--n-estimators", "10")
    assert trained.stderr.count(sentence) == 1
    assert model_file.load_model(str(model)).manifest["training"]["images"] == 9
    labelled = label("-d", folder)
    assert labelled.returncode == 0
    assert labelled.stderr.count(sentence) == 1
    assert len(rows(labelled.stdout)) == 9
    for name in os.listdir(folder):
        if name.endswith(".jpg"):
            os.unlink(folder / name)
    for refused in (label("-d", folder), train(folder)[0]):
        assert refused.returncode == 1
        assert b"no images in" in refused.stderr
        assert b"only 2 .cr2, 1 .psd, 1 .txt\n" in refused.stderr


@pytest.mark.parametrize("script", ["train_anomaly_detector.py", "train_autoencoder.py"])
def test_of_a_category_of_mvtecs_layout_only_the_good_training_images_are_learned(
    run, tmp_path, script
):
    names = [f"forest_{i}.jpg" for i in range(1, 10)]
    (tmp_path / "parts" / "train").mkdir(parents=True)
    (tmp_path / "parts" / "test").mkdir()
    good = copies(tmp_path / "parts" / "train" / "good", names)
    copies(tmp_path / "parts" / "test" / "dry", ["coast_1.jpg"], CHECKOUT / "examples")
    model = tmp_path / "parts.model"
    forest = ("--method", "forest", "--n-estimators", "10")
    own = forest if script == "train_anomaly_detector.py" else ("-a", "pca")
    outputs = () if "detector" in script else ("-v", tmp_path / "v.png", "-p", tmp_path / "p.png")
    ended = run(script, "-d", tmp_path / "parts", "-m", model, *own, *outputs)
    assert ended.returncode == 0, ended.stderr
    assert f"learning {good} alone".encode() in ended.stderr
    assert b"coast" not in ended.stderr
    whole = run(script, "-d", good, "-m", tmp_path / "good.model", *own, *outputs)
    assert b"alone" not in whole.stderr
    learned = [model_file.load_model(str(p)).manifest for p in (model, tmp_path / "good.model")]
    assert learned[0]["training"] == learned[1]["training"]


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["-i", "examples", "--false-alarm-rate", "2"],
        ["-i", "examples", "--threshold", "otsu"],
        ["-i", "examples", "--false-alarm-rate", "0.1", "--threshold", "0.5"],
        ["-i", "examples", "--jobs", "0"],
        ["-i", "examples", "--top", "x"],
        ["-i", "examples", "--thresh", "0.5"],
    ],
)
def test_wrong_usage_is_status_2(label, options):
    ended = label(*options)
    assert ended.returncode == 2
    assert b"usage:" in ended.stderr


@pytest.mark.parametrize("rule", ["nan", "inf", "otsu", ""])
def test_a_rule_that_is_neither_a_name_nor_a_number_is_wrong_usage(label, rule):
    refused = label("-i", "x.jpg", "-t", rule)
    assert refused.returncode == 2
    assert b"neither a number nor one of" in refused.stderr


def test_a_closed_pipe_ends_quietly(forest_model):
    command = (
        f"{sys.executable} test_anomaly_detector.py -m {forest_model} -i forest forest forest "
        "| head -1; echo status ${PIPESTATUS[0]}"
    )
    ended = subprocess.run(
        ["bash", "-c", command], cwd=CHECKOUT, capture_output=True, check=True, text=True
    )
    assert ended.stdout == "image,label,score,p_value\nstatus 0\n"
    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr


def test_without_a_display_show_is_refused_with_a_sentence(label):
    environment = {k: v for k, v in os.environ.items() if "DISPLAY" not in k}
    for extra in ({}, {"DISPLAY": ":987"}):
        ended = label("-i", "examples/coast_1.jpg", "--show", env=environment | extra)
        assert ended.returncode == 1
        assert b"--show needs a display" in ended.stderr


def test_a_full_disk_is_status_1_and_leaves_nothing_half_written(label, tmp_path):
    target = tmp_path / "full"
    target.mkdir()
    trained = run_cold(
        *("train_anomaly_detector.py", "-d", "forest", "-n", 20, "-m", target / "m.model"),
        *("--method", "forest"),
        largest_file=2_000,
    )
    pictures = label("-i", "examples", "-o", target, run=run_cold, largest_file=2_000)
    for ended in (trained, pictures):
        assert ended.returncode == 1
        assert b"File too large" in ended.stderr
        assert b"Traceback" not in ended.stderr
    assert [files for _, _, files in os.walk(target) if files] == []


def test_stdout_on_a_full_disk_is_status_1(label):
    with open("/dev/full", "wb") as full:
        ended = label(
            *("-i", "examples"),
            run=run_cold,
            capture_output=False,
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert ended.returncode == 1
    assert b"No space left" in ended.stderr
    assert b"Traceback" not in ended.stderr


def test_a_folder_that_cannot_be_written_to_is_status_1(run, label):
    for ended, name in (
        (label("-i", "examples/coast_1.jpg", "-o", "/proc/nowhere/out.png"), b"/proc/nowhere"),
        (label("-i", "examples", "--csv", "/proc/out.csv"), b"/proc/out.csv: "),
        (
            run("train_anomaly_detector.py", "-d", "forest", "-m", "/proc/m.model"),
            b"/proc/m.model: ",
        ),
        (run("train_anomaly_detector.py", "-d", "forest", "-m", "forest"), b"forest: Is a dir"),
    ):
        assert ended.returncode == 1
        assert name in ended.stderr
        assert b"Traceback" not in ended.stderr


def test_output_inside_the_input_folder_is_refused(label, tmp_path):
    folder = copies(tmp_path / "in", ["forest_1.jpg"])
    ended = label("-d", folder, "-o", folder / "out")
    assert ended.returncode == 1
    assert b"lies inside" in ended.stderr


def test_a_dataset_that_is_not_there_is_a_mistake_and_no_unreadable_image(label):
    ended = label("-d", "mistyped")
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert ended.stderr.decode() == "[ERROR] mistyped: no such folder\n"


def test_quiet_leaves_only_warnings(label):
    ended = label("-i", "examples/coast_1.jpg", "nowhere.jpg", "--quiet")
    assert ended.stderr.decode().splitlines() == ["[WARNING] nowhere.jpg: no such file"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_ctrl_c_while_a_script_still_imports_leaves_no_traceback(script, tmp_path):
    (tmp_path / "cv2.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n"
    )
    ended = subprocess.run(
        [sys.executable, script, "--version"],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        preexec_fn=heed_interrupts,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, b"", b"")


def test_the_committed_pictures_are_those_that_the_script_renders(run, tmp_path):
    rendered = run(
        *("generate_data.py", "scenes", "-o", tmp_path, "--kinds", "coast", "forest"),
        *("--count", 1, "--seed", 7),
    )
    assert rendered.returncode == 0, rendered.stderr
    for name in ("coast_1.jpg", "forest_1.jpg"):
        fresh = images.read_image(str(tmp_path / name)).astype(int)
        committed = images.read_image(str(CHECKOUT / "examples" / name))
        assert np.abs(fresh - committed).mean() < 1  # JPEG encoders may round apart


def test_the_committed_pictures_are_small():
    files = [p for folder in ("forest", "examples") for p in (CHECKOUT / folder).iterdir()]
    assert len(list((CHECKOUT / "forest").glob("forest_*.jpg"))) >= 24
    assert sum(path.stat().st_size for path in files) < 2_000_000


def test_a_dataset_that_is_not_there_is_an_error_and_no_unreadable_image(run, forest_model):
    for dataset in ("nowhere", "nowhere.npz", "nowhere.jpg"):
        ended = run("find_anomalies.py", "-m", forest_model, "-d", dataset)
        assert ended.returncode == 1
        assert ended.stderr.decode().endswith(f"[ERROR] {dataset}: no such file or folder\n")


def test_what_cannot_be_promised_is_estimated_and_marked_when_asked_for(
    run, forest_model, tmp_path
):
    rows, page = tmp_path / "rows.json", tmp_path / "page.html"
    command = ("test_anomaly_detector.py", "-m", forest_model, "--image", "examples")
    asked = ("--false-alarm-rate", "0.01", "--json", rows)
    refused = run(*command, *asked)
    assert b"0.01 cannot be promised from 24 calibration items" in refused.stderr
    done = run(*command, *asked, "--extrapolate", "--report", page)
    assert done.returncode == 0, done.stderr
    assert b"[WARNING] p-values and false-alarm rates below 1/25, the best that" in done.stderr
    assert "estimates, not promises" in page.read_text()
    found = [json.loads(line) for line in rows.read_text().splitlines()]
    assert {row.get("extrapolated", False) for row in found} == {True, False}
    assert all((row["p_value"] < 1 / 25) == ("extrapolated" in row) for row in found)
    assert all((row["label"] == "anomaly") == (row["p_value"] <= 0.01) for row in found)


def test_a_run_does_not_go_on_with_other_p_values(run, forest_model, tmp_path):
    command = ("test_anomaly_detector.py", "-m", forest_model, "--image", "examples")
    results = ("--csv", tmp_path / "rows.csv", "--resume")
    assert run(*command, *results).returncode == 0
    refused = run(*command, *results, "--extrapolate")
    assert refused.returncode == 1
    assert b"that run was begun with other options" in refused.stderr
