"""Where a stream of photos comes from: folders, lines of paths, and a folder in which files appear. Torch-free."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from stat import S_ISREG

from distill.errors import EdgeproofError
from distill.preprocess import SUFFIXES

_State = tuple[int, int]  # bytes, and when it was last changed


def photos_in(path: Path, *, also: frozenset[str] = frozenset()) -> list[Path]:
    """The photos in a folder and the folders below it, and files with the suffixes ``also``; a file is itself.

    Raises:
        EdgeproofError: a folder without photos.
    """
    if not path.is_dir():
        return [path]
    wanted = SUFFIXES | also
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in wanted and file.is_file())
    if not found:
        raise EdgeproofError(
            f"{path}: holds no photos, expected files ending in {', '.join(sorted(SUFFIXES))}"
        )
    return found


def paths_from(lines: Iterable[bytes]) -> Iterator[Path]:
    """One path a line; empty lines are passed over."""
    for line in lines:
        if name := line.rstrip(b"\r\n"):
            yield Path(os.fsdecode(name))


def new_photos(folder: Path, *, pause: Callable[[], bool]) -> Iterator[Path]:
    """Photos that appear or change in ``folder`` and the folders below it, once they are whole.

    A file counts as whole when it is not empty and was the same at two looks in a row: one that is still being written
    is waited for. Memory is that of one listing of the folder.

    Args:
        folder: what is there at the first look is passed over.
        pause: called between two looks; False ends it.

    Raises:
        EdgeproofError: ``folder`` is no folder.
    """
    if not folder.is_dir():
        raise EdgeproofError(f"{folder}: no such folder to watch")
    known = before = _look(folder)
    while pause():
        now = _look(folder)
        whole = [photo for photo, state in now.items() if state[0] and before.get(photo) == state]
        fresh = sorted(photo for photo in whole if known.get(photo) != now[photo])
        known = {photo: state for photo, state in known.items() if photo in now}
        known |= {photo: now[photo] for photo in fresh}
        before = now
        yield from fresh


def _look(folder: Path) -> dict[Path, _State]:
    found = {}
    for path in folder.rglob("*"):
        if path.suffix.lower() not in SUFFIXES:
            continue
        try:
            status = path.stat()
        except OSError:  # gone since it was listed
            continue
        if S_ISREG(status.st_mode):
            found[path] = (status.st_size, status.st_mtime_ns)
    return found
