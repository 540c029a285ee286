"""A finished artifact quantized by a tool that needs its network: the checkpoint that it was made from."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from artifact_fixture import timer, write_photos
from cli import edgeproof, one_line_error
from deploy_fixture import SPEC, Deployed, build_deployed, tiny_detector
from torch import nn

from deploy import export, smaller_forms
from deploy.artifact import read_manifest, verify
from deploy.auto import quantize_best
from deploy.auto_record import AutoRecord
from deploy.auto_table import lines
from deploy.reference import read_checkpoint
from distill.errors import EdgeproofError
from distill.task import Families
from distill.training.checkpoint import save_weights
from distill.wrapped import wrap

LOOSE = {"auc": 1.0, "tpr_at_5fpr": 1.0, "drift": 1.0}
with_inc = pytest.mark.skipif(not find_spec("neural_compressor"), reason="needs neural-compressor")


class Plain(nn.Sequential):
    """A user's own module, which a run wraps before it trains and saves it."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 8, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(1))
        self(torch.zeros(1, 3, 32, 32))


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def photos(deployed: Deployed, tmp_path_factory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), deployed)


@pytest.fixture(scope="session")
def checkpoint(deployed: Deployed, tmp_path_factory) -> Path:
    """Of the network that ``deployed`` was exported from."""
    return save(deployed.model, tmp_path_factory.mktemp("checkpoint") / "weights.safetensors")


def save(network: nn.Module, path: Path, **about: object) -> Path:
    known = {
        "architecture": "deploy_fixture:tiny_detector", "options": {}, "task": "binary",
        "preprocess": SPEC.model_dump(mode="json"),
    }  # fmt: skip
    save_weights(network, path, sidecar={**known, **about})
    return path


def best(deployed: Deployed, photos: Path, out: Path, **changes) -> AutoRecord:
    arguments = {
        "calibration": photos, "runtime": "openvino", "samples": 8, "limits": LOOSE, "timer": timer(inc=0.2),
        **changes,
    }  # fmt: skip
    return quantize_best(deployed.folder / "fp32", out=out, **arguments)


@with_inc
def test_auto_tries_the_network_too(deployed: Deployed, photos: Path, checkpoint: Path, tmp_path) -> None:
    record = best(deployed, photos, tmp_path / "out", checkpoint=checkpoint)
    assert (record.kept, record.form("inc").outcome) == ("inc", "kept")
    assert {"fp32", "nncf", "inc", "fp16", "bf16"} == {tried.name for tried in record.tries}
    manifest = verify(tmp_path / "out")
    assert manifest.quantizer is not None and manifest.quantizer.tool == "inc"
    assert manifest.quantizer.samples == 8


def test_auto_without_a_checkpoint_says_how_to_have_it(deployed: Deployed, photos: Path, tmp_path) -> None:
    record = best(deployed, photos, tmp_path / "out")
    assert record.form("inc").outcome == "not possible"
    assert record.form("nncf").outcome != "not possible"
    assert any(
        line.startswith("inc: not possible: it quantizes the network")
        and "--checkpoint FILE.safetensors" in line
        for line in lines(record)
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"quantizer": "inc"}, r"--quantizer inc: it quantizes the network .*needs --checkpoint FILE"),
        (
            {"quantizer": "nncf", "checkpoint": Path("w.safetensors")},
            r"--checkpoint: is for --quantizer inc and --runtime openvino, found --quantizer nncf",
        ),
        (
            {"runtime": "onnxruntime", "checkpoint": Path("w.safetensors")},
            r"--checkpoint: is for .*, found --quantizer auto and --runtime onnxruntime",
        ),
        (
            {"checkpoint": Path("w.safetensors")},
            r"w\.safetensors: no such file, expected a \.safetensors checkpoint with its \.json sidecar",
        ),
    ],
)
def test_mistakes_are_told_before_an_image_is_read(
    deployed: Deployed, tmp_path, monkeypatch, changes: dict, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EdgeproofError, match=says):
        best(deployed, Path("no images here"), tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


@with_inc
def test_another_network_is_refused(deployed: Deployed, photos: Path, tmp_path) -> None:
    other = tiny_detector()
    with torch.no_grad():
        other.head.bias += 3
    weights = save(other, tmp_path / "other.safetensors")
    with pytest.raises(EdgeproofError, match=r"the network given answers .* where the artifact answers"):
        best(deployed, photos, tmp_path / "out", quantizer="inc", checkpoint=weights)
    assert not (tmp_path / "out").exists()


def test_a_network_of_families_is_quantized_as_one(deployed: Deployed, tmp_path, monkeypatch) -> None:
    about = {"kind": "families", "labels": ["real", "gan", "diffusion"]}
    weights = save(tiny_detector(3), tmp_path / "w.safetensors", task=about)
    fp32 = deployed.folder / "fp32"
    given: dict = {}
    monkeypatch.setattr(smaller_forms, "quantize", lambda *_, **options: given.update(options))
    tools = smaller_forms.tools_of(runtime="openvino", quantizer="inc", has_network=True)
    [form] = smaller_forms.forms_of(
        fp32, runtime="openvino", tools=tools, images=deployed.pixels, floats=False,
        checkpoint=read_checkpoint(weights, manifest=read_manifest(fp32)),
    )  # fmt: skip
    form.make(tmp_path / "out")
    assert given["task"] == Families(families=("gan", "diffusion"))
    assert given["network"].num_logits == 3


def test_the_checkpoint_of_a_plain_module_is_read(tmp_path) -> None:
    """Saved as a run saves it: within its wrapper, whose name stands before every tensor's."""
    network = Plain()
    spec = SPEC.model_copy(update={"policy": "center_crop"})
    weights = save(
        wrap(network, image_size=32), tmp_path / "w.safetensors", architecture=f"{__name__}:Plain",
        preprocess=spec.model_dump(mode="json"),
    )  # fmt: skip
    artifact = export(network, spec, out=tmp_path / "fp32")
    found = read_checkpoint(weights, manifest=read_manifest(artifact))
    shown = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        np.testing.assert_allclose(found.network(shown).logits, network(shown)[:, 0], atol=1e-6)
    assert found.spec == spec


def test_of_another_task_is_bad_input(deployed: Deployed, tmp_path) -> None:
    about = {"kind": "multiclass", "labels": ["cat", "dog"]}
    weights = save(tiny_detector(2), tmp_path / "w.safetensors", task=about)
    with pytest.raises(EdgeproofError, match=r"w\.safetensors: the checkpoint's task is .*cat"):
        read_checkpoint(weights, manifest=read_manifest(deployed.folder / "fp32"))


def test_the_command_line_asks_for_it_in_one_line(deployed: Deployed, photos: Path, tmp_path) -> None:
    given = ("quantize", deployed.folder / "fp32", "--calibration", photos, "--runtime", "openvino")
    result = edgeproof(*given, "--quantizer", "inc", "--out", tmp_path / "out")
    assert "--quantizer inc: it quantizes the network and not the file" in one_line_error(result)
    result = edgeproof("quantize", "demo", "--checkpoint", "w.safetensors")
    assert "--checkpoint: is for artifacts, and demo is none" in one_line_error(result)
