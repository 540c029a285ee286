"""Large tensors in one ``.safetensors`` file, written piece by piece and read by slices through memory mapping.

The format (github.com/huggingface/safetensors): eight bytes with the header's length, a JSON header, the tensors'
bytes. The library itself writes only what is wholly in memory and reads only contiguous slices.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from distill.errors import EdgeproofError
from distill.files import atomic_path, parse_json

Array = npt.NDArray[Any]
_NAMES = {"float32": "F32", "float16": "F16", "int64": "I64", "uint8": "U8"}
_DTYPES = {name: np.dtype(dtype) for dtype, name in _NAMES.items()}
_ALIGNMENT = 8


@contextmanager
def create_tensors(
    path: Path, shapes: Mapping[str, tuple[str, tuple[int, ...]]], *, metadata: Mapping[str, str]
) -> Iterator[dict[str, Array]]:
    """Yield writable arrays, name → array; the file stands at ``path`` only if the block ends well.

    Args:
        path: the file.
        shapes: name → dtype (``float32``, ``float16``, ``int64``, ``uint8``) and shape.
        metadata: texts for the header.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, (dtype, shape) in shapes.items():
        size = math.prod(shape) * np.dtype(dtype).itemsize
        header[name] = {"dtype": _NAMES[dtype], "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with atomic_path(path) as temporary:
        with temporary.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            _claim(file, 8 + len(text) + end)
        arrays = _map(temporary, header, start=8 + len(text), mode="r+")
        yield arrays
        for array in arrays.values():
            if isinstance(array, np.memmap):
                array.flush()
        del array, arrays


def open_tensors(path: Path) -> tuple[dict[str, str], dict[str, Array]]:
    """Metadata and read-only arrays; nothing is read before it is asked for, and processes share it.

    Raises:
        EdgeproofError: the file is missing or not whole.
    """
    try:
        with path.open("rb") as file:
            length, size = int.from_bytes(file.read(8), "little"), path.stat().st_size
            header = parse_json(file.read(min(length, size)))  # never more memory than the file is long
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        if size != 8 + length + max(ends, default=0):
            raise ValueError("it is cut off")
        return dict(header.get("__metadata__", {})), _map(path, header, start=8 + length, mode="r")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        raise EdgeproofError(f"{path}: not a readable .safetensors file ({error})") from None


def _map(path: Path, header: Mapping[str, Any], *, start: int, mode: Any) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        dtype, shape = _DTYPES[entry["dtype"]], tuple(entry["shape"])
        first, end = entry["data_offsets"]
        size = math.prod(shape) * dtype.itemsize
        if first < 0 or end - first != size:
            raise ValueError(f"{name} has {end - first} bytes at {first}, expected {size}")
        found[name] = np.memmap(path, dtype, mode, start + first, shape) if size else np.zeros(shape, dtype)
    return found


def _claim(file: BinaryIO, size: int) -> None:
    """Give the file its size; where a disk is full now, not as a killed process when a mapped page is written."""
    file.flush()
    file.truncate(size)
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
