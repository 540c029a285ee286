"""One WebDataset shard onto the disk: whole or not at all, and the same bytes for the same members. Torch-free."""

import io
import json
import tarfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from distill.files import atomic_path


class ShardWriter:
    """Writes ``path`` when it is closed; leaves nothing there when the block around it ends in an error."""

    def __init__(self, path: Path) -> None:
        self._stack = ExitStack()
        temporary = self._stack.enter_context(atomic_path(path))
        self._tar = self._stack.enter_context(tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def add(self, key: str, image: bytes, suffix: str, meta: Mapping[str, Any]) -> tuple[int, int]:
        """Append an image as ``key + suffix`` and what is known of it as ``key + ".json"``.

        Args:
            key: name without a dot, which is where a key ends.
            image: the encoded bytes.
            suffix: with its dot.
            meta: JSON values.

        Returns:
            Offset and length of the image in the tar, in bytes.
        """
        offset = self._add(key + suffix, image)
        self._add(f"{key}.json", json.dumps(meta, allow_nan=False).encode())
        return offset, len(image)

    def close(self) -> None:
        """Put the shard in its place."""
        self._stack.close()

    def _add(self, name: str, data: bytes) -> int:
        member = tarfile.TarInfo(name)  # no owner, no time: bytes depend on the content alone
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))
        self._tar.members = []  # type: ignore[attr-defined]  # it keeps all of them
        blocks = -(-len(data) // tarfile.BLOCKSIZE)
        return int(self._tar.offset) - blocks * tarfile.BLOCKSIZE
