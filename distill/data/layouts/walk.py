"""Folders → samples: one walk that loses nothing, and names every file that it leaves out. Torch-free."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distill.data.layouts.vocabulary import SUFFIXES
from distill.data.samples import Dataset, Sample, Skipped
from distill.errors import EdgeproofError, cause

Describe = Callable[[str, tuple[str, ...]], Sample | str]
"""From an image's relative path, whole and in parts, to its sample, or to the reason why it is left out."""

_GLANCE = 32


@dataclass(frozen=True, slots=True)
class Listing:
    """What a walk found: relative paths of all images, sorted, and what it left out."""

    paths: list[str]
    skipped: list[Skipped]


def load_folder(root: Path, *, layout: str, describe: Describe) -> Dataset:
    """Every image below ``root`` as ``describe`` sees it; nothing is opened.

    Raises:
        EdgeproofError: there is no image at all.
    """
    return assemble(root, list_images(root), layout=layout, describe=describe)


def list_images(root: Path, *, leave_out: Mapping[str, str] | None = None) -> Listing:
    """All images below ``root``, for layouts that must see every name before they can describe one.

    ``leave_out`` maps the lower-case names of folders that are passed over to the reason.
    """
    skipped: list[Skipped] = []
    return Listing(list(walk_images(root, skipped=skipped, leave_out=leave_out)), skipped)


def assemble(
    root: Path,
    listing: Listing,
    *,
    layout: str,
    describe: Describe,
    documents: Collection[str] = (),
    problems: Sequence[str] = (),
) -> Dataset:
    """The listed images as ``describe`` sees them; ``documents`` are files that the layout itself has read.

    Raises:
        EdgeproofError: there is no image at all.
    """
    skipped = [item for item in listing.skipped if item.path not in documents]
    samples: list[Sample] = []
    for path in listing.paths:
        found = describe(path, tuple(path.split("/")))
        if isinstance(found, Sample):
            samples.append(found)
        else:
            skipped.append(Skipped(path=path, reason=found))
    if not samples:
        raise no_images(root, layout=layout, skipped=skipped)
    return Dataset(
        root=root, layout=layout, samples=tuple(samples), skipped=tuple(skipped), problems=tuple(problems)
    )


def no_images(root: Path, *, layout: str, skipped: Sequence[Skipped]) -> EdgeproofError:
    """The error for a set in which no image is left."""
    return EdgeproofError(
        f"{one_line(root)}: no images in the layout {layout!r}, expected at least one "
        f"({', '.join(sorted(SUFFIXES))}){first_left_out(skipped)}"
    )


def first_left_out(skipped: Sequence[Skipped]) -> str:
    """The end of an error that says what was found instead; "" if nothing was."""
    if not skipped:
        return ""
    return f"; {len(skipped)} left out, the first {skipped[0].path!r}: {skipped[0].reason}"


def walk_images(
    root: Path, *, skipped: list[Skipped], leave_out: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Relative paths of all images below ``root``, sorted; other files, loops and closed folders into ``skipped``.

    Links to folders are followed, since large sets are often linked together; a link that leads back to a folder
    above itself is named and left out.
    """
    unwanted = leave_out or {}
    stack = _enter(
        root, "", above=[], skipped=skipped
    )  # no recursion: a tree may be deeper than Python's stack
    while stack:
        folder = stack[-1]
        entry = next(folder.entries, None)
        if entry is None:
            stack.pop()
            continue
        path = folder.prefix + entry.name
        is_folder = _is_folder(entry)
        reason = _folder_unwanted(entry.name, unwanted) if is_folder else _file_unwanted(entry)
        if reason:
            skipped.append(Skipped(path=shown(path), reason=reason))
        elif is_folder:
            stack += _enter(Path(entry.path), f"{path}/", above=stack, skipped=skipped)
        else:
            yield path


def subfolders(path: Path) -> list[Path]:
    """The folders in ``path`` that are not hidden, sorted; none where it cannot be read."""
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries if _is_folder(entry) and not entry.name.startswith(".")]
            return [path / name for name in sorted(names)]
    except OSError:
        return []


def glance(path: Path) -> list[Path]:
    """The first few folders in ``path``: enough to recognise a shape in a set of thousands of folders."""
    return subfolders(path)[:_GLANCE]


def subfolder(path: Path, name: str) -> Path | None:
    """The folder called ``name`` in any case, ``None`` if there is none."""
    return next((entry for entry in subfolders(path) if entry.name.lower() == name.lower()), None)


def is_file(path: Path) -> bool:
    """Whether there is such a file; False where nobody may look."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_text(name: str) -> bool:
    """False for a name in another encoding, which Python holds as lone surrogates and no JSON file can."""
    return name.isascii() or name.encode(errors="replace").decode() == name


def shown(path: str) -> str:
    """A path as a list of files shows it: escaped where it is no text."""
    return path if is_text(path) else ascii(path)


def one_line(path: Path | str) -> str:
    """A path as an error shows it: escaped where it would break the line."""
    return str(path) if str(path).isprintable() else ascii(str(path))


class Files:
    """Whether files that a document names exist; each folder is listed once, however many files are asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: dict[str, frozenset[str]] = {}

    def __contains__(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        if folder not in self._names:
            self._names[folder] = _names_of_files(self._root / folder)
        return name in self._names[folder]


@dataclass(frozen=True, slots=True)
class _Open:
    entries: "Iterator[os.DirEntry[str]]"
    prefix: str
    identity: tuple[int, int]


def _enter(folder: Path, prefix: str, *, above: list[_Open], skipped: list[Skipped]) -> list[_Open]:
    """The folder, opened; or nothing, and the reason in ``skipped``."""
    name = shown(prefix.rstrip("/")) or "."
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        skipped.append(Skipped(path=name, reason=f"the folder cannot be read ({cause(error)})"))
        return []
    identity = (status.st_dev, status.st_ino)
    if any(upper.identity == identity for upper in above):
        skipped.append(Skipped(path=name, reason="a loop: the link leads back to a folder above it"))
        return []
    return [_Open(iter(entries), prefix, identity)]


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _folder_unwanted(name: str, unwanted: Mapping[str, str]) -> str:
    if not is_text(name):
        return "the folder's name is not valid UTF-8"
    if name.startswith("."):
        return "a hidden folder"
    return unwanted.get(name.lower(), "")


def _file_unwanted(entry: "os.DirEntry[str]") -> str:
    if not is_text(entry.name):
        return "the file's name is not valid UTF-8"
    if entry.name.startswith("."):
        return "a hidden file"
    stem, dot, ending = entry.name.rpartition(".")
    suffix = f".{ending}".lower() if stem and dot else ""
    if suffix not in SUFFIXES:
        return f"no image file ({suffix or 'no suffix'})"
    try:
        return "" if entry.is_file() else "a broken link, or no regular file"
    except OSError as error:
        return f"cannot be read ({cause(error)})"


def _names_of_files(folder: Path) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if not _is_folder(entry))
    except (OSError, ValueError):  # ValueError: a name that no file system can hold
        return frozenset()
