import json
import resource
import signal
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn

from distill.errors import EdgeproofError
from distill.files import sha256
from distill.training.checkpoint import (
    SafetensorsIO,
    load_weights,
    pick_device,
    read_sidecar,
    save_weights,
)


def network(width=4, *, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width, 1))


def failure(call, *arguments, **options):
    with pytest.raises(EdgeproofError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@contextmanager
def full_disk():
    """Files end after 100 bytes: what a full disk looks like to a library."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "deep" / "w.safetensors"
    save_weights(network(), path, sidecar={"architecture": "tiny", "seed": 3})
    return path


# weights


def test_weights_round_trip_bit_for_bit(saved):
    source, target = network(), network(seed=1)
    load_weights(target, saved)
    assert all(torch.equal(value, target.state_dict()[name]) for name, value in source.state_dict().items())


def test_channels_last_weights_round_trip(tmp_path):
    source = network().to(memory_format=torch.channels_last)
    save_weights(source, tmp_path / "w.safetensors", sidecar={})
    target = network(seed=1)
    load_weights(target, tmp_path / "w.safetensors")
    assert all(torch.equal(value, target.state_dict()[name]) for name, value in source.state_dict().items())


def test_the_sidecar_holds_what_was_said_and_the_hash(saved):
    assert read_sidecar(saved) == {"architecture": "tiny", "seed": 3, "sha256": sha256(saved)}
    assert json.loads(saved.with_suffix(".json").read_text())["seed"] == 3


def test_other_weights_than_the_sidecars(saved):
    expected = sha256(saved)
    saved.write_bytes(saved.read_bytes()[:-1] + b"\x01")
    assert (
        failure(read_sidecar, saved) == f"{saved}: sha256 is {sha256(saved)}, its sidecar expects {expected}"
    )


def test_a_tampered_hash(saved):
    side = saved.with_suffix(".json")
    side.write_text(side.read_text().replace(sha256(saved), "0" * 64))
    assert failure(read_sidecar, saved).endswith(f"its sidecar expects {'0' * 64}")


def test_a_sidecar_without_a_hash(saved):
    saved.with_suffix(".json").write_text("{}")
    assert failure(read_sidecar, saved).endswith("its sidecar expects None")


@pytest.mark.parametrize("content", ["{", "[1, 2]", "3"])
def test_a_sidecar_that_is_none(saved, content):
    saved.with_suffix(".json").write_text(content)
    assert failure(read_sidecar, saved).startswith(f"{saved.with_suffix('.json')}: not a valid sidecar (")


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_missing_file_is_named(saved, suffix):
    missing = saved.with_suffix(suffix)
    missing.unlink()
    assert failure(read_sidecar, saved).startswith(
        f"{missing}: no such file, expected a .safetensors checkpoint"
    )


def test_weights_of_a_wider_model(saved):
    assert failure(load_weights, network(5), saved) == (
        f"{saved}: 7 weights do not fit the model; first '0.bias': found (4,), expected (5,)"
    )


def test_weights_of_another_architecture(saved):
    other = nn.Sequential(nn.Linear(2, 2))
    message = failure(load_weights, other, saved)
    assert message.startswith(
        f"{saved}: 9 weights do not fit the model; first '0.bias': found (4,), expected (2,)"
    )
    message = failure(load_weights, nn.ReLU(), saved)
    assert message.endswith("first '0.bias': found (4,), expected nothing")


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\x80\x04pickle."])
def test_a_file_that_holds_no_tensors(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    assert failure(load_weights, network(), path).startswith(f"{path}: not a readable .safetensors file (")


def test_a_full_disk_keeps_the_old_weights(saved):
    before = sha256(saved)
    with full_disk(), pytest.raises(OSError, match="large"):
        save_weights(network(64), saved, sidecar={})
    assert sha256(saved) == before and read_sidecar(saved)["seed"] == 3
    assert {path.name for path in saved.parent.iterdir()} == {"w.safetensors", "w.json"}


# training state


def round_trip(value, path):
    io = SafetensorsIO()
    io.save_checkpoint(value, path)
    return io.load_checkpoint(path)


def test_a_training_state_round_trips(tmp_path):
    tensor = torch.arange(6.0).reshape(2, 3).T  # not contiguous
    state = {
        "epoch": 3,
        0: {1: {"exp_avg": tensor, "step": torch.tensor(5.0)}},
        "tuple": (1, (2.5, "text"), [None, True, False]),
        "empty": [{}, [], ()],
        ("a", 1): "tuples may be keys",
        "special": [float("inf"), -0.0, 1e-300, 2**70],
        "words": {"tensor": 1, "dict": "ünicode\n"},
        "half": torch.tensor([1.5], dtype=torch.bfloat16),
        "bits": torch.tensor([True, False]),
    }
    found = round_trip(state, tmp_path / "s.safetensors")
    torch.testing.assert_close(found.pop(0)[1], state.pop(0)[1], rtol=0, atol=0)
    for name in ("half", "bits"):
        one, other = found.pop(name), state.pop(name)
        assert one.dtype == other.dtype and torch.equal(one, other)
    assert found == state
    assert list(found) == list(state)
    assert type(found["tuple"]) is tuple and type(found["tuple"][1]) is tuple


def test_nan_survives(tmp_path):
    [value] = round_trip({"x": [float("nan")]}, tmp_path / "s.safetensors")["x"]
    assert value != value


def test_the_order_in_memory_survives(tmp_path):
    moments = torch.arange(54.0).reshape(2, 3, 3, 3).to(memory_format=torch.channels_last)
    found = round_trip({"m": moments, "plain": moments.contiguous()}, tmp_path / "s.safetensors")
    assert torch.equal(found["m"], moments)
    assert found["m"].stride() == moments.stride() and found["plain"].is_contiguous()


def test_one_tensor_in_two_places(tmp_path):
    tensor = torch.ones(3)
    found = round_trip({"a": tensor, "b": [tensor]}, tmp_path / "s.safetensors")
    assert torch.equal(found["a"], tensor) and torch.equal(found["b"][0], tensor)


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes", np.int64(3), np.ones(2), nn.ReLU, 1j])
def test_what_no_state_can_hold_is_refused(tmp_path, value):
    path = tmp_path / "s.safetensors"
    with pytest.raises(TypeError, match=f"a checkpoint cannot hold {type(value).__name__}"):
        SafetensorsIO().save_checkpoint({"deep": [value]}, path)
    assert not any(tmp_path.iterdir())


def test_a_state_that_is_none(tmp_path, saved):
    assert "not a whole training state" in failure(
        SafetensorsIO().load_checkpoint, saved
    )  # weights, not a state
    (tmp_path / "s.safetensors").write_bytes(b"rubbish")
    assert "delete it to start this training again" in failure(
        SafetensorsIO().load_checkpoint, tmp_path / "s.safetensors"
    )


def test_a_state_is_replaced_and_removed(tmp_path):
    io, path = SafetensorsIO(), tmp_path / "s.safetensors"
    for epoch in (1, 2):
        io.save_checkpoint({"epoch": epoch}, str(path))
    assert io.load_checkpoint(path) == {"epoch": 2}
    io.remove_checkpoint(path)
    io.remove_checkpoint(path)
    assert not any(tmp_path.iterdir())


# models


@pytest.mark.parametrize(
    ("wish", "there", "device"),
    [("auto", False, "cpu"), ("cpu", True, "cpu"), ("auto", True, "cuda"), ("gpu", True, "cuda")],
)
def test_the_device_that_is_meant(monkeypatch, wish, there, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert pick_device(wish).type == device


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert failure(pick_device, "gpu").startswith("training.accelerator: given 'gpu'")
