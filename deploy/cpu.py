"""What the CPU can do for INT8. Torch-free."""

import platform
from functools import cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


@cache
def cpu_flags() -> frozenset[str]:
    """ISA flags as Linux names them (``avx2``, ``avx512_vnni``, ``amx_int8``); empty where unreadable."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in {"flags", "Features"}:
            return frozenset(value.split())
    return frozenset()


def int8_saturates(*, machine: str | None = None, flags: frozenset[str] | None = None) -> bool:
    """Whether a U8 × S8 product may overflow its 16-bit sum here, so that weights should keep to 7 bits.

    True on x86 without VNNI (``vpmaddubsw`` saturates) and on x86 whose flags cannot be read; else False.
    """
    machine = platform.machine() if machine is None else machine
    flags = cpu_flags() if flags is None else flags
    if machine.lower() not in {"x86_64", "amd64", "i686", "i386", "x86"}:
        return False
    return not flags & {"avx512_vnni", "avx_vnni", "avx_vnni_int8"}
