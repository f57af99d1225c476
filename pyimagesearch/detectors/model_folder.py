"""Models of many series: a folder with a model file for each, and a list of which is whose.

Each of the files is a model file like any other and can be used alone. The list, ``series.json``,
has their digests, so that no file can take another's place unnoticed; it is written last, so that
a folder without it is no models of many series.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyimagesearch.detectors.model_file import MAX_BYTES, ModelFile, ModelFileError, load_model
from pyimagesearch.runtime.atomic_files import write_bytes
from pyimagesearch.runtime.console import printable
from pyimagesearch.runtime.input_files import read_input

FORMAT = "pyimagesearch models of many series"
FORMAT_VERSION = 1
LIST = "series.json"
MAX_LIST_BYTES = 256 * 1024**2
_UNSAFE = re.compile(r"[^A-Za-z0-9_.=+-]+")
_MOST_CHARACTERS = 80  # of a file's name, without what makes it unique
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FILE = re.compile(r"[A-Za-z0-9_=+-][A-Za-z0-9_.=+-]*\.model")


def model_name(series: str) -> str:
    """The name of a series' model file: its own, or where that is no plain one made unique.

    >>> model_name("pump_1")
    'pump_1.model'
    >>> model_name("hall/pump 1")
    'hall_pump_1-d470494e.model'
    """
    safe = _UNSAFE.sub("_", series)[:_MOST_CHARACTERS]
    if safe and safe == series and not safe.startswith("."):
        return f"{safe}.model"
    digest = hashlib.sha256(series.encode("utf-8", "backslashreplace")).hexdigest()
    return f"{safe.lstrip('.')}-{digest[:8]}.model".lstrip("-")


@dataclass(frozen=True)
class ListedModel:
    """A model file of a folder.

    Attributes:
        file: its name in the folder.
        sha256: digest of the file.
    """

    file: str
    sha256: str

    @classmethod
    def from_file(cls, folder: str, name: str) -> ListedModel:
        """Describe a model file that is there; raises ``OSError`` where it cannot be read."""
        return cls(name, _digest(os.path.join(folder, name)))


@dataclass(frozen=True)
class ModelFolder:
    """The models of many series.

    Attributes:
        path: of the folder.
        training: how they were trained, as JSON types.
        models: by the names of the series.
        sha256: digest of the list, which holds the digests of all models.
    """

    path: str
    training: dict[str, Any]
    models: Mapping[str, ListedModel]
    sha256: str = ""

    @classmethod
    def load(cls, path: str) -> ModelFolder:
        """Read the list of a folder; the models are read where they are used.

        Raises:
            ModelFileError: it is none, or damaged, or of a newer format.
            OSError: it cannot be read.
        """
        listed = os.path.join(path, LIST)
        if not os.path.exists(listed):
            raise ModelFileError(f"this folder holds no models of many series: it has no {LIST}")
        data = read_input(listed, MAX_LIST_BYTES)
        try:
            content = json.loads(data)
            if content["format"] != FORMAT:
                raise ValueError(content["format"])
            version = content["format_version"]
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise ModelFileError(f"its {LIST} is no list of models") from error
        if version != FORMAT_VERSION:
            raise ModelFileError(
                f"it was written in format version {version!r}, and this program reads "
                f"{FORMAT_VERSION}"
            )
        try:
            training, models = content["training"], _checked_models(content["series"])
            if not isinstance(training, dict):
                raise ValueError("it does not say how it was trained")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ModelFileError(f"its {LIST} is damaged ({error})") from error
        return cls(path, training, models, hashlib.sha256(data).hexdigest())

    def save(self) -> None:
        """Write the list; raises ``OSError`` where that is not possible."""
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "training": self.training,
            "series": {
                name: {"file": model.file, "sha256": model.sha256}
                for name, model in sorted(self.models.items())
            },
        }
        text = json.dumps(content, indent=1) + "\n"
        write_bytes(os.path.join(self.path, LIST), text.encode())

    def load_model(self, series: str) -> ModelFile:
        """Read the model of a series.

        Raises:
            ModelFileError: there is none, or its file is another than was written.
            OSError: it cannot be read.
        """
        listed = self.models.get(series)
        if listed is None:
            raise ModelFileError("there is no model of a series of this name")
        path = os.path.join(self.path, listed.file)
        if _digest(path) != listed.sha256:
            raise ModelFileError(
                f"its model, {printable(listed.file)}, is not what was written (digest differs)"
            )
        return load_model(path)


def _checked_models(content: Any) -> dict[str, ListedModel]:
    models = {}
    for name, described in content.items():
        file, sha256 = described["file"], described["sha256"]
        if not _FILE.fullmatch(file) or not _DIGEST.fullmatch(sha256):
            raise ValueError(f"its entry {name[:60]!r} names no model file and digest")
        models[name] = ListedModel(file, sha256)
    if len({model.file for model in models.values()}) < len(models):
        raise ValueError("two series have one model file")
    return models


def _digest(path: str) -> str:
    return hashlib.sha256(read_input(path, MAX_BYTES)).hexdigest()
