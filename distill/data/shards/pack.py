"""Any data set → WebDataset shards, which disks read in one go: original bytes, classes mixed, resumable. Torch-free."""

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from distill.data.layouts.vocabulary import SUFFIXES
from distill.data.layouts.walk import one_line
from distill.data.samples import GENERATED, REAL, Dataset, Sample
from distill.data.shards.index import (
    Header,
    Index,
    LeftOut,
    Shard,
    claim_folder,
    disclaim_folder,
    note_shard,
    write_index,
)
from distill.data.shards.writer import ShardWriter
from distill.data.storage import read_bytes
from distill.errors import EdgeproofError, cause
from distill.files import sha256
from distill.plain import plain

Progress = Callable[[int, int], None]

_LISTS = frozenset({"manifest", "grip", "unbiased_genimage"})  # which read no folder, only what they list
_LABELS = {REAL: "real", GENERATED: "generated"}
_MAGIC = {
    b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"BM": ".bmp", b"GIF8": ".gif",
    b"II*\0": ".tif", b"MM\0*": ".tif",
}  # fmt: skip


def write_shards(
    dataset: Dataset, *, out: Path, shard_size: int = 1000, seed: int = 0, progress: Progress | None = None
) -> list[Path]:
    """Write a data set's images, as they are, into ``{split or 'all'}-{number}.tar`` below ``out``.

    Samples are shuffled within their split, so that each shard has both classes. The same data set and seed give the
    same bytes. What a run before has finished is kept. Files that cannot be read are left out and listed in
    ``index.json``. Masks are not carried along.

    Args:
        dataset: of any layout.
        out: a folder of these shards alone.
        shard_size: images in a shard.
        seed: of the order.
        progress: called with the number of images done and of all images.

    Returns:
        The shards, in order.

    Raises:
        EdgeproofError: ``out`` holds something else or lies in the data set's own folder, an unlabelled sample,
            nothing can be read, or the disk is full.
    """
    if shard_size < 1:
        raise EdgeproofError(f"the shard size is {shard_size}, expected at least 1 image")
    _check_samples(dataset, out)
    header = _header(dataset, shard_size, seed)
    try:
        shards = _write_missing(dataset, out, header, progress)
    except OSError as error:
        raise EdgeproofError(
            f"{error.filename or out}: cannot write the shards ({cause(error)}); run again to go on from there"
        ) from error
    return [out / shard.name for shard in shards]


def _check_samples(dataset: Dataset, out: Path) -> None:
    if dataset.layout not in _LISTS and dataset.root.resolve() in (out.resolve(), *out.resolve().parents):
        raise EdgeproofError(
            f"{one_line(out)}: lies in the data set's own folder, where shards would be taken for a part of it; "
            f"expected a folder outside {one_line(dataset.root)}"
        )
    unlabelled = next((sample for sample in dataset.samples if sample.label not in _LABELS), None)
    if unlabelled:
        raise EdgeproofError(
            f"{one_line(dataset.root)}: {unlabelled.path!r} has no label, expected real or generated for every image of a shard"
        )


def _header(dataset: Dataset, shard_size: int, seed: int) -> Header:
    digest = hashlib.sha256()
    for sample in dataset.samples:
        digest.update(json.dumps([sample.path, *_meta(sample).values()]).encode())
    return Header(
        layout=dataset.layout,
        source=digest.hexdigest(),
        images=len(dataset.samples),
        shard_size=shard_size,
        seed=seed,
    )


def _write_missing(dataset: Dataset, out: Path, header: Header, progress: Progress | None) -> list[Shard]:
    known = claim_folder(out, header)
    shards: list[Shard] = []
    done = 0
    for name, start, samples in _plan(dataset, header):
        shard = known.get(name)
        if shard is None:
            shard = _write(dataset.root, out, name, start, samples)
            note_shard(out, shard)
        shards.append(shard)
        done += len(samples)
        if progress:
            progress(done, header.images)
    _check_some(out, shards)
    write_index(out, Index(shards=tuple(shards), **header.model_dump()))
    return shards


def _plan(dataset: Dataset, header: Header) -> Iterator[tuple[str, int, list[Sample]]]:
    """Each shard's name, the number of its first image within the split, and its samples."""
    splits: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in dataset.samples:
        splits[sample.split].append(sample)
    for split, samples in sorted(splits.items()):
        random.Random(f"{header.seed} {split}").shuffle(samples)
        for start in range(0, len(samples), header.shard_size):
            name = f"{split or 'all'}-{start // header.shard_size:06d}.tar"
            yield name, start, samples[start : start + header.shard_size]


def _write(root: Path, out: Path, name: str, start: int, samples: Sequence[Sample]) -> Shard:
    skipped: list[LeftOut] = []
    counts = dict.fromkeys(_LABELS, 0)
    with ShardWriter(out / name) as writer:
        for number, sample in enumerate(samples, start):
            try:
                image, suffix = _read(root, sample)
            except ValueError as reason:
                skipped.append(LeftOut(path=plain(sample.path), reason=plain(reason)))
                continue
            writer.add(f"{number:09d}", image, suffix, _meta(sample) | {"source": sample.path})
            counts[sample.label] += 1
    path = out / name
    return Shard(
        name=name,
        real=counts[REAL],
        generated=counts[GENERATED],
        bytes=path.stat().st_size,
        sha256=sha256(path),
        skipped=tuple(skipped),
    )


def _read(root: Path, sample: Sample) -> tuple[bytes, str]:
    """The image's bytes and suffix; a ``ValueError`` says why there are none."""
    try:
        image = read_bytes(root, sample)
    except OSError as error:
        raise ValueError(f"cannot be read ({cause(error)})") from None
    except EdgeproofError as error:
        raise ValueError(str(error)) from None
    if not image:
        raise ValueError("the file is empty (0 bytes)")
    suffix = PurePosixPath(sample.path).suffix
    if suffix.lower() not in SUFFIXES:  # a key's image is known by its suffix
        suffix = next((known for magic, known in _MAGIC.items() if image.startswith(magic)), "")
    if not suffix:
        raise ValueError("no image by its suffix nor by its first bytes")
    return image, suffix


def _meta(sample: Sample) -> dict[str, Any]:
    meta = {
        "label": sample.label,
        "label_name": _LABELS[sample.label],
        "generator": sample.generator,
        "group": sample.group,
        "split": sample.split,
    }
    return meta if sample.box is None else meta | {"box": sample.box}


def _check_some(out: Path, shards: Sequence[Shard]) -> None:
    if not any(shard.real or shard.generated for shard in shards):
        for shard in shards:
            (out / shard.name).unlink(missing_ok=True)
        disclaim_folder(out)
        first = next((item for shard in shards for item in shard.skipped), None)
        why = f", the first: {first.path!r} {first.reason}" if first else ""
        raise EdgeproofError(f"{one_line(out)}: none of the data set's images can be read{why}")
