"""What one tar holds and where: read header by header, images never, in memory that grows with the keys alone."""

import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from distill.data.layouts.vocabulary import SUFFIXES
from distill.data.layouts.walk import is_text, one_line, shown
from distill.data.samples import Skipped
from distill.errors import EdgeproofError

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar.lz4")
_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")
_DAMAGE = (
    tarfile.TarError,
    ValueError,
    OverflowError,
    EOFError,
)  # what tarfile raises at bytes that are no header
_LABEL_BYTES = 1 << 20
_GLANCE = 64  # members, to tell whether a tar is a shard
_TAIL_BYTES = 1 << 20


class _Damage(tarfile.ReadError):
    """Says where the tar ends or breaks, which tarfile's own errors do not."""


@dataclass(slots=True)
class Entry:
    """What stands under one key: the image's name, offset and size, and the label's bytes as far as there are any."""

    image: str = ""
    span: tuple[int, int] = (0, 0)
    cls: bytes | None = None
    json: bytes | None = None
    twice: str = ""


@dataclass(slots=True)
class TarIndex:
    """All keys in the tar's order; members left out; what is wrong with the tar; how many members mean nothing here."""

    entries: dict[str, Entry] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    damage: str = ""
    others: int = 0


def index_tar(path: Path) -> TarIndex:
    """Read the headers, and the labels, of a tar; of one that is cut short or damaged, as far as it goes.

    Raises:
        EdgeproofError: the tar is compressed.
        OSError: it cannot be read.
    """
    index = TarIndex()
    with path.open("rb") as file:
        if file.read(6).startswith(_MAGIC):
            raise compressed(path)
        file.seek(0)
        size = os.fstat(file.fileno()).st_size
        try:
            for member in _members(file, size):
                _take(index, member, file.fileno(), size)
        except _Damage as error:
            index.damage = str(error)
        except _DAMAGE as error:
            index.damage = f"cut short or damaged ({one_line(str(error))}; it has {size} bytes)"
    return index


def is_shard(path: Path) -> bool:
    """Whether one of the tar's first members is a label."""
    try:
        with path.open("rb") as file:
            members = islice(_members(file, os.fstat(file.fileno()).st_size), _GLANCE)
            return any(_kind(_base(member.name)) in ("cls", "json") for member in members)
    except (OSError, *_DAMAGE):
        return False


def compressed(path: Path) -> EdgeproofError:
    """The error for a tar that cannot be read in place."""
    return EdgeproofError(
        f"{one_line(path)}: a compressed tar, which cannot be read in place; expected .tar: undo the compression "
        "alone (gunzip, bunzip2, unxz, zstd -d)"
    )


def _members(file: BinaryIO, size: int) -> Iterator[tarfile.TarInfo]:
    """Headers in their order; where they end too early, an error that says how."""
    with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
        end = -1
        while (member := tar.next()) is not None:
            if tar.offset <= end:  # tarfile follows a negative size backwards, for ever
                raise _Damage(f"damaged at byte {end}")
            end = tar.offset
            tar.members = []  # type: ignore[attr-defined]  # it keeps all of them
            yield member
        _check_end(file, tar.offset, size)


def _check_end(file: BinaryIO, offset: int, size: int) -> None:
    """What tarfile leaves unsaid: it takes whatever is no header for the end of the tar."""
    file.seek(offset)
    tail = file.read(_TAIL_BYTES)
    block = tail[: tarfile.BLOCKSIZE]
    if len(block) < tarfile.BLOCKSIZE:
        raise _Damage(f"cut short: it ends without an end mark at byte {size}")
    if any(block):
        raise _Damage(f"damaged at byte {offset}")
    if tail.count(0) < len(tail):
        raise _Damage(
            f"it goes on behind its end mark at byte {offset}, which is not read (two tars joined?)"
        )


def _take(index: TarIndex, member: tarfile.TarInfo, descriptor: int, size: int) -> None:
    name = re.sub(r"^(\./|/)+", "", member.name)
    base = _base(name)
    kind = _kind(base)
    if member.isdir():
        return
    if not kind:
        index.others += 1
        return
    reason = _unwanted(member, name, base, kind, size)
    if reason:
        index.skipped.append(Skipped(path=shown(name), reason=reason))
        return
    entry = index.entries.setdefault(name[: len(name) - len(base)] + base.partition(".")[0], Entry())
    if kind == "image":
        entry.twice = entry.twice or ("images" if entry.image else "")
        entry.image, entry.span = name, (member.offset_data, member.size)
        return
    data = os.pread(descriptor, member.size, member.offset_data)
    if getattr(entry, kind) not in (None, data):
        entry.twice = f".{kind} files"
    setattr(entry, kind, data)


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _kind(base: str) -> str:
    """``image``, ``cls`` or ``json`` by what follows the first dot; "" for what means nothing here."""
    extension = base.partition(".")[2].lower()
    if extension in ("cls", "json"):
        return extension
    return "image" if "." + extension.rpartition(".")[2] in SUFFIXES else ""


def _unwanted(member: tarfile.TarInfo, name: str, base: str, kind: str, size: int) -> str:
    if not is_text(name):
        return "the member's name is not valid UTF-8"
    if base.startswith("."):
        return "a hidden file"
    if member.issym() or member.islnk():
        return "a link inside the tar"
    if not member.isreg():
        return "no regular file"
    if member.issparse():
        return "a sparse member, which cannot be read in place"
    if member.offset_data + member.size > size:
        return "reaches past the end of the tar, which is cut short"
    if kind != "image" and member.size > _LABEL_BYTES:
        return f"a label of {member.size} bytes, expected at most {_LABEL_BYTES}"
    return ""
