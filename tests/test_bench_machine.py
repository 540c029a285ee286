import json

import pytest

from distill import machine
from distill.machine import CpuTimes, describe, parse_cpuinfo, parse_stat

SAPPHIRE_RAPIDS_FLAGS = (
    "fpu vme de pse tsc msr pae mce cx8 sse sse2 ht syscall nx pni pclmulqdq ssse3 fma cx16 sse4_1 "
    "sse4_2 popcnt aes xsave avx f16c rdrand bmi1 avx2 bmi2 avx512f avx512dq avx512cd avx512bw avx512vl "
    "avx_vnni avx512_bf16 avx512vbmi avx512_vnni amx_bf16 avx512_fp16 amx_tile amx_int8"
)
ZEN3_FLAGS = (
    "fpu vme de pse tsc sse sse2 ht syscall nx pni ssse3 fma cx16 sse4_1 sse4_2 avx f16c bmi1 avx2 vaes"
)


def cpuinfo(name, flags, *, threads=4, cores=2):
    return "\n".join(
        f"processor\t: {i}\nvendor_id\t: Some\nmodel name\t: {name}\nphysical id\t: 0\n"
        f"core id\t\t: {i % cores}\nflags\t\t: {flags}\npower management:\n"
        for i in range(threads)
    )


def test_sapphire_rapids():
    cpu = parse_cpuinfo(cpuinfo("Intel(R) Xeon(R) Platinum 8481C", SAPPHIRE_RAPIDS_FLAGS))
    assert cpu.cpu_model == "Intel(R) Xeon(R) Platinum 8481C"
    assert (cpu.cores, cpu.threads) == (2, 4)
    assert {"avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16", "avx512_bf16"} <= set(
        cpu.isa_flags
    )
    assert cpu.has_int8_dot
    assert cpu.has_bf16


def test_zen3_has_avx2_and_no_more():
    cpu = parse_cpuinfo(cpuinfo("AMD EPYC 7763", ZEN3_FLAGS))
    assert cpu.isa_flags == ("sse4_2", "avx", "f16c", "fma", "avx2")
    assert not cpu.has_int8_dot
    assert not cpu.has_bf16


@pytest.mark.parametrize(
    ("flags", "int8", "bf16"),
    [
        ("avx2 avx_vnni", True, False),  # client CPUs
        ("avx512f avx512_vnni", True, False),  # Cascade Lake
        ("avx512f avx512_bf16", False, True),
        ("amx_tile amx_int8", True, False),
        ("avx2 bf16_like avx512_vnnix", False, False),  # whole words only
    ],
)
def test_int8_and_bf16_by_flag(flags, int8, bf16):
    cpu = parse_cpuinfo(cpuinfo("x", flags))
    assert (cpu.has_int8_dot, cpu.has_bf16) == (int8, bf16)


def test_arm_lists_features():
    text = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd asimddp i8mm bf16\nCPU part\t: 0xd40\n"
    cpu = parse_cpuinfo(text)
    assert cpu.isa_flags == ("asimd", "asimddp", "i8mm", "bf16")
    assert cpu.has_int8_dot and cpu.has_bf16
    assert cpu.cores is None and cpu.threads == 1


def test_without_proc_everything_still_has_an_answer(monkeypatch):
    monkeypatch.setattr(machine, "_read", lambda path: None)
    found = describe()
    assert found["cpu_model"]
    assert found["isa_flags"] == [] and not found["has_int8_dot"]
    assert found["threads"] >= 1 and found["usable_threads"] >= 1
    assert found["memory_gib"] is None and found["governor"] is None
    assert machine.cpu_times() is None and machine.steal_seconds() is None


def test_description_is_json():
    found = json.loads(json.dumps(describe(), allow_nan=False))
    assert found["versions"]["numpy"]
    assert "no-such-package" not in machine.versions(["no-such-package"])
    assert {"cpu_model", "isa_flags", "cores", "threads", "governor", "os", "python"} <= found.keys()


def test_steal_from_proc_stat_by_hand():
    # user nice system idle iowait irq softirq steal guest guest_nice, in hundredths of a second
    before = parse_stat(
        "cpu  1000 100 300 9999 50 10 40 50 7 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n", ticks_per_second=100
    )
    after = parse_stat("cpu  1080 100 310 99999 99 10 40 60 7 0\n", ticks_per_second=100)
    assert before == CpuTimes(busy=pytest.approx(15.0), steal=pytest.approx(0.5))
    # a second more was wanted, a tenth of it stolen; idling does not dilute it
    assert after.steal_share_since(before) == pytest.approx(0.1)
    assert before.steal_share_since(before) == 0.0
    assert parse_stat("cpu 1 2 3 4\n", ticks_per_second=100) is None
