import sys

import pytest
import torch

from distill import machine
from distill.training import malloc as memory
from distill.training.precision import choose_precision


@pytest.fixture
def flags(monkeypatch):
    """Let this machine's CPU have the given flags."""
    return lambda text: monkeypatch.setattr(machine, "cpu_flags", lambda: frozenset(text.split()))


@pytest.mark.parametrize("accelerator", ["cpu", "gpu", "auto"])
@pytest.mark.parametrize(("wish", "name"), [("fp32", "32-true"), ("bf16", "bf16-mixed")])
def test_a_wish_is_granted_everywhere(wish, name, accelerator):
    assert choose_precision(wish, accelerator=accelerator) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("avx2 fma", "32-true"),
        ("avx2 avx512f avx512_vnni", "32-true"),
        ("avx512f avx512_bf16", "bf16-mixed"),
        ("amx_tile amx_bf16", "bf16-mixed"),
        ("", "32-true"),
        ("asimd bf16", "32-true"),
    ],
)
def test_auto_on_a_cpu_asks_for_its_instructions(flags, text, name):
    flags(text)
    assert choose_precision("auto", accelerator="cpu") == name


@pytest.mark.parametrize(("supported", "name"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_on_a_gpu_asks_the_gpu(monkeypatch, supported, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    assert choose_precision("auto", accelerator="auto") == name


def test_auto_without_a_gpu_asks_the_cpu(monkeypatch, flags):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    flags("amx_bf16")
    assert choose_precision("auto", accelerator="auto") == "bf16-mixed"


def test_memory_is_kept_where_glibc_is(monkeypatch):
    calls = []

    class Library:
        def __init__(self, name):
            self.mallopt = lambda option, value: calls.append((option, value)) or 1

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", Library)
    assert memory.keep_freed_memory() is True
    assert calls == [(-4, 0), (-1, 2**31 - 1)]  # M_MMAP_MAX and M_TRIM_THRESHOLD of malloc.h


def test_memory_without_glibc(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert memory.keep_freed_memory() is False


def test_memory_elsewhere(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: pytest.fail("asked"))
    assert memory.keep_freed_memory() is False
