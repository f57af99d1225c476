"""Files that are not on this machine: whatever fsspec opens, such as ``s3://`` and ``gs://``.

Local paths never come here. A path is a URL where it begins with ``scheme://``; a local file of
such a name is reached as ``./scheme://...``.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from typing import Any

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class StoreError(OSError):
    """A store, or a file in it, that cannot be used; ``strerror`` says why."""


def is_url(path: str) -> bool:
    """Whether a path names a file or folder of a store, and not of this machine."""
    return _URL.match(path) is not None


def is_folder(url: str) -> bool:
    """Whether a URL names a folder.

    Raises:
        StoreError: the store cannot be used.
    """
    filesystem, path = _opened(url)
    return _asked(url, filesystem.isdir, path)


def listed(url: str) -> Iterator[tuple[str, str, bool]]:
    """Yield name, URL and whether it is a folder of each entry of a folder, in no stated order.

    Raises:
        StoreError: there is no such folder, or the store cannot be used.
    """
    filesystem, path = _opened(url)
    # A listing that was made before may have grown old.
    filesystem.invalidate_cache(path)
    for entry in _asked(url, filesystem.ls, path, detail=True):
        # Stores without folders mark one by an object of its name.
        if name := entry["name"].rstrip("/").removeprefix(path.rstrip("/")).strip("/"):
            yield name, filesystem.unstrip_protocol(entry["name"]), entry["type"] == "directory"


def read(url: str, at_most: int | None = None) -> bytes:
    """Return a file's bytes, or as many of the first ones.

    Raises:
        StoreError: there is no such file, or it cannot be read.
    """
    filesystem, path = _opened(url)
    return _asked(url, filesystem.cat_file, path, end=at_most)


def _opened(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs  # 60 ms that only URLs should pay
    except ImportError as error:
        reason = "files of this kind need the package fsspec: pip install fsspec"
        raise StoreError(errno.ENOSYS, reason, url) from error
    return _asked(url, url_to_fs, url)


def _asked(url: str, question: Callable, *arguments: Any, **keywords: Any) -> Any:
    try:
        return question(*arguments, **keywords)
    except FileNotFoundError as error:
        raise StoreError(errno.ENOENT, "no such file or folder", url) from error
    except Exception as error:  # the exceptions of stores' clients have no common base
        text = str(error).strip() or type(error).__name__
        raise StoreError(errno.EIO, text.splitlines()[0][:200], url) from error
