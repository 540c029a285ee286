import copy
import sys

import pytest
import torch
from torch import nn
from training_fixture import network, same, train, training_data

from distill import machine
from distill.errors import EdgeproofError
from distill.recipe import TrainingSettings
from distill.training import malloc as memory
from distill.training import pace
from distill.training.checkpoint import read_sidecar
from distill.training.pace import Pace, choose_faster, step_seconds
from distill.training.precision import possible_precisions


@pytest.fixture
def flags(monkeypatch):
    """Let this machine's CPU have the given flags."""
    return lambda text: monkeypatch.setattr(machine, "cpu_flags", lambda: frozenset(text.split()))


@pytest.mark.parametrize("accelerator", ["cpu", "gpu", "auto"])
@pytest.mark.parametrize("wish", ["fp32", "bf16"])
def test_a_wish_is_granted_everywhere(wish, accelerator):
    assert possible_precisions(wish, accelerator=accelerator) == (wish,)


def test_fp16_wants_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert possible_precisions("fp16", accelerator="auto") == ("fp16",)
    for accelerator, has_gpu in (("cpu", True), ("auto", False)):
        monkeypatch.setattr(torch.cuda, "is_available", lambda has_gpu=has_gpu: has_gpu)
        with pytest.raises(EdgeproofError) as caught:
            possible_precisions("fp16", accelerator=accelerator)
        assert str(caught.value) == (
            "training.precision: given 'fp16' where training runs on a CPU; expected 'auto', 'fp32' or 'bf16'"
        )


@pytest.mark.parametrize(
    ("text", "possible"),
    [
        ("avx2 fma", ("fp32",)),
        ("avx2 avx512f avx512_vnni", ("fp32",)),
        ("avx512f avx512_bf16", ("fp32", "bf16")),
        ("amx_tile amx_bf16", ("fp32", "bf16")),
        ("", ("fp32",)),
        ("asimd bf16", ("fp32",)),
    ],
)
def test_auto_on_a_cpu_asks_for_its_instructions(flags, text, possible):
    flags(text)
    assert possible_precisions("auto", accelerator="cpu") == possible


@pytest.mark.parametrize(("supported", "possible"), [(True, ("fp32", "bf16")), (False, ("fp32",))])
def test_auto_on_a_gpu_asks_the_gpu(monkeypatch, supported, possible):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    assert possible_precisions("auto", accelerator="auto") == possible


def test_auto_without_a_gpu_asks_the_cpu(monkeypatch, flags):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    flags("amx_bf16")
    assert possible_precisions("auto", accelerator="auto") == ("fp32", "bf16")


# which of the two


def choose(file, *, measure, width=2, batch_size=8):
    return choose_faster(nn.Linear(width, 1), file=file, batch_size=batch_size, size=16, measure=measure)


@pytest.mark.parametrize(("bf16", "chosen"), [(0.5, "bf16"), (0.90, "bf16"), (0.95, "fp32"), (1.5, "fp32")])
def test_bf16_has_to_gain_a_tenth(tmp_path, bf16, chosen):
    seconds = {"fp32": 1.0, "bf16": bf16}
    assert choose(tmp_path / "a" / "precision.json", measure=lambda model: seconds) == chosen
    kept = Pace.read(tmp_path / "a" / "precision.json")
    assert (kept.precision, kept.seconds) == (chosen, seconds)


def test_a_choice_is_kept_for_the_same_network_and_batch(tmp_path):
    file = tmp_path / "precision.json"
    fast, slow = ({"fp32": 1.0, "bf16": bf16} for bf16 in (0.5, 2.0))
    assert choose(file, measure=lambda model: fast) == "bf16"
    assert choose(file, measure=lambda model: pytest.fail("measured again")) == "bf16"
    assert choose(file, measure=lambda model: slow, batch_size=9) == "fp32"
    assert choose(file, measure=lambda model: fast, width=3) == "bf16"


def test_steps_are_measured_in_turns_on_a_copy_by_the_best(monkeypatch):
    model = network()
    before, seen = copy.deepcopy(model.state_dict()), []
    seconds = iter([9.0, 9.0, 2.0, 5.0, 3.0, 4.0, 2.5, 6.0, *[7.0] * 60])  # the first two are a warm-up
    step = pace._step

    def watched(network, images, *, in_bf16, clock):
        step(network, images, in_bf16=in_bf16, clock=clock)
        seen.append(in_bf16)
        assert network is not model and images.shape == (4, 3, 16, 16)
        return next(seconds)

    monkeypatch.setattr(pace, "_step", watched)
    state = torch.get_rng_state()
    found = step_seconds(model, batch_size=4, size=16, device=torch.device("cpu"), clock=lambda: 0.0)
    assert found == {"fp32": 2.0, "bf16": 4.0}
    assert seen[:4] == [False, True, False, True] and len(seen) == 62
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_slow_network_is_measured_twice_alone(monkeypatch):
    ticks, seen = iter(range(0, 10_000, 30)), []
    monkeypatch.setattr(pace, "_step", lambda *_, in_bf16, **__: seen.append(in_bf16) or 1.0)
    step_seconds(network(), batch_size=4, size=16, device=torch.device("cpu"), clock=lambda: next(ticks))
    assert seen == [False, True] * 3


def test_a_training_runs_in_the_faster_format_and_says_so(tmp_path, monkeypatch):
    data, auto = training_data(), TrainingSettings(accelerator="cpu", threads=1)
    monkeypatch.setattr("distill.training.precision._has_fast_bf16", lambda accelerator: True)
    monkeypatch.setattr("distill.training.fit.step_seconds", lambda model, **_: {"fp32": 2.0, "bf16": 1.0})
    folders = {name: tmp_path / name for name in ("auto", "bf16", "fp32")}
    history = train(folders["auto"], data, epochs=1, settings=auto)
    for name in ("bf16", "fp32"):
        settings = auto.model_copy(update={"precision": name})
        assert train(folders[name], data, epochs=1, settings=settings).precision == name
    assert history.precision == "bf16"
    assert read_sidecar(folders["auto"] / "last.safetensors")["precision"] == "bf16"
    last = {name: folder / "last.safetensors" for name, folder in folders.items()}
    assert same(last["auto"], last["bf16"]) and not same(last["auto"], last["fp32"])


def test_a_killed_training_goes_on_in_the_same_format(tmp_path, monkeypatch):
    data, auto = training_data(), TrainingSettings(accelerator="cpu", threads=1)
    monkeypatch.setattr("distill.training.precision._has_fast_bf16", lambda accelerator: True)
    for bf16 in (1.0, 9.0):  # the second time it would be measured otherwise
        monkeypatch.setattr(
            "distill.training.fit.step_seconds", lambda model, bf16=bf16, **_: {"fp32": 2.0, "bf16": bf16}
        )
        steps = []

        def kill(done, total, killed_at=6 if bf16 == 1.0 else 99, steps=steps):
            steps.append(done)
            if done == killed_at:
                raise KeyboardInterrupt

        try:
            history = train(tmp_path, data, settings=auto, progress=kill)
        except KeyboardInterrupt:
            continue
    assert history.precision == "bf16" and steps == list(range(5, 13))


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
