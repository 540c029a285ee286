"""What a folder of shards holds and was made from: ``index.json``, and notes until it is written. Torch-free."""

import shutil
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from distill.data.layouts.walk import one_line
from distill.data.layouts.webdataset import CLAIM, INDEX, PARTS
from distill.errors import EdgeproofError
from distill.files import write_text

SCHEMA_VERSION = 1
"""Raised whenever the same data set and settings would give other bytes."""

_Document = TypeVar("_Document", bound=BaseModel)


class Header(BaseModel):
    """What a folder of shards was made from; a run that goes on must match it.

    Attributes:
        source: hash of all samples' paths, labels, splits, generators, groups and boxes, in their order.
        images: how many samples there are, readable or not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    layout: str
    source: str
    images: int
    shard_size: int
    seed: int


class LeftOut(BaseModel):
    """A file that could not be read, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    reason: str


class Shard(BaseModel):
    """One finished tar; ``real`` and ``generated`` count its images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    real: int
    generated: int
    bytes: int
    sha256: str
    skipped: tuple[LeftOut, ...]


class Index(Header):
    """``index.json``, written last."""

    shards: tuple[Shard, ...]


def claim_folder(out: Path, header: Header) -> dict[str, Shard]:
    """The whole shards that a run before has left in ``out``, by name, and ``out`` marked as ours.

    Raises:
        EdgeproofError: it holds something else, or shards of another data set or other settings.
    """
    index = _read_document(Index, out / INDEX)
    if index is None and not (out / CLAIM).is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise EdgeproofError(
                f"{one_line(out)}: holds something that is no folder of shards, expected an empty folder or a new one"
            )
        write_text(out / CLAIM, header.model_dump_json())
        return {}
    found = index or _read_document(Header, out / CLAIM)
    _check_same(out, found, header)
    for path in out.glob(".*.tar"):  # of a run that was killed
        path.unlink(missing_ok=True)
    parts = [_read_document(Shard, path) for path in sorted((out / PARTS).glob("*.tar.json"))]
    shards = [*(index.shards if index else ()), *(part for part in parts if part)]
    return {shard.name: shard for shard in shards if _is_whole(out, shard)}


def disclaim_folder(out: Path) -> None:
    """Leave nothing of ours in a folder that got no shards."""
    shutil.rmtree(out / PARTS, ignore_errors=True)


def note_shard(out: Path, shard: Shard) -> None:
    """Write down that a shard is finished, for a run that goes on from here."""
    write_text(out / PARTS / f"{shard.name}.json", shard.model_dump_json())


def write_index(out: Path, index: Index) -> None:
    """The last file of a finished folder."""
    write_text(out / INDEX, index.model_dump_json(indent=1) + "\n")
    shutil.rmtree(out / PARTS, ignore_errors=True)


def _read_document(kind: type[_Document], path: Path) -> _Document | None:
    if not path.is_file():
        return None
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError:
        return None  # cut short, or not ours


def _check_same(out: Path, found: Header | None, wanted: Header) -> None:
    keys = [key for key in Header.model_fields if getattr(found, key, None) != getattr(wanted, key)]
    if keys:
        what = ", ".join(
            f"{key}: {str(getattr(found, key, None)):.16} there, {str(getattr(wanted, key)):.16} asked"
            for key in keys
        )
        raise EdgeproofError(
            f"{one_line(out)}: holds shards of another data set or with other settings ({what}); expected the same, an "
            "empty folder or a new one"
        )


def _is_whole(out: Path, shard: Shard) -> bool:
    path = out / shard.name
    return path.is_file() and path.stat().st_size == shard.bytes
