"""Community Forensics: ``<generator>/{real,fake}/...``.

The polarity comes from the names of the class folders, ``real`` and ``fake`` in any case. Real images stand beside
the generator that they were matched with; they name no generator. No splits, no groups.
"""

from pathlib import Path

from distill.data.layouts.vocabulary import label_of, split_of
from distill.data.layouts.walk import load_folder, subfolders
from distill.data.samples import GENERATED, Dataset, Sample

WORDS = frozenset({"real", "fake"})


def matches(root: Path) -> bool:
    """Whether a folder that is neither a class nor a split has class folders."""
    return any(
        label_of(inner.name, among=WORDS) is not None
        for folder in subfolders(root)
        if _is_generator(folder.name)
        for inner in subfolders(folder)
    )


def load(root: Path) -> Dataset:
    """List the images without opening them.

    Raises:
        EdgeproofError: there is no image at all.
    """
    return load_folder(root, layout="community_forensics", describe=_describe)


def _is_generator(name: str) -> bool:
    return split_of(name) is None and label_of(name) is None


def _describe(path: str, parts: tuple[str, ...]) -> Sample | str:
    label = label_of(parts[1], among=WORDS) if len(parts) > 2 else None
    if label is None or not _is_generator(parts[0]):
        return "in no class folder of a generator, expected <generator>/real or <generator>/fake"
    return Sample(path=path, label=label, generator=parts[0] if label == GENERATED else "", group=path)
