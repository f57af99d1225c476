"""Files in remote storage: whatever fsspec opens, such as ``s3://`` and ``gs://``.

A path is a URL where it begins with ``scheme://``; a local file of such a name is reached as
``./scheme://...``.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Value = TypeVar("Value")

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class RemoteFileError(OSError):
    """A remote storage, or a file in it, cannot be used; ``strerror`` says why."""


def is_url(path: str) -> bool:
    """Whether a path names a file or folder in remote storage, not on this machine."""
    return _URL.match(path) is not None


def is_folder(url: str) -> bool:
    """Whether a URL names a folder.

    Raises:
        RemoteFileError: the storage cannot be used.
    """
    filesystem, path = _filesystem(url)
    return _call(url, filesystem.isdir, path)


def list_folder(url: str) -> Iterator[tuple[str, str, bool]]:
    """Yield (name, URL, whether it is a folder) of each entry of a folder, in no particular order.

    Raises:
        RemoteFileError: there is no such folder, or the storage cannot be used.
    """
    filesystem, path = _filesystem(url)
    # A cached listing may be out of date.
    filesystem.invalidate_cache(path)
    for entry in _call(url, filesystem.ls, path, detail=True):
        # Storages without folders have an empty object of the folder's name in their place.
        if name := entry["name"].rstrip("/").removeprefix(path.rstrip("/")).strip("/"):
            yield name, filesystem.unstrip_protocol(entry["name"]), entry["type"] == "directory"


def read(url: str, at_most: int | None = None) -> bytes:
    """Return a file's bytes, or the first ``at_most`` of them.

    Raises:
        RemoteFileError: there is no such file, or it cannot be read.
    """
    filesystem, path = _filesystem(url)
    return _call(url, filesystem.cat_file, path, end=at_most)


def _filesystem(url: str) -> tuple[AbstractFileSystem, str]:
    try:
        from fsspec.core import url_to_fs  # 60 ms that only URLs should pay
    except ImportError as error:
        reason = "files of this kind need the package fsspec: pip install fsspec"
        raise RemoteFileError(errno.ENOSYS, reason, url) from error
    return _call(url, url_to_fs, url)


def _call(
    url: str, function: Callable[..., Value], *arguments: object, **keywords: object
) -> Value:
    """Call a function of a storage's client, and translate its errors."""
    try:
        return function(*arguments, **keywords)
    except FileNotFoundError as error:
        raise RemoteFileError(errno.ENOENT, "no such file or folder", url) from error
    except Exception as error:  # the exceptions of clients have no common base
        text = str(error).strip() or type(error).__name__
        raise RemoteFileError(errno.EIO, text.splitlines()[0][:200], url) from error
