"""UnbiasedGenImage (Grommelt et al. 2024, arXiv 2403.17608): GenImage with a ``metadata.csv`` of what biases it.

The original has path, generator, class, mode, width, height and compression_rate; ``class`` is ImageNet's, not ours.
The polarity: the generator *nature* (or *real*) means a real image, any other names the generator of a generated one.
Where a copy has a column of words (label, target, type, class) or one that says so (``is_generated``), that counts.
"""

import sys
from pathlib import Path

from distill.data.layouts.table import csv_header, place, read_rows
from distill.data.layouts.table_samples import (
    UNBIASED_GENIMAGE,
    TableSamples,
    clean_path,
    label_value,
    split_value,
    table_dataset,
)
from distill.data.layouts.vocabulary import UNNAMED, label_of
from distill.data.layouts.walk import is_file, one_line
from distill.data.samples import GENERATED, REAL, Dataset, Sample
from distill.errors import EdgeproofError

NAME = "metadata.csv"
_PATHS = ("path", "image_path", "filename", "file_name", "file")
_FLAGS = ("is_generated", "is_fake")
_WORDS = ("label", "target", "type", "class")
_SPLITS = ("mode", "split")
_MOST_NAMED = 12  # generators in a message

Row = dict[str, str]


def matches(root: Path) -> bool:
    """Whether ``root`` is such a table, or holds one as ``metadata.csv``."""
    header = csv_header(_table(root))
    return any(known <= header for known in UNBIASED_GENIMAGE)


def load(root: Path) -> Dataset:
    """Read the table without looking for its files.

    Raises:
        EdgeproofError: no path column, nothing that says which rows are real, a word that is no class or no split,
            one path with both labels.
    """
    table = _table(root)
    header = csv_header(table)
    path_column = next((name for name in _PATHS if name in header), _PATHS[0])
    names = [path_column, "generator", *_FLAGS, *_WORDS, *_SPLITS]
    rows, column = TableSamples(table), None
    for number, cells in read_rows(table, required=names[:2], optional=names[2:]):
        row = dict(zip(names, cells, strict=True))
        column = _class_column(header, row) if column is None else column
        try:
            rows.add(number, _sample(row, row[path_column], column))
        except ValueError as error:
            raise EdgeproofError(f"{place(table, number)}: {error}") from None
    if not column:
        _check_that_some_are_real(table, rows.samples)
    return table_dataset(
        table.parent, layout="unbiased_genimage", samples=rows.samples, problems=rows.problems
    )


def _table(root: Path) -> Path:
    return root if is_file(root) else root / NAME


def _class_column(header: frozenset[str], row: Row) -> str:
    """The column that says what is generated, "" if the generator's name does."""
    flags = [name for name in _FLAGS if name in header]
    words = [name for name in _WORDS if label_of(row[name]) is not None]
    return next(iter(flags + words), "")


def _sample(row: Row, path: str, column: str) -> Sample:
    """The sample of a row; what is wrong with it, as a ``ValueError``."""
    path = clean_path(path)
    if not path:
        raise ValueError("no path, expected that of an image")
    split = next((row[name] for name in _SPLITS if row[name].strip()), "")
    known_split = split_value(split)
    if known_split is None:
        raise ValueError(f"split {split!r}, expected train, val, test or nothing")
    label = _label(row, column)
    generator = sys.intern(row["generator"].strip() or UNNAMED) if label == GENERATED else ""
    return Sample(path=path, label=label, split=known_split, generator=generator, group=path)


def _label(row: Row, column: str) -> int:
    generator = row["generator"].strip()
    named_real = label_of(generator) == REAL
    if not column:
        if not generator:
            raise ValueError("no generator, expected its name, or 'nature' for a real image")
        return REAL if named_real else GENERATED
    label = label_value(row[column]) if column in _FLAGS else label_of(row[column])
    if label is None:
        raise ValueError(f"{column} {row[column]!r}, expected a word such as real or fake")
    if label == GENERATED and named_real:
        raise ValueError(f"{column} {row[column]!r} contradicts the generator {generator!r}")
    return label


def _check_that_some_are_real(table: Path, samples: tuple[Sample, ...]) -> None:
    if samples and all(sample.label == GENERATED for sample in samples):
        found = sorted({sample.generator for sample in samples})
        more = ", ..." if len(found) > _MOST_NAMED else ""
        raise EdgeproofError(
            f"{one_line(table)}: nothing says which images are real: no generator is 'nature' or 'real' "
            f"(found {', '.join(map(repr, found[:_MOST_NAMED]))}{more}), no column has class words or is called "
            f"{' or '.join(_FLAGS)}; load the file itself as a manifest if it has a label"
        )
