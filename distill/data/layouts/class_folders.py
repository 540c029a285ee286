"""Class folders: ``[train|valid|test/]{real,fake}/...`` in any case, CIFAKE's ``train|test/REAL|FAKE`` included.

The polarity comes from the folder's *name*, never from alphabetical order, which would invert the label.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from distill.data.samples import GENERATED, REAL, Dataset, Sample, Skipped
from distill.errors import EdgeproofError

CLASSES = {
    "real": REAL, "0_real": REAL, "nature": REAL, "reals": REAL, "original": REAL,
    "fake": GENERATED, "1_fake": GENERATED, "ai": GENERATED, "fakes": GENERATED, "generated": GENERATED,
}  # fmt: skip
SPLITS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
}
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})


def matches(root: Path) -> bool:
    """Whether ``root`` has class folders directly, or below split folders."""
    return bool(_class_folders(root))


def load(root: Path) -> Dataset:
    """List the images without opening them.

    Raises:
        EdgeproofError: a class has no images.
    """
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    for split, label, folder in _class_folders(root):
        for path in _images(folder):
            relative = path.relative_to(root).as_posix()
            if not _is_text(relative):
                skipped.append(Skipped(path=ascii(relative), reason="the file's name is not valid UTF-8"))
                continue
            generator = "generated" if label == GENERATED else ""
            samples.append(
                Sample(path=relative, label=label, split=split, generator=generator, group=relative)
            )
    for label, name in ((REAL, "real"), (GENERATED, "fake")):
        if not any(sample.label == label for sample in samples):
            raise EdgeproofError(
                f"{root}: the class {name!r} is empty, expected at least one image ({', '.join(sorted(SUFFIXES))}) "
                f"in a folder named {', '.join(key for key, value in CLASSES.items() if value == label)}"
            )
    return Dataset(root=root, layout="class_folders", samples=tuple(samples), skipped=tuple(skipped))


def _class_folders(root: Path) -> list[tuple[str, int, Path]]:
    """(split, label, folder) for every class folder at the top or below a split folder."""
    found = []
    for folder in _folders(root):
        name = folder.name.lower()
        if name in CLASSES:
            found.append(("", CLASSES[name], folder))
        elif name in SPLITS:
            inner = [
                (SPLITS[name], CLASSES[sub.name.lower()], sub)
                for sub in _folders(folder)
                if sub.name.lower() in CLASSES
            ]
            found.extend(inner)
    return found


def _is_text(name: str) -> bool:
    """False for a name in another encoding, which Python holds as lone surrogates and no JSON file can."""
    return name.isascii() or name.encode(errors="replace").decode() == name


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def _images(folder: Path) -> Iterator[Path]:
    # os.walk does not follow links, so a loop of links cannot trap it
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                yield path
