"""Rendered scenes onto the disk: one file an image, or one WebDataset shard a job. The same bytes either way."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from distill.data.shards.writer import ShardWriter
from distill.data.simulate.manifest import Record
from distill.files import write_bytes

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
    with ShardWriter(root / shard) as writer:
        for item in scenes:
            path = PurePosixPath(item.record.path)
            span = writer.add(path.stem, item.image, path.suffix, _label(item.record))
            records.append(item.record.model_copy(update={"span": span}))
    return records


def write_masks(root: Path, scene: "Sequence[Rendered]") -> None:
    """Masks are files in both cases: training never reads them."""
    for item in scene:
        if item.record.mask and item.mask:
            write_bytes(root / item.record.mask, item.mask)


def _label(record: Record) -> dict[str, Any]:
    return record.model_dump(mode="json", include={"label", "generator", "group", "split", "box"})
