"""What a data set holds, before anything is trained on it."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.data.columns import ManifestColumns
from distill.data.layouts import load_dataset
from distill.data.pixels import Progress
from distill.data.samples import GENERATED, REAL, UNLABELLED, Dataset
from distill.machine import usable_threads

if TYPE_CHECKING:
    from distill.data.scan import Scan
    from distill.engine import Engine

_CLASSES = {REAL: "real", GENERATED: "fake", UNLABELLED: "unlabelled"}
_LISTED = 10
"""Files, generators or problems that people are shown; programs get all."""


def read_folder(
    path: Path,
    *,
    layout: str,
    columns: ManifestColumns | None = None,
    engine: "Engine | None" = None,
    progress: Progress | None = None,
) -> tuple[Dataset, "Scan"]:
    """Read every file once, by ``engine`` or all cores here; the bad ones are in ``skipped``, however many they are."""
    from distill.data.scan import scan

    dataset = load_dataset(path, layout=layout, columns=columns)
    return scan(dataset, max_bad_share=1.0, workers=usable_threads(), engine=engine, progress=progress)


def inspection_of(dataset: Dataset) -> dict[str, Any]:
    """Layout, counts per split, class and generator, groups, problems, and every file left out with its reason."""
    splits: dict[str, dict[str, int]] = {}
    for sample in dataset.samples:
        counts = splits.setdefault(sample.split or "all", {"real": 0, "fake": 0})
        name = _CLASSES[sample.label]
        counts[name] = counts.get(name, 0) + 1
    empty = [
        f"split {name!r} has no {label} images"
        for name, counts in splits.items()
        for label in ("real", "fake")
        if not counts[label] and "unlabelled" not in counts
    ]
    if not dataset.samples:
        empty = ["no image can be read"]
    return {
        "layout": dataset.layout,
        "samples": len(dataset.samples),
        "splits": splits,
        "generators": dict(Counter(s.generator for s in dataset.samples if s.generator)),
        "groups": len({s.group or s.path for s in dataset.samples}),
        "skipped": [{"path": item.path, "reason": item.reason} for item in dataset.skipped],
        "problems": [*dataset.problems, *empty],
    }


def print_inspection(found: Mapping[str, Any], *, as_json: bool) -> None:
    """For people, or for programs."""
    if as_json:
        print(json.dumps(found, allow_nan=False))
        return
    print(f"layout      {found['layout']}")
    print(f"images      {found['samples']} in {found['groups']} groups")
    for name, counts in found["splits"].items():
        print(f"  {printable(name):<9} {', '.join(f'{count} {label}' for label, count in counts.items())}")
    _print_some("generator", (f"{name}: {count}" for name, count in found["generators"].items()))
    for kind, items in reason_kinds(found["skipped"]).items():
        print(f"left out    {counted(len(items), 'file')}: {printable(kind)}")
        _print_some("", (f"{item['path']}: {item['reason']}" for item in items))
    _print_some("problem", found["problems"])


def reason_kinds(skipped: Iterable[Mapping[str, str]]) -> dict[str, list[Mapping[str, str]]]:
    """Skipped files by what is wrong with them, whatever names and numbers stand in the reason; most frequent first."""
    kinds: dict[str, list[Mapping[str, str]]] = {}
    for item in skipped:
        kind = re.sub(r"\s*\(.*\)|\s*(['\"]).*?\1", "", item["reason"], flags=re.DOTALL)
        kinds.setdefault(re.sub(r"\d+", "…", kind), []).append(item)
    return dict(sorted(kinds.items(), key=lambda entry: -len(entry[1])))


def printable(text: str) -> str:
    """The text in one line: newlines, control and direction marks as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(number: int, noun: str) -> str:
    """``1 file``, ``2,000 files``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _print_some(label: str, lines: Iterable[str]) -> None:
    lines = list(lines)
    for line in lines[:_LISTED]:
        print(f"{label:<11} {printable(line)}")
    if len(lines) > _LISTED:
        print(f"{'':<11} ... and {len(lines) - _LISTED} more (--json lists all)")
