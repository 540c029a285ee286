"""ArtiFact (Rahman et al. 2023, arXiv 2302.11970): ``<source>/metadata.csv`` with image_path, target and category.

The polarity: target 0 is real, any target above 0 is generated. The source's folder names the generator, also where
it holds the real images that the generator was trained on.
"""

import re
from pathlib import Path, PurePosixPath

from distill.data.layouts.table import csv_header, place, read_rows
from distill.data.layouts.table_samples import ARTIFACT, TableSamples, clean_path, table_dataset
from distill.data.layouts.walk import is_file, is_text, shown, subfolders
from distill.data.samples import GENERATED, REAL, Dataset, Sample, Skipped
from distill.errors import EdgeproofError

NAME = "metadata.csv"
_INTEGER = re.compile(
    r"\s*(\d+)(?:\.0+)?\s*", re.ASCII
)  # 6.0 is what a table writes that also has empty cells


def matches(root: Path) -> bool:
    """Whether a subfolder has such a table."""
    return any(csv_header(folder / NAME) >= ARTIFACT for folder in subfolders(root))


def load(root: Path) -> Dataset:
    """Read the tables without looking for their files.

    Raises:
        EdgeproofError: no rows, a target that is no integer, a row without path, one file under both labels.
    """
    samples: list[Sample] = []
    problems: list[str] = []
    skipped: list[Skipped] = []
    for source in subfolders(root):
        reason = _unwanted(source)
        if reason:
            skipped.append(Skipped(path=shown(source.name), reason=reason))
            continue
        rows = _read_source(source)
        samples += rows.samples
        problems += rows.problems
    return table_dataset(root, layout="artifact", samples=samples, skipped=skipped, problems=problems)


def _unwanted(source: Path) -> str:
    if not is_text(source.name):
        return "the folder's name is not valid UTF-8"
    return "" if is_file(source / NAME) else f"a folder without {NAME}"


def _read_source(source: Path) -> TableSamples:
    table, rows = source / NAME, TableSamples(source / NAME)
    repeats: bool | None = None
    for number, (image_path, target) in read_rows(table, required=["image_path", "target"]):
        path = clean_path(image_path)
        if not path:
            raise EdgeproofError(f"{place(table, number)}: no image_path, expected that of an image")
        if path.startswith(f"{source.name}/"):
            repeats = _repeats_source(source, path) if repeats is None else repeats
            path = path.removeprefix(f"{source.name}/") if repeats else path
        label = _label(table, number, target)
        path = str(PurePosixPath(source.name) / path)
        generator = source.name if label == GENERATED else ""
        rows.add(number, Sample(path=path, label=label, generator=generator, group=path))
    return rows


def _repeats_source(source: Path, path: str) -> bool:
    """Whether paths that open with the source's name mean the source itself; one look at the disk for a table."""
    return not is_file(source / path)


def _label(table: Path, number: int, target: str) -> int:
    match = _INTEGER.fullmatch(target)
    if match is None:
        raise EdgeproofError(
            f"{place(table, number)}: target {target!r}, expected 0 (real) or an integer above (generated)"
        )
    return GENERATED if int(match[1]) > 0 else REAL
