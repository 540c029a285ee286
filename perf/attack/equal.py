"""Whether two run folders hold the same results: weights, artifacts, answers and records, but for times."""

import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

_AS_BYTES = {".onnx", ".xml", ".bin", ".jpg", ".png"}
_OF_THE_RUN = {"root", "seconds", "digest", "took_s", "seconds_per_step", "images_per_second", "generated_at"}
_OWN = {
    "stages.json",
    "environment.json",
    "recipe.json",
}  # when, how long, where, and with how many processes


def differences(folder: Path, other: Path) -> Iterator[str]:
    """Names of files that are in one alone, or hold other results."""
    ours, theirs = _results(folder), _results(other)
    for name in sorted({*ours, *theirs}):
        if ours.get(name) != theirs.get(name):
            yield name if name in ours and name in theirs else f"{name} (in one alone)"


def temporary_files(folder: Path) -> list[str]:
    """What a killed process left and nothing took away."""
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob(".*") if not path.name.endswith(".lock")
    )


def redone(folder: Path) -> list[str]:
    """Stages that had ended and were begun again."""
    ended: set[str] = set()
    found = []
    for line in (folder / "log.jsonl").read_text().splitlines():
        try:
            event = json.loads(line)
        except ValueError:  # the line that was being written
            continue
        if event["event"] == "end":
            ended.add(event["stage"])
        elif event["event"] == "start" and event["stage"] in ended:
            found.append(event["stage"])
    return found


def _results(folder: Path) -> dict[str, Any]:
    return {
        str(path.relative_to(folder)): content
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in _OWN and not path.name.startswith(".")
        for content in [_content(path)]
        if content is not None
    }


def _content(path: Path) -> Any:
    if path.suffix in _AS_BYTES:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    if path.suffix == ".safetensors":
        return _tensors(path.read_bytes())
    if path.suffix == ".json":
        return _timeless(json.loads(path.read_text()))
    if path.suffix in (".npz", ".npy"):
        loaded = np.load(path)
        arrays = {name: loaded[name] for name in loaded.files} if path.suffix == ".npz" else {"": loaded}
        return {
            name: hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
            for name, array in arrays.items()
        }
    if path.name == "metrics.csv":
        with path.open(newline="") as file:
            return [
                {key: value for key, value in row.items() if "second" not in key and "time" not in key}
                for row in csv.DictReader(file)
            ]
    return None


def _tensors(content: bytes) -> Any:
    """Without the metadata, which may name the folder."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = {name: value for name, value in json.loads(content[8:start]).items() if name != "__metadata__"}
    return header, hashlib.sha256(content[start:]).hexdigest()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in _OF_THE_RUN}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value
