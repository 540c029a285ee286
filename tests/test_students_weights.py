import logging
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from students import OptionError, build_student
from students.weights import load_weights, read_state

HEADS = {"resnet18": "fc", "mobilenet_v2": "classifier.1"}


def tiny(classes=1):
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, classes))


def failure(call, *arguments, **options) -> str:
    with pytest.raises(OptionError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("name", "head"), HEADS.items())
def test_a_student_reads_the_librarys_own_tensor_names(name, head, tmp_path, caplog):
    path = tmp_path / "w.safetensors"
    source = build_student(name, num_logits=5).network.state_dict()
    save_file(source, path)
    with caplog.at_level(logging.WARNING):
        loaded = build_student(name, options={"weights": str(path)}).network.state_dict()
    assert caplog.messages == [
        f"{path}: the classifier ({head}.weight, {head}.bias) was left out and starts untrained"
    ]
    differing = {name for name, tensor in source.items() if not torch.equal(tensor, loaded[name])}
    assert differing == {f"{head}.weight", f"{head}.bias"}


def test_a_whole_file_round_trips_without_a_word(tmp_path, caplog):
    path = tmp_path / "w.safetensors"
    source, target = tiny(), tiny()
    save_file(source.state_dict(), path)
    load_weights(target, path, head=("3",))
    assert all(torch.equal(v, target.state_dict()[k]) for k, v in source.state_dict().items())
    assert caplog.records == []


def test_batch_counters_may_be_missing(tmp_path, caplog):
    path = tmp_path / "w.safetensors"
    save_file({k: v for k, v in tiny().state_dict().items() if "num_batches" not in k}, path)
    load_weights(tiny(), path, head=("3",))
    assert caplog.records == []


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"0.weight": torch.zeros(2, 1, 3, 3)}, "0.weight has [2, 1, 3, 3], expected [2, 3, 3, 3]"),
        ({"1.weight": None}, "1.weight has nothing, expected [2]"),
        ({"extra": torch.zeros(4)}, "extra has [4], expected nothing"),
        ({"1.weight": None, "1.bias": None}, "1.weight has nothing, expected [2] (and 1 more)"),
        # "30" is no part of the head "3"
        ({"30.weight": torch.zeros(4)}, "30.weight has [4], expected nothing"),
    ],
)
def test_a_mismatch_outside_the_head_is_an_error(changes, difference, tmp_path):
    path = tmp_path / "w.safetensors"
    state = tiny().state_dict() | changes
    save_file({k: v for k, v in state.items() if v is not None}, path)
    text = failure(load_weights, tiny(), path, head=("3",))
    assert text == f"{path}: does not fit Sequential, {difference}"


def test_unreadable_files(tmp_path):
    missing, pickled, damaged = (tmp_path / name for name in ("no.safetensors", "w.pth", "w.safetensors"))
    assert failure(read_state, missing) == f"{missing}: no such weights file"
    pickled.write_bytes(b"\x80\x02.")
    assert "loaded from .safetensors only" in failure(read_state, pickled)
    damaged.write_bytes(b"not a weights file")
    assert "not a readable .safetensors file" in failure(read_state, damaged)


@pytest.mark.parametrize("name", HEADS)
def test_without_network_the_error_tells_the_way_out(name, monkeypatch):
    def offline(*_, **__):
        raise URLError("no route to host\nsecond line")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    text = failure(build_student, name, options={"pretrained": True})
    assert text.startswith(f"{name}: pretrained weights cannot be had (<urlopen error no route to host)")
    assert text.endswith("give a local file with the option weights = '<file>.safetensors'")


def test_downloaded_weights_are_read_without_unpickling_and_checked(monkeypatch):
    source = build_student("mobilenet_v2", num_logits=1000).network.state_dict()
    seen = {}

    def fetch(url, **arguments):
        seen.update(arguments)
        return source

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fetch)
    loaded = build_student("mobilenet_v2", options={"pretrained": True}).network.state_dict()
    assert seen["weights_only"] is True and seen["check_hash"] is True
    assert torch.equal(loaded["features.0.0.weight"], source["features.0.0.weight"])
