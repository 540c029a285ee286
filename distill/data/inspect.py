"""What a folder of images holds, before anything is trained on it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from distill.data.layouts import load_dataset
from distill.data.pixels import Progress, find_unreadable
from distill.data.samples import GENERATED
from distill.precision import thread_count


def inspect_folder(path: Path, *, layout: str, progress: Progress | None = None) -> dict[str, Any]:
    """Layout, counts per split, class and generator, groups, and every file left out with its reason."""
    dataset = find_unreadable(
        load_dataset(path, layout=layout), max_bad_share=1.0, threads=thread_count(0), progress=progress
    )
    splits: dict[str, dict[str, int]] = {}
    for sample in dataset.samples:
        counts = splits.setdefault(sample.split or "all", {"real": 0, "fake": 0})
        counts["fake" if sample.label == GENERATED else "real"] += 1
    empty = [
        f"split {name!r} has no {label} images"
        for name, both in splits.items()
        for label, n in both.items()
        if not n
    ]
    return {
        "layout": dataset.layout,
        "samples": len(dataset.samples),
        "splits": splits,
        "generators": dict(Counter(s.generator for s in dataset.samples if s.generator)),
        "groups": len({s.group for s in dataset.samples}),
        "skipped": [{"path": item.path, "reason": item.reason} for item in dataset.skipped],
        "problems": empty,
    }


def print_inspection(found: dict[str, Any], *, as_json: bool) -> None:
    """For people, or for programs."""
    if as_json:
        print(json.dumps(found))
        return
    print(f"layout      {found['layout']}")
    print(f"images      {found['samples']} in {found['groups']} groups")
    for name, counts in found["splits"].items():
        print(f"  {name:<9} {counts['real']} real, {counts['fake']} fake")
    for name, count in found["generators"].items():
        print(f"generator   {name}: {count}")
    for item in found["skipped"]:
        print(f"left out    {item['path']}: {item['reason']}")
    for problem in found["problems"]:
        print(f"problem     {problem}")
