"""The images of a folder as it is, and in words what else it holds."""

from __future__ import annotations

import os
import re
from collections import Counter

from pyimagesearch.data import heif, images
from pyimagesearch.runtime.console import UserError, printable, warn

# What lies next to images and is none: notes, labels, documents, what the scripts write, and what
# is still being copied.
_COMPANIONS = frozenset(
    ".txt .md .rst .log .pdf .doc .docx .odt .xls .xlsx .ods .csv .tsv .json .jsonl .xml .yaml "
    ".yml .toml .ini .cfg .db .html .htm .css .js .py .ipynb .sh .bat .model .onnx .npz "
    ".journal .lock .part .partial .tmp .crdownload".split()
)
_ENDING = re.compile(r"\.[a-z0-9_+-]{1,10}")
_NO_ENDING = "without an ending"
_MOST_KINDS = 8


class OtherFiles:
    """Counts the files of folders that are no images which can be read, by their kinds."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, name: str) -> None:
        """Count a file by its name's ending."""
        ending = os.path.splitext(name)[1].lower()
        self._counts[ending if _ENDING.fullmatch(ending) else _NO_ENDING] += 1

    @property
    def left_out(self) -> dict[str, int]:
        """How many there are of each kind that does not just accompany images."""
        return {kind: n for kind, n in self._counts.items() if kind not in _COMPANIONS}

    def report(self, folder: str | None = None) -> None:
        """Report in a line what was left out, if anything.

        Args:
            folder: that the files lie in, or None where that is clear.
        """
        if left_out := self.left_out:
            where = "" if folder is None else f"{printable(folder)}: "
            warn(f"{where}left out, not images that can be read: {_listed(left_out)}")

    @property
    def instead(self) -> str:
        """Ends a sentence on there being no images: ", only 5 .txt, 2 .pdf", or nothing."""
        return f", only {_listed(self._counts)}" if self._counts else ""


def list_folder(folder: str) -> list[str]:
    """List the images below a folder, and report which files in it cannot be read as one.

    Args:
        folder: or a file or URL, as of ``images.list_images``.

    Raises:
        UserError: there are no images.
        OSError: as of ``images.list_images``.
    """
    others = OtherFiles()
    paths = list(images.list_images(folder, others.add))
    if not paths:
        raise UserError(f"{printable(folder)}: no images in this folder{others.instead}")
    others.report(folder)
    return paths


def _listed(counts: dict[str, int]) -> str:
    """The most frequent kinds first: "3 .heic (pip install pillow-heif), 2 .cr2"."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    listed = [
        f"{n:,} {kind}" + (f" ({heif.INSTALL})" if kind in heif.EXTENSIONS else "")
        for kind, n in ranked[:_MOST_KINDS]
    ]
    if n_rest := sum(n for _, n in ranked[_MOST_KINDS:]):
        listed.append(f"{n_rest:,} of other kinds")
    return ", ".join(listed)
