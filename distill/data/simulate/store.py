"""Rendered scenes onto the disk: one file an image, or one WebDataset shard a job. The same bytes either way."""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from distill.data.simulate.manifest import Record
from distill.files import atomic_path, write_bytes

if TYPE_CHECKING:
    from distill.data.simulate.render import Rendered


def write_files(root: Path, scene: "Sequence[Rendered]") -> list[Record]:
    """One file an image, at its record's path."""
    write_masks(root, scene)
    for item in scene:
        write_bytes(root / item.record.path, item.image)
    return [item.record for item in scene]


def write_shard(root: Path, shard: str, scenes: "Sequence[Rendered]") -> list[Record]:
    """One tar of images, a JSON beside each, as WebDataset has it; records say where each image lies."""
    write_masks(root, scenes)
    records = []
    with (
        atomic_path(root / shard) as temporary,
        tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for item in scenes:
            name = PurePosixPath(item.record.path).name
            offset = _add(tar, name, item.image)
            _add(tar, f"{PurePosixPath(name).stem}.json", _label(item.record))
            records.append(item.record.model_copy(update={"span": (offset, len(item.image))}))
    return records


def write_masks(root: Path, scene: "Sequence[Rendered]") -> None:
    """Masks are files in both cases: training never reads them."""
    for item in scene:
        if item.record.mask and item.mask:
            write_bytes(root / item.record.mask, item.mask)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> int:
    """Append a member without owner or time, so that bytes depend on the content alone; its data's offset."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    offset = tar.offset + tarfile.BLOCKSIZE
    tar.addfile(member, io.BytesIO(data))
    return offset


def _label(record: Record) -> bytes:
    fields = {
        "label": record.label,
        "generator": record.generator,
        "group": record.group,
        "split": record.split,
        "box": record.box,
    }
    return json.dumps(fields).encode()
