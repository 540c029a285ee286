"""Class folders named after K labels: ``[train|valid|test/]<label>/...``, spelled as the recipe spells them."""

from collections.abc import Sequence
from pathlib import Path

from distill.data.layouts.vocabulary import split_of
from distill.data.layouts.walk import load_folder, one_line, subfolders
from distill.data.samples import Dataset, Sample
from distill.errors import EdgeproofError


def matches(root: Path, *, labels: Sequence[str]) -> bool:
    """Whether a folder has the name of a label, directly or below a split folder."""
    folders = subfolders(root)
    inner = [deeper for folder in folders if split_of(folder.name) for deeper in subfolders(folder)]
    return any(folder.name in labels for folder in [*folders, *inner])


def load(root: Path, *, labels: Sequence[str]) -> Dataset:
    """List the images without opening them.

    Raises:
        EdgeproofError: a folder of images has another name.
    """
    numbers = {name: number for number, name in enumerate(labels)}

    def describe(path: str, parts: tuple[str, ...]) -> Sample | str:
        folders = parts[:-1]
        if not folders:
            return f"in no class folder, expected one of {', '.join(labels)}"
        split = split_of(folders[0])
        # a class may be called "test": then it is a split only where a class stands below it
        below = split and len(folders) > 1 and (folders[1] in numbers or folders[0] not in numbers)
        label = folders[1] if below else folders[0]
        if label not in numbers:
            raise EdgeproofError(
                f"{one_line(root / path)}: label {label!r}, expected one of {', '.join(labels)} (task.labels)"
            )
        return Sample(path=path, label=numbers[label], split=(split or "") if below else "", group=path)

    return load_folder(root, layout="class_folders", describe=describe)
