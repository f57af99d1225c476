"""Write and read model files: data only, checked before use, written whole or not at all.

A model file is a zip archive of uncompressed members, so that it cannot expand: a
``manifest.json`` for people and programs, arrays as ``.npy``, and networks as ``.onnx``. Reading
one never runs anything from it: no pickle, no class names, no code. To print what is in one::

    python -m pyimagesearch.detectors.model_file anomaly_detector.model
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeVar

import numpy as np

from pyimagesearch.backbones.onnx_graph import NetworkError
from pyimagesearch.data.npy_format import NpyError, parse_npy
from pyimagesearch.data.zip_archive import open_archive
from pyimagesearch.runtime import remote_files
from pyimagesearch.runtime.atomic_files import atomic_write
from pyimagesearch.runtime.console import UserError, escaped, printable
from pyimagesearch.runtime.input_files import open_input
from pyimagesearch.runtime.limits import NetworkLimitError

Model = TypeVar("Model")

FORMAT = "pyimagesearch anomaly model"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
_ARRAY = ".npy"
_NETWORK = ".onnx"
MAX_BYTES = 2 * 1024**3
MAX_MANIFEST_BYTES = 1024**2
MAX_MEMBERS = 256
_MOST_BEFORE_FORMAT = 256  # bytes: the manifest is the first member, and the format its first line
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes
_RETRAIN = "train it again"

_MOST_SAID = 400  # characters of what is wrong with a file

# What taking over a model's content raises, whatever the content is.
_OF_ANY_CONTENT = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError),
    ValueError,
)


class ModelFileError(ValueError):
    """A file that is not a usable model; the message is why, without the file's name.

    Args:
        message: whose end is left out where it quotes too much of the file.
    """

    def __init__(self, message: str) -> None:
        is_long = len(message) > _MOST_SAID
        super().__init__(f"{message[:_MOST_SAID]}..." if is_long else message)


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds.

    Attributes:
        manifest: JSON types; see ``manifest.json`` of any model.
        arrays: numeric arrays by name.
        networks: ONNX graphs by name, not yet parsed.
        sha256: digest of ``manifest.json``, which holds the digests of all the rest.
    """

    manifest: dict[str, Any]
    arrays: dict[str, np.ndarray]
    networks: dict[str, bytes] = field(default_factory=dict)
    sha256: str = ""

    def save(self, path: str) -> None:
        """Write it as it was read: the same bytes; raises ``OSError`` where that is impossible."""
        save_model(path, self.manifest, self.arrays, self.networks)

    def check_kind(self, kind: str) -> None:
        """Raises ValueError where it is a model of another kind of data."""
        if self.manifest["kind"] != kind:
            raise ValueError(f"it is a model of {self.manifest['kind']!r}, not of {kind}")

    def scores_digest(self) -> str:
        """SHA-256 of all that scores depend on: the same whatever the threshold."""
        parts = {key: self.manifest.get(key) for key in ("preprocessing", "detector", "members")}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def scores(self, name: str) -> np.ndarray:
        """One of its lists of scores, (n,); raises ValueError where it is none, KeyError."""
        array = self.arrays[name]
        is_list = array.ndim == 1 and len(array) > 0 and array.dtype.kind in "iuf"
        if not is_list or not np.isfinite(array).all():
            raise ValueError(f"its array {name!r} is not a list of finite numbers")
        return array

    @property
    def threshold(self) -> float:
        """The score above which an item is an anomaly; raises ValueError where it is no score."""
        value = self.manifest["threshold"]["value"]
        if not isinstance(value, (int, float)) or not np.isfinite(value):
            raise ValueError(f"its threshold is {value!r}")
        return float(value)


@contextlib.contextmanager
def usable() -> Iterator[None]:
    """Turn what goes wrong while a model's content is taken over into a ``ModelFileError``."""
    try:
        yield
    except KeyError as error:
        raise ModelFileError(f"the model cannot be used: {error} is missing") from error
    except _OF_ANY_CONTENT as error:
        raise ModelFileError(
            f"the model cannot be used: {error or type(error).__name__}"
        ) from error


def save_model(
    path: str,
    manifest: dict[str, Any],
    arrays: dict[str, np.ndarray],
    networks: dict[str, bytes] | None = None,
) -> None:
    """Write a model file; the same content gives the same bytes.

    Args:
        path: where; an existing file is replaced in one step.
        manifest: JSON types; ``format``, ``format_version`` and ``members`` are added.
        arrays: numeric arrays, C-ordered.
        networks: ONNX graphs.

    Raises:
        OSError: the folder is missing or read-only, or the disk is full.
    """
    with atomic_write(path) as file:
        write_model(file, manifest, arrays, networks)


def write_model(
    file: BinaryIO,
    manifest: dict[str, Any],
    arrays: dict[str, np.ndarray],
    networks: dict[str, bytes] | None = None,
) -> None:
    """Write what is in a model file to an open file; arguments as of ``save_model``."""
    members = {f"{name}{_ARRAY}": _npy(array) for name, array in sorted(arrays.items())}
    members |= {f"{name}{_NETWORK}": data for name, data in sorted((networks or {}).items())}
    described = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **manifest,
        "members": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in members.items()
        },
    }
    text = json.dumps(described, indent=2, allow_nan=False) + "\n"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in ((MANIFEST, text.encode()), *members.items()):
            archive.writestr(zipfile.ZipInfo(name, _ZIP_EPOCH), data)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(
        buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False
    )
    return buffer.getvalue()


def load_model(path: str) -> ModelFile:
    """Read a model file, checking every size and digest before its content is used.

    Args:
        path: of a file, or a URL.

    Raises:
        ModelFileError: not a model, a damaged one, or one of a newer format.
        OSError: the file cannot be read.
    """
    with _opened(path) as file:
        return read_model(file)


def read_model(file: BinaryIO) -> ModelFile:
    """Read a model file that is open, and seekable: see ``load_model``."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    _refuse_other_kinds(file.read(16))
    with open_archive(file, ModelFileError) as archive:
        return _read_archive(archive, size)


def is_model_file(path: str) -> bool:
    """Whether a file was written as a model file, of whatever version, whole or not.

    Raises:
        OSError: it cannot be read.
    """
    with open_input(path) as file:
        start = file.read(_MOST_BEFORE_FORMAT)
    return start.startswith(b"PK\x03\x04") and f'"format": "{FORMAT}"'.encode() in start


def _opened(path: str) -> BinaryIO:
    if remote_files.is_url(path):
        return io.BytesIO(remote_files.read(path, MAX_BYTES))
    return open_input(path)


def _refuse_other_kinds(start: bytes) -> None:
    if start.startswith(b"PK\x03\x04"):
        return
    if not start:
        raise ModelFileError("the file is empty")
    # Protocols 2 and later say so; earlier ones begin with an opcode and are plain text.
    if start[0] == 0x80 or start[:1] in b"(c]}" or start[:2] in (b"ci", b"cc"):
        raise ModelFileError(
            f"this is a Python pickle, which can run any code when it is loaded; {_RETRAIN}"
        )
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        raise ModelFileError(f"this is an HDF5 file, such as Keras writes; {_RETRAIN}")
    raise ModelFileError("this is not a model file")


def _read_archive(archive: zipfile.ZipFile, file_size: int) -> ModelFile:
    infos = {info.filename: info for info in archive.infolist()}
    if MANIFEST not in infos:
        raise ModelFileError(f"this zip archive is not a model file: it has no {MANIFEST}")
    if len(infos) > MAX_MEMBERS or len(infos) != len(archive.infolist()):
        raise ModelFileError("the archive has too many members, or two of one name")
    if any(
        info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size
        for info in infos.values()
    ):
        raise ModelFileError("a member is compressed and could expand without limit")
    if sum(info.file_size for info in infos.values()) > min(file_size, MAX_BYTES):
        raise ModelFileError("the members claim more bytes than the file may hold")
    if infos[MANIFEST].file_size > MAX_MANIFEST_BYTES:
        raise ModelFileError(f"its {MANIFEST} is larger than {MAX_MANIFEST_BYTES} bytes")

    text = archive.read(MANIFEST)
    manifest = _parse_manifest(text)
    members = manifest["members"]
    if set(members) != set(infos) - {MANIFEST}:
        raise ModelFileError(f"its members are not those that its {MANIFEST} lists")
    arrays, networks = {}, {}
    for name, described in members.items():
        data = archive.read(name)
        digest = described.get("sha256") if isinstance(described, dict) else None
        if hashlib.sha256(data).hexdigest() != digest:
            raise ModelFileError(f"its member {name!r} is not what was written (digest differs)")
        if name.endswith(_NETWORK):
            networks[name.removesuffix(_NETWORK)] = data
        else:
            arrays[name.removesuffix(_ARRAY)] = _parse_npy(name, data)
    return ModelFile(manifest, arrays, networks, hashlib.sha256(text).hexdigest())


def _finite(text: str) -> float:
    """A number of JSON, which can write none that is not finite: Python reads some all the same."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not a number of JSON")
    return number


def _parse_manifest(data: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(data, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"its {MANIFEST} is not JSON ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelFileError(f"this zip archive is not a model file: its {MANIFEST} says otherwise")
    version = manifest.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise ModelFileError(f"its format version is {version!r}")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"it was written in format version {version}, newer than the {FORMAT_VERSION} that "
            "this program reads; update the program"
        )
    if not isinstance(manifest.get("members"), dict):
        raise ModelFileError(f"its {MANIFEST} lists no members")
    return manifest


def _parse_npy(name: str, data: bytes) -> np.ndarray:
    try:
        return np.ascontiguousarray(parse_npy(data))
    except NpyError as error:
        raise ModelFileError(f"its member {name!r} is not a plain array ({error})") from error


def open_model(path: str, opener: Callable[[str], Model]) -> Model:
    """Open a model file; that it is not usable is an error that the user can fix.

    Args:
        path: of the model file.
        opener: makes what the caller needs from the path.

    Raises:
        UserError: it is not a usable model file.
        OSError: it cannot be read.
    """
    with named(path):
        return opener(path)


@contextlib.contextmanager
def named(path: str) -> Iterator[None]:
    """Turn what is wrong with a model into an error that names its file.

    Raises:
        UserError: it is not a usable model, or its network cannot be run or takes more than it may.
    """
    try:
        yield
    except (ModelFileError, NetworkError, NetworkLimitError) as error:
        raise UserError(f"{printable(path)}: {error}") from error


def main(arguments: list[str]) -> int:
    """Print a model file's manifest, the shapes of its arrays and the sizes of its networks."""
    if len(arguments) != 1:
        print("usage: python -m pyimagesearch.detectors.model_file FILE", file=sys.stderr)
        return 2
    try:
        model = load_model(arguments[0])
    except (ModelFileError, OSError) as error:
        print(f"[ERROR] {printable(arguments[0])}: {escaped(str(error))}", file=sys.stderr)
        return 1
    print(json.dumps(model.manifest, indent=2))
    for name, array in model.arrays.items():
        print(f"{escaped(name)}: {array.dtype} {array.shape}")
    for name, network in model.networks.items():
        print(f"{escaped(name)}: ONNX network of {len(network):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
