"""Class folders: ``[train|valid|test/]{real,fake}/...`` in any case, CIFAKE's ``train|test/REAL|FAKE`` included.

The polarity comes from the folder's *name*, never from alphabetical order, which would invert the label.
"""

from pathlib import Path

from distill.data.layouts.vocabulary import CLASSES, SPLITS, SUFFIXES, UNNAMED, label_of, split_of
from distill.data.layouts.walk import load_folder, subfolders
from distill.data.samples import GENERATED, REAL, Dataset, Sample
from distill.errors import EdgeproofError


def matches(root: Path) -> bool:
    """Whether ``root`` has class folders directly, or below split folders."""
    for folder in subfolders(root):
        if label_of(folder.name) is not None:
            return True
        if split_of(folder.name) and any(label_of(inner.name) is not None for inner in subfolders(folder)):
            return True
    return False


def load(root: Path) -> Dataset:
    """List the images without opening them.

    Raises:
        EdgeproofError: a class has no images.
    """
    dataset = load_folder(root, layout="class_folders", describe=_describe)
    for label, name in ((REAL, "real"), (GENERATED, "fake")):
        if not any(sample.label == label for sample in dataset.samples):
            raise EdgeproofError(
                f"{root}: the class {name!r} is empty, expected at least one image ({', '.join(sorted(SUFFIXES))}) "
                f"in a folder named {', '.join(key for key, value in CLASSES.items() if value == label)}"
            )
    return dataset


def _describe(path: str, parts: tuple[str, ...]) -> Sample | str:
    split = split_of(parts[0]) if len(parts) > 2 else None
    folder = parts[1] if split else parts[0]
    label = label_of(folder) if len(parts) > 1 else None
    if label is None:
        return f"in no class folder, expected [{'|'.join(sorted(set(SPLITS.values())))}/]real or fake"
    generator = UNNAMED if label == GENERATED else ""
    return Sample(path=path, label=label, split=split or "", generator=generator, group=path)
