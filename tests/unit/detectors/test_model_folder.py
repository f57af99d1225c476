"""Claims about the list of a folder of models."""

import json

import pytest

from pyimagesearch.detectors.model_file import ModelFileError
from pyimagesearch.detectors.model_folder import LIST, ListedModel, ModelFolder, model_name


def test_names_of_files_are_plain_and_differ_where_those_of_series_do():
    odd = ["..", "", "a/b", "a_b", "a b", "a\nb", ".a", "ä", "\udcff", "x" * 300, "x" * 301, "-"]
    names = [model_name(name) for name in odd]
    assert len(set(names)) == len(odd)
    assert all(len(name) < 120 and "/" not in name and name[0] != "." for name in names)
    assert model_name("a_b") == "a_b.model"


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": 2},
        {"training": []},
        {"series": []},
        {"series": {"a": {"file": "../a.model", "sha256": "0" * 64}}},
        {"series": {"a": {"file": "/etc/a.model", "sha256": "0" * 64}}},
        {"series": {"a": {"file": "a.csv", "sha256": "0" * 64}}},
        {"series": {"a": {"file": 1, "sha256": "0" * 64}}},
        {"series": {"a": {"file": "a.model", "sha256": "0"}}},
        {"series": {"a": {"file": "a.model"}}},
        {"series": {"a": None}},
        {"series": {n: {"file": "a.model", "sha256": "0" * 64} for n in "ab"}},
    ],
)
def test_a_list_that_is_damaged_or_leads_elsewhere_is_refused(change, tmp_path):
    (tmp_path / "a.model").write_bytes(b"a")
    models = {"a": ListedModel.from_file(str(tmp_path), "a.model")}
    ModelFolder(str(tmp_path), {"method": "stream"}, models).save()
    assert ModelFolder.load(str(tmp_path)).models == models
    listed = json.loads((tmp_path / LIST).read_text())
    (tmp_path / LIST).write_text(json.dumps(listed | change))
    with pytest.raises(ModelFileError):
        ModelFolder.load(str(tmp_path))


def test_the_list_and_each_model_are_those_that_were_written(tmp_path):
    (tmp_path / "a.model").write_bytes(b"a")
    models = {"a": ListedModel.from_file(str(tmp_path), "a.model")}
    ModelFolder(str(tmp_path), {}, models).save()
    folder = ModelFolder.load(str(tmp_path))
    (tmp_path / "a.model").write_bytes(b"b")
    with pytest.raises(ModelFileError, match="digest differs"):
        folder.load_model("a")
    with pytest.raises(ModelFileError, match="there is no model of a series of this name"):
        folder.load_model("b")
