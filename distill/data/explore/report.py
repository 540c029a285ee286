"""The page as a whole: what a data set is, then what its images show."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.data.explore.colours import colours_section
from distill.data.explore.files import files_section
from distill.data.explore.inspect import counted, printable, reason_kinds
from distill.data.explore.observe import CellView, Observations, observe
from distill.data.explore.sample import Source
from distill.data.explore.traces import fingerprints_section, spectra_section
from distill.data.pixels import Progress
from distill.data.samples import Dataset
from distill.errors import EdgeproofError
from distill.files import write_text
from distill.machine import thread_count
from distill.page.blocks import Block, Page, Picture, Points, Section, Sheet, Table, Text, columns
from distill.page.html import render

if TYPE_CHECKING:
    from distill.data.scan import Scan

_LISTED = 12
_WORDS = {"real": "real", "fake": "generated", "unlabelled": "unlabelled"}


def check_target(path: Path) -> None:
    """Say at once, not after the scan, that the page cannot be written there.

    Raises:
        EdgeproofError: ``path`` is a folder, no .html, or below what is none or is closed.
        ImportError: a library for the pictures is not installed.
    """
    import matplotlib  # noqa: F401
    import pywt  # noqa: F401
    import scipy  # noqa: F401

    if path.is_dir() or path.suffix.lower() not in (".html", ".htm"):  # never over an image or a manifest
        found = "a folder" if path.is_dir() else f"no HTML file by its name ({path.suffix or 'no suffix'})"
        raise EdgeproofError(f"{path}: {found}, expected the name of an .html file to write")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise EdgeproofError(f"{path}: cannot be written, {folder} is no folder or not writable")


def write_page(
    path: Path,
    dataset: Dataset,
    scan: "Scan",
    found: Mapping[str, Any],
    *,
    source: Path,
    progress: Progress | None = None,
) -> None:
    """Read the images and write the page.

    Args:
        path: the HTML file.
        dataset: what was found at ``source``.
        scan: its columns.
        found: its description (see :func:`distill.data.explore.inspect.inspection_of`).
        source: the folder or file that the user named; it gives the page its title.
        progress: is told of every image.

    Raises:
        EdgeproofError: there is no readable image.
    """
    if not dataset.samples:
        raise EdgeproofError(
            f"{source}: no readable image to show, {counted(len(dataset.skipped), 'file')} left out; without --report "
            "they are listed"
        )
    seen = observe(dataset, scan, threads=thread_count(0), progress=progress)
    simulated = (
        ", simulated images: no evidence about real photographs" if dataset.layout == "simulated" else ""
    )
    title = printable(_title(source.resolve()))
    page = Page(
        title=title,
        headline=title,
        eyebrow=f"Data set{simulated}",
        opening=[*_opening(found, seen)],
        sections=[
            Section("Examples", [*_examples(seen)]),
            files_section(dataset.samples, scan),
            colours_section(seen),
            spectra_section(seen),
            fingerprints_section(seen),
        ],
    )
    write_text(path, render(page))


def _title(source: Path) -> str:
    return source.name if source.is_dir() else f"{source.parent.name}/{source.name}"


def _opening(found: Mapping[str, Any], seen: Observations) -> Iterator[Block]:
    images, groups = counted(found["samples"], "image"), counted(found["groups"], "group")
    generators = counted(len(found["generators"]), "generator")
    yield Text(f"Layout {found['layout']}: {images} in {groups}, {generators}.")
    yield Points(
        [
            f"{printable(split)}: {', '.join(f'{number:,} {_WORDS[label]}' for label, number in counts.items())}"
            for split, counts in found["splits"].items()
        ]
    )
    problems = [printable(problem) for problem in found["problems"]]
    if problems:
        yield Points(_some(problems), bad=True)
    else:
        yield Text("No problems found in the layout.")
    kinds = reason_kinds(found["skipped"])
    if kinds:
        yield Text(f"{counted(len(found['skipped']), 'file')} left out:")
        yield Points(_some([_kind(kind, items) for kind, items in kinds.items()]))
    else:
        yield Text("No file was left out.")
    yield Text(
        "Whether metadata, duplicates or groups give the labels away is tested by: edgeproof data audit."
    )


def _counts(seen: Observations) -> Table:
    totals: dict[Source, dict[str, int]] = {}
    for view in seen.cells:
        totals.setdefault(view.cell.source, {})[_split(view)] = view.cell.total
    splits = list(dict.fromkeys(_split(view) for view in seen.cells))
    return Table(
        "Images by source and split",
        columns("source", *splits),
        tuple(
            (printable(source.name), *(f"{totals[source].get(split, 0):,}" for split in splits))
            for source in sorted(totals)
        ),
    )


def _kind(kind: str, items: list[Mapping[str, str]]) -> str:
    return f"{len(items):,} × {printable(kind)}, such as {printable(items[0]['path'])}"


def _some(lines: list[str]) -> list[str]:
    more = [f"... and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
    return lines[:_LISTED] + more


def _examples(seen: Observations) -> Iterator[Block]:
    side = seen.example_side
    yield Text(
        f"The middle {side}×{side} pixels at native resolution, every pixel a square; the same number from every source "
        "and split, chosen by a hash of the path. A picture's hint is its path."
    )
    for view in seen.cells:
        yield Sheet(
            title=f"{_split(view)} · {printable(view.cell.source.name)}",
            text=f"{len(view.examples)} of {view.cell.total:,}",
            pictures=[Picture(png=example.png, alt=printable(example.path)) for example in view.examples],
            side=side,
        )
    yield _counts(seen)


def _split(view: CellView) -> str:
    return printable(view.cell.split) or "all"
