"""140k real and fake faces: ``real_vs_fake/real-vs-fake/{train,valid,test}/{real,fake}`` and one CSV per split.

The trap is the CSVs' polarity: ``label`` 1 means **real**. In a folder, the names of the class folders decide, and
the CSVs beside them are only compared. A CSV given as the path itself is read with 1 = real. The fakes are all
StyleGAN's. No groups.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from distill.data.layouts.table import csv_header, place, read_rows
from distill.data.layouts.table_samples import FACES_140K
from distill.data.layouts.vocabulary import label_of, split_of
from distill.data.layouts.walk import (
    Files,
    assemble,
    is_file,
    list_images,
    no_images,
    one_line,
    subfolder,
)
from distill.data.samples import GENERATED, REAL, Dataset, Sample, Skipped
from distill.errors import EdgeproofError

GENERATOR = "stylegan"
COLUMNS = ("path", "label", "label_str")
_OUTER, _INNER = "real_vs_fake", "real-vs-fake"
_LABELS = {"1": REAL, "0": GENERATED}
_WORDS = ("real", "fake")


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    path: str
    label: str
    word: str

    def polarities(self) -> set[int | None]:
        """What the row says, in our polarity; one value if it does not contradict itself."""
        return {_LABELS.get(self.label.strip()), label_of(self.word, among=_WORDS)}

    def places(self) -> tuple[str, ...]:
        """Where the image may lie, seen from the CSV's folder."""
        return self.path, f"{_OUTER}/{_INNER}/{self.path}", f"{_INNER}/{self.path}"


def matches(root: Path) -> bool:
    """Whether ``root`` has the folder of the set, or is a CSV with its header."""
    return csv_header(root) >= FACES_140K if is_file(root) else _images_folder(root) is not None


def load(root: Path) -> Dataset:
    """List the images without opening them.

    Raises:
        EdgeproofError: no such folder, no image, or a CSV with a missing column or an unknown label.
    """
    return _load_table(root) if is_file(root) else _load_folder(root)


def _images_folder(root: Path) -> Path | None:
    outer = subfolder(root, _OUTER)
    return subfolder(outer or root, _INNER)


def _load_folder(root: Path) -> Dataset:
    images = _images_folder(root)
    if images is None:
        raise EdgeproofError(f"{one_line(root)}: no folder {_OUTER}/{_INNER} in it, expected the 140k faces")
    prefix = f"{images.relative_to(root).as_posix()}/"

    def describe(path: str, parts: tuple[str, ...]) -> Sample | str:
        found = _described_by_folders(path, path.removeprefix(prefix)) if path.startswith(prefix) else None
        return found or f"in no class folder, expected {prefix}{{train,valid,test}}/{{real,fake}}"

    tables = _tables_beside(images)
    documents = {table.relative_to(root).as_posix() for table in tables if table.is_relative_to(root)}
    dataset = assemble(root, list_images(root), layout="faces_140k", describe=describe, documents=documents)
    known = {sample.path.removeprefix(prefix): sample.label for sample in dataset.samples}
    return replace(dataset, problems=tuple(text for table in tables for text in _compare(table, known)))


def _described_by_folders(path: str, inner: str) -> Sample | None:
    parts = inner.split("/")
    split = split_of(parts[0]) if len(parts) > 2 else None
    label = label_of(parts[1], among=_WORDS) if split else None
    return None if label is None else _sample(path, label=label, split=split or "")


def _sample(path: str, *, label: int, split: str) -> Sample:
    return Sample(
        path=path, label=label, split=split, generator=GENERATOR if label == GENERATED else "", group=path
    )


def _tables_beside(images: Path) -> list[Path]:
    outer = images.parent.parent if images.parent.name.lower() == _OUTER else images.parent
    names = [f"{split}.csv" for split in ("train", "valid", "test")]
    return [
        path / name
        for path in dict.fromkeys((outer, images.parent))
        for name in names
        if is_file(path / name)
    ]


def _compare(table: Path, known: dict[str, int]) -> Iterator[str]:
    try:
        rows = list(_rows(table))
    except EdgeproofError as error:
        yield f"{error}; not compared with the folders, which decide"
        return
    wrong = [row for row in rows if row.path in known and row.polarities() != {known[row.path]}]
    if wrong:
        first = wrong[0]
        yield (
            f"{table.name}: {len(wrong)} of {len(rows)} rows contradict their folder (label 1 means real; the folder "
            f"decides), first line {first.number}: label {first.label!r}, label_str {first.word!r}, {first.path!r}"
        )
    missing = [row for row in rows if row.path not in known]
    if missing:
        yield (
            f"{table.name}: {len(missing)} of {len(rows)} rows name an image that is not here, "
            f"first line {missing[0].number}: {missing[0].path!r}"
        )


def _rows(table: Path) -> Iterator[_Row]:
    for number, (path, label, word) in read_rows(table, required=COLUMNS):
        yield _Row(number=number, path=path, label=label, word=word)


def _load_table(table: Path) -> Dataset:
    root = table.parent
    files = Files(root)
    samples: dict[str, Sample] = {}
    skipped: list[Skipped] = []
    for row in _rows(table):
        found = _described_by_row(row, files, table)
        if isinstance(found, Sample) and found.path not in samples:
            samples[found.path] = found
        else:
            reason = "the image is named before" if isinstance(found, Sample) else found
            skipped.append(Skipped(path=row.path, reason=f"line {row.number}: {reason}"))
    if not samples:
        raise no_images(root, layout="faces_140k", skipped=skipped)
    return Dataset(root=root, layout="faces_140k", samples=tuple(samples.values()), skipped=tuple(skipped))


def _described_by_row(row: _Row, files: Files, table: Path) -> Sample | str:
    label, *others = row.polarities()
    if label is None or None in others:
        raise EdgeproofError(
            f"{place(table, row.number)}: label {row.label!r}, label_str {row.word!r}, "
            "expected 1 and real, or 0 and fake"
        )
    if others:
        return f"label {row.label!r} (1 means real) and label_str {row.word!r} contradict each other"
    path = next((path for path in row.places() if path in files), None)
    if path is None:
        return "no such image"
    by_folder = _described_by_folders(path, row.path)
    if by_folder and by_folder.label != label:
        return f"label {row.label!r} (1 means real) contradicts the folder"
    return by_folder or _sample(path, label=label, split=split_of(table.stem) or "")
