"""CSV and Parquet tables as rows of text with their numbers, in bounded memory. Torch-free."""

import csv
import difflib
import math
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from distill.data.layouts.walk import is_file, one_line
from distill.errors import EdgeproofError, cause

Rows = Iterator[tuple[int, tuple[str, ...]]]

SUFFIXES = frozenset({".csv", ".tsv", ".parquet"})
_DELIMITERS = ",;\t"
_LONGEST_LINE = 1_000_000  # characters; a file without line ends is no CSV, and must not fill the memory
_BATCH = 4096


def read_rows(path: Path, *, required: Sequence[str], optional: Sequence[str] = (), hint: str = "") -> Rows:
    """The wanted cells of every row, in the order ``required + optional``, with the row's number.

    Numbers are what an editor shows: lines of a CSV (the first line of a row that spans several), rows of a Parquet
    file from 1. Cells come as text, "" where there is none or no such optional column; rows without any text are
    left out.

    Args:
        path: read as Parquet if it ends so, else as CSV; its delimiter is what parts the header best.
        required: columns that must be there.
        optional: columns that may be missing.
        hint: what to do about a missing column, for the message.

    Raises:
        EdgeproofError: no such column, a row with too few or too many fields, no UTF-8, a NUL byte, no table.
    """
    if path.suffix.lower() == ".parquet":
        yield from _parquet_rows(path, required, optional, hint)
        return
    records = _csv_records(path)
    _, header = next(records, (0, []))
    if not header:
        raise EdgeproofError(f"{one_line(path)}: is empty, expected a header line with {_listed(required)}")
    positions = _positions(path, header, required, optional, hint)
    for number, cells in records:
        if not "".join(cells).strip():
            continue
        if len(cells) != len(header):
            raise EdgeproofError(
                f"{place(path, number)}: {len(cells)} fields, expected {len(header)} as in the header"
            )
        yield number, tuple("" if position is None else cells[position] for position in positions)


def csv_header(path: Path) -> frozenset[str]:
    """The column names of a CSV file, none if it is no CSV that can be read; for telling layouts apart."""
    if path.suffix.lower() not in SUFFIXES - {".parquet"} or not is_file(path):
        return frozenset()
    try:
        _, header = next(_csv_records(path), (0, []))
    except EdgeproofError:
        return frozenset()
    return frozenset(name.strip() for name in header)


def header(path: Path) -> frozenset[str]:
    """The column names of a CSV or Parquet file, none if it cannot be read."""
    if path.suffix.lower() != ".parquet":
        return csv_header(path)
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import read_schema
    except ImportError:
        return frozenset()
    try:
        return frozenset(read_schema(path).names)
    except (ArrowException, OSError, ValueError):
        return frozenset()


def place(path: Path, number: int) -> str:
    """Where a row stands, for a message."""
    return f"{one_line(path)}: {'row' if path.suffix.lower() == '.parquet' else 'line'} {number}"


def _csv_records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """All rows with the numbers of their first lines, the header among them, without empty lines."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield from _parse(path, file)
    except OSError as error:
        raise EdgeproofError(f"{one_line(path)}: cannot be read ({cause(error)})") from error


def _parse(path: Path, file: TextIO) -> Iterator[tuple[int, list[str]]]:
    lines = _checked_lines(path, file)
    above, first = 0, ""
    for line in lines:
        if line.strip():
            first = line
            break
        above += 1
    # strict: a quote that is never closed is an error, not a field with the rest of the file in it
    reader = csv.reader(chain([first], lines), delimiter=_delimiter(first), strict=True)
    while True:
        number = above + reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise EdgeproofError(f"{place(path, number)}: {error}, expected a row of a CSV") from None
        if cells is None:
            return
        if cells:
            yield number, cells


def _checked_lines(path: Path, file: TextIO) -> Iterator[str]:
    number = 0
    while line := file.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise EdgeproofError(f"{place(path, number)}: over {_LONGEST_LINE:,} characters, expected a CSV")
        if not line.isascii() and any("\udc80" <= character <= "\udcff" for character in line):
            raise EdgeproofError(f"{place(path, number)}: no valid UTF-8, expected text in UTF-8")
        if "\0" in line:
            raise EdgeproofError(f"{place(path, number)}: has a NUL byte, expected text in UTF-8")
        yield line


def _delimiter(header: str) -> str:
    """The delimiter that parts the header into most names, the comma if none does."""
    try:
        return max(_DELIMITERS, key=lambda mark: len(next(csv.reader([header], delimiter=mark), [])))
    except csv.Error:
        return ","


def _parquet_rows(path: Path, required: Sequence[str], optional: Sequence[str], hint: str) -> Rows:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise EdgeproofError(
            f"{one_line(path)}: reading Parquet needs pyarrow: pip install 'edgeproof[train]'"
        ) from None
    number = 0
    try:
        with ParquetFile(path) as file:
            names = list(file.schema_arrow.names)
            positions = _positions(path, names, required, optional, hint)
            wanted = [names[position] for position in positions if position is not None]
            for batch in file.iter_batches(batch_size=_BATCH, columns=wanted):
                columns = [
                    None if position is None else batch.column(names[position]).to_pylist()
                    for position in positions
                ]
                for index in range(batch.num_rows):
                    number += 1
                    cells = tuple(_text(path, number, column[index]) if column else "" for column in columns)
                    if any(cells):
                        yield number, cells
    except (ArrowException, OSError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        where = f"{one_line(path)}: behind row {number}" if number else one_line(path)
        raise EdgeproofError(f"{where}: no whole Parquet file ({one_line(first)})") from None


def _text(path: Path, number: int, value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, dict, bytes)):
        raise EdgeproofError(
            f"{place(path, number)}: a cell is of the type {type(value).__name__}, expected text or a number"
        )
    return str(value)


def _positions(
    path: Path, header: Sequence[str], required: Sequence[str], optional: Sequence[str], hint: str
) -> list[int | None]:
    found = [name.strip() for name in header]
    missing = [name for name in required if name not in found]
    if missing:
        likely = [
            close for name in missing for close in difflib.get_close_matches(name, set(found) - {""}, n=1)
        ]
        likely += [name for name in found if name.lower() in missing and name not in likely]
        guess = f"; did you mean {_listed(likely)}?" if likely else ""
        raise EdgeproofError(
            f"{one_line(path)}: no column {_listed(missing)}, found {_listed(found)}{guess}{hint and f' {hint}'}"
        )
    for name in (*required, *optional):
        if name and found.count(name) > 1:
            raise EdgeproofError(
                f"{one_line(path)}: {found.count(name)} columns are named {name!r}, expected one"
            )
    return [found.index(name) if name and name in found else None for name in (*required, *optional)]


def _listed(names: Sequence[str], *, most: int = 20) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more
