"""Parquet and Excel sheets: read row by row into CSV, whose cells have the limits of all CSV."""

from __future__ import annotations

import csv
import io
import itertools
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from pyimagesearch.data import csv_text
from pyimagesearch.data.csv_table import read_csv
from pyimagesearch.data.expansion import check_expansion
from pyimagesearch.data.series import SeriesError
from pyimagesearch.runtime.console import counted

if TYPE_CHECKING:  # half a second that labelling images should not pay
    import pandas as pd
    import pyarrow

_CELL_BYTES = 32  # of a number or a time as text
_MOST_ADDED = 10_000_000  # empty cells of a sheet, right of short rows
_BATCH = 1024  # rows of Parquet
# What a mangled file may lead to in the packages that read it.
_OF_MANGLED = (
    *(ArithmeticError, AttributeError, LookupError, SyntaxError, TypeError, ValueError),
    *(EOFError, RuntimeError, zipfile.BadZipFile, zlib.error),
)


def read_parquet(file: BinaryIO, size: int, notes: list[str]) -> pd.DataFrame:
    """Read the columns of a Parquet file that hold numbers, times or text.

    Args:
        file: open for reading, and seekable.
        size: its bytes.
        notes: a sentence is added for what was not read.

    Returns:
        As of ``csv_table.read_csv``.

    Raises:
        SeriesError: it is damaged, too large, or pyarrow is missing.
        OSError: it cannot be read.
    """
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise SeriesError("Parquet, for which a package is missing: pip install pyarrow") from error
    try:
        schema = parquet.read_schema(file)
        texts = {field.name for field in schema if _is_text(field.type)}
        names = [field.name for field in schema if field.name in texts or _is_number(field.type)]
        if n_left := len(schema) - len(names):
            notes.append(f"{counted(n_left, 'column')} of other types: not read")
        file.seek(0)
        # Text that repeats stays as short in memory as it is in the file.
        opened = parquet.ParquetFile(file, read_dictionary=list(texts))
        _check_size(opened.metadata.num_rows, len(names))
        return _read_batches(opened.iter_batches(_BATCH, columns=names), names, size)
    except SeriesError:
        raise
    except (arrow.ArrowException, OSError, *_OF_MANGLED) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise SeriesError(f"the file is damaged, or no Parquet ({_first_line(error)})") from error


def _is_number(kind: pyarrow.DataType) -> bool:
    """Whether a column holds numbers or times."""
    import pyarrow as arrow

    return arrow.types.is_primitive(kind) or arrow.types.is_decimal(kind)


def _is_text(kind: pyarrow.DataType) -> bool:
    import pyarrow as arrow

    own = kind.value_type if arrow.types.is_dictionary(kind) else kind
    return arrow.types.is_string(own) or arrow.types.is_large_string(own)


def _read_batches(
    batches: Iterable[pyarrow.RecordBatch], names: Sequence[str], size: int
) -> pd.DataFrame:
    n_rows = 0
    with tempfile.TemporaryFile() as text:
        _write_header(text, len(names))
        for batch in batches:
            n_rows += len(batch)
            _check_size(n_rows, len(names))
            _check_cells(batch)
            rows = batch.to_pandas(ignore_metadata=True)
            text.write(rows.to_csv(header=False, index=False).encode())
            check_expansion(text.tell() - _CELL_BYTES * n_rows * len(names), size)
        return _read_written(text, names)


def _check_cells(batch: pyarrow.RecordBatch) -> None:
    import pyarrow as arrow
    from pyarrow import compute

    most = csv.field_size_limit()
    for column in batch.columns:
        if arrow.types.is_dictionary(column.type):
            longest = compute.max(compute.binary_length(column.dictionary)).as_py()
            if (longest or 0) > most:
                raise SeriesError(f"a cell of more than {most:,} characters")


def read_sheet(
    file: BinaryIO, archive: zipfile.ZipFile, size: int, notes: list[str]
) -> pd.DataFrame:
    """Read the first sheet of an Excel workbook.

    Args:
        file: open for reading, and seekable.
        archive: the same, as an archive.
        size: its bytes.
        notes: a sentence is added where there are other sheets.

    Returns:
        As of ``csv_table.read_csv``.

    Raises:
        SeriesError: it is damaged, too large, or openpyxl is missing.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise SeriesError(
            "an Excel workbook, for which a package is missing: pip install openpyxl"
        ) from error
    check_expansion(sum(member.file_size for member in archive.infolist()), size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and the like
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            if not book.worksheets:
                raise SeriesError("the workbook has no sheet with cells")
            sheet = book.worksheets[0]
            if len(book.worksheets) > 1:
                notes.append(
                    f"the first of {len(book.worksheets):,} sheets is read: {sheet.title[:60]!r}"
                )
            sheet.reset_dimensions()  # what it says of them may be wrong
            return _read_rows(_sheet_rows(sheet.iter_rows(values_only=True)))
    except SeriesError:
        raise
    except _OF_MANGLED as error:
        raise SeriesError(f"the workbook is damaged ({_first_line(error)})") from error


def _sheet_rows(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[str]]:
    """The rows of a sheet as text, without the empty ones."""
    n_cells = n_given = 0
    for row in rows:
        cells = [_as_text(cell) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        n_cells += len(row) + 1
        n_given += len(cells) - cells.count("")
        if n_cells > n_given + _MOST_ADDED or n_cells > csv_text.MAX_CELLS + _MOST_ADDED:
            raise SeriesError("most of its cells are empty: save what holds the series as CSV")
        if cells:
            yield cells


def _as_text(cell: Any) -> str:
    if cell is None:
        return ""
    return cell.isoformat(" ") if type(cell).__name__ == "datetime" else str(cell)


def _read_rows(rows: Iterator[list[str]]) -> pd.DataFrame:
    first = next(rows, None)
    if first is None:
        raise SeriesError("the sheet is empty")
    has_names = csv_text.names_columns(first)
    names = first if has_names else csv_text.names_without_header(len(first))
    with tempfile.TemporaryFile() as file:
        _write_header(file, len(names))
        text = io.TextIOWrapper(file, "utf-8", "replace", newline="")
        writer = csv.writer(text, lineterminator="\n")
        below = rows if has_names else itertools.chain([first], rows)
        for n_rows, row in enumerate(below, 1):
            _check_size(n_rows, len(names))
            writer.writerow(row)
        text.flush()
        text.detach()
        return _read_written(file, names)


def _check_size(n_rows: int, n_columns: int) -> None:
    if n_columns > csv_text.MAX_COLUMNS:
        raise SeriesError(
            f"it has {n_columns:,} columns, and {csv_text.MAX_COLUMNS:,} are the most"
        )
    if not n_columns:
        raise SeriesError("it has no column of numbers, times or text")
    if n_rows * n_columns > csv_text.MAX_CELLS:
        raise SeriesError(f"it has more than {csv_text.MAX_CELLS:,} cells, which are the most")


def _write_header(file: IO[bytes], n_columns: int) -> None:
    """Names that nobody takes for a row; the columns' own come later."""
    file.write(",".join(f"c{number}" for number in range(n_columns)).encode() + b"\n")


def _read_written(file: IO[bytes], names: Sequence[str]) -> pd.DataFrame:
    file.flush()
    file.seek(0)
    table = read_csv(file)  # type: ignore[arg-type]
    table.columns = _unique(names)
    return table


def _unique(names: Sequence[str]) -> list[str]:
    """Names as pandas makes them: one for each column, also where some are equal or empty."""
    found: dict[str, None] = {}
    for number, name in enumerate(names):
        own = name or f"Unnamed: {number}"
        copies = 0
        while (unique := f"{own}.{copies}" if copies else own) in found:
            copies += 1
        found[unique] = None
    return list(found)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]
