"""Any sensible teacher's file: what other programs write fits, what could run code is refused."""

import socket
import zipfile
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from conftest import TINY
from safetensors.torch import save_file
from torch import nn

from distill.check import check_names
from distill.data.samples import Dataset, Sample
from distill.errors import EdgeproofError
from distill.pipeline.runfolder import save_arrays, save_samples
from distill.pipeline.stage import Run
from distill.recipe import load_recipe
from distill.roster import roster_of
from distill.stages.teacher_check import check_polarity
from distill.training.weights_file import adopt_weights, read_tensors
from teachers import build_teacher

NAME = "test_efficientnet"
IMAGES = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def foreign(classes: int) -> nn.Module:
    """A network as timm alone makes it, with statistics of its own."""
    torch.manual_seed(4)
    model = timm.create_model(NAME, num_classes=classes)
    model.train()(IMAGES)
    return model.eval()


def teacher(path: Path, **options) -> nn.Module:
    model = build_teacher(f"timm:{NAME}")
    adopt_weights(model, path, **options)
    return model.eval()


def with_prefix(model: nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in model.state_dict().items()}


FORMS = {
    "timm.safetensors": lambda model, path: save_file(dict(model.state_dict()), path),
    "plain.pt": lambda model, path: torch.save(model.state_dict(), path),
    "ddp.pth": lambda model, path: torch.save(with_prefix(model, "module."), path),
    "compiled.pth": lambda model, path: torch.save({"model": with_prefix(model, "_orig_mod."), "epoch": 3}, path),
    "lightning.ckpt": lambda model, path: torch.save(
        {
            "state_dict": {**with_prefix(model, "net.model."), "loss.pos_weight": torch.ones(1)},
            "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}], "epoch": 7,
        },
        path,
    ),
    "timm.pth": lambda model, path: torch.save(
        {"state_dict": model.state_dict(), "state_dict_ema": with_prefix(foreign(1), "x."), "arch": NAME}, path
    ),
    "averaged.pt": lambda model, path: torch.save(
        {**{f"ema.{n}": v + 1 for n, v in model.state_dict().items()}, **with_prefix(model, "network.")}, path
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_what_other_programs_write_answers_as_it_did_there(name, tmp_path):
    model = foreign(1)
    FORMS[name](model, tmp_path / name)
    with torch.no_grad():
        expected = model(IMAGES)[:, 0]
        assert expected.std() > 1e-3, "images are told apart"
        torch.testing.assert_close(teacher(tmp_path / name)(IMAGES).logits, expected)


def test_two_classes_become_the_difference_of_their_logits(tmp_path):
    model = foreign(2)
    torch.save(model.state_dict(), tmp_path / "two.pt")
    with torch.no_grad():
        logits = model(IMAGES)
        said = teacher(tmp_path / "two.pt")(IMAGES).logits
        turned = teacher(tmp_path / "two.pt", generated_class=0)(IMAGES).logits
    torch.testing.assert_close(said, logits[:, 1] - logits[:, 0])
    torch.testing.assert_close(said.sigmoid(), logits.softmax(1)[:, 1])
    torch.testing.assert_close(turned, -said)


def refused(path: Path) -> str:
    with pytest.raises(EdgeproofError) as caught:
        teacher(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


def test_files_that_could_run_code_are_refused(tmp_path):
    torch.save(foreign(1), tmp_path / "model.pt")
    message = refused(tmp_path / "model.pt")
    assert (
        "Python objects" in message
        and "could run code" in message
        and "torch.save(model.state_dict()" in message
    )


def test_what_does_not_fit_is_named(tmp_path):
    torch.save(timm.create_model(NAME, num_classes=1000).state_dict(), tmp_path / "imagenet.pt")
    assert "expected one logit or two classes" in refused(tmp_path / "imagenet.pt")
    state = with_prefix(foreign(1), "model.")
    state.pop("model.conv_stem.weight")
    torch.save(state, tmp_path / "short.pt")
    assert "1 weights do not fit; the first 'network.conv_stem.weight': found nothing" in refused(
        tmp_path / "short.pt"
    )
    torch.save({**with_prefix(foreign(1), "model."), "model.other": torch.ones(2)}, tmp_path / "more.pt")
    assert "1 weights are not the network's, the first 'model.other'" in refused(tmp_path / "more.pt")
    torch.save({"epoch": 3, "args": {"lr": 0.1}}, tmp_path / "none.pt")
    assert "holds no tensors by name, found epoch, args; expected a state_dict" in refused(
        tmp_path / "none.pt"
    )
    (tmp_path / "bad.pth").write_bytes(b"not a file of PyTorch")
    refused(tmp_path / "bad.pth")
    (tmp_path / "x.h5").write_bytes(b"")
    assert "weights are read from .safetensors, .pt, .pth, .ckpt, .bin" in refused(tmp_path / "x.h5")


def test_counters_that_older_files_lack_are_no_mistake(tmp_path):
    state = {n: v for n, v in foreign(1).state_dict().items() if not n.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "old.pth")
    with torch.no_grad():
        torch.testing.assert_close(teacher(tmp_path / "old.pth")(IMAGES).logits, foreign(1)(IMAGES)[:, 0])


def test_a_modules_own_names_are_left_alone(tmp_path):
    """A file of this project, whose names begin with its wrapper's."""
    torch.manual_seed(3)
    model = build_teacher("small_cnn")
    torch.save(model.state_dict(), tmp_path / "own.pt")
    assert read_tensors(tmp_path / "own.pt").keys() == model.state_dict().keys()
    other = build_teacher("small_cnn")
    adopt_weights(other, tmp_path / "own.pt")
    for name, value in other.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


# in a recipe


def recipe(path: Path, *more: str):
    overrides = (
        f"teacher.name=timm:{NAME}",
        f"teacher.weights={path}",
        "distillation.methods=[{name='soft_bce'}]",
    )
    return load_recipe(str(TINY), overrides=[*overrides, *more])


def test_timm_says_how_its_teacher_sees_unless_the_recipe_does(tmp_path):
    vit, file = "teacher.name=timm:test_vit", tmp_path / "t.pt"
    about = timm.get_pretrained_cfg("test_vit")
    assert tuple(about.mean) != (0.485, 0.456, 0.406), "else this shows nothing"
    seen = recipe(file, vit).teacher.preprocess
    assert (seen.size, seen.mean, seen.std) == (about.input_size[-1], tuple(about.mean), tuple(about.std))
    assert (seen.policy, seen.interpolation) == ("center_crop", about.interpolation)
    other = recipe(file, vit, "teacher.preprocess.mean=[0.1, 0.2, 0.3]").teacher.preprocess
    assert other.mean == (0.1, 0.2, 0.3) and other.std == seen.std
    trained = load_recipe(str(TINY), overrides=[vit])
    assert trained.teacher.preprocess is None, "one that is trained here sees what the recipe says"


def test_a_dry_run_reads_the_file_and_downloads_nothing(tmp_path, monkeypatch):
    def connect(*_):
        raise AssertionError("a network connection")

    monkeypatch.setattr(socket.socket, "connect", connect)
    torch.save(foreign(2).state_dict(), tmp_path / "t.pt")
    check_names(good := recipe(tmp_path / "t.pt", "teacher.options.pretrained=true"), roster_of(good))
    torch.save(foreign(5).state_dict(), tmp_path / "t.pt")
    with pytest.raises(EdgeproofError, match=r"teacher\.weights: .*t\.pt: 2 weights do not fit") as caught:
        check_names(good, roster_of(good))
    assert "\n" not in str(caught.value)


def test_a_teacher_the_wrong_way_round_is_found(tmp_path):
    given = recipe(tmp_path / "t.pt")
    run, model = Run(tmp_path, given), roster_of(given).teachers[0]
    samples = tuple(Sample(path=f"{i}.png", label=i % 2, split="valid") for i in range(40))
    save_samples(Dataset(root=tmp_path, layout="x", samples=samples), tmp_path)
    right = np.random.default_rng(0).normal(0, 1, 40) + 2.0 * (np.arange(40) % 2)
    save_arrays(tmp_path / model.logits, {"valid": right})
    check_polarity(run, model)
    save_arrays(tmp_path / model.logits, {"valid": np.random.default_rng(1).normal(0, 1, 40)})
    check_polarity(run, model)  # knows nothing, but not the contrary
    save_arrays(tmp_path / model.logits, {"valid": -right})
    with pytest.raises(EdgeproofError, match=r"worse than guessing.*set teacher\.generated_class = 0"):
        check_polarity(run, model)


@pytest.mark.parametrize("pickled", [b"\x80\x02.", b"\x80\x02}(K\x01u.", b"\x80\x02)R."])
def test_a_damaged_pickle_is_one_line_wherever_it_leads_its_reader(tmp_path, pickled):
    whole, path = tmp_path / "whole.pt", tmp_path / "w.pt"
    torch.save({"weight": torch.zeros(2)}, whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for item in source.infolist():
            target.writestr(item, pickled if item.filename.endswith("data.pkl") else source.read(item))
    with pytest.raises(EdgeproofError, match=r"w\.pt: not a readable \.pt file"):
        read_tensors(path)
