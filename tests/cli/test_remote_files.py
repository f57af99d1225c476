"""Claims about URLs, made by calling the scripts."""

import csv
import io
import os

import fsspec
import pytest

from helpers.scripts import CHECKOUT, run_cold
from pyimagesearch.detectors import model_file


def test_a_model_file_is_read_from_a_store(forest_model):
    store = fsspec.filesystem("memory")
    store.pipe_file("/models/forest.model", forest_model.read_bytes())
    there = model_file.load_model("memory://models/forest.model")
    assert there.sha256 == model_file.load_model(str(forest_model)).sha256
    store.pipe_file("/models/none.model", b"PK\x03\x04 and nothing")
    with pytest.raises(model_file.ModelFileError, match="damaged"):
        model_file.load_model("memory://models/none.model")
    store.rm("/models", recursive=True)


def test_the_scripts_take_urls_for_folders_and_models(run, forest_model, tmp_path):
    """And the model is the one that the folder itself gives, byte for byte."""
    for dataset, model in (("forest", "here"), (f"file://{CHECKOUT}/forest", "there")):
        trained = run(
            *("train_anomaly_detector.py", "-d", dataset, "-m", tmp_path / model),
            *(
                "--method",
                "gaussian",
                "--no-backbone",
                "--image-size",
                "64",
            ),  # needs no scikit-learn
        )
        assert trained.returncode == 0, trained.stderr
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()
    labelled = {}
    for folder, model in (
        (f"file://{CHECKOUT}/examples", f"file://{forest_model}"),
        (CHECKOUT / "examples", forest_model),
    ):
        printed = run(
            *("test_anomaly_detector.py", "-m", model, "-i", folder),
            *("-o", tmp_path / f"pictures{len(labelled)}"),
        )
        assert printed.returncode == 0, printed.stderr
        rows = list(csv.DictReader(io.StringIO(printed.stdout.decode())))
        labelled[str(folder)] = [
            (row.pop("image").removeprefix("file://"), *row.values()) for row in rows
        ]
    there, here = labelled.values()
    assert there == here
    assert len(list((tmp_path / "pictures0").rglob("*.jpg"))) == len(here)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("s3x://bucket/photos", b"s3x://bucket/photos: Protocol not known"),
        ("file:///nowhere/photos", b"no such file"),
        ("zip://a.jpg::file:///a.zip", b"chains of storages (::) are not read"),
    ],
)
def test_a_store_that_cannot_be_used_is_a_sentence(run, forest_model, url, sentence):
    ended = run("test_anomaly_detector.py", "-m", forest_model, "-i", url)
    assert ended.returncode in (1, 3)
    assert sentence in ended.stderr
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("missing", "url", "sentence"),
    [
        ("fsspec", "file:///photos", b"pip install fsspec"),
        ("s3fs", "s3://bucket/photos", b"s3://bucket/photos: Install s3fs"),
        ("gcsfs", "gs://bucket/photos", b"gs://bucket/photos: Please install gcsfs"),
        ("aiohttp", "https://127.0.0.1/photos", b'requires "requests" and "aiohttp"'),
    ],
)
def test_without_the_package_urls_are_refused_with_its_name(
    forest_model, tmp_path, missing, url, sentence
):
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{missing!r}] = None\n")
    refused = run_cold(
        *("test_anomaly_detector.py", "-m", forest_model, "-i", url),
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert refused.returncode == 1
    assert sentence in refused.stderr
    assert b"Traceback" not in refused.stderr
