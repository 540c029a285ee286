import pytest

from deploy import cpu


@pytest.mark.parametrize(
    ("machine", "flags", "saturates"),
    [
        ("x86_64", {"avx2"}, True),
        ("x86_64", {"avx512f", "avx512_vnni", "amx_int8"}, False),
        ("AMD64", {"avx2", "avx_vnni"}, False),
        ("x86_64", set(), True),
        ("aarch64", {"asimd"}, False),
        ("arm64", set(), False),
    ],
)
def test_saturation_follows_the_isa(machine: str, flags: set[str], saturates: bool) -> None:
    assert cpu.int8_saturates(machine=machine, flags=frozenset(flags)) is saturates


def test_flags_come_from_the_first_cpu(tmp_path, monkeypatch) -> None:
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nflags\t\t: fpu avx2 avx512_vnni\n\nprocessor\t: 1\nflags\t: fpu\n"
    )
    monkeypatch.setattr(cpu, "_CPUINFO", tmp_path / "cpuinfo")
    assert cpu.cpu_flags.__wrapped__() == {"fpu", "avx2", "avx512_vnni"}
    monkeypatch.setattr(cpu, "_CPUINFO", tmp_path / "absent")
    assert cpu.cpu_flags.__wrapped__() == frozenset()
