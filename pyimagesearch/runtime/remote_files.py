"""Files in remote storage: whatever fsspec opens, such as ``s3://`` and ``gs://``.

A path is a URL where it begins with ``scheme://``; a local file of such a name is reached as
``./scheme://...``. Chains of storages (``zip://...::https://...``) are refused: a file of one could
have files of another read, this machine's own among them.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Value = TypeVar("Value")

_PIECE_BYTES = 2**22
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


def read(url: str, max_bytes: int) -> bytes:
    """Return a file's bytes.

    Args:
        url: of the file.
        max_bytes: that it may have.

    Raises:
        RemoteFileError: there is no such file, it cannot be read, or has more bytes.
    """
    filesystem, path = _filesystem(url)
    is_web = "http" in filesystem.protocol
    data = _call(url, _read_web if is_web else _read_store, filesystem, path, max_bytes + 1)
    if len(data) > max_bytes:
        raise RemoteFileError(errno.EFBIG, f"more than {max_bytes / 1e9:,.1f} GB", url)
    return data


def _read_store(filesystem: AbstractFileSystem, path: str, at_most: int) -> bytes:
    return filesystem.cat_file(path, end=at_most)


def _read_web(filesystem: AbstractFileSystem, path: str, at_most: int) -> bytes:
    """As ``_read_store``, from a web server, which may send more than it was asked for."""
    parts, left = [], at_most
    with filesystem.open(path, "rb", block_size=0) as file:  # as a stream
        while left and (part := file.read(min(left, _PIECE_BYTES))):
            parts.append(part)
            left -= len(part)
    return b"".join(parts)


def _filesystem(url: str) -> tuple[AbstractFileSystem, str]:
    if "::" in url:
        raise RemoteFileError(errno.EINVAL, "chains of storages (::) are not read", url)
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
