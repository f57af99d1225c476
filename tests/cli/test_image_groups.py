"""Claims about groups of images: three cameras in different light, each with its own threshold."""

import asyncio
import csv
import functools
import pickle

import cv2
import httpx
import numpy as np
import pytest

from helpers import naive
from helpers.model_files import rewritten
from helpers.scripts import CHECKOUT
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.image_groups import GroupRule
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.model_reference import ModelReference
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.line.event_record import EventRecord
from pyimagesearch.line.http_api import Limits, make_app
from pyimagesearch.line.judging import JudgingJob, Part
from pyimagesearch.line.service import Service
from pyimagesearch.line.station import Station

LIGHTS = {"cam1": 1.0, "cam2": 0.6, "cam3": 0.3}
CALIBRATION = ("threshold", "n_calibration", "best_rate")
SIDE, N_LEARNED, N_NEW = 48, 60, 140
RATE = 0.05
BY_FOLDER = ("--group-by", "folder")
LEARN = "train_anomaly_detector.py -m m -d photos"
METHOD = (
    *("--method", "memory-bank", "--no-backbone", "--image-size", SIDE, "--bank-size", 6000),
    *("--contamination", 0),
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """``photos`` and ``new``, each with a folder for each camera: parts of the rendered forests."""
    root = tmp_path_factory.mktemp("cameras")
    forests = [cv2.imread(str(path)) for path in sorted((CHECKOUT / "forest").glob("*.jpg"))]
    starts = range(0, 256 - SIDE + 1, SIDE)
    crops = [im[y : y + SIDE, x : x + SIDE] for im in forests for y in starts for x in starts]
    order = iter(np.random.default_rng(0).permutation(len(crops)))
    for name, light in LIGHTS.items():
        for folder, count in (("photos", N_LEARNED), ("new", N_NEW)):
            (root / folder / name).mkdir(parents=True)
            for number in range(count):
                image = cv2.convertScaleAbs(crops[next(order)], alpha=light)
                cv2.imwrite(str(root / folder / name / f"{name}_{number:03}.png"), image)
    return root


@pytest.fixture(scope="module")
def cameras(run, photos):
    """The same folder with ``groups.model``, ``one.model`` and what was said in training."""
    cameras = photos
    for name, more in (("groups", (*BY_FOLDER, "--audit", cameras / "audit.html")), ("one", ())):
        trained = run(
            *("train_anomaly_detector.py", "-d", cameras / "photos"),
            *("-m", cameras / f"{name}.model", "--false-alarm-rate", RATE, *METHOD, *more),
        )
        assert trained.returncode == 0, trained.stderr.decode()
        (cameras / f"{name}.txt").write_bytes(trained.stderr)
    return cameras


@pytest.fixture(scope="module")
def rows(run, cameras):
    """The rows of new images by each model."""
    found = {}
    for name in ("groups", "one"):
        labelled = run(
            *("test_anomaly_detector.py", "-m", cameras / f"{name}.model", "-d", cameras / "new"),
            *("--csv", cameras / f"{name}.csv", "--report", cameras / f"{name}.html"),
        )
        assert labelled.returncode == 0, labelled.stderr.decode()
        with open(cameras / f"{name}.csv", newline="") as file:
            found[name] = list(csv.DictReader(file))
    return found


def alarms(rows):
    """The number of false alarms of each camera."""
    return {
        name: sum(row["label"] == "anomaly" for row in rows if f"/{name}/" in row["image"])
        for name in LIGHTS
    }


def test_each_camera_has_the_rate_that_one_threshold_for_all_keeps_in_none(cameras, rows):
    groups = Labeller.open(str(cameras / "groups.model")).groups
    of_groups, of_one = alarms(rows["groups"]), alarms(rows["one"])
    for name, group in groups.members.items():
        expected = thresholds.false_alarms(group.threshold, group.calibration, N_NEW)
        assert expected.rate <= RATE
        assert expected.low <= of_groups[name] <= expected.high
    # All in all one threshold keeps it, by alarms of the brightest camera alone.
    assert sum(of_one.values()) <= 1.5 * RATE * 3 * N_NEW
    assert of_one["cam1"] > 3 * RATE * N_NEW
    assert of_one["cam3"] == 0


def test_a_p_value_is_one_among_the_images_of_its_own_camera(cameras, rows):
    model = model_file.load_model(str(cameras / "groups.model"))
    scores, index = model.arrays["calibration_scores"], model.arrays["calibration_groups"]
    for row in rows["groups"][::60]:
        own = scores[index == sorted(LIGHTS).index(row["image"].split("/")[-2])]
        assert len(own) == N_LEARNED
        n_as_strange = (own >= float(row["score"]) - 1e-5).sum()
        assert float(row["p_value"]) == pytest.approx((1 + n_as_strange) / (len(own) + 1), 1e-4)


def test_the_detector_is_one_of_all_images_whether_there_are_groups_or_not(cameras, rows):
    with_groups, without = (
        model_file.load_model(str(cameras / f"{name}.model")) for name in ("groups", "one")
    )
    assert set(with_groups.arrays) - set(without.arrays) == {"calibration_groups"}
    assert set(with_groups.manifest) - set(without.manifest) == {"groups"}
    assert with_groups.manifest["threshold"] == without.manifest["threshold"]
    for name, array in without.arrays.items():
        assert np.array_equal(array, with_groups.arrays[name])
    scores = [[row["score"] for row in rows[name]] for name in ("groups", "one")]
    assert scores[0] == scores[1]


def test_a_regular_expression_makes_the_same_groups(run, cameras, tmp_path):
    trained = run(
        *("train_anomaly_detector.py", "-d", cameras / "photos", "-m", tmp_path / "regex.model"),
        *("--false-alarm-rate", RATE, *METHOD, "--group-by", r"(cam\d)_"),
    )
    assert trained.returncode == 0
    found, expected = (
        model_file.load_model(str(path))
        for path in (tmp_path / "regex.model", cameras / "groups.model")
    )
    assert found.manifest["groups"] == expected.manifest["groups"] | {"by": r"(cam\d)_"}


def test_training_says_what_each_group_promises(cameras):
    said = (cameras / "groups.txt").read_text()
    assert "at most 0.05 of the normal images of each group are called anomalies" in said
    assert "the smallest group has 60 images; 39 more would promise 0.01" in said
    for name in LIGHTS:
        assert f"{name}, 60 images: anomalies score above " in said


def test_an_image_of_no_known_group_is_judged_by_all_and_named(run, cameras, tmp_path):
    (tmp_path / "cam9").mkdir()
    for number in (1, 2):
        content = (cameras / "new" / "cam1" / f"cam1_00{number}.png").read_bytes()
        (tmp_path / "cam9" / f"cam1_00{number}.png").write_bytes(content)
    stdout = []
    for name in ("groups", "one"):
        labelled = run(
            "test_anomaly_detector.py", "-m", cameras / f"{name}.model", "-d", tmp_path / "cam9"
        )
        stdout.append(labelled.stdout)
        says = "2 images are of no group that the model has learned (cam9), and judged by the "
        assert (says in labelled.stderr.decode()) == (name == "groups")
    assert stdout[0] == stdout[1]


def test_a_folder_of_one_camera_alone_has_not_shifted(run, cameras):
    said = {}
    for name in ("groups", "one"):
        labelled = run(
            *("test_anomaly_detector.py", "-m", cameras / f"{name}.model"),
            *("-d", cameras / "new" / "cam3"),
        )
        said[name] = labelled.stderr.decode()
    assert "the whole batch looks shifted" in said["one"]
    assert "shifted" not in said["groups"]
    assert "look stranger" not in said["groups"]


def test_a_rate_that_is_asked_for_when_labelling_is_one_of_each_group(run, cameras):
    command = ("test_anomaly_detector.py", "-m", cameras / "groups.model", "-i")
    image = cameras / "new" / "cam3" / "cam3_000.png"
    labelled = run(*command, image, "--false-alarm-rate", 0.2)
    assert labelled.returncode == 0
    groups = Labeller.open(str(cameras / "groups.model")).groups
    known = [group.calibration.tolist() for group in groups.members.values()]
    values = [max(s for s in own if naive.p_value(s, own) > 0.2) for own in known]
    shown = ", ".join(f"{n} {v:.4f}" for n, v in zip(groups.members, values, strict=True))
    assert f"score above the threshold of their group: {shown}\n" in labelled.stderr.decode()

    refused = run(*command, image, "--false-alarm-rate", 0.01)
    assert refused.returncode == 1
    assert (
        "each group takes at least 99 images for a false-alarm rate of 0.01; cam1 has 60, cam2 has "
        "60, cam3 has 60"
    ) in refused.stderr.decode()


@pytest.mark.usefixtures("rows")
def test_the_page_names_the_thresholds_and_draws_none(cameras):
    page, of_one = ((cameras / f"{name}.html").read_text() for name in ("groups", "one"))
    assert "Each group of images has a threshold of its own" in page
    assert page.count("<li>cam") == len(LIGHTS)
    assert "Histogram of the scores" in of_one
    assert "Histogram of the scores" not in page
    assert "Each group of images has a threshold of its own" in (cameras / "audit.html").read_text()


def test_the_map_of_an_image_shows_something_where_its_own_group_calls_it_an_anomaly(cameras, rows):
    labeller = Labeller.open(str(cameras / "groups.model"))
    found = [row for row in rows["groups"] if "/cam3/" in row["image"]]
    assert {row["label"] for row in found} == {"normal", "anomaly"}
    for row in (*found[:5], *(row for row in found if row["label"] == "anomaly")):
        with open(row["image"], "rb") as file:
            heat = labeller.for_image(row["image"]).heat_map(file.read())[1]
        assert (heat.max() > 1) == (row["label"] == "anomaly")


def test_a_station_judges_a_part_by_the_group_in_its_name(cameras, rows, caplog):
    labeller = Labeller.open(str(cameras / "groups.model"))
    judge = JudgingJob(ModelReference.to(labeller, str(cameras / "groups.model"))).open()
    chosen = rows["groups"][:: N_NEW // 4]
    parts = []
    for row in chosen:
        with open(row["image"], "rb") as file:
            parts.append(Part("/".join(row["image"].split("/")[-2:]), file.read()))
    findings = judge([*parts, Part("a.png", parts[0].content)])
    with Station() as station:
        station.follow(labeller)
        for row, part, finding in zip(chosen, parts, findings, strict=False):
            assert finding.verdict.label == row["label"]
            assert f"{finding.verdict.p_value:.6g}" == row["p_value"]
            assert finding.threshold == labeller.groups.group_of(part.name).threshold
            station.take(finding, "in")
        assert "no group" not in caplog.text
        for _ in range(2):
            station.take(findings[-1], "in")
    assert findings[-1].threshold == labeller.threshold
    assert caplog.text.count("1 image is of no group that the model has learned ((no name))") == 1


async def asked_about_model(app):
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://station") as client:
        return (await client.get("/model")).json()


def test_a_server_says_by_which_thresholds_it_judges(cameras):
    path = str(cameras / "groups.model")
    known = {}
    for name in ("groups", "one"):
        labeller = Labeller.open(str(cameras / f"{name}.model"))
        service = Service(
            functools.partial(ModelReference.to, labeller, path), path, Station(), 1, 1
        )
        known[name] = asyncio.run(asked_about_model(make_app(service, Limits())))
        pooled = (labeller.threshold, 3 * N_LEARNED, 1 / (3 * N_LEARNED + 1))
        assert tuple(known[name][field] for field in CALIBRATION) == pytest.approx(pooled)
    assert known["one"]["groups"] is None
    groups = Labeller.open(path).groups.members
    assert known["groups"]["groups"].keys() == groups.keys() == LIGHTS.keys()
    for name, group in known["groups"]["groups"].items():
        own = (groups[name].threshold, N_LEARNED, 1 / (N_LEARNED + 1))
        assert tuple(group[field] for field in CALIBRATION) == pytest.approx(own)


def test_the_model_before_goes_on_where_what_is_known_of_the_new_one_cannot_be_read(
    cameras, tmp_path
):
    labellers = [Labeller.open(str(cameras / f"{name}.model")) for name in ("one", "groups")]
    references = iter([ModelReference.to(one, "a.model") for one in labellers])
    with EventRecord(str(tmp_path / "line.db")) as record:
        station = Station(record, discovery_rate=0.1)
        service = Service(lambda: next(references), "a.model", station, 1, 1)
        station.follow(labellers[0])
    service._reload()
    assert service.model.reference.sha256 == labellers[0].sha256
    assert service.reloads == {False: 1}


def test_thresholds_of_groups_travel_to_other_processes(cameras):
    path = str(cameras / "groups.model")
    labeller, _ = Labeller.open(path).with_rule(ThresholdRule(parameter=0.2), np.empty(0))
    opened = pickle.loads(pickle.dumps(ModelReference.to(labeller, path))).open()
    assert opened.group_thresholds == labeller.group_thresholds
    assert opened.group_thresholds != Labeller.open(path).group_thresholds


@pytest.mark.parametrize(
    ("command", "status", "sentence"),
    [
        (
            f"{LEARN} --method forest --group-by folder --false-alarm-rate 0.01",
            1,
            "each group takes at least 99 images for a false-alarm rate of 0.01; cam1 has 60, ",
        ),
        (
            f"{LEARN} --method forest --group-by (cam[1-3]_0[0-5])",
            1,
            "each group takes at least 20 images; cam1_00 has 10, cam1_01 has 10, cam1_02 has 10, ",
        ),
        (
            f"{LEARN}/cam1 --group-by folder",
            1,
            "cam1_000.png: --group-by folder: it lies in no folder below photos/cam1",
        ),
        (
            f"{LEARN} --method forest --group-by (cam[12])_",
            1,
            "photos/cam3/cam3_000.png: --group-by (cam[12])_ does not match it",
        ),
        (f"{LEARN} --group-by cam", 2, "'cam' has 0 groups in parentheses"),
        (f"{LEARN} --group-by (cam", 2, "'(cam' is no regular expression"),
        (
            f"{LEARN} --method memory-bank --update groups.model",
            1,
            "images cannot be added to a model that has groups",
        ),
        (
            "test_anomaly_detector.py -m groups.model -d new --false-discovery-rate 0.1",
            1,
            "--false-discovery-rate chooses one threshold for all images of a run",
        ),
        (
            "generate_validation_metrics.py -m groups.model --normal new/cam1 --anomalous new/cam2",
            1,
            "one threshold for all images is validated",
        ),
    ],
)
def test_what_does_not_go_with_groups_is_refused_in_a_sentence(
    run, cameras, command, status, sentence
):
    ended = run(*command.split(), cwd=cameras)
    assert ended.returncode == status
    assert sentence in ended.stderr.decode()
    assert not (cameras / "m").exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"by": "((a+)+)$"},
        {"by": 7},
        {"thresholds": {"cam1": 1.0, "cam2": 1.0}},
        {"thresholds": {"cam1": 1.0, "cam2": 1.0, "cam3": "1"}},
        {"thresholds": [1.0, 1.0, 1.0]},
    ],
)
def test_a_model_whose_groups_are_wrong_is_none(cameras, tmp_path, changed):
    def edit(manifest, arrays):  # noqa: ARG001
        manifest["groups"] |= changed

    path = rewritten(cameras / "groups.model", tmp_path / "wrong.model", edit)
    with pytest.raises(model_file.ModelFileError, match="the model cannot be used"):
        Labeller.open(str(path))


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a?a?a?a?a?)", "(a)" + "b" * 200, "(((((a)))))"])
def test_a_pattern_that_could_take_for_ever_is_none(pattern):
    with pytest.raises(ValueError, match="could take for ever"):
        GroupRule(pattern)


def test_the_innermost_known_folder_of_a_path_is_its_group():
    known = {"cam1", "cam2"}
    assert GroupRule("folder").find("/data/cam1/today/cam2/x/a.png", known) == "cam2"
    assert GroupRule("folder").find("/data/today/a.png", known) == "today"
    assert GroupRule("folder").find("a.png", known) is None
    assert GroupRule("(cam[0-9]+)_").find("/data/cam1/cam12_a.png") == "cam12"
