"""Folders → samples: one walk that loses nothing, and names every file that it leaves out. Torch-free."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from distill.data.layouts.vocabulary import SUFFIXES
from distill.data.samples import Dataset, Sample, Skipped
from distill.errors import EdgeproofError

Describe = Callable[[str, tuple[str, ...]], Sample | str]
"""From an image's relative path, whole and in parts, to its sample, or to the reason why it is left out."""


def load_folder(root: Path, *, layout: str, describe: Describe) -> Dataset:
    """Every image below ``root`` as ``describe`` sees it; nothing is opened.

    Raises:
        EdgeproofError: there is no image at all.
    """
    skipped: list[Skipped] = []
    samples: list[Sample] = []
    for path in walk_images(root, skipped=skipped):
        found = describe(path, PurePosixPath(path).parts)
        if isinstance(found, Sample):
            samples.append(found)
        else:
            skipped.append(Skipped(path=path, reason=found))
    if not samples:
        first = (
            f"; {len(skipped)} left out, the first {skipped[0].path!r}: {skipped[0].reason}"
            if skipped
            else ""
        )
        raise EdgeproofError(
            f"{root}: no images in the layout {layout!r}, expected at least one ({', '.join(sorted(SUFFIXES))}){first}"
        )
    return Dataset(root=root, layout=layout, samples=tuple(samples), skipped=tuple(skipped))


def walk_images(root: Path, *, skipped: list[Skipped]) -> Iterator[str]:
    """Relative paths of all images below ``root``, sorted; other files, loops and closed folders into ``skipped``.

    Links to folders are followed, since large sets are often linked together; a link that leads back to a folder
    above itself is named and left out.
    """
    yield from _walk(root, "", above=(), skipped=skipped)


def subfolders(path: Path) -> list[Path]:
    """The folders in ``path``, sorted; none where it cannot be read."""
    try:
        return sorted(entry for entry in path.iterdir() if entry.is_dir())
    except OSError:
        return []


def subfolder(path: Path, name: str) -> Path | None:
    """The folder called ``name`` in any case, ``None`` if there is none."""
    return next((entry for entry in subfolders(path) if entry.name.lower() == name.lower()), None)


def is_text(name: str) -> bool:
    """False for a name in another encoding, which Python holds as lone surrogates and no JSON file can."""
    return name.isascii() or name.encode(errors="replace").decode() == name


def _walk(
    folder: Path, prefix: str, *, above: tuple[tuple[int, int], ...], skipped: list[Skipped]
) -> Iterator[str]:
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        skipped.append(Skipped(path=_shown(prefix), reason=f"the folder cannot be read ({error.strerror})"))
        return
    here = (status.st_dev, status.st_ino)
    if here in above:
        skipped.append(
            Skipped(path=_shown(prefix), reason="a loop: the link leads back to a folder above it")
        )
        return
    for entry in entries:
        path = prefix + entry.name
        if _is_folder(entry):
            yield from _walk(Path(entry.path), f"{path}/", above=(*above, here), skipped=skipped)
        elif reason := _reason_to_skip(entry):
            skipped.append(Skipped(path=_shown(path), reason=reason))
        else:
            yield path


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _reason_to_skip(entry: "os.DirEntry[str]") -> str:
    if not is_text(entry.name):
        return "the file's name is not valid UTF-8"
    if entry.name.startswith("."):
        return "a hidden file"
    suffix = PurePosixPath(entry.name).suffix.lower()
    if suffix not in SUFFIXES:
        return f"no image file ({suffix or 'no suffix'})"
    try:
        return "" if entry.is_file() else "a broken link, or no regular file"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _shown(path: str) -> str:
    return path.rstrip("/") if is_text(path) else ascii(path)
