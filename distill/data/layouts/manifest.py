"""Any CSV or Parquet manifest: a row for each image, with its path and label and, if known, split, generator, group.

Generated is the class that a word such as *fake* names, or the number 1 (also ``1.0`` and ``true``); where a table has
it otherwise, ``data.columns.fake`` names the value that means generated. Where a recipe names K classes, the label is one
of their names.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from distill.data.columns import ManifestColumns
from distill.data.layouts.table import SUFFIXES, csv_header, header, place, read_rows
from distill.data.layouts.table_samples import (
    KNOWN_HEADERS,
    TableSamples,
    clean_path,
    label_value,
    split_value,
    table_dataset,
)
from distill.data.layouts.vocabulary import CLASSES, SPLITS, UNNAMED
from distill.data.layouts.walk import is_file, one_line
from distill.data.samples import GENERATED, REAL, Dataset, Sample
from distill.errors import EdgeproofError

NAMES = ("manifest.csv", "manifest.parquet")
_DEFAULT = ManifestColumns()
_FOLDERS = ("class_folders", "forensynths", "genimage", "community_forensics")  # read no table of their own
_MOST_VALUES = 8  # that a label is seen to have before the reading stops: two are right


def matches(root: Path) -> bool:
    """Whether ``root`` is a table, unless another layout knows it by its header, or a folder with a manifest."""
    if not is_file(root):
        return any(is_file(root / name) for name in NAMES)
    if root.suffix.lower() not in SUFFIXES:
        return False
    header = csv_header(root)
    return not any(known <= header for known in KNOWN_HEADERS)


def lone_table(root: Path, columns: ManifestColumns | None = None) -> Path | None:
    """The one table in a folder that has a manifest's columns; None where there are several, or none."""
    named = columns or _DEFAULT
    found = [table for table in tables_in(root) if {named.path, named.label} <= header(table)]
    return found[0] if len(found) == 1 else None


def tables_in(root: Path) -> list[Path]:
    """The tables in a folder, sorted; none where it cannot be read, or is no folder."""
    try:
        return sorted(path for path in root.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    except OSError:
        return []


def beside(root: Path, *, layout: str, columns: ManifestColumns | None = None) -> Iterator[str]:
    """What was taken of a folder that holds tables and images, and how to choose the other."""
    tables = tables_in(root)
    if tables and layout == "manifest":
        taken = _table(root, columns or _DEFAULT)
        if taken.name not in NAMES:
            yield f"{taken.name} was taken as the manifest: it is the one table here with a manifest's columns"
    elif tables and layout in _FOLDERS:
        names = ", ".join(repr(table.name) for table in tables[:3])
        more = f" and {len(tables) - 3} more" if len(tables) > 3 else ""
        yield (
            f"the folders were taken (layout {layout!r}), and {names}{more} beside them not read; to take a table, name it: "
            f"data.path = {one_line(tables[0])} (columns: data.columns)"
        )


def load(root: Path, *, columns: ManifestColumns = _DEFAULT, labels: Sequence[str] = ()) -> Dataset:
    """Read a table without looking for its files; paths are relative to its folder, or absolute.

    ``labels`` are the names of K classes; without them, images are real or generated.

    Raises:
        EdgeproofError: two manifests or none, a missing column, a label or split that is unknown or missing, one
            path with two labels, no whole table.
    """
    table = _table(root, columns)
    reader = _Names(table, labels) if labels else _Labels(table, columns)
    rows = TableSamples(table, labels=labels or ("real", "generated"))
    names = (columns.split, columns.generator, columns.group)
    usual = (_DEFAULT.split, _DEFAULT.generator, _DEFAULT.group)
    for number, (path, label, *more) in read_rows(
        table,
        # a column that somebody names is meant to be there
        required=[columns.path, columns.label, *sorted(set(names) - {*usual, ""})],
        optional=names,
        hint=f"(data.columns has path={columns.path!r}, label={columns.label!r})",
    ):
        split, generator, group = more[-3:]
        known = reader.read(number, label, path=path)
        made = (generator.strip() or UNNAMED) if known == GENERATED and not labels else ""
        sample = _sample(table, number, path, known, split, made, group)
        if labels and sample.split not in ("", *SPLITS):  # heldout and control are about generators
            raise EdgeproofError(
                f"{place(table, number)}: split {split!r}, expected {', '.join(SPLITS)}, or nothing"
            )
        rows.add(number, sample)
    reader.check()
    return table_dataset(table.parent, layout="manifest", samples=rows.samples, problems=rows.problems)


def _table(root: Path, columns: ManifestColumns) -> Path:
    if is_file(root):
        return root
    found = [name for name in NAMES if is_file(root / name)]
    if len(found) == 1:
        return root / found[0]
    if not found and (alone := lone_table(root, columns)):
        return alone
    others = ", ".join(table.name for table in tables_in(root)[:3])
    has = f"holds both {' and '.join(found)}" if found else f"holds {others or 'no manifest'}"
    raise EdgeproofError(f"{one_line(root)}: {has}, expected one of {', '.join(NAMES)}, or the file itself")


def _sample(
    table: Path, number: int, path: str, label: int, split: str, generator: str, group: str
) -> Sample:
    path = clean_path(path)
    if not path:
        raise EdgeproofError(f"{place(table, number)}: no path, expected that of an image")
    known_split = split_value(split)
    if known_split is None:
        raise EdgeproofError(
            f"{place(table, number)}: split {split!r}, expected {', '.join(SPLITS)}, or nothing"
        )
    return Sample(
        path=path,
        label=label,
        split=known_split,
        generator=sys.intern(generator),
        group=sys.intern(group.strip()) or path,
    )


class _Names:
    """Names of K classes → their numbers."""

    def __init__(self, table: Path, labels: Sequence[str]) -> None:
        self._table, self._numbers = table, {name: number for number, name in enumerate(labels)}

    def read(self, number: int, text: str, *, path: str) -> int:
        name = text.strip()
        found = self._numbers.get(name, self._numbers.get(_number_as_integer(text)))
        if found is None:
            raise EdgeproofError(
                f"{place(self._table, number)}: label {text!r} of {path!r}, expected one of "
                f"{', '.join(self._numbers)} (task.labels)"
            )
        return found

    def check(self) -> None:
        """Each was checked by itself."""


class _Labels:
    """Words and numbers → 0 or 1; with ``columns.fake``, that value and one other."""

    def __init__(self, table: Path, columns: ManifestColumns) -> None:
        self._table, self._fake = table, _number_as_integer(columns.fake)
        self._found: dict[str, int] = {}

    def read(self, number: int, text: str, *, path: str) -> int:
        value = _number_as_integer(text)
        if value in self._found:
            return self._found[value]
        label = self._label(value)
        if label is None or not value:
            raise EdgeproofError(f"{place(self._table, number)}: label {text!r}, expected {self._expected()}")
        self._found[value] = label
        if self._fake and len(self._found) > _MOST_VALUES:
            self.check()
        return label

    def check(self) -> None:
        """With ``columns.fake``: whether it is one of two values."""
        if self._fake and self._found and (self._fake not in self._found or len(self._found) > 2):
            raise EdgeproofError(
                f"{one_line(self._table)}: labels are {', '.join(map(repr, self._found))}, expected "
                f"{self._fake!r} (data.columns.fake) and one other"
            )

    def _label(self, value: str) -> int | None:
        return (GENERATED if value == self._fake else REAL) if self._fake else label_value(value)

    def _expected(self) -> str:
        if self._fake:
            return f"{self._fake!r} (data.columns.fake) or the one other value"
        return f"{', '.join(CLASSES)}, 0 (real) or 1 (generated), or data.columns.fake to name the value for generated"


def _number_as_integer(text: str) -> str:
    """Whole numbers without decimals, as 1.0 is 1 in a table that also has empty cells."""
    return re.sub(r"^(-?\d+)\.0+$", r"\1", text.strip())
