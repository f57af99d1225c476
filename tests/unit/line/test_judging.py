"""Parts are judged as the scripts judge files, whatever they come as, and may end their process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.scripts import CHECKOUT
from pyimagesearch.data import images
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.model_reference import ModelReference
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE
from pyimagesearch.line.judging import Finding, Judges, JudgingJob, OverloadError, Part
from pyimagesearch.runtime.console import UserError

EXAMPLES = sorted(map(str, (CHECKOUT / "examples").glob("*.jpg")))


@dataclass(frozen=True)
class DeadlyJob(JudgingJob):
    """Brings its process down over parts of one name."""

    def open(self) -> Callable[[list[Part]], list[Finding]]:
        judge = super().open()

        def judge_or_die(parts: list[Part]) -> list[Finding]:
            if any(part.name == "deadly" for part in parts):
                os.kill(os.getpid(), signal.SIGKILL)
            return judge(parts)

        return judge_or_die


@dataclass(frozen=True)
class WaitingJob(JudgingJob):
    """Loads its model, and judges nothing before a file is there."""

    file: str = ""

    def open(self) -> Callable[[list[Part]], list[Finding]]:
        judge = super().open()

        def wait_and_judge(parts: list[Part]) -> list[Finding]:
            while parts[0].name and not os.path.exists(self.file):
                time.sleep(0.01)
            return judge(parts)

        return wait_and_judge


@pytest.fixture
def labeller(forest_model: Path) -> Labeller:
    return Labeller.open(str(forest_model))


@pytest.fixture
def model(labeller: Labeller, forest_model: Path) -> ModelReference:
    return ModelReference.to(labeller, str(forest_model))


@pytest.fixture
def judges(model: ModelReference) -> Iterator[Judges]:
    with Judges(JudgingJob(model), 2, most_waiting=100) as judges:
        yield judges


def test_bytes_files_and_frames_get_the_verdicts_of_the_script(judges, labeller):
    paths = [path for path in EXAMPLES if "coast" in path or "forest" in path]
    expected = labeller.label_batch(paths)
    as_files = [Part(path) for path in paths]
    as_bytes = [Part(path, Path(path).read_bytes()) for path in paths]
    for parts in (as_files, as_bytes):
        found = [future.result().verdict for future in judges.submit(parts)]
        assert found == expected
    assert {ANOMALY, NORMAL} == {verdict.label for verdict in expected}

    picture = images.read_image(paths[0])
    lossless = cv2.imencode(".png", picture)[1].tobytes()
    frame, file = judges.submit([Part("a", picture), Part("b", lossless)])
    assert frame.result().verdict.score == file.result().verdict.score


def test_what_is_no_image_is_unreadable_and_says_why(judges, tmp_path):
    parts = [Part("x.jpg", b"no image"), Part(str(tmp_path / "gone.jpg")), Part(EXAMPLES[0])]
    unreadable, gone, good = (future.result().verdict for future in judges.submit(parts))
    assert (unreadable.label, gone.label) == (UNREADABLE, UNREADABLE)
    assert gone.reason == "no such file"
    assert good.is_readable


def test_a_part_that_brings_its_process_down_costs_its_own_verdict_alone(model):
    with Judges(DeadlyJob(model), 2, most_waiting=10) as judges:
        names = ["deadly", EXAMPLES[0], EXAMPLES[1]]
        found = [future.result() for future in judges.submit([Part(name) for name in names])]
        assert [one.verdict.is_readable for one in found] == [False, True, True]
        assert found[0].verdict.reason == "its worker died"


def test_parts_that_are_too_many_are_all_refused_and_those_that_wait_are_judged(model, tmp_path):
    gate = tmp_path / "gate"
    with Judges(WaitingJob(model, file=str(gate)), 1, most_waiting=3) as judges:
        first = judges.submit([Part(EXAMPLES[0])])
        while judges.n_waiting:
            time.sleep(0.01)
        waiting = judges.submit([Part(path) for path in EXAMPLES[:2]])
        with pytest.raises(OverloadError, match="2 images wait already"):
            judges.submit([Part(path) for path in EXAMPLES[:2]])
        gate.touch()
        assert all(future.result().verdict.is_readable for future in first + waiting)


def test_another_model_takes_over_without_a_part_lost(judges, model):
    strict = JudgingJob(replace(model, threshold=-1.0))
    before = judges.submit([Part(path) for path in EXAMPLES])
    judges.change_job(strict)
    after = judges.submit([Part(path) for path in EXAMPLES])
    assert all(future.result().verdict.is_readable for future in before)
    assert {future.result().verdict.label for future in after} == {ANOMALY}


def test_a_model_file_that_is_not_what_it_was_fails_those_who_wait_and_no_one_later(model):
    changed = JudgingJob(replace(model, sha256="0" * 64, labeller=None))
    with Judges(changed, 1, most_waiting=10) as judges:
        (failed,) = judges.submit([Part(EXAMPLES[0])])
        with pytest.raises(UserError, match="the model file changed"):
            failed.result()
        judges.change_job(JudgingJob(model))
        (good,) = judges.submit([Part(EXAMPLES[0])])
        assert good.result().verdict.is_readable


def test_evidence_is_kept_of_anomalies_and_of_a_share_of_the_normal(model):
    parts = [Part(path, Path(path).read_bytes()) for path in EXAMPLES]
    frame = Part("frame", images.read_image(next(p for p in EXAMPLES if "coast" in p)))
    kept: dict[float | None, list[Finding]] = {}
    for share in (None, 0.0, 1.0):
        with Judges(JudgingJob(model, share), 1, most_waiting=20) as judges:
            kept[share] = [future.result() for future in judges.submit([*parts, frame])]
    assert not any(one.evidence or one.overlay for one in kept[None])
    for one, part in zip(kept[0.0], [*parts, frame], strict=True):
        is_anomaly = one.verdict.label == ANOMALY
        assert (one.evidence is not None) == (one.overlay is not None) == is_anomaly
        if is_anomaly and part is not frame:
            assert one.evidence == part.content
    assert np.array_equal(images.decode_image(kept[0.0][-1].evidence), frame.content)
    assert all(one.evidence for one in kept[1.0])


def test_where_an_anomaly_is_said_in_pixels_of_the_whole_image(parts_model, good_parts):
    labeller = Labeller.open(str(parts_model))
    job = JudgingJob(ModelReference.to(labeller, str(parts_model)))
    path = min((good_parts / "test" / "good").iterdir())
    spoiled = cv2.resize(images.read_image(str(path)), None, fx=4, fy=4)
    height, width = spoiled.shape[:2]
    spoiled[height // 2 : 3 * height // 4, width // 2 : 3 * width // 4] = (0, 0, 255)
    file = cv2.imencode(".png", spoiled)[1].tobytes()
    with Judges(job, 1, most_waiting=4) as judges:
        found = [f.result() for f in judges.submit([Part("a", spoiled), Part("b", file)])]
    assert found[0].places == found[1].places
    assert found[0].verdict.label == ANOMALY
    place = found[0].places[0]
    assert place.x <= 5 * width / 8 <= place.x + place.width <= width
    assert place.y <= 5 * height / 8 <= place.y + place.height <= height
    assert 0 < place.share < 0.5
