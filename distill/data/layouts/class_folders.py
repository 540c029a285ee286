"""Class folders: ``[train|valid|test/]{real,fake}/...`` in any case, CIFAKE's ``train|test/REAL|FAKE`` included.

The polarity comes from the folder's *name*, never from alphabetical order, which would invert the label.
"""

from pathlib import Path

from distill.data.layouts import forensynths
from distill.data.layouts.vocabulary import CLASSES, SPLITS, SUFFIXES, UNNAMED, label_of, split_of
from distill.data.layouts.walk import load_folder, one_line, subfolders
from distill.data.samples import GENERATED, REAL, Dataset, Sample
from distill.errors import EdgeproofError


def matches(root: Path) -> bool:
    """Whether ``root`` has class folders directly, or below split folders.

    WildRF has them below ``train`` and, one level deeper, below ``test``: the layout that reads both takes it.
    """
    words = {folder.name for folder in _candidates(root) if label_of(folder.name) is not None}
    if all(label_of(word, among=forensynths.WORDS) is not None for word in words):
        return bool(words) and not forensynths.matches(root)
    return True


def load(root: Path) -> Dataset:
    """List the images without opening them.

    Raises:
        EdgeproofError: a class has no images.
    """
    dataset = load_folder(root, layout="class_folders", describe=_describe)
    for label, name in ((REAL, "real"), (GENERATED, "fake")):
        if not any(sample.label == label for sample in dataset.samples):
            raise EdgeproofError(
                f"{one_line(root)}: the class {name!r} is empty, expected at least one image "
                f"({', '.join(sorted(SUFFIXES))}) in a folder named "
                f"{', '.join(key for key, value in CLASSES.items() if value == label)}"
            )
    return dataset


def _candidates(root: Path) -> list[Path]:
    folders = subfolders(root)
    return folders + [inner for folder in folders if split_of(folder.name) for inner in subfolders(folder)]


def _describe(path: str, parts: tuple[str, ...]) -> Sample | str:
    split = split_of(parts[0]) if len(parts) > 2 else None
    folder = parts[1] if split else parts[0]
    label = label_of(folder) if len(parts) > 1 else None
    if label is None:
        return f"in no class folder, expected [{'|'.join(sorted(set(SPLITS.values())))}/]real or fake"
    generator = UNNAMED if label == GENERATED else ""
    return Sample(path=path, label=label, split=split or "", generator=generator, group=path)
