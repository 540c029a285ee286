import json
import os
import subprocess
import sys
from collections import namedtuple

import cpuinfo
import psutil
import pytest

from distill import machine
from distill.errors import EdgeproofError
from distill.machine import CpuTimes, cpu_flags, describe, int8_saturates, processor, thread_count

SAPPHIRE_RAPIDS_FLAGS = (
    "fpu vme de pse tsc msr pae mce cx8 sse sse2 ht syscall nx pni pclmulqdq ssse3 fma cx16 sse4_1 "
    "sse4_2 popcnt aes xsave avx f16c rdrand bmi1 avx2 bmi2 avx512f avx512dq avx512cd avx512bw avx512vl "
    "avx_vnni avx512_bf16 avx512vbmi avx512_vnni amx_bf16 avx512_fp16 amx_tile amx_int8"
)
ZEN3_FLAGS = (
    "fpu vme de pse tsc sse sse2 ht syscall nx pni ssse3 fma cx16 sse4_1 sse4_2 avx f16c bmi1 avx2 vaes"
)


@pytest.fixture
def cpu(monkeypatch):
    """Let this machine have a processor: its flags, and what else py-cpuinfo tells of it."""

    def have(flags=None, **told):
        if flags is not None:
            told["flags"] = flags.split()
        monkeypatch.setattr(machine, "_cpu_info", lambda: told)

    return have


@pytest.fixture(params=["psutil", "cpuinfo"])
def missing(request, monkeypatch):
    """One of the two packages cannot be imported."""
    monkeypatch.setitem(sys.modules, request.param, None)
    machine._cpu_info.cache_clear()
    yield request.param
    machine._cpu_info.cache_clear()


def test_sapphire_rapids(cpu, monkeypatch):
    cpu(SAPPHIRE_RAPIDS_FLAGS, brand_raw="Intel(R) Xeon(R) Platinum 8481C")
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 4 if logical else 2)
    found = processor()
    assert found.cpu_model == "Intel(R) Xeon(R) Platinum 8481C"
    assert (found.cores, found.threads) == (2, 4)
    assert {"avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16", "avx512_bf16"} <= set(
        found.isa_flags
    )
    assert found.has_int8_dot
    assert found.has_bf16


def test_zen3_has_avx2_and_no_more(cpu):
    cpu(ZEN3_FLAGS)
    assert processor().isa_flags == ("sse4_2", "avx", "f16c", "fma", "avx2")
    assert not processor().has_int8_dot
    assert not processor().has_bf16


@pytest.mark.parametrize(
    ("flags", "int8", "bf16"),
    [
        ("avx2 avx_vnni", True, False),  # client CPUs
        ("avx512f avx512_vnni", True, False),  # Cascade Lake
        ("avx512f avx512vnni", True, False),  # as CPUID names it, on Windows
        ("avx512f avx512_bf16", False, True),
        ("amx_tile amx_int8", True, False),
        ("avx2 bf16_like avx512_vnnix", False, False),  # whole words only
    ],
)
def test_int8_and_bf16_by_flag(cpu, flags, int8, bf16):
    cpu(flags)
    assert (processor().has_int8_dot, processor().has_bf16) == (int8, bf16)


def test_flags_are_named_as_linux_names_them(cpu):
    cpu("avx1.0 sse4.2 avx2 avx512vnni")
    assert cpu_flags() == {"avx", "sse4_2", "avx2", "avx512_vnni"}


def test_arm(cpu):
    cpu("fp asimd asimddp i8mm bf16", brand_raw="Neoverse-V1")
    assert processor().isa_flags == ("asimd", "asimddp", "i8mm", "bf16")
    assert processor().has_int8_dot and processor().has_bf16


@pytest.mark.parametrize(
    ("arch", "flags", "saturates"),
    [
        ("x86_64", {"avx2"}, True),
        ("x86_64", {"avx512f", "avx512_vnni", "amx_int8"}, False),
        ("AMD64", {"avx2", "avx_vnni"}, False),
        ("x86_64", set(), True),
        ("aarch64", {"asimd"}, False),
        ("arm64", set(), False),
    ],
)
def test_saturation_follows_the_isa(arch, flags, saturates):
    assert int8_saturates(machine=arch, flags=frozenset(flags)) is saturates


def test_saturation_asks_this_cpu(cpu):
    cpu("avx2")
    assert int8_saturates(machine="x86_64")
    cpu("avx2 avx512vnni")
    assert not int8_saturates(machine="x86_64")


def test_a_machine_that_tells_nothing_still_has_every_answer(cpu, monkeypatch, tmp_path):
    cpu()
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: None)
    monkeypatch.setattr(psutil, "cpu_times", lambda: namedtuple("mac", "user nice system idle")(1, 2, 3, 4))
    monkeypatch.setattr(machine, "_GOVERNOR", tmp_path / "absent")
    found = describe()
    assert found["cpu_model"]
    assert found["isa_flags"] == [] and not found["has_int8_dot"]
    assert found["cores"] is None and found["governor"] is None
    assert found["threads"] >= 1 and found["usable_threads"] >= 1
    assert machine.cpu_times() is None and machine.steal_seconds() is None


def test_description_of_this_machine_is_json():
    found = json.loads(json.dumps(describe(), allow_nan=False))
    assert found["versions"]["numpy"]
    assert "no-such-package" not in machine.versions(["no-such-package"])
    assert list(found) == [
        *("cpu_model", "isa_flags", "cores", "threads", "has_int8_dot", "has_bf16", "usable_threads"),
        *("governor", "memory_gib", "os", "python", "versions"),
    ]
    assert found["memory_gib"] > 0


def test_the_processor_is_asked_once(monkeypatch):
    calls = []
    monkeypatch.setattr(cpuinfo, "get_cpu_info", lambda: calls.append(1) or {"flags": ["avx2"]})
    machine._cpu_info.cache_clear()
    assert cpu_flags() == cpu_flags() == {"avx2"} and calls == [1]
    machine._cpu_info.cache_clear()


def test_what_is_missing_is_one_line_that_names_the_extra(missing):
    with pytest.raises(EdgeproofError, match=rf"^package {missing} .*pip install 'edgeproof\[bench\]'$"):
        describe()


def test_without_either_package_it_imports_and_counts_threads():
    code = (
        "import sys; sys.modules.update(psutil=None, cpuinfo=None, torch=None)\n"
        "from distill.machine import usable_threads; assert usable_threads() >= 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_asks_nothing():
    code = "import sys, distill.machine; assert not {'psutil', 'cpuinfo'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_steal_by_hand(monkeypatch):
    times = namedtuple("linux", "user nice system idle iowait irq softirq steal guest guest_nice")
    told = [
        times(10.0, 1.0, 3.0, 99.99, 0.5, 0.1, 0.4, 0.5, 0.07, 0),
        times(10.8, 1.0, 3.1, 999.9, 0.99, 0.1, 0.4, 0.6, 0.07, 0),
    ]
    monkeypatch.setattr(psutil, "cpu_times", lambda: told.pop(0))
    before, after = machine.cpu_times(), machine.cpu_times()
    assert before == CpuTimes(busy=pytest.approx(15.0), steal=pytest.approx(0.5))
    # a second more was wanted, a tenth of it stolen; idling does not dilute it
    assert after.steal_share_since(before) == pytest.approx(0.1)
    assert before.steal_share_since(before) == 0.0


def test_threads():
    assert thread_count(3) == 3
    assert 1 <= thread_count(0) <= (os.cpu_count() or 1)


def test_threads_are_those_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2, 5}, raising=False)
    assert thread_count(0) == 3


def test_threads_where_affinity_is_unknown(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert thread_count(0) == 6
