"""Claims about an inspector's verdicts and what they say of a model."""

import json

import pytest

from helpers.inspections import COUNTS, as_csv, saved, verdicts_around
from pyimagesearch.detectors.model_file import load_model
from pyimagesearch.labelling import inspector_verdicts


@pytest.fixture(scope="module")
def model(forest_model):
    return load_model(str(forest_model))


def without(row, name):
    return {key: value for key, value in row.items() if key != name}


BROKEN = {
    "neither JSON nor CSV": lambda _: b"\x89PNG\xff\xfe",
    "not valid JSON": lambda found: json.dumps(found)[:-9],
    "not of a report's verdicts": lambda _: json.dumps({"scores": []}),
    "no column 'verdict'": lambda _: "image,label,score,p_value\na.jpg,normal,0.1,0.5\n",
    "format version is 7": lambda found: json.dumps(found | {"format_version": 7}),
    "not a list of rows": lambda found: json.dumps(found | {"verdicts": {"a.jpg": "fine"}}),
    "holds no verdict": lambda found: json.dumps(found | {"verdicts": []}),
    "how many images there were": lambda found: json.dumps(without(found, "counts")),
    "not say how many images": lambda found: json.dumps(
        found | {"counts": COUNTS | {"normal": -5}}
    ),
    "more images than it says": lambda found: json.dumps(
        found | {"counts": COUNTS | {"normal": 0, "anomaly": 0}}
    ),
    "its score is 1000": lambda found: changed_first(found, score=10**400),
    "which is not a number": lambda found: json.dumps(found | {"threshold": "high"}),
    "model is 7": lambda found: json.dumps(found | {"model": 7}),
    "'good' is neither": lambda found: changed_first(found, verdict="good"),
    "its score is None": lambda found: changed_first(found, score=None),
    "verdict 1: class is 7": lambda found: changed_first(found, **{"class": 7}),
    "verdict 1: image is None": lambda found: changed_first(found, image=None),
    "does not follow from the score": lambda found: changed_first(found, score=-9.0),
    "another verdict on the same image": lambda found: json.dumps(
        found | {"verdicts": [*found["verdicts"], found["verdicts"][0] | {"verdict": "fine"}]}
    ),
    "mixes verdicts of reports that differ in their model": lambda found: (
        as_csv(found) + as_csv(found | {"model": "0" * 64}).split("\n", 1)[1]
    ),
    "more than 100,000 verdicts": lambda found: "\n".join(
        [*(lines := as_csv(found).splitlines()), *[lines[1]] * 100_000]
    ),
    "more than 32 MB": lambda _: b" " * (inspector_verdicts.MAX_BYTES + 1),
    "differ in their threshold": lambda found: (
        as_csv(found) + as_csv(found | {"threshold": 0.1}).split("\n", 1)[1]
    ),
}


def changed_first(found, **changes):
    first, *others = found["verdicts"]
    return json.dumps(found | {"verdicts": [first | changes, *others]})


@pytest.mark.parametrize("sentence", BROKEN)
def test_files_that_are_no_usable_verdicts_are_refused(sentence, model, tmp_path):
    content = BROKEN[sentence](saved(model, verdicts_around(model.threshold)))
    path = tmp_path / "v"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(inspector_verdicts.InspectionError, match=sentence):
        inspector_verdicts.read_inspection(str(path))


def test_an_image_with_a_comment_and_no_verdict_does_not_count(model):
    found = saved(model, verdicts_around(model.threshold))
    first = found["verdicts"][0]
    found["verdicts"].append(first | {"image": "open.jpg", "verdict": "", "comment": "look again"})
    items = inspector_verdicts.parse_inspection(json.dumps(found).encode()).items
    assert len(items) == len(found["verdicts"]) - 1
    alone = json.dumps(found | {"verdicts": found["verdicts"][-1:]}).encode()
    with pytest.raises(inspector_verdicts.InspectionError, match="holds no verdict"):
        inspector_verdicts.parse_inspection(alone)
