"""Tables whose columns of numbers are found by themselves, or left out where empty; how a check's outcome is written."""

import re
from collections.abc import Sequence
from dataclasses import replace

from distill.page.blocks import Column, Table
from distill.page.formats import NONE

FAILED, NOT_CHECKED = "failed", "not checked"
_NUMBER = re.compile(r"[+−-]?\d[\d.,e+-]*( %|×| of [\d,]+)?( \[[^\]]+\])?")


def mark(passed: bool) -> str:
    """A check's outcome."""
    return "passed" if passed else FAILED


def table(title: str, titles: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, note: str = "") -> Table:
    """A table whose columns of numbers stand to the right; rows with a failed check are marked."""
    numeric = [_numeric([row[i] for row in rows]) for i in range(len(titles))]
    found = tuple(Column(name, right) for name, right in zip(titles, numeric, strict=True))
    bad = frozenset(i for i, row in enumerate(rows) if FAILED in row)
    return Table(title, found, tuple(rows), note, bad=bad)


def without_empty(found: Table) -> Table:
    """The table without the columns that hold nothing but dashes."""
    kept = [i for i in range(len(found.columns)) if any(row[i] != NONE for row in found.rows)]
    rows = tuple(tuple(row[i] for i in kept) for row in found.rows)
    return replace(found, columns=tuple(found.columns[i] for i in kept), rows=rows)


def _numeric(cells: list[str]) -> bool:
    return set(cells) != {NONE} and all(cell == NONE or _NUMBER.fullmatch(cell) for cell in cells)
