"""Claims about model files: data only, whole or absent, checked before use."""

import io
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

from helpers.scripts import CHECKOUT, run_cold
from pyimagesearch.detectors import model_file
from pyimagesearch.detectors.array_checks import checked

ARRAYS = {"b": np.arange(6, dtype=np.int32).reshape(2, 3), "a": np.linspace(0, 1, 5)}


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "some.model"
    model_file.save_model(str(path), {"kind": "images"}, ARRAYS)
    return path


def rewritten(path, change, compression=zipfile.ZIP_STORED):
    """Unpack a model file, change its members, and pack them again."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return str(path)


def in_manifest(**fields):
    def change(members):
        manifest = json.loads(members["manifest.json"]) | fields
        members["manifest.json"] = json.dumps(manifest).encode()

    return change


def test_what_was_saved_is_loaded(model):
    loaded = model_file.load_model(str(model))
    assert loaded.manifest["kind"] == "images"
    assert set(loaded.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert loaded.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded.arrays[name], array)


def test_the_same_content_gives_the_same_bytes(model, tmp_path):
    time.sleep(2.1)  # zip files usually hold the time, to two seconds
    model_file.save_model(str(tmp_path / "again"), {"kind": "images"}, ARRAYS)
    assert (tmp_path / "again").read_bytes() == model.read_bytes()


class Malicious:
    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return (os.mkdir, (self.witness,))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_refused_and_not_run(tmp_path, protocol):
    witness = tmp_path / "witness"
    path = tmp_path / "pickled.model"
    path.write_bytes(pickle.dumps(Malicious(str(witness)), protocol))
    with pytest.raises(model_file.ModelFileError, match=r"pickle.*train it again"):
        model_file.load_model(str(path))
    assert not witness.exists()


def test_a_pickle_inside_an_array_is_refused_and_not_run(model, tmp_path):
    witness = tmp_path / "witness"

    def change(members):
        buffer = io.BytesIO()
        np.save(buffer, np.array([Malicious(str(witness))], dtype=object), allow_pickle=True)
        members["a.npy"] = buffer.getvalue()
        described = json.loads(members["manifest.json"])
        described["members"]["a.npy"] = {
            "sha256": model_file.hashlib.sha256(members["a.npy"]).hexdigest()
        }
        members["manifest.json"] = json.dumps(described).encode()

    with pytest.raises(model_file.ModelFileError, match="not a plain array"):
        model_file.load_model(rewritten(model, change))
    assert not witness.exists()


@pytest.mark.parametrize("share", [0.01, 0.5, 0.95])
def test_a_truncated_file_is_refused(model, share):
    data = model.read_bytes()
    model.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(model_file.ModelFileError, match="damaged or truncated"):
        model_file.load_model(str(model))


def test_every_flipped_byte_is_refused_or_changes_nothing(model):
    data = model.read_bytes()
    original = model_file.load_model(str(model))
    for position in range(0, len(data), 7):
        model.write_bytes(data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :])
        try:
            loaded = model_file.load_model(str(model))
        except model_file.ModelFileError:
            continue
        assert (
            loaded.manifest == original.manifest
            or loaded.manifest["members"] == original.manifest["members"]
        )
        assert all(np.array_equal(loaded.arrays[k], original.arrays[k]) for k in ARRAYS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (bytes(range(100, 200)), "not a model file"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "HDF5"),
        (b"\xff\xd8\xff\xe0", "not a model file"),
    ],
)
def test_other_files_are_refused_with_what_they_are(tmp_path, content, message):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(model_file.ModelFileError, match=message):
        model_file.load_model(str(path))


def remove_manifest(members):
    del members["manifest.json"]


def add_member(members):
    members["extra.npy"] = b"x"


def change_array(members):
    members["a.npy"] = members["a.npy"][:-1] + b"\1"


def break_manifest(members):
    members["manifest.json"] = b"{"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove_manifest, "has no manifest"),
        (break_manifest, "not JSON"),
        (add_member, "not those that"),
        (change_array, "digest differs"),
        (in_manifest(format="something else"), "says otherwise"),
        (in_manifest(format_version=2), "format version 2, newer than"),
        (in_manifest(format_version="1"), "format version is '1'"),
        (in_manifest(members=[]), "lists no members"),
    ],
)
def test_a_changed_archive_is_refused_with_its_own_sentence(model, change, message):
    with pytest.raises(model_file.ModelFileError, match=message):
        model_file.load_model(rewritten(model, change))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(model):
    def change(members):
        members["a.npy"] = b"\0" * 200_000_000

    path = rewritten(model, change, zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    try:
        with pytest.raises(model_file.ModelFileError, match="compressed"):
            model_file.load_model(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_an_array_whose_header_claims_more_than_its_bytes_is_refused(model):
    def change(members):
        data = members["a.npy"].replace(b"(5,), }         ", b"(5000000000,), }")
        assert data != members["a.npy"]
        members["a.npy"] = data
        described = json.loads(members["manifest.json"])
        described["members"]["a.npy"]["sha256"] = model_file.hashlib.sha256(data).hexdigest()
        members["manifest.json"] = json.dumps(described).encode()

    with pytest.raises(model_file.ModelFileError, match="does not fit"):
        model_file.load_model(rewritten(model, change))


def test_killed_at_any_moment_there_is_no_file_or_a_whole_one(tmp_path):
    path = tmp_path / "big.model"
    code = (
        "import numpy as np; from pyimagesearch.detectors.model_file import save_model\n"
        "print('ready', flush=True)\n"
        f"while True: save_model({str(path)!r}, {{'kind': 'x'}}, {{'a': np.arange(3_000_000)}})"
    )
    rng = np.random.default_rng(0)
    for _ in range(15):
        path.unlink(missing_ok=True)
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=CHECKOUT
        ) as process:
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.15))
            process.send_signal(signal.SIGKILL)
        if path.exists():
            assert model_file.load_model(str(path)).arrays["a"][-1] == 2_999_999


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(model, tmp_path):
    before = model.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))  # as a full disk would
        with pytest.raises(OSError, match="too large"):
            model_file.save_model(str(model), {"kind": "x"}, {"a": np.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, previous)
    assert model.read_bytes() == before
    assert os.listdir(tmp_path) == [model.name]


def test_the_manifest_can_be_printed(forest_model):
    printed = run_cold("-m", "pyimagesearch.detectors.model_file", forest_model)
    assert printed.returncode == 0
    assert b'"score": "higher is more anomalous"' in printed.stdout
    refused = run_cold("-m", "pyimagesearch.detectors.model_file", CHECKOUT / "README.md")
    assert refused.returncode == 1
    assert b"not a model file" in refused.stderr


def test_what_is_wrong_with_a_model_is_said_briefly_whatever_it_holds():
    with pytest.raises(model_file.ModelFileError) as refused, model_file.usable():
        raise ValueError(f"its groups are {[36] * 10_000}")
    assert str(refused.value).startswith("the model cannot be used: its groups are [36, 36")
    assert len(str(refused.value)) < 500


def test_names_of_a_model_file_cannot_steer_the_terminal(tmp_path, capsys):
    path = str(tmp_path / "a.model")
    model_file.save_model(path, {"kind": "\x1b[2J"}, {"\x1b[2J": np.ones(3)}, {"\x9b": b""})
    assert model_file.main([path]) == 0
    printed = capsys.readouterr().out
    assert r"\x1b[2J: float64 (3,)" in printed
    assert not {"\x1b", "\x9b"} & set(printed)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (None, "it has no array 'a'"),
        (np.ones((2, 3)), r"its array 'a' is not float32 of shape \(n, 3\)"),
        (np.ones((2, 4), np.float32), r"is not float32 of shape \(n, 3\)"),
        (np.ones((0, 3), np.float32), r"is not float32 of shape \(n, 3\)"),
        (np.ones(3, np.float32), r"is not float32 of shape \(n, 3\)"),
        (np.ones((1, 2, 3), np.float32), r"is not float32 of shape \(n, 3\)"),
        (np.full((2, 3), np.inf, np.float32), "has numbers that are not finite"),
        (np.full((2, 3), np.nan, np.float32), "has numbers that are not finite"),
        (np.zeros((2, 3), np.float32), "has numbers that are not positive"),
    ],
)
def test_an_array_that_is_another_is_refused_with_its_own_sentence(array, message):
    found = {} if array is None else {"a": array}
    with pytest.raises(ValueError, match=message):
        checked(found, "a", np.float32, ("n", 3), positive=True)


def test_an_array_that_is_as_it_must_be_is_given_back():
    empty, ones = np.zeros((0, 3), np.float32), np.ones((2, 3), np.float32)
    assert checked({"a": ones}, "a", np.float32, (2, "n"), positive=True) is ones
    assert checked({"a": empty}, "a", np.float32, ("n", 3), least=0) is empty


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_json_cannot_write_is_refused_wherever_it_stands(model, number):
    def change(members):
        text = members["manifest.json"]
        members["manifest.json"] = text.replace(b"{", b'{"note": [' + number.encode() + b"],", 1)

    with pytest.raises(model_file.ModelFileError, match="is not a number of JSON"):
        model_file.load_model(rewritten(model, change))
