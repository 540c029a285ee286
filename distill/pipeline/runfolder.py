"""Where things stand in a run folder. Torch-free; the only home of these names."""

import json
import sys
from dataclasses import asdict, fields, replace
from functools import lru_cache
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.data.samples import UNLABELLED, Dataset, Sample, Skipped
from distill.errors import EdgeproofError
from distill.files import atomic_path, read_json

EVALUATED = ("valid", "test", "heldout", "control")
SAMPLES = "data/samples.json"
SUMMARY = "data/summary.json"
SCAN = "data/scan.npz"
AUDIT = "data/audit.json"
WEIGHTS = "weights.safetensors"
_ALWAYS = ("path", "label", "split", "generator")


def save_samples(dataset: Dataset, run: Path) -> None:
    """Remember the samples that every later stage uses: one JSON file, a line for each column.

    A column that says nothing is left out, and a group is null where it is the sample's own path.
    """
    head = {
        "root": str(dataset.root.resolve()),
        "layout": dataset.layout,
        "problems": dataset.problems,
        "skipped": [asdict(item) for item in dataset.skipped],
    }
    with (
        atomic_path(run / SAMPLES) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        file.write("{\n")
        file.writelines(f"{_json(key)}: {_json(value)},\n" for key, value in head.items())
        file.write('"columns": {')
        for number, field in enumerate(fields(Sample)):
            values = [_stored(sample, field.name) for sample in dataset.samples]
            if field.name in _ALWAYS or any(value is not None for value in values):
                file.write(f"{',' if number else ''}\n{_json(field.name)}: {_json(values)}")
        file.write("\n}\n}\n")


def load_samples(run: Path) -> Dataset:
    """The data set of a run; read once, however many stages ask, until the file changes.

    Raises:
        EdgeproofError: the data stage has left no list of samples, or not one of this version.
    """
    path = run / SAMPLES
    if not path.is_file():
        raise EdgeproofError(f"{path}: no such file, expected the list of samples that the data stage writes")
    status = path.stat()
    dataset = _load_samples(path, status.st_mtime_ns, status.st_size)
    if not dataset.root.is_dir() and (run / "data" / "simulated").is_dir():
        return replace(dataset, root=run / "data" / "simulated")  # the run folder was moved
    return dataset


@lru_cache(maxsize=2)  # the run's, and a teacher's own
def _load_samples(path: Path, mtime_ns: int, size: int) -> Dataset:
    try:
        content = read_json(path)
        return Dataset(
            root=Path(content["root"]),
            layout=content["layout"],
            samples=_samples(content["columns"]),
            skipped=tuple(Skipped(**item) for item in content["skipped"]),
            problems=tuple(content["problems"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise EdgeproofError(
            f"{path}: cannot be read ({error!r}), expected the list of samples of this version's data stage"
        ) from None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _stored(sample: Sample, name: str) -> Any:
    value = getattr(sample, name)
    silent = {"group": sample.path, "truth": UNLABELLED}
    return None if name in silent and value == silent[name] else value


def _samples(columns: dict[str, list[Any]]) -> tuple[Sample, ...]:
    paths = columns["path"]
    nothing = [None] * len(paths)
    rows = zip(
        paths,
        columns["label"],
        map(sys.intern, columns["split"]),  # a million rows share a few names
        map(sys.intern, columns["generator"]),
        (
            path if group is None else group
            for path, group in zip(paths, columns.get("group", nothing), strict=True)
        ),
        map(_tuple, columns.get("box", nothing)),
        columns.get("mask", nothing),
        map(_tuple, columns.get("span", nothing)),
        (UNLABELLED if truth is None else truth for truth in columns.get("truth", nothing)),
        strict=True,
    )
    return tuple(starmap(Sample, rows))


def _tuple(value: list[Any] | None) -> Any:
    return None if value is None else tuple(value)


def save_arrays(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Name (such as a split) → array, as a plain ``.npz`` without pickles."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)  # type: ignore[arg-type]


def load_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """What :func:`save_arrays` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
