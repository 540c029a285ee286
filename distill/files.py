"""Whole files or none: everything a run writes goes through a temporary file and ``os.replace``. Torch-free."""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.errors import EdgeproofError

_TEMPORARY = re.compile(r"\.[^/]*-[a-z0-9_]{8}(?:\.\w+)?")  # what tempfile's names are here
_DEEP_KEY = re.compile(r"(?:[\w-]{1,100}\s*\.\s*){100}")

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces it only if the block ends well.

    Raises:
        OSError: it cannot be written; its ``filename`` is ``path``, never the temporary one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if error.errno is not None and error.filename in (None, name, temporary):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def check_output(path: Path, *, suffixes: tuple[str, ...], starts: bytes, option: str) -> None:
    """Say before any work that a file is not to be written there: a name that the shell put in place of ours, for one.

    Args:
        path: the file to write.
        suffixes: one of which its name must have, lower case.
        starts: how a file of ours begins; one that is there already is replaced only if it begins so, or is empty.
        option: for messages, such as ``--csv``.

    Raises:
        EdgeproofError: another suffix, or something else lies there.
    """
    wanted = " or ".join(suffixes)
    if path.suffix.lower() not in suffixes:
        raise EdgeproofError(f"{option} {path}: expected the name of a {wanted} file to write")
    if not path.exists() and not path.is_symlink():
        return
    if not path.is_file():
        raise EdgeproofError(f"{option} {path}: is no regular file, expected a new {wanted} file")
    with path.open("rb") as file:
        head = file.read(len(starts))
    if head and head != starts:
        raise EdgeproofError(
            f"{option} {path}: holds something that edgeproof did not write there; delete it, or give another name"
        )


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``folder`` that becomes it only if the block ends well.

    Raises:
        EdgeproofError: ``folder`` is a file, or holds something.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        found = "is a file" if folder.is_file() else "holds files"
        raise EdgeproofError(f"{folder}: {found}, expected a new or empty folder to write to")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        fresh = Path(temporary) / "new"  # the temporary one is its owner's alone
        fresh.mkdir()
        yield fresh
        if folder.is_dir():
            folder.rmdir()
        fresh.rename(folder)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process was writing below ``folder``, in which nobody else is at work now."""
    for place, folders, files in os.walk(folder):
        for name in filter(_TEMPORARY.fullmatch, files):
            Path(place, name).unlink(missing_ok=True)
        for name in [name for name in folders if _TEMPORARY.fullmatch(name)]:
            shutil.rmtree(Path(place, name), ignore_errors=True)
            folders.remove(name)


def at_home(path: str | Path) -> Path:
    """``~`` as the user's home, where there is one; ``Path.expanduser`` raises where there is none."""
    return Path(os.path.expanduser(path))  # noqa: PTH111


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 ``text`` to ``path`` atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as strict, indented JSON (no NaN), atomically."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_bytes(
        path, text.encode(errors="backslashreplace")
    )  # of a name that is not UTF-8: JSON's own escape


def write_tensors(
    path: Path, tensors: "dict[str, Tensor]", *, metadata: dict[str, str] | None = None
) -> None:
    """Write ``tensors`` as ``.safetensors``, atomically; a full disk is an ``OSError``, as for any other file."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=metadata)
        except SafetensorError as error:
            raise OSError(errno.EIO, str(error), str(path)) from error


def read_json(path: Path) -> Any:
    """Read one JSON file; raises what :func:`parse_json` does."""
    return parse_json(path.read_text(encoding="utf-8"))


def parse_json(text: str | bytes) -> Any:
    """A JSON value.

    Raises:
        ValueError: no JSON, nested too deeply, or a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML document.

    Raises:
        ValueError: no TOML, nested too deeply, or a number of thousands of digits.
    """
    if _DEEP_KEY.search(text):  # takes tomllib time that grows with the square of its depth
        raise ValueError("nested too deeply")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def sha256(path: Path) -> str:
    """Hash of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
