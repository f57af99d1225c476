"""Claims about zip archives that were mangled."""

import io
import zipfile

import pytest

from pyimagesearch.data.zip_archive import open_archive


class RefusalError(ValueError):
    """What the caller raises itself."""


def whole():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a"), b"content")  # of 1980, in every process
    return buffer.getvalue()


def mangled(mark, offset, new):
    data = bytearray(whole())
    place = data.index(mark) + offset
    data[place : place + len(new)] = new
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        mangled(b"PK\1\2", 6, b"\xff"),  # of a later version of the format
        mangled(b"PK\1\2", 8, b"\1"),  # encrypted
        mangled(b"PK\1\2", 10, b"\x63"),  # of an unknown compression
        mangled(b"PK\1\2", 42, b"\xff\xff\xff\x7f"),  # a member that lies behind the end,
        mangled(b"PK\5\6", 12, b"\0\0\0\1"),  # and one before the beginning
        mangled(b"PK\5\6", 16, b"\xff\xff\xff\x7f"),
        whole()[:60],
        b"PK\3\4",
    ],
)
def test_whatever_a_mangled_archive_leads_to_is_the_callers_own_error(data, tmp_path):
    (tmp_path / "a.zip").write_bytes(data)
    with (
        open(tmp_path / "a.zip", "rb") as file,
        pytest.raises(RefusalError, match="the file is damaged or truncated"),
        open_archive(file, RefusalError) as archive,
    ):
        archive.read("a")


def test_the_callers_own_error_passes_as_it_is(tmp_path):
    (tmp_path / "a.zip").write_bytes(whole())
    with (
        open(tmp_path / "a.zip", "rb") as file,
        pytest.raises(RefusalError, match=r"^mine$"),
        open_archive(file, RefusalError),
    ):
        raise RefusalError("mine")
