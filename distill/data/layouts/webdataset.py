"""WebDataset shards: ``.tar`` files with an image and a ``.cls`` or ``.json`` for each key. Read in place, never unpacked.

The polarity: the label is 1 or a word such as *fake* for a generated image, 0 or a word such as *real* for a real one.
A ``.json`` may also tell generator, group, split and box; without it, the split is that of the shard's name
(``train-000000.tar``) or of a folder above it. A key is a member's name up to the first dot behind the last slash.
"""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from distill.data.layouts.tar_index import COMPRESSED, compressed, index_tar, is_shard
from distill.data.layouts.tar_samples import KeyReader
from distill.data.layouts.walk import glance, is_file, is_text, one_line, shown, subfolders
from distill.data.samples import Dataset, Sample, Skipped
from distill.errors import EdgeproofError, cause

INDEX = "index.json"
"""Of shards that edgeproof wrote, when all were whole."""
PARTS = ".parts"
CLAIM = f"{PARTS}/header.json"
"""There until the index is."""
_GLANCE = 1000  # files of a folder, to find a tar among them


def matches(root: Path) -> bool:
    """Whether ``root`` is a tar, or a folder with shards in it or up to two folders below.

    A tar without labels, such as the one that class folders came in, makes a folder match only if nothing else could.
    """
    if is_file(root):
        return root.name.endswith((".tar", *COMPRESSED))
    below = glance(root)
    folders = [root, *below, *(inner for folder in below for inner in glance(folder))]
    if any(is_shard(tar) for folder in folders for tar in _tars(folder, (".tar",))):
        return True
    return not below and bool(_tars(root, (".tar", *COMPRESSED)))


def load(root: Path) -> Dataset:
    """List the images of all shards without reading them.

    Raises:
        EdgeproofError: no shards, no labelled image, a label or split that is unknown, a compressed tar.
    """
    base, skipped = (root.parent, []) if is_file(root) else (root, list[Skipped]())
    names = [root.name] if is_file(root) else list(_find_shards(root, skipped))
    if not names:
        raise EdgeproofError(f"{one_line(root)}: no .tar shard, expected at least one")
    shards = _Shards(base, skipped)
    for name in names:
        shards.read(name)
    problems = shards.problems()
    if is_file(root / CLAIM) and not is_file(root / INDEX):
        problems.append("not all shards are written; 'edgeproof data shard' with the same folders goes on")
    if not shards.samples:
        why = [*problems, *(f"{item.path}: {item.reason}" for item in skipped), "all are empty"][0]
        raise EdgeproofError(
            f"{one_line(root)}: no labelled image in {len(names)} shards, expected an image and a .cls or .json for "
            f"each key ({why})"
        )
    return Dataset(
        root=base,
        layout="webdataset",
        samples=tuple(shards.samples),
        skipped=tuple(skipped),
        problems=tuple(problems),
    )


class _Shards:
    """The samples of all tars, and what was left out of them and why."""

    def __init__(self, base: Path, skipped: list[Skipped]) -> None:
        self._base, self._skipped = base, skipped
        self.samples: list[Sample] = []
        self._damages: list[str] = []
        self._bad_boxes: list[str] = []
        self._others = 0

    def read(self, name: str) -> None:
        if name.endswith(COMPRESSED):
            raise compressed(self._base / name)
        try:
            index = index_tar(self._base / name)
        except OSError as error:
            self._skipped.append(Skipped(name, f"cannot be read ({cause(error)})"))
            return
        before, shard = len(self.samples), KeyReader(self._base, name, self._bad_boxes)
        self._skipped += [Skipped(f"{name}/{item.path}", item.reason) for item in index.skipped]
        for key, entry in index.entries.items():
            try:
                self.samples.append(shard.sample(key, entry))
            except ValueError as reason:
                self._skipped.append(Skipped(f"{name}/{entry.image or key}", str(reason)))
        self._others += index.others
        if index.damage:
            self._damages.append(
                f"{name}: {index.damage}; {len(self.samples) - before} whole images of it are kept"
            )

    def problems(self) -> list[str]:
        found = list(self._damages)
        if self._others:
            found.append(
                f"{self._others} members of tars are neither image nor .cls nor .json and were not read"
            )
        if self._bad_boxes:
            found.append(
                f"{len(self._bad_boxes)} boxes are not x1, y1, x2, y2 between 0 and 1 and were left out, the first of "
                f"{self._bad_boxes[0]}"
            )
        return found


def _tars(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in islice(entries, _GLANCE))
    except OSError:
        return []
    return [folder / name for name in names if name.endswith(suffixes) and not name.startswith(".")]


def _find_shards(root: Path, skipped: list[Skipped]) -> Iterator[str]:
    """Relative paths of all tars; everything else that is no index into ``skipped``.

    Links to folders are followed; each folder is read once, under whatever names it has.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [("", root)]
    while waiting:
        prefix, folder = waiting.pop()
        try:
            status, entries = folder.stat(), sorted(folder.iterdir())
        except OSError as error:
            skipped.append(Skipped(prefix[:-1] or ".", f"the folder cannot be read ({cause(error)})"))
            continue
        if (status.st_dev, status.st_ino) in seen:
            skipped.append(
                Skipped(prefix[:-1], "a folder that was read before under another name, or a loop of links")
            )
            continue
        seen.add((status.st_dev, status.st_ino))
        inner = {path.name for path in subfolders(folder)}
        below: list[tuple[str, Path]] = []
        for entry in entries:
            name, is_folder = prefix + entry.name, entry.name in inner
            reason = _unwanted(entry, is_folder)
            if reason:
                skipped.append(Skipped(shown(name), reason))
            elif is_folder:
                below.append((f"{name}/", entry))
            elif entry.name != INDEX:
                yield name
        waiting += reversed(below)


def _unwanted(path: Path, is_folder: bool) -> str:
    if not is_text(path.name):
        return "the name is not valid UTF-8"
    if path.name.startswith("."):
        return "hidden"
    if is_folder:
        return "a folder that is called like a tar" if path.name.endswith(".tar") else ""
    if not path.name.endswith((".tar", *COMPRESSED)) and path.name != INDEX:
        return "no .tar shard"
    return "" if is_file(path) else "a broken link, or no regular file"
