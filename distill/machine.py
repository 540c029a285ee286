"""What this machine is and what its processor can do. Torch-free; on any OS what cannot be read is None.

Latency means nothing without the CPU's name and its instruction sets: INT8 pays through VNNI or AMX, bf16
only where the CPU computes in it. psutil and py-cpuinfo read it, and are imported where they are asked: how
many threads there are to use is known without them.
"""

import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from distill.optional import require

ISA_FLAGS = (
    *("sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni"),
    *("avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimddp", "i8mm", "bf16", "sve"),  # Arm: dot product, INT8 and bf16 matrix products
)
INT8_DOT_FLAGS = frozenset({"avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm"})
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
PACKAGES = (
    *("edgeproof", "numpy", "pillow", "onnx", "onnxruntime", "openvino", "nncf", "neural-compressor"),
    *("torch", "torchvision", "torchao", "timm", "lightning"),
)
_VNNI_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "avx_vnni_int8"})
_X86 = frozenset({"x86_64", "amd64", "i686", "i386", "x86"})
# What CPUID and macOS call what Linux calls otherwise; the latter is what we use throughout.
_LINUX_NAMES = {"avx512vnni": "avx512_vnni", "avx1.0": "avx", "sse4.2": "sse4_2"}
_CPUINFO = Path("/proc/cpuinfo")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


@dataclass(frozen=True)
class Processor:
    """``cores`` are physical, ``threads`` logical; ``isa_flags`` holds those of :data:`ISA_FLAGS` it has."""

    cpu_model: str
    isa_flags: tuple[str, ...]
    cores: int | None
    threads: int | None

    @cached_property
    def has_int8_dot(self) -> bool:
        """VNNI, AMX or their Arm kin: INT8 is then several times FP32; without it hardly faster."""
        return not INT8_DOT_FLAGS.isdisjoint(self.isa_flags)

    @cached_property
    def has_bf16(self) -> bool:
        """The CPU multiplies bf16 itself; elsewhere bf16 is emulated and slower than FP32."""
        return not BF16_FLAGS.isdisjoint(self.isa_flags)


@dataclass(frozen=True)
class CpuTimes:
    """Seconds since boot summed over all CPUs: computing or wanting to (``busy``, steal included), stolen."""

    busy: float
    steal: float

    def steal_share_since(self, before: "CpuTimes") -> float:
        """Share of the CPU time wanted since ``before`` that the hypervisor gave to somebody else."""
        busy = self.busy - before.busy
        return max(0.0, self.steal - before.steal) / busy if busy > 0 else 0.0


def processor() -> Processor:
    """The processor this runs on.

    Raises:
        EdgeproofError: psutil or py-cpuinfo is not installed.
    """
    psutil, flags = require("psutil"), cpu_flags()
    name = _cpu_info().get("brand_raw") or platform.processor() or platform.machine() or "unknown"
    return Processor(
        cpu_model=name,
        isa_flags=tuple(flag for flag in ISA_FLAGS if flag in flags),
        cores=psutil.cpu_count(logical=False),
        threads=psutil.cpu_count() or os.cpu_count(),
    )


def cpu_flags() -> frozenset[str]:
    """ISA flags as Linux names them (``avx2``, ``avx512_vnni``, ``amx_int8``); empty where unreadable.

    The first call takes about a second. Outside Linux, py-cpuinfo knows of no AMX, AVX-VNNI or AVX-512 BF16.

    Raises:
        EdgeproofError: py-cpuinfo is not installed.
    """
    return frozenset(_LINUX_NAMES.get(flag, flag) for flag in _cpu_info().get("flags", ()))


def cpu_identity() -> tuple[str, tuple[str, ...]]:
    """The processor's name and those of :data:`ISA_FLAGS` that it has, at once and without any package.

    Linux tells both, elsewhere the flags are empty. Most Arm kernels tell no name; the architecture's stands for it.
    """
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    pairs = (line.partition(":") for line in reversed(lines))  # of several cores the first counts
    told = {key.strip().lower(): value.strip() for key, _, value in pairs}
    name = told.get("model name") or told.get("hardware")
    flags = (told.get("flags") or told.get("features") or "").split()
    machine = platform.processor() or platform.machine() or "unknown"
    return name or machine, tuple(flag for flag in ISA_FLAGS if flag in flags)


def int8_saturates(*, machine: str | None = None, flags: frozenset[str] | None = None) -> bool:
    """Whether a U8 × S8 product may overflow its 16-bit sum here, so that weights should keep to 7 bits.

    True on x86 without VNNI (``vpmaddubsw`` saturates) and on x86 whose flags cannot be read; else False.

    Raises:
        EdgeproofError: an x86 CPU, no ``flags`` given, and py-cpuinfo is not installed.
    """
    machine = platform.machine() if machine is None else machine
    if machine.lower() not in _X86:
        return False
    return _VNNI_FLAGS.isdisjoint(cpu_flags() if flags is None else flags)


def describe() -> dict[str, Any]:
    """Everything a bench record says about the machine, ready for JSON.

    Raises:
        EdgeproofError: psutil or py-cpuinfo is not installed.
    """
    cpu = processor()
    return {
        **asdict(cpu),
        "isa_flags": list(cpu.isa_flags),
        "has_int8_dot": cpu.has_int8_dot,
        "has_bf16": cpu.has_bf16,
        "usable_threads": usable_threads(),
        "governor": _governor(),
        "memory_gib": round(require("psutil").virtual_memory().total / 2**30, 1),
        "os": platform.platform(),
        "python": platform.python_version(),
        "versions": versions(PACKAGES),
    }


def usable_threads() -> int:
    """Logical CPUs this process may run on: a container or taskset may allow fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_count(wish: int) -> int:
    """The number of threads a recipe's ``threads`` means; 0 is every one this process may use."""
    return wish or usable_threads()


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Name → installed version, for those of ``packages`` that are installed; imports none of them."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def cpu_times() -> CpuTimes | None:
    """Busy and stolen CPU time since boot, or None where the OS does not tell what was stolen.

    Raises:
        EdgeproofError: psutil is not installed.
    """
    times = require("psutil").cpu_times()
    if not hasattr(times, "steal"):
        return None
    # psutil counts a guest's time in its user time, as /proc/stat does (proc(5))
    busy = times.user + times.nice + times.system + times.irq + times.softirq + times.steal
    return CpuTimes(busy=busy, steal=times.steal)


def steal_seconds() -> float | None:
    """CPU seconds since boot that the hypervisor gave to somebody else, or None where unknown.

    Raises:
        EdgeproofError: psutil is not installed.
    """
    times = cpu_times()
    return times.steal if times else None


@cache
def _cpu_info() -> dict[str, Any]:
    found: dict[str, Any] = require("cpuinfo").get_cpu_info()  # asks a process of its own, for a second
    return found


def _governor() -> str | None:
    try:
        return _GOVERNOR.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None
