"""A network of allowed operators that never ends, or fills all memory, costs its process alone."""

import csv
import hashlib
import io
import resource

import numpy as np
import pytest

from helpers import bombs, tiny
from helpers.model_files import rewritten

ANY_IMAGE = (1, 3, "h", "w")
OF_PARTS = (None, 48, 48, 3)
SLOW = "its network takes more than 0.4 s of computing: ANOMALY_NETWORK_SECONDS=2.4 allows"
LARGE = "its network takes more than 0.3 GB of memory: ANOMALY_NETWORK_GB=1 allows"


@pytest.fixture
def _short(monkeypatch):
    monkeypatch.setenv("ANOMALY_NETWORK_SECONDS", "0.4")


@pytest.fixture
def _small(monkeypatch):
    monkeypatch.setenv("ANOMALY_NETWORK_GB", "0.3")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return tiny.write_parts(tmp_path_factory.mktemp("parts"), 6)


@pytest.fixture(scope="module")
def bank_model(run, parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank")
    network, model = tiny.write_network(folder / "tiny.onnx"), folder / "bank.model"
    trained = run(
        *("train_anomaly_detector.py", "-d", parts, "-m", model, "--backbone", network),
        *("--method", "memory-bank", "--image-size", "64"),
    )
    assert trained.returncode == 0, trained.stderr
    return model


def with_backbone(model, target, network):
    n_channels = sum(tiny.CHANNELS.values())

    def change(manifest, _):
        backbone = manifest["preprocessing"]["backbone"]
        backbone["sha256"] = hashlib.sha256(network).hexdigest()
        backbone["layers"] = [{"name": "y", "channels": n_channels, "stride": 1, "offset": 0.0}]

    return rewritten(model, target, change, {"features.backbone": network})


def error_of(ended):
    """The only message of a script that failed."""
    assert ended.returncode == 1, ended
    said = ended.stderr.decode()
    assert said.count("\n") == 1, said
    return said.rstrip()


@pytest.mark.usefixtures("_short")
@pytest.mark.parametrize("when_opened", [True, False])
def test_a_models_network_without_an_end_is_one_sentence(
    when_opened, bank_model, parts, tmp_path, run
):
    network = bombs.endless(ANY_IMAGE, when_opened=when_opened)
    path = with_backbone(bank_model, tmp_path / "m.model", network)
    ended = run("test_anomaly_detector.py", "-m", path, "-d", parts, "--quiet")
    assert f"{path}: {SLOW}" in error_of(ended)
    watched = run(
        *("test_anomaly_detector.py", "-m", path, "--watch", parts, "--quiet"),
        *("--csv", tmp_path / "rows.csv"),
    )
    assert f"{path}: {SLOW}" in error_of(watched)


@pytest.mark.unix
@pytest.mark.usefixtures("_small")
def test_an_image_for_whose_network_there_is_no_memory_is_unreadable(
    bank_model, parts, tmp_path, run
):
    path = with_backbone(bank_model, tmp_path / "m.model", bombs.doubling(ANY_IMAGE))
    ended = run("test_anomaly_detector.py", "-m", path, "-i", parts / "000.png", "--quiet")
    assert ended.returncode == 3
    (row,) = csv.DictReader(io.StringIO(ended.stdout.decode()))
    assert row["label"] == "unreadable"
    assert f"on an image of 64 x 64, {LARGE}" in ended.stderr.decode()


@pytest.mark.parametrize("kind", ["_short", pytest.param("_small", marks=pytest.mark.unix)])
def test_training_refuses_such_a_backbone_in_one_sentence(kind, parts, tmp_path, run, request):
    request.getfixturevalue(kind)
    path = tmp_path / "bomb.onnx"
    path.write_bytes(
        bombs.doubling(ANY_IMAGE)
        if kind == "_small"
        else bombs.endless(ANY_IMAGE, when_opened=False)
    )
    command = ("train_anomaly_detector.py", "-d", parts, "-m", tmp_path / "m", "--quiet")
    message = error_of(run(*command, "--backbone", path))
    assert message.startswith(f"[ERROR] {path}: ")
    assert (LARGE if kind == "_small" else SLOW) in message
    assert not (tmp_path / "m").exists()


def with_autoencoder(model, target, network):
    def change(manifest, _):
        manifest["detector"]["architecture"] = "conv"

    return rewritten(model, target, change, {"network": network})


@pytest.mark.usefixtures("_short")
def test_an_autoencoder_without_an_end_is_one_sentence(parts_model, good_parts, tmp_path, run):
    well = with_autoencoder(parts_model, tmp_path / "well.model", bombs.unchanged(OF_PARTS))
    images = good_parts / "test" / "good"
    assert run("test_anomaly_detector.py", "-m", well, "-d", images).returncode == 0
    endless = bombs.endless(OF_PARTS, when_opened=False)
    path = with_autoencoder(parts_model, tmp_path / "m.model", endless)
    command = ("test_anomaly_detector.py", "-m", path, "-d", images, "--quiet")
    assert f"{path}: {SLOW}" in error_of(run(*command))
    np.savez(tmp_path / "some.npz", images=np.zeros((3, 48, 48, 3), np.uint8))
    ended = run("find_anomalies.py", "-m", path, "-d", tmp_path / "some.npz", "--quiet")
    assert f"{path}: {SLOW}" in error_of(ended)


@pytest.mark.usefixtures("_small")
def test_a_network_that_takes_all_memory_for_some_images_costs_these(
    parts_model, good_parts, faulty_parts, tmp_path, run
):
    """Loading such a model, which computes with an image of zeros, says nothing about it."""
    path = with_autoencoder(
        parts_model, tmp_path / "m.model", bombs.boundless_when_bright(OF_PARTS)
    )
    bright = good_parts / "test" / "good"
    ended = run("test_anomaly_detector.py", "-m", path, "-d", bright, "--quiet")
    assert ended.returncode == 3
    assert ended.stdout.decode().count(",unreadable,,") == len(list(bright.iterdir()))
    np.savez(tmp_path / "some.npz", images=np.full((3, 48, 48, 3), 255, np.uint8))
    ended = run("find_anomalies.py", "-m", path, "-d", tmp_path / "some.npz", "--quiet")
    assert ended.returncode == 3
    assert ended.stderr.decode().count("the model finds no finite score for it") == 3
    ended = run(
        *("generate_validation_metrics.py", "-m", path, "--normal", bright, "--quiet"),
        *("--anomalous", faulty_parts / "test"),
    )
    assert ended.returncode == 1
    said = ended.stderr.decode()
    assert "the model finds no finite score for it; left out" in said
    assert "[ERROR] there are too few different normal images" in said


@pytest.mark.usefixtures("_short")
def test_an_autoencoder_of_series_without_an_end_is_one_sentence(tmp_path, run):
    learned, steps = tmp_path / "nearest.model", 24
    series = "examples/daily_normal.csv"
    trained = run("train_anomaly_detector.py", "-d", series, "-m", learned)
    assert trained.returncode == 0, trained.stderr

    def change(manifest, arrays):
        manifest["detector"] = {"name": "window-autoencoder", "time_steps": steps}
        arrays |= {"detector.mean": np.zeros(1), "detector.std": np.ones(1)}

    shape = (None, steps, 1)
    well = rewritten(learned, tmp_path / "w.model", change, {"network": bombs.unchanged(shape)})
    assert run("find_anomalies.py", "-m", well, "-d", series).returncode == 0
    endless = bombs.endless(shape, when_opened=False)
    path = rewritten(learned, tmp_path / "m.model", change, {"network": endless})
    ended = run("find_anomalies.py", "-m", path, "-d", series, "--quiet")
    assert f"{path}: {SLOW}" in error_of(ended)


def test_limits_that_are_no_numbers_are_one_sentence(bank_model, parts, monkeypatch, run):
    monkeypatch.setenv("ANOMALY_NETWORK_SECONDS", "soon")
    ended = run("test_anomaly_detector.py", "-m", bank_model, "-d", parts, "--quiet")
    assert "ANOMALY_NETWORK_SECONDS=soon is not a positive number" in error_of(ended)


def test_the_process_that_a_user_has_started_keeps_its_own_limits(bank_model, parts, run):
    kinds = (resource.RLIMIT_CPU, resource.RLIMIT_AS)
    before = [resource.getrlimit(kind) for kind in kinds]
    ended = run("test_anomaly_detector.py", "-m", bank_model, "-d", parts)
    assert ended.returncode == 0
    assert [resource.getrlimit(kind) for kind in kinds] == before
