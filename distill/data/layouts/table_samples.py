"""From a table's cells to samples: what labels, splits and paths mean, and each file once. Torch-free."""

import re
from array import array
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from distill.data.layouts.table import place
from distill.data.layouts.vocabulary import label_of, split_of
from distill.data.layouts.walk import one_line
from distill.data.samples import Dataset, Sample, Skipped
from distill.errors import EdgeproofError

GRIP = frozenset({"filename", "typ"})
FACES_140K = frozenset({"original_path", "label_str"})
ARTIFACT = frozenset({"image_path", "target", "category"})
UNBIASED_GENIMAGE = (
    frozenset({"generator", "width", "height", "compression_rate"}),
    frozenset({"generator", "width", "height", "compression"}),
)
KNOWN_HEADERS = (GRIP, FACES_140K, ARTIFACT, *UNBIASED_GENIMAGE)
"""Columns by which layouts know their own CSVs, which are no manifest's."""

_UNCLEAN = re.compile(r"(^|/)\.(/|$)|//|/$")
_NUMBERS = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}
_OTHER_SPLITS = frozenset({"heldout", "control"})  # of a simulated set


def label_value(text: str) -> int | None:
    """1 = generated, 0 = real, for a word that names a class or for the number itself; ``None`` for any other."""
    word = text.strip().lower()
    return _NUMBERS[word] if word in _NUMBERS else label_of(word)


def split_value(text: str) -> str | None:
    """The split that a word names, "" for none; ``None`` for a word that names no split."""
    word = text.strip().lower()
    return word if not word or word in _OTHER_SPLITS else split_of(word)


def clean_path(text: str) -> str:
    """A path as samples have it, with forward slashes and without ``./``; "" for what names no file."""
    if not text.strip() or "\0" in text:
        return ""
    path = text.replace("\\", "/")
    return (
        str(PurePosixPath(path)) if _UNCLEAN.search(path) else path
    )  # the former costs 5 s at a million rows


class TableSamples:
    """The samples of one table, each file once however often its path stands there."""

    def __init__(self, table: Path, *, labels: Sequence[str] = ("real", "generated")) -> None:
        self._table, self._labels = table, labels
        self._samples: list[Sample] = []
        self._rows = array("Q")
        self._index: dict[str, int] = {}
        self._repeated: list[int] = []
        self._other_splits = 0

    def add(self, number: int, sample: Sample) -> None:
        """Take in the sample of a row.

        Raises:
            EdgeproofError: an earlier row gives the same path the other label.
        """
        index = self._index.setdefault(sample.path, len(self._samples))
        if index == len(self._samples):
            self._samples.append(sample)
            self._rows.append(number)
            return
        first = self._samples[index]
        if first.label != sample.label:
            one, other = (
                self._labels[found.label] for found in sorted((first, sample), key=lambda s: s.label)
            )
            raise EdgeproofError(
                f"{place(self._table, self._rows[index])} and {number}: {sample.path!r} is {one} in the one and "
                f"{other} in the other, expected one label for a file"
            )
        self._repeated.append(number)
        self._other_splits += first.split != sample.split

    @property
    def samples(self) -> tuple[Sample, ...]:
        """In the order of the rows."""
        return tuple(self._samples)

    @property
    def problems(self) -> tuple[str, ...]:
        """What a reader should know of repeated rows."""
        if not self._repeated:
            return ()
        other = (
            f"; {self._other_splits} of them name another split than the first" if self._other_splits else ""
        )
        return (
            f"{place(self._table, self._repeated[0])}: {len(self._repeated)} rows repeat a file of an earlier row "
            f"with the same label, this one first; each file is kept once{other}",
        )


def table_dataset(
    root: Path,
    *,
    layout: str,
    samples: Sequence[Sample],
    skipped: Sequence[Skipped] = (),
    problems: Sequence[str] = (),
) -> Dataset:
    """The data set of one or several tables.

    Raises:
        EdgeproofError: there are no rows.
    """
    if not samples:
        raise EdgeproofError(
            f"{one_line(root)}: the table of the layout {layout!r} has no rows below its header"
        )
    return Dataset(
        root=root, layout=layout, samples=tuple(samples), skipped=tuple(skipped), problems=tuple(problems)
    )
