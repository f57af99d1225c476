"""Checkpoints of others: they are data, and no more than their own bytes."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from pyimagesearch.runtime.console import UserError
from pyimagesearch.training.checkpoints import Checkpoint

CONFIG = {"seed": 42}


class Counting:
    """The least that can be trained: a number."""

    def __init__(self, value=0.0):
        self.value = np.array(value)

    def state(self):
        return {"value": self.value}

    def restore(self, state):
        self.value = state["value"]


@pytest.fixture
def checkpoint(tmp_path):
    """Its path, and what reads it."""
    saved = Checkpoint(str(tmp_path / "a.model"), CONFIG)
    saved.save(Counting(7.0))
    return tmp_path / "a.model.training", saved


def npy(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


def replace(path, content, compression=zipfile.ZIP_STORED, name="value.npy"):
    with zipfile.ZipFile(path) as before:
        fingerprint = before.read("fingerprint.npy")
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("fingerprint.npy", fingerprint)
        archive.writestr(name, content)


def test_what_was_saved_is_restored(checkpoint):
    training = Counting()
    assert checkpoint[1].restore(training)
    assert training.value == 7.0


@pytest.mark.usefixtures("checkpoint")
def test_a_checkpoint_of_other_options_is_refused(tmp_path):
    with pytest.raises(UserError, match="begun with other options or other data"):
        Checkpoint(str(tmp_path / "a.model"), CONFIG | {"seed": 1}).restore(Counting())


class Trap:
    def __reduce__(self):
        return print, ("run",)


def huge_header():
    header = repr({"descr": "<f8", "fortran_order": False, "shape": (2**50,)}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Trap()),
        npy(np.array([Trap()], object), allow_pickle=True),
        huge_header(),
        b"\x93NUMPY\x01\x00\x08\x00(((((((\n",
        b"",
    ],
)
def test_what_is_no_array_of_numbers_is_refused_in_a_sentence(content, checkpoint, capsys):
    replace(checkpoint[0], content)
    with pytest.raises(UserError, match=r"a\.model\.training: not the state of a training"):
        checkpoint[1].restore(Counting())
    assert capsys.readouterr().out == ""


def test_what_could_expand_is_refused(checkpoint):
    replace(checkpoint[0], npy(np.zeros(10**6)), zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match="claims more bytes than it has"):
        checkpoint[1].restore(Counting())
