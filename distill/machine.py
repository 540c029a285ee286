"""What this machine is and what its processor can do. Torch-free; on any OS what cannot be read is None.

Latency means nothing without the CPU's name and its instruction sets: INT8 pays through VNNI or AMX, bf16
only where the CPU computes in it.
"""

import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

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
_CPUINFO, _STAT, _MEMINFO = Path("/proc/cpuinfo"), Path("/proc/stat"), Path("/proc/meminfo")
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
    """The processor this runs on."""
    return parse_cpuinfo(_read(_CPUINFO) or "")


def parse_cpuinfo(text: str) -> Processor:
    """A Linux ``/proc/cpuinfo``, x86 or Arm; an empty text falls back on what Python knows."""
    blocks = [_fields(block) for block in text.strip().split("\n\n") if block.strip()]
    cpus = [block for block in blocks if "processor" in block]
    first = cpus[0] if cpus else {}
    flags = set((first.get("flags") or first.get("Features") or "").split())
    ids = {(cpu["physical id"], cpu["core id"]) for cpu in cpus if {"physical id", "core id"} <= cpu.keys()}
    return Processor(
        cpu_model=first.get("model name") or platform.processor() or platform.machine() or "unknown",
        isa_flags=tuple(flag for flag in ISA_FLAGS if flag in flags),
        cores=len(ids) or None,
        threads=len(cpus) or os.cpu_count(),
    )


def describe() -> dict[str, Any]:
    """Everything a bench record says about the machine, ready for JSON."""
    cpu = processor()
    return {
        **asdict(cpu),
        "isa_flags": list(cpu.isa_flags),
        "has_int8_dot": cpu.has_int8_dot,
        "has_bf16": cpu.has_bf16,
        "usable_threads": usable_threads(),
        "governor": (_read(_GOVERNOR) or "").strip() or None,
        "memory_gib": _memory_gib(),
        "os": platform.platform(),
        "python": platform.python_version(),
        "versions": versions(PACKAGES),
    }


def usable_threads() -> int:
    """Logical CPUs this process may run on: a container or taskset may allow fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
    """Busy and stolen CPU time since boot, or None where the OS does not tell."""
    text = _read(_STAT)
    return parse_stat(text) if text else None


def steal_seconds() -> float | None:
    """CPU seconds since boot that the hypervisor gave to somebody else, or None where unknown."""
    times = cpu_times()
    return times.steal if times else None


def parse_stat(text: str, *, ticks_per_second: int | None = None) -> CpuTimes | None:
    """The ``cpu`` line of ``/proc/stat`` (proc(5)); None if it has no steal column."""
    for line in text.splitlines():
        name, *values = line.split()
        if name == "cpu" and len(values) >= 8:
            tick = 1 / (ticks_per_second or os.sysconf("SC_CLK_TCK"))
            user, nice, system, _idle, _iowait, irq, softirq, steal = (int(value) for value in values[:8])
            return CpuTimes((user + nice + system + irq + softirq + steal) * tick, steal * tick)
    return None


def _fields(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, colon, value in pairs if colon}


def _memory_gib() -> float | None:
    for line in (_read(_MEMINFO) or "").splitlines():
        if line.startswith("MemTotal:"):
            return round(int(line.split()[1]) / 2**20, 1)  # the file counts in KiB
    return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
