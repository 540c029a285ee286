"""``training.compile`` compiles the training steps, and nothing of it is seen in what is saved."""

import shutil

import pytest
import torch
from safetensors.torch import load_file
from training_fixture import SETTINGS, TinyNet, network, train, training_data

from distill.errors import EdgeproofError
from distill.training import compiled
from distill.training.checkpoint import load_weights

COMPILED = SETTINGS.model_copy(update={"compile": True})


@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="no C++ compiler")
def test_compiled_training_steps_leave_plain_weights(tmp_path, monkeypatch):
    calls, compile_ = [], torch.compile

    def watched(model):
        forward = compile_(model)
        return lambda images: calls.append(len(images)) or forward(images)

    monkeypatch.setattr(compiled, "compile", watched)
    model, data = network(), training_data()
    model.dropout.p = 0.0  # a compiled graph draws other numbers; and AdamW would make much of rounding
    train(tmp_path / "compiled", data, model=model, epochs=1, optimizer="sgd", settings=COMPILED)
    assert calls == [8] * 4, "every training step, and no validation"
    plain = network()
    plain.dropout.p = 0.0
    train(tmp_path / "plain", data, model=plain, epochs=1, optimizer="sgd")
    for name in ("weights.safetensors", "last.safetensors"):
        saved = load_file(tmp_path / "compiled" / name)
        assert set(saved) == set(TinyNet().state_dict())
        for key, value in load_file(tmp_path / "plain" / name).items():
            torch.testing.assert_close(saved[key], value, rtol=1e-3, atol=1e-4)
    load_weights(TinyNet(), tmp_path / "compiled" / "last.safetensors")


def test_a_machine_that_cannot_compile_says_so_in_one_line(tmp_path, monkeypatch):
    class NoCompilerError(RuntimeError):
        __module__ = "torch._inductor.exc"

    def forward(images):
        raise NoCompilerError("No working C++ compiler found\nand much more")

    monkeypatch.setattr(compiled, "compile", lambda model: forward)
    with pytest.raises(EdgeproofError) as caught:
        train(tmp_path, training_data(), settings=COMPILED)
    assert str(caught.value) == (
        "training.compile: given true, but torch.compile failed (NoCompilerError: No working C++ compiler found); expected a "
        "C++ compiler (g++ or clang++), or training.compile = false"
    )


def test_what_the_network_itself_raises_is_left_alone(tmp_path, monkeypatch):
    def forward(images):
        raise ZeroDivisionError("mine")

    monkeypatch.setattr(compiled, "compile", lambda model: forward)
    with pytest.raises(ZeroDivisionError, match="mine"):
        train(tmp_path, training_data(), settings=COMPILED)
