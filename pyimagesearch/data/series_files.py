"""The files that hold series: CSV, also compressed, Parquet and Excel sheets."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, BinaryIO

from pyimagesearch.data.csv_table import read_csv
from pyimagesearch.data.expansion import Expanding, check_expansion
from pyimagesearch.data.series import SeriesError
from pyimagesearch.data.series_tables import read_parquet, read_sheet
from pyimagesearch.data.zip_archive import open_archive

if TYPE_CHECKING:  # half a second that labelling images should not pay
    import pandas as pd

CSV_EXTENSIONS = (".csv", ".tsv", ".txt")
EXTENSIONS = (
    *CSV_EXTENSIONS,
    *(f"{extension}.gz" for extension in CSV_EXTENSIONS),
    *(".zip", ".parquet", ".xlsx"),
)
_GZIP, _ZIP, _PARQUET = b"\x1f\x8b", b"PK\x03\x04", b"PAR1"
_WORKBOOK = "xl/workbook.xml"


def read_table(file: BinaryIO, notes: list[str]) -> pd.DataFrame:
    """Read the cells of a file; what kind it is, its first bytes tell.

    Args:
        file: open for reading; all but CSV and gzip must be seekable.
        notes: a sentence is added for what was not read.

    Returns:
        As of ``csv_table.read_csv``.

    Raises:
        SeriesError: it is none of these kinds, damaged, expands too far, has too many cells, or
            takes a package that is missing.
        OSError: it cannot be read.
    """
    head = _peek(file)
    if head.startswith(_GZIP):
        with Expanding.of_gzip(file) as expanding:
            return read_csv(expanding)
    if not head.startswith((_ZIP, _PARQUET)):
        return read_csv(file)
    if not file.seekable():
        raise SeriesError("a file of this kind cannot come on stdin: name it")
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if head.startswith(_PARQUET):
        return read_parquet(file, size, notes)
    with open_archive(file, SeriesError) as archive:
        if _WORKBOOK in archive.namelist():
            return read_sheet(file, archive, size, notes)
        member = _only_member(archive)
        with archive.open(member) as stream:
            return read_csv(Expanding(stream, member.compress_size))


def _peek(file: BinaryIO) -> bytes:
    """The first bytes of a file, which stay to be read."""
    if isinstance(file, io.BufferedReader):
        return file.peek(len(_ZIP))[: len(_ZIP)]
    if not file.seekable():
        return b""
    head = file.read(len(_ZIP))
    file.seek(0)
    return head


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The one file of CSV in an archive."""
    found = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not member.filename.startswith("__MACOSX/")
    ]
    names = [member.filename for member in found]
    if len(found) != 1 or not names[0].lower().endswith(CSV_EXTENSIONS):
        shown = ", ".join(repr(name[:60]) for name in names[:3]) + ", ..." * (len(names) > 3)
        raise SeriesError(
            f"an archive with one file of CSV is a series, and this one holds {shown or 'none'}"
        )
    check_expansion(found[0].file_size, found[0].compress_size)
    return found[0]
