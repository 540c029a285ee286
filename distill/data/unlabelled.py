"""Images without a label: distillation listens to the teacher about them, nothing else sees them. Torch-free."""

from pathlib import Path

from distill.data.layouts.tar_index import index_tar
from distill.data.layouts.walk import subfolders, walk_images
from distill.data.samples import UNLABELLED, UNLABELLED_SPLIT, Dataset, Sample, Skipped
from distill.errors import EdgeproofError


def load_unlabelled(root: Path) -> Dataset:
    """Every image below ``root``, files and members of tars alike, whatever its folder is called.

    Paths are absolute, since they stand beside the samples of another data set.

    Raises:
        EdgeproofError: no such folder, or no image in it.
    """
    if not root.is_dir():
        raise EdgeproofError(f"data.unlabelled: {root}: no such folder, expected one of images or tar shards")
    root = root.resolve()
    skipped: list[Skipped] = []
    samples = [_sample(root / path) for path in walk_images(root, skipped=skipped)]
    for tar in _tars(root):
        samples += _members(tar, skipped)
    if not samples:
        raise EdgeproofError(
            f"data.unlabelled: {root}: no images, expected at least one (also in .tar shards)"
        )
    left_out = tuple(item for item in skipped if not item.path.endswith(".tar"))
    return Dataset(root=root, layout="unlabelled", samples=tuple(samples), skipped=left_out)


def _tars(root: Path) -> list[Path]:
    return sorted(path for folder in (root, *subfolders(root)) for path in folder.glob("*.tar"))


def _members(tar: Path, skipped: list[Skipped]) -> list[Sample]:
    index = index_tar(tar)
    skipped += [Skipped(path=f"{tar}/{item.path}", reason=item.reason) for item in index.skipped]
    if index.damage:
        skipped.append(Skipped(path=f"{tar} (from the damage on)", reason=index.damage))
    return [_sample(tar / entry.image, span=entry.span) for entry in index.entries.values() if entry.image]


def _sample(path: Path, *, span: tuple[int, int] | None = None) -> Sample:
    name = path.as_posix()
    return Sample(path=name, label=UNLABELLED, split=UNLABELLED_SPLIT, group=name, span=span)
