"""Change an artifact's manifest as somebody would who can write its digest, too."""

import json
from pathlib import Path
from typing import Any

from deploy.artifact import MANIFEST_NAME
from deploy.manifest_digest import with_digest
from distill.files import write_json


def fields(folder: Path) -> dict[str, Any]:
    """What the manifest holds, without its digest."""
    raw: dict[str, Any] = json.loads((folder / MANIFEST_NAME).read_text())
    return {name: value for name, value in raw.items() if name != "digest"}


def write_fields(folder: Path, raw: dict[str, Any]) -> None:
    """Write it with a digest that fits; one of a version that has none, without."""
    version = raw.get("schema_version")
    older = isinstance(version, int) and version < 4
    write_json(folder / MANIFEST_NAME, raw if older else with_digest(raw))


def edit(folder: Path, **changes: Any) -> None:
    """Change fields."""
    write_fields(folder, {**fields(folder), **changes})
