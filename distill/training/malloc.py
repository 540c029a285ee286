"""Keep freed memory: where first touch of fresh pages is slow, training that frees and allocates crawls."""

import ctypes
import sys

from PIL import Image

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h
_NEVER = 2**31 - 1
_PILLOW_BLOCKS = 16  # of 16 MB: room for a photo of 60 megapixels


def keep_freed_memory() -> bool:
    """Tell glibc to give nothing back to the kernel; returns whether that was possible.

    The same as starting the process with ``MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=...`` (mallopt(3)). Pillow,
    which has an allocator of its own, keeps its blocks too.
    """
    Image.core.set_blocks_max(_PILLOW_BLOCKS)  # type: ignore[attr-defined]
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # no glibc (musl)
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, _NEVER))
