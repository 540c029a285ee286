"""GenImage: ``<generator>/<inner folder>/{train,val}/{ai,nature}/...``.

The polarity comes from the names of the class folders: ``ai`` is generated, ``nature`` (ImageNet) is real; in
alphabetical order it would be the other way round. One level less, as in Tiny GenImage or in one generator's own
folder, names the generator by its inner folder (``imagenet_midjourney``). No groups. Corrupt and empty files, of
which GenImage has some, are found where images are opened.
"""

from pathlib import Path

from distill.data.layouts.vocabulary import label_of, split_of
from distill.data.layouts.walk import glance, load_folder, subfolders
from distill.data.samples import GENERATED, Dataset, Sample

WORDS = frozenset({"ai", "nature"})


def matches(root: Path) -> bool:
    """Whether split folders with ``ai`` or ``nature`` stand one or two levels below ``root``."""
    for folder in subfolders(root):
        if _is_outer(folder.name):
            inner = glance(folder)
            if _has_classes(inner) or any(
                _has_classes(glance(path)) for path in inner if _is_outer(path.name)
            ):
                return True
    return False


def load(root: Path) -> Dataset:
    """List the images without opening them.

    Raises:
        EdgeproofError: there is no image at all.
    """
    return load_folder(root, layout="genimage", describe=_describe)


def _has_classes(folders: list[Path]) -> bool:
    splits = [folder for folder in folders if split_of(folder.name)]
    return any(
        label_of(inner.name, among=WORDS) is not None for folder in splits for inner in subfolders(folder)
    )


def _is_outer(name: str) -> bool:
    return split_of(name) is None and label_of(name) is None


def _describe(path: str, parts: tuple[str, ...]) -> Sample | str:
    for depth in (1, 2):
        split = split_of(parts[depth]) if len(parts) > depth + 2 else None
        label = label_of(parts[depth + 1], among=WORDS) if split else None
        if split and label is not None and all(map(_is_outer, parts[:depth])):
            generator = parts[0] if label == GENERATED else ""
            return Sample(path=path, label=label, split=split, generator=generator, group=path)
    return "in no class folder, expected <generator>/<inner folder>/{train,val}/{ai,nature}"
