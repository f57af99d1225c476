"""Training on patches and labelling, as a user does it."""

import csv
import io
import json
import re
import shutil
import zipfile
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from helpers import tiny
from helpers.inspections import saved
from helpers.lazy import Lazy
from helpers.reports import embedded
from helpers.scripts import CHECKOUT, run_cold
from pyimagesearch.data import images
from pyimagesearch.detectors.model_file import load_model
from pyimagesearch.labelling.images import Labeller

SMALL = ("--image-size", "128")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A folder with ``good``, ``more``, ``new`` and ``bad`` parts, and ``net.onnx``."""
    folder = tmp_path_factory.mktemp("parts")
    tiny.write_parts(folder / "good", 16)
    tiny.write_parts(folder / "more", 8, seed=1)
    tiny.write_parts(folder / "new", 12, seed=2)
    tiny.write_parts(folder / "bad", 8, seed=3, scratch=True)
    tiny.write_network(folder / "net.onnx")
    return folder


@pytest.fixture(scope="module")
def model(parts, run):
    path = parts / "patches.model"
    train(run, parts / "good", path, "--backbone", parts / "net.onnx", "--keep-thumbnails")
    return path


def train(run, dataset, model, *options, status=0):
    done = run("train_anomaly_detector.py", "-d", dataset, "-m", model, *options)
    assert done.returncode == status, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done.stderr.decode()


def rows(run, model, *paths, options=(), status=0):
    done = run("test_anomaly_detector.py", "-m", model, "-i", *paths, *options)
    assert done.returncode == status, done.stderr.decode()
    return list(csv.DictReader(io.StringIO(done.stdout.decode())))


@pytest.mark.parametrize("size", [None, 140])
def test_a_vision_transformer_is_a_backbone_like_others(parts, run, tmp_path, size):
    network = tmp_path / "vit.onnx"
    made = tiny.transformer(leading=5, depth=3, size=size, fixed_positions=size)
    network.write_bytes(made.SerializeToString())
    train(run, parts / "good", tmp_path / "vit.model", "--backbone", network)
    network.unlink()
    found = rows(run, tmp_path / "vit.model", parts / "new", parts / "bad")
    scores = {
        kind: [float(r["score"]) for r in found if f"/{kind}/" in r["image"]]
        for kind in ("new", "bad")
    }
    assert min(scores["bad"]) > max(scores["new"])


def test_scratches_are_found_and_their_places_shown(parts, run, model):
    found = rows(run, model, parts / "new", parts / "bad")
    labels = {
        kind: [r["label"] for r in found if f"/{kind}/" in r["image"]] for kind in ("new", "bad")
    }
    assert labels["bad"] == ["anomaly"] * 8
    assert labels["new"].count("anomaly") <= 3
    labeller = Labeller.open(str(model))
    picture = tiny.scratched(tiny.part(np.random.default_rng(9)), (80, 110))
    path = parts / "one.png"
    cv2.imwrite(str(path), picture)
    image, heat = labeller.heat_map(path.read_bytes())
    assert heat.shape == image.shape[:2]
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    assert abs(y - 80) <= 8
    assert abs(x - 110) <= 8


def test_heat_of_normal_parts_stays_dark_and_every_anomaly_shows_some(parts, model):
    labeller = Labeller.open(str(model))
    for path in images.list_images(str(parts / "new")):
        verdict = next(labeller.label([path], 1))
        _, heat = labeller.heat_map(images.read_bytes(path))
        assert (heat.max() > 1) == (verdict.label == "anomaly")


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--method", "memory-bank", "--no-backbone"],
        ["--method", "subspace", "--no-backbone"],
        ["--method", "gaussian"],
        ["--method", "memory-bank", "--coreset", "random", "--bank-size", "500"],
        ["--method", "subspace", "--backbone", "net.onnx", "--layers", "coarse"],
        ["--method", "gaussian", "--backbone", "net.onnx", "--image-size", "128"],
        ["--backbone", "net.onnx", "--tile", "200"],
        ["--backbone", "net.onnx", "--augment", "rotation"],
    ],
    ids=" ".join,
)
def test_every_method_finds_the_scratches(parts, run, tmp_path, options):
    options = [parts / o if o.endswith(".onnx") else o for o in options]
    train(run, parts / "new", tmp_path / "m", *options)
    found = rows(run, tmp_path / "m", parts / "more", parts / "bad")
    good = [float(r["score"]) for r in found if "/more/" in r["image"]]
    bad = [float(r["score"]) for r in found if "/bad/" in r["image"]]
    assert np.mean([[b > g for g in good] for b in bad]) > 0.9


@pytest.mark.parametrize("method", ["neighbours", "forest"])
def test_whole_pictures_are_judged_with_a_network_and_without(parts, run, tmp_path, method):
    options = ["--method", method, *(["-n", "50"] if method == "forest" else [])]
    without = ["--no-backbone"] if method == "neighbours" else []
    train(run, CHECKOUT / "forest", tmp_path / "a", *options, *without)
    train(run, CHECKOUT / "forest", tmp_path / "b", *options, "--backbone", parts / "net.onnx")
    for name in "ab":
        found = rows(run, tmp_path / name, CHECKOUT / "examples")
        assert {r["label"] for r in found} <= {"normal", "anomaly"}
        assert found[4]["label"] == "anomaly"  # a highway
        shown = run(
            *("test_anomaly_detector.py", "-m", tmp_path / name, "-i", "examples/highway_1.jpg"),
            *("-o", tmp_path / f"{name}.png", "--report", tmp_path / f"{name}.html"),
        )
        assert shown.returncode == 0, shown.stderr.decode()
        if method == "neighbours":
            assert "The image as a whole is unlike" in (tmp_path / f"{name}.html").read_text()


def test_the_same_command_gives_the_same_file(parts, run, tmp_path, model):
    again = tmp_path / "again"
    train(
        *(run, parts / "good", again, "--backbone", parts / "net.onnx"),
        *("--keep-thumbnails", "--jobs", "2"),
    )
    assert again.read_bytes() == model.read_bytes()


def test_names_and_order_of_the_pictures_do_not_matter(parts, run, tmp_path, model):
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for number, path in enumerate(sorted((parts / "good").iterdir(), reverse=True)):
        shutil.copy(path, renamed / f"{number:03}.png")
    train(run, renamed, tmp_path / "m", "--backbone", parts / "net.onnx")
    first, second = (Labeller.open(str(path)) for path in (model, tmp_path / "m"))
    np.testing.assert_array_equal(first.calibration, second.calibration)
    picture = images.read_image(str(parts / "bad" / "000.png"))
    features = first.extractor.extract(picture)
    np.testing.assert_array_equal(
        first.detector.contributions(features), second.detector.contributions(features)
    )


def test_a_picture_scores_the_same_alone_and_among_others(parts, run, model):
    paths = sorted((parts / "new").iterdir())
    together = rows(run, model, *paths)
    assert rows(run, model, *paths, options=("--jobs", "2")) == together
    assert rows(run, model, paths[3]) == together[3:4]
    assert rows(run, model, *paths[::-1]) == together[::-1]


def test_labelling_needs_nothing_heavy(parts, model):
    script = (
        "import sys, runpy\n"
        f"sys.argv = ['test', '-m', {str(model)!r}, '-i', {str(parts / 'bad' / '000.png')!r}]\n"
        "try:\n    runpy.run_path('test_anomaly_detector.py', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'scipy', 'pandas', 'matplotlib', 'onnx'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = run_cold("-c", script)
    assert done.stderr.decode().strip().endswith("[]"), done.stderr.decode()


def test_an_external_backbone_is_asked_for_and_compared(parts, run, tmp_path):
    model = tmp_path / "m"
    train(
        *(run, parts / "good", model, "--backbone", parts / "net.onnx", "--external-backbone"),
    )
    with zipfile.ZipFile(model) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".onnx")]
    picture = parts / "bad" / "000.png"
    asked = run("test_anomaly_detector.py", "-m", model, "-i", picture)
    assert asked.returncode == 1
    assert b"--backbone" in asked.stderr
    found = rows(run, model, picture, options=("--backbone", parts / "net.onnx"))
    assert found[0]["label"] == "anomaly"
    other = tiny.network()
    other.producer_name = "another"
    (tmp_path / "other.onnx").write_bytes(other.SerializeToString())
    refused = run(
        *("test_anomaly_detector.py", "-m", model, "-i", picture),
        *("--backbone", tmp_path / "other.onnx"),
    )
    assert refused.returncode == 1
    assert b"has the digest" in refused.stderr


def test_pictures_are_added_to_a_model(parts, run, tmp_path, model):
    bigger = tmp_path / "bigger"
    train(run, parts / "more", bigger, "--update", model)
    before, after = (Labeller.open(str(path)) for path in (model, bigger))
    assert len(after.calibration) == len(before.calibration) + 8
    patches = [len(one.detector.bank.groups[0].points) for one in (before, after)]
    assert patches[1] >= patches[0]
    images_known = [len(one.detector.neighbours.bank) for one in (before, after)]
    assert images_known == [16, 24]
    # Another kind of normal: what was strange no longer is.
    blue = tmp_path / "blue"
    blue.mkdir()
    for path in sorted((parts / "more").iterdir()):
        picture = images.read_image(str(path))
        picture[:40, :40] = (200, 80, 20)
        cv2.imwrite(str(blue / path.name), picture)
    train(run, blue, bigger, "--update", model)
    one = blue / "000.png"
    old, new = (float(rows(run, path, one)[0]["score"]) for path in (model, bigger))
    assert new < old / 1.5
    assert rows(run, bigger, parts / "bad" / "000.png")[0]["label"] == "anomaly"


def test_what_an_inspector_calls_fine_is_added_and_the_threshold_stays(parts, run, tmp_path, model):
    blue = tmp_path / "blue"
    blue.mkdir()
    for path in sorted((parts / "more").iterdir()):
        picture = images.read_image(str(path))
        picture[:40, :40] = (200, 80, 20)
        cv2.imwrite(str(blue / path.name), picture)
    *judged, other = sorted(blue.iterdir())
    known = load_model(str(model))
    verdicts = [
        (row["image"], float(row["score"]), "defect" if "/bad/" in row["image"] else "fine")
        for row in rows(run, model, *judged, parts / "bad")
    ]
    assert all(score > known.threshold for _, score, _ in verdicts)
    verdicts.append((str(tmp_path / "gone.png"), known.threshold + 9, "fine"))
    path = tmp_path / "v.json"
    path.write_text(json.dumps(saved(known, verdicts)))
    bigger = tmp_path / "bigger"
    done = run(
        *("train_anomaly_detector.py", "--verdicts", path, "--update", model, "-m", bigger),
    )
    said = done.stderr.decode()
    assert done.returncode == 0, said
    assert "gone.png: is not there" in said
    assert "of 8 defects that it found, it finds 8 now" in said
    updated = load_model(str(bigger))
    assert updated.manifest["threshold"] == known.manifest["threshold"]
    calibrations = [Labeller.open(str(one)).calibration for one in (model, bigger)]
    assert np.array_equal(*calibrations)
    assert updated.scores_digest() != known.scores_digest()
    before, after = (rows(run, one, other)[0] for one in (model, bigger))
    assert (before["label"], after["label"]) == ("anomaly", "normal")
    # Of the updated model they are not.
    again = run("train_anomaly_detector.py", "--verdicts", path, "--update", bigger, "-m", bigger)
    assert b"of a report of another model" in again.stderr


def test_verdicts_without_a_fine_image_that_is_there_add_nothing(parts, run, tmp_path, model):
    known = load_model(str(model))
    path = tmp_path / "v.json"
    for verdicts, sentence in (
        (
            [(str(parts / "bad" / "000.png"), known.threshold + 1, "defect")],
            b"it calls no image fine",
        ),
        ([("gone.png", known.threshold + 1, "fine")], b"none of the images that it calls fine"),
        ([(str(parts / "good" / "000.png"), known.threshold - 0.1, "fine")], b"are needed"),
    ):
        path.write_text(json.dumps(saved(known, verdicts)))
        options = ("--verdicts", path, "--update", model, "-m", tmp_path / "m")
        done = run("train_anomaly_detector.py", *options)
        assert (done.returncode, done.stdout) == (1, b"")
        assert sentence in done.stderr
    assert not (tmp_path / "m").exists()


def test_what_is_added_can_be_shown_as_an_explanation(parts, run, tmp_path, model):
    blue = tmp_path / "blue"
    blue.mkdir()
    picture = tiny.part(np.random.default_rng(77))
    for number in range(3):
        picture[:40, :40] = (200, 80, 20 + number)
        cv2.imwrite(str(blue / f"{number}.png"), picture)
    train(run, blue, tmp_path / "bigger", "--update", model)
    before, after = (Labeller.open(str(path)) for path in (model, tmp_path / "bigger"))
    assert len(after.detector.thumbnails) == len(before.detector.thumbnails) + 3
    # A yellow spot on blue is nearest to what was added, anything else to what was there.
    spoiled = picture.copy()
    spoiled[14:22, 14:22] = (0, 255, 255)
    shown, _ = after.detector.explain(after.extractor.extract(spoiled))
    assert any(np.array_equal(shown, added) for added in after.detector.thumbnails[-3:])
    old = images.read_image(str(parts / "good" / "000.png"))
    shown, _ = after.detector.explain(after.extractor.extract(old))
    assert any(np.array_equal(shown, known) for known in before.detector.thumbnails)


def test_the_nearest_normal_picture_is_drawn_beside_an_anomaly(parts, run, tmp_path, model):
    assert rows(run, model, parts / "bad" / "000.png", options=["-o", tmp_path / "drawn.png"])
    drawn = images.read_image(str(tmp_path / "drawn.png"))
    given = images.read_image(str(parts / "bad" / "000.png"))
    assert drawn.shape == (given.shape[0], 3 * given.shape[1], 3)
    labeller = Labeller.open(str(model))
    thumbnail, _ = labeller.nearest(labeller.extractor.extract(given))
    shown = cv2.resize(drawn[:, 2 * given.shape[1] :], thumbnail.shape[:2])
    assert np.median(cv2.absdiff(shown, thumbnail)) < 8  # all but the ring


def test_a_model_without_its_network_is_added_to_with_it(parts, run, tmp_path):
    small, bigger = tmp_path / "small", tmp_path / "bigger"
    backbone = ("--backbone", parts / "net.onnx")
    train(run, parts / "more", small, *backbone, "--external-backbone")
    said = train(run, parts / "new", bigger, "--update", small, status=1)
    assert "--backbone" in said
    train(run, parts / "new", bigger, "--update", small, *backbone)
    found = rows(run, bigger, parts / "bad", options=backbone)
    assert [row["label"] for row in found] == ["anomaly"] * 8
    assert not any(name.endswith(".onnx") for name in zipfile.ZipFile(bigger).namelist())


def test_other_models_cannot_be_added_to(parts, run, tmp_path, forest_model):
    said = train(run, parts / "more", tmp_path / "m", "--update", forest_model, status=1)
    assert "only to one of auto or memory-bank" in said


def test_what_a_mask_covers_is_ignored(parts, run, tmp_path):
    mask = np.zeros((150, 200), np.uint8)
    mask[40:110, 60:140] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    train(
        *(run, parts / "good", tmp_path / "m", "--backbone", parts / "net.onnx"),
        *("--mask", tmp_path / "mask.png"),
    )
    labels = [r["label"] for r in rows(run, tmp_path / "m", parts / "bad")]
    assert labels.count("anomaly") <= 2
    cv2.imwrite(str(tmp_path / "white.png"), np.full((9, 9), 255, np.uint8))
    said = train(
        *(run, parts / "good", tmp_path / "n", "--method", "memory-bank", "--no-backbone"),
        *("--mask", tmp_path / "white.png"),
        status=1,
    )
    assert "white all over" in said
    # What is left is too narrow for any patch.
    bar = np.full((450, 450), 255, np.uint8)
    bar[200:203] = 0
    cv2.imwrite(str(tmp_path / "bar.png"), bar)
    said = train(
        run,
        parts / "good",
        tmp_path / "m",
        *("--method", "memory-bank", "--mask", tmp_path / "bar.png"),
        status=1,
    )
    assert "--mask leaves no place of any image to learn from" in said


@pytest.mark.parametrize(("count", "rate"), [(5, "1/6"), (3, "1/4")])
def test_few_pictures_promise_little_and_it_says_so(parts, run, tmp_path, count, rate):
    few = tiny.write_parts(tmp_path / "few", count, seed=5)
    said = train(run, few, tmp_path / "m", "--backbone", parts / "net.onnx")
    assert f"a false-alarm rate of {rate}" in said
    assert rows(run, tmp_path / "m", parts / "bad" / "000.png")[0]["label"] == "anomaly"


def test_one_picture_promises_nothing(parts, run, tmp_path):
    one = tiny.write_parts(tmp_path / "one", 1)
    said = train(run, one, tmp_path / "m", "--backbone", parts / "net.onnx", status=1)
    assert "too few" in said
    assert not (tmp_path / "m").exists()


def test_pictures_of_different_shapes_are_learned_together(parts, run, tmp_path):
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    rng = np.random.default_rng(6)
    for number in range(12):
        picture = tiny.part(rng, *rng.integers(100, 300, 2))
        cv2.imwrite(str(mixed / f"{number}.png"), picture)
    train(run, mixed, tmp_path / "m", "--backbone", parts / "net.onnx")
    assert len(rows(run, tmp_path / "m", mixed)) == 12


@pytest.mark.parametrize(
    ("options", "said", "status"),
    [
        (["--backbone", "nowhere.onnx"], "nowhere.onnx", 1),
        (["--backbone", "resnet51"], "neither a file nor one of the networks", 1),
        (["--backbone", "net.onnx", "--layers", "x"], "no output 'x'; it has fine, coarse", 1),
        (["--backbone", "net.onnx", "--std", "0", "1", "1"], "std must be positive", 1),
        (["--backbone", "net.onnx", "--weights", "w.h5"], "--weights goes with the name", 1),
        (["--layers", "x"], "--layers goes with --backbone", 2),
        (["--method", "forest", "--tile", "99"], "--tile goes with --method", 2),
        (["--bins", "4", "6", "3"], "--bins goes with --method forest", 2),
        (["--no-backbone"], "--method auto needs a network", 2),
        (["--memory", "much"], "not an amount of memory", 2),
        (["--method", "memory-bank", "--mask", "nowhere.png"], "no such file", 1),
        (["--update", "m", "--image-size", "64"], "takes the image size", 2),
        (
            ["--update", "m", "--backbone", "net.onnx", "--layers", "fine"],
            "takes the image size",
            2,
        ),
        (
            ["--method", "memory-bank", "--false-alarm-rate", "0.01"],
            "0.01 needs 83 more",
            1,
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_options_are_a_sentence(parts, run, tmp_path, options, said, status):
    options = [parts / o if o == "net.onnx" else o for o in options]
    assert said in train(run, parts / "good", tmp_path / "m", *options, status=status)


def test_a_crafted_model_file_is_a_sentence(parts, run, tmp_path, model):
    with zipfile.ZipFile(model) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members["manifest.json"])
    for spoil in (
        lambda m: m["preprocessing"]["backbone"]["layers"][0].update(name="x"),
        lambda m: m["preprocessing"]["backbone"]["layers"][0].update(channels=7),
        lambda m: m["preprocessing"].update(side=10**9),
        lambda m: m["preprocessing"].update(backbone=3),
        lambda m: m["detector"].update(bank=7),
        lambda m: m["detector"]["bank"].update(features=[20, -1]),
        lambda m: m["detector"].update(neighbours={}),
        lambda m: m["detector"].update(usual=0),
        lambda m: m["detector"].update(usual="x"),
        lambda m: m["detector"].update(exponent=10**400),
    ):
        changed = json.loads(json.dumps(manifest))
        spoil(changed)
        path = tmp_path / "crafted.model"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in (members | {"manifest.json": json.dumps(changed).encode()}).items():
                archive.writestr(name, data)
        done = run("test_anomaly_detector.py", "-m", path, "-i", parts / "bad" / "000.png")
        assert done.returncode in (1, 3)
        assert b"Traceback" not in done.stderr


def test_a_keras_network_with_its_weights_from_a_file(parts, run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    keras = Lazy("pyimagesearch.runtime.keras").keras
    keras.utils.set_random_seed(1)
    weights = tmp_path / "mobilenetv2.weights.h5"
    network = keras.applications.MobileNetV2(weights=None, include_top=False)
    network.save_weights(weights)
    said = train(
        *(run, parts / "more", tmp_path / "m", "--backbone", "mobilenetv2"),
        *("--weights", weights, "--image-size", "96"),
    )
    assert "stride 8" in said
    assert list((tmp_path / "cache" / "pyimagesearch").glob("mobilenetv2-*.onnx"))
    assert rows(run, tmp_path / "m", parts / "bad" / "000.png")[0]["label"] == "anomaly"
    refused = train(
        *(run, parts / "more", tmp_path / "n", "--backbone", "resnet50"),
        *("--weights", weights),
        status=1,
    )
    assert "do not fit" in refused


@pytest.fixture
def mixed(parts, tmp_path):
    """40 good parts and 4 with a scratch, whose names begin with ``bad``."""
    folder = tmp_path / "mixed"
    tiny.write_parts(folder, 40, seed=4)
    for path in sorted((parts / "bad").iterdir())[:4]:
        shutil.copy(path, folder / f"bad_{path.name}")
    return folder


def in_model(path):
    with zipfile.ZipFile(path) as file:
        names = [name for name in file.namelist() if name != "manifest.json"]
        manifest = json.loads(file.read("manifest.json"))
        return {name: file.read(name) for name in names}, manifest


@pytest.mark.parametrize("method", ["auto", "neighbours"])
def test_a_few_scratched_parts_are_not_learned_and_that_is_said(
    parts, mixed, run, tmp_path, method
):
    options = ("--method", method, "--backbone", parts / "net.onnx")
    said = train(run, mixed, tmp_path / "mixed.model", *options)
    assert "stand apart from the rest" in said
    named = [
        path
        for path in mixed.iterdir()
        if f"{path}" in said.partition("apart")[2].partition("Check")[0]
    ]
    assert set(mixed.glob("bad_*")) <= set(named)
    assert len(named) <= 8
    for path in named:
        path.unlink()
    without = train(run, mixed, tmp_path / "without.model", *options)
    assert "stand apart" not in without
    found, expected = in_model(tmp_path / "mixed.model"), in_model(tmp_path / "without.model")
    assert found[0] == expected[0]
    assert found[1]["hyperparameters"].pop("left_out") == len(named)
    assert expected[1]["hyperparameters"].pop("left_out") == 0
    assert found[1] == expected[1]


def test_they_are_learned_where_that_is_asked_for(parts, mixed, run, tmp_path):
    options = ("--method", "memory-bank", "--backbone", parts / "net.onnx", *SMALL)
    said = train(run, mixed, tmp_path / "all.model", *options, "--contamination", 0)
    assert "stand apart" not in said
    assert in_model(tmp_path / "all.model")[1]["training"]["images"] == 44


def test_the_audit_shows_the_strangest_first_and_its_verdicts_are_heeded(
    parts, mixed, run, tmp_path
):
    options = ("--method", "memory-bank", "--backbone", parts / "net.onnx", *SMALL)
    audit = ("--audit", tmp_path / "audit.html", "--contamination", 0.2)
    said = train(run, mixed, tmp_path / "m.model", *options, *audit)
    assert "--contamination 0.2: the strangest 8 of 44 images are not learned" in said
    n_counted = int(re.search(r"(\d) of them (?:is|are) no stranger", said)[1])
    assert f"if all {8 - n_counted} images that calibration leaves out are normal" in said
    manifest = in_model(tmp_path / "m.model")[1]
    assert manifest["hyperparameters"]["left_out"] == 8
    assert manifest["calibration"]["images"] == 36 + n_counted
    page, rows = embedded(tmp_path / "audit.html")
    names = [row[0] for row in rows]
    assert sorted(names) == sorted(map(str, mixed.iterdir()))
    assert all("/bad_" in name for name in names[:4])
    assert all("heat" in row[5] and row[1] for row in rows[:4])

    stray = next(name for name in names if "/bad_" not in name)
    scores = {row[0]: row[2] for row in rows}
    judged = SimpleNamespace(
        threshold=page["settings"]["threshold"], scores_digest=lambda: page["settings"]["model"]
    )
    verdicts = [(name, scores[name], "defect") for name in names[:3]]
    verdicts += [(names[3], scores[names[3]], "fine"), (stray, scores[stray], "fine")]
    counts = page["settings"]["counts"]
    (tmp_path / "verdicts.json").write_text(json.dumps(saved(judged, verdicts, counts=counts)))
    said = train(
        run, mixed, tmp_path / "n.model", *options, "--exclude", tmp_path / "verdicts.json"
    )
    assert "3 images left out" in said
    assert "stand apart" not in said or names[3] not in said.partition("apart")[2].split("\n")[0]


def test_a_file_that_names_no_images_is_wrong_usage(parts, run, tmp_path):
    (tmp_path / "wrong").write_bytes(b"\0\1\2")
    for name, why in (("wrong", "neither a report's verdicts"), ("missing", "No such file")):
        options = ("--exclude", tmp_path / name)
        assert why in train(run, parts / "good", tmp_path / "x.model", *options, status=2)
    assert not (tmp_path / "x.model").exists()
