"""What a run remembers of its stages: what is whole is kept, what depends on a change is done again. Torch-free.

A stage's key is the hash of the recipe's parts that it reads and of the keys of the stages it needs, so a
changed recipe invalidates exactly what depends on the change.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill.errors import EdgeproofError
from distill.files import read_json, sha256, write_json
from distill.pipeline.stage import Stage
from distill.recipe import Recipe

STATE = "stages.json"


@dataclass
class State:
    """What ``stages.json`` remembers: name → key, seconds, hashes of outputs, failed gate."""

    path: Path
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> "State":
        """What the run in ``folder`` remembers; raises :class:`EdgeproofError` if the file is damaged."""
        path = folder / STATE
        try:
            return cls(path=path, entries=read_json(path) if path.is_file() else {})
        except json.JSONDecodeError as error:
            raise EdgeproofError(
                f"{path}: not valid JSON ({error}); delete it to start the run again"
            ) from None

    def is_whole(self, stage: Stage, *, key: str) -> bool:
        """Whether the stage ended with this key and every file that it left is as it was."""
        entry = self.entries.get(stage.name)
        if stage.always or entry is None or entry["key"] != key or set(entry["files"]) != set(stage.outputs):
            return False
        folder = self.path.parent
        return all(
            (folder / f).is_file() and sha256(folder / f) == digest for f, digest in entry["files"].items()
        )

    def record(self, stage: Stage, *, key: str, seconds: float, failure: str) -> None:
        """Write down a stage that has ended, with the hash of each of its files."""
        folder = self.path.parent
        files = {name: sha256(folder / name) for name in stage.outputs}
        self.entries[stage.name] = {
            "key": key,
            "seconds": round(seconds, 2),
            "files": files,
            "failure": failure,
        }
        write_json(self.path, self.entries)


def stage_keys(stages: Sequence[Stage], recipe: Recipe) -> dict[str, str]:
    """Name → key of every stage; needs must stand before what needs them."""
    keys: dict[str, str] = {}
    for stage in stages:
        material = [stage.name, stage.reads(recipe), [keys[name] for name in stage.needs]]
        keys[stage.name] = hashlib.sha256(
            json.dumps(material, sort_keys=True, default=str).encode()
        ).hexdigest()
    return keys
