"""Large tensors in one ``.safetensors`` file, written piece by piece and read by slices through memory mapping.

The format (github.com/huggingface/safetensors): eight bytes with the header's length, a JSON header, the tensors'
bytes. The library itself writes only what is wholly in memory and reads only contiguous slices.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.errors import EdgeproofError
from distill.files import atomic_path

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
            file.truncate(8 + len(text) + end)
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
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        if path.stat().st_size != 8 + length + max(ends, default=0):
            raise ValueError("it is cut off")
        return header.get("__metadata__", {}), _map(path, header, start=8 + length, mode="r")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        raise EdgeproofError(f"{path}: not a readable .safetensors file ({error})") from None


def _map(path: Path, header: Mapping[str, Any], *, start: int, mode: Any) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        dtype, shape = _DTYPES[entry["dtype"]], tuple(entry["shape"])
        offset = start + entry["data_offsets"][0]
        empty = math.prod(shape) == 0  # nothing to map
        found[name] = np.zeros(shape, dtype) if empty else np.memmap(path, dtype, mode, offset, shape)
    return found
