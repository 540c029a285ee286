"""The section on what files tell besides their pixels."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from distill.data.explore import figures
from distill.data.explore.inspect import printable
from distill.data.explore.sample import Source, sources_of
from distill.data.explore.statistics import (
    NOTABLE,
    Distance,
    distance_of_kinds,
    distance_of_values,
    median_and_range,
)
from distill.data.samples import GENERATED, REAL, Sample
from distill.page.blocks import Gallery, Picture, Section, Table, Text, columns
from distill.page.formats import NONE

if TYPE_CHECKING:
    from distill.data.scan import Scan

Column = npt.NDArray[Any]
_CLASSES = {REAL: figures.REALS, GENERATED: figures.FAKES}


def files_section(samples: Sequence[Sample], scan: "Scan") -> Section:
    """Formats, sizes, JPEG qualities and bytes of all images, each on one axis for both classes."""
    labels = np.array([sample.label for sample in samples])
    if not np.isin(labels, list(_CLASSES)).any():
        return Section("Files", [Text("There are no labelled images."), _files_table(samples, scan)])
    charts = [_formats(labels, scan), _sizes(labels, scan), *_qualities(labels, scan), _bytes(labels, scan)]
    lead = Text(
        "A detector learns whatever tells the classes apart, also what a file tells besides its pixels. Where the classes "
        "differ clearly, and by more than chance, the title has a ▲: a detector may learn that and nothing else."
    )
    return Section("Files", [lead, Gallery(charts), _files_table(samples, scan)])


def _formats(labels: Column, scan: "Scan") -> Picture:
    kinds = _by_class(labels, scan.format)
    shares = {
        name: {
            _format_name(kind): count / len(found) for kind, count in Counter(found.tolist()).most_common()
        }
        for name, found in kinds.items()
    }
    return _chart(
        "File formats", figures.kinds(shares), _compare(kinds, distance_of_kinds), what="the format"
    )


def _sizes(labels: Column, scan: "Scan") -> Picture:
    widths, heights = _by_class(labels, scan.width), _by_class(labels, scan.height)
    found = [_compare(sides, distance_of_values) for sides in (widths, heights)]
    distance = max((one for one in found if one), key=lambda one: one.value, default=None)
    return _chart("Width and height", figures.sizes(widths, heights), distance, what="the size")


def _qualities(labels: Column, scan: "Scan") -> list[Picture]:
    known = np.isfinite(scan.quality)
    qualities = _by_class(labels[known], scan.quality[known])
    if not qualities:
        return []
    png = figures.histogram(
        qualities, edges=np.linspace(0, 100, 51), x="JPEG quality (IJG, estimated), JPEG files only"
    )
    return [_chart("JPEG quality", png, _compare(qualities, distance_of_values), what="the JPEG quality")]


def _bytes(labels: Column, scan: "Scan") -> Picture:
    kibibytes = _by_class(labels, np.maximum(scan.bytes, 1) / 1024)
    every = np.concatenate(list(kibibytes.values()))
    edges = np.geomspace(every.min() / 2, every.max() * 2, 41)
    png = figures.histogram(kibibytes, edges=edges, x="file size (KiB)", log=True)
    return _chart("File size", png, _compare(kibibytes, distance_of_values), what="the file size")


def _by_class(labels: Column, values: Column) -> dict[str, Column]:
    return {name: values[labels == label] for label, name in _CLASSES.items() if np.any(labels == label)}


def _compare(classes: dict[str, Column], distance: Any) -> Distance | None:
    if len(classes) < 2:
        return None
    found: Distance = distance(classes[figures.REALS], classes[figures.FAKES])
    return found


def _chart(title: str, png: bytes, distance: Distance | None, *, what: str) -> Picture:
    if distance is None:
        return Picture(png=png, alt=title, title=title, text="Only one class has such files.")
    guess = "guessing: 0.50"
    if not distance.shown and distance.value > NOTABLE:
        guess += ", and so few images can come that far by chance"
    if distance.shown:
        title += ": the classes differ"
    return Picture(
        png=png,
        alt=title,
        title=title,
        text=f"By {what} alone a rule could tell these images' classes with a balanced accuracy of "
        f"{0.5 + distance.value / 2:.2f} ({guess}).",
        marked=distance.shown,
    )


def _files_table(samples: Sequence[Sample], scan: "Scan") -> Table:
    members: dict[Source, list[int]] = {}
    for index, source in enumerate(sources_of(samples)):
        members.setdefault(source, []).append(index)
    return Table(
        "Files by source: median (5th to 95th percentile)",
        columns("source", "formats", "images", "width", "height", "JPEG quality", "KiB", left=2),
        tuple(_files_row(source, np.array(rows), scan) for source, rows in sorted(members.items())),
    )


def _files_row(source: Source, rows: Column, scan: "Scan") -> tuple[str, ...]:
    counts = Counter(scan.format[rows].tolist()).most_common()
    formats = ", ".join(f"{_format_name(kind)} {100 * count / len(rows):.3g} %" for kind, count in counts)
    quality = scan.quality[rows]
    return (
        printable(source.name),
        formats,
        f"{len(rows):,}",
        _range(scan.width[rows]),
        _range(scan.height[rows]),
        _range(quality[np.isfinite(quality)]),
        _range(scan.bytes[rows] / 1024),
    )


def _range(values: Column) -> str:
    found = median_and_range(values)
    if found is None:
        return NONE
    middle, low, high = (f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in found)
    return middle if low == high else f"{middle} ({low} to {high})"


def _format_name(kind: int) -> str:
    from distill.data.scan import FORMATS

    return FORMATS[kind] if kind >= 0 else "other"
