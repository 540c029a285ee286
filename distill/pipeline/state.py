"""What a run remembers of its stages: what is whole is kept, what depends on a change is done again. Torch-free.

A stage's key is the hash of the recipe's parts that it reads and of the keys of the stages it needs, so a
changed recipe invalidates exactly what depends on the change.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from distill.errors import EdgeproofError
from distill.files import sha256
from distill.pipeline.stage import Stage
from distill.recipe import Recipe
from distill.record import Frozen, Record

STATE = "stages.json"
INERT = (
    "name", "description", "*data.workers", "*data.memory_mb", "*data.min_groups", "training.seeds", "training.processes",
    "training.accelerator", "training.loggers", "students.*.seeds",
)  # fmt: skip

LATER = {"*data.groups": "layout"}
"""Settings that came after runs that are still about: with this value a stage makes what it made before there were any."""


class StageEntry(Frozen):
    """A stage that has ended: its key, seconds, its files with their SHA-256, and what its gate said ("" = passed)."""

    key: str
    seconds: float
    files: dict[str, str]
    failure: str


class StageStates(Record):
    """``stages.json``: every stage that has ended, by name."""

    stages: dict[str, StageEntry]


@dataclass
class State:
    """``stages.json`` while a run goes on."""

    path: Path
    entries: dict[str, StageEntry] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> "State":
        """What the run in ``folder`` remembers; raises :class:`EdgeproofError` if the file is damaged."""
        path = folder / STATE
        try:
            return cls(path=path, entries=dict(StageStates.read(path).stages) if path.is_file() else {})
        except EdgeproofError as error:
            raise EdgeproofError(f"{error}; delete it to start the run again") from None

    def is_whole(self, stage: Stage, *, key: str) -> bool:
        """Whether the stage ended with this key and every file that it left is as it was."""
        entry = self.entries.get(stage.name)
        if stage.always or entry is None or entry.key != key or set(entry.files) != set(stage.outputs):
            return False
        folder = self.path.parent
        return all(
            (folder / f).is_file() and sha256(folder / f) == digest for f, digest in entry.files.items()
        )

    def costed(self, stage: Stage, *, key: str) -> Stage:
        """The stage with what it is expected to cost here: nothing if it ended with this key, otherwise what it took before."""
        entry = self.entries.get(stage.name)
        if stage.always or entry is None:
            return stage
        there = all((self.path.parent / name).is_file() for name in stage.outputs)
        return replace(stage, cost=0.0 if entry.key == key and there else entry.seconds)

    def record(self, stage: Stage, *, key: str, seconds: float, failure: str) -> None:
        """Write down a stage that has ended, with the hash of each of its files."""
        folder = self.path.parent
        files = {name: sha256(folder / name) for name in stage.outputs}
        self.entries[stage.name] = StageEntry(
            key=key, seconds=round(seconds, 2), files=files, failure=failure
        )
        StageStates(stages=self.entries).write(self.path)


def stage_keys(stages: Sequence[Stage], recipe: Recipe) -> dict[str, str]:
    """Name → key of every stage; needs must stand before what needs them."""
    values = recipe.model_dump(mode="json")
    keys: dict[str, str] = {}
    for stage in stages:
        material = [
            stage.name,
            {path: _value(values, path) for path in stage.reads},
            stage.state(recipe) if stage.state else None,
            {name: _plain(value) for name, value in stage.arguments.items()},
            [keys[name] for name in stage.needs],
        ]
        keys[stage.name] = hashlib.sha256(json.dumps(material, sort_keys=True).encode()).hexdigest()
    return keys


def is_inert(path: str) -> bool:
    """Whether a recipe's value, by its dotted path, changes how a run goes but nothing of what it makes."""
    return any(fnmatchcase(path, pattern) for pattern in INERT)


def _value(values: Any, path: str) -> Any:
    """What stands at a dotted path, without what is inert below it."""
    for found in _at(values, path):
        return _without_inert(found, path)
    raise KeyError(path)


def _at(values: Any, path: str) -> Iterator[Any]:
    """What may stand at a dotted path, likeliest first: names of models and quantizers may hold dots themselves."""
    for key in sorted(values, key=len) if isinstance(values, dict) else ():
        if key == path:
            yield values[key]
        elif path.startswith(f"{key}."):
            yield from _at(values[key], path.removeprefix(f"{key}."))


def _without_inert(value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        return value
    return {
        key: _without_inert(item, f"{path}.{key}")
        for key, item in value.items()
        if not is_inert(f"{path}.{key}") and not _as_ever(f"{path}.{key}", item)
    }


def _as_ever(path: str, value: Any) -> bool:
    return any(fnmatchcase(path, pattern) and value == before for pattern, before in LATER.items())


def _plain(value: Any) -> Any:
    """An argument as JSON: models, artifacts and specs by their fields."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
