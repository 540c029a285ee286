"""``edgeproof export MODULE``: a library's network, or a factory of one's own, as an FP32 artifact."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from deploy.artifact import verify
from deploy.modules import load_module
from deploy.runtime import Detector
from distill.cli.app import app
from distill.errors import EdgeproofError
from distill.files import sha256
from distill.preprocess import PreprocessSpec

TIMM, TORCHVISION = "timm:test_resnet", "torchvision:squeezenet1_1"


class Own(nn.Module):
    """Works at one size only, as a vision transformer does; K logits if asked."""

    def __init__(self, num_logits: int = 1, image_size: int = 48) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.ReLU(), nn.Flatten())
        self.fc = nn.Linear(8 * (image_size // 4) ** 2, num_logits)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.body(images))


def two_logits() -> nn.Module:
    return Own(num_logits=2)


def nothing() -> None:
    return None


def broken() -> nn.Module:
    raise KeyError("width")


class OneByOne(nn.Module):
    """Fails in its own way."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images["pixels"]


NUMBER = 3


def own(name: str) -> str:
    return f"{__name__}:{name}"


def run(*arguments: object) -> tuple[str, str]:
    result = CliRunner().invoke(app, ["export", *map(str, arguments)])
    if result.exception:
        raise result.exception
    return result.stdout, result.stderr


def saved(module: nn.Module, path: Path, *, prefix: str = "") -> Path:
    """Its tensors with values that tell images apart, whose names begin with ``prefix`` there and have it no more."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    state = module.state_dict()
    assert all(name.startswith(prefix) for name in state)
    save_file({name.removeprefix(prefix): value.contiguous() for name, value in state.items()}, path)
    return path


@pytest.mark.parametrize(
    ("name", "size", "prefix"),
    [
        (TIMM, 64, "network."),
        (TIMM, 64, ""),
        ("timm:test_vit", 64, "network."),
        (TORCHVISION, 64, "module."),
        (own("Own"), 32, "module."),
        (own("Own"), 32, ""),
        ("students:SmallCNN", 32, ""),
    ],
)
def test_a_network_with_weights_becomes_an_artifact(tmp_path, name: str, size: int, prefix: str) -> None:
    """Its answers are the network's in both runtimes, whether the file has the library's names or ours."""
    weights = saved(load_module(name, size=size), tmp_path / "w.safetensors", prefix=prefix)
    said, warned = run(
        name, "--size", size, "--weights", weights, "--mean", "0.5,0.4,0.3", "--std", "0.25", "--name", "mine",
        "--out", tmp_path / "out",
    )  # fmt: skip
    manifest = verify(tmp_path / "out")
    assert (manifest.name, manifest.precision, manifest.parent) == ("mine", "fp32", sha256(weights))
    assert set(manifest.runtimes) == {"onnxruntime", "openvino"}
    spec = PreprocessSpec(size=size, mean=(0.5, 0.4, 0.3), std=(0.25, 0.25, 0.25))
    assert manifest.preprocess == spec
    assert "mine, 1 logit, " in said and "mean 0.5 0.4 0.3, std 0.25 0.25 0.25" in said and not warned
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), np.uint8)
    network = load_module(name, size=size, weights=weights)
    with torch.no_grad():
        planes = torch.from_numpy(spec.normalize(pixels)).permute(0, 3, 1, 2)
        expected = network(planes).logits.numpy()
    assert expected.std() > 1e-3
    for runtime in ("onnxruntime", "openvino"):
        found = Detector.load(tmp_path / "out", runtime=runtime, threads=1).run(pixels)
        np.testing.assert_allclose(found, expected, atol=1e-3 * max(1.0, np.abs(expected).max()))


def test_an_untrained_one_is_told_apart(tmp_path) -> None:
    _, warned = run(TIMM, "--size", 64, "--out", tmp_path / "out")
    assert "no --weights: the network is untrained" in warned
    manifest = verify(tmp_path / "out")
    assert (manifest.name, manifest.parent) == ("test_resnet", None)
    assert manifest.preprocess == PreprocessSpec(size=64), "ImageNet's mean and deviation"
    _, warned = run(own("Own"), "--size", 32, "--out", tmp_path / "own")
    assert not warned, "a factory may load weights itself"


def test_k_classes_have_names(tmp_path) -> None:
    said, _ = run(own("Own"), "--size", 32, "--labels", "cat, dog,bird", "--out", tmp_path / "out")
    manifest = verify(tmp_path / "out")
    assert (manifest.task, manifest.labels) == ("multiclass", ("cat", "dog", "bird"))
    assert "3 logits" in said


@pytest.mark.parametrize(
    ("name", "more", "says"),
    [
        ("timm:resnet81", {}, r"timm:resnet81: unknown timm model 'resnet81'; close matches: resnet18"),
        ("torchvision:resnet81", {}, r"torchvision:resnet81: unknown torchvision model 'resnet81'; close matches: resn"),
        ("torchvision:fasterrcnn_resnet50_fpn", {}, r"unknown torchvision model 'fasterrcnn_resnet50_fpn'"),
        ("nowhere:net", {}, r"network 'nowhere:net': cannot be imported \(No module named 'nowhere'\)"),
        (own("absent"), {}, r"cannot be imported \(.*no attribute 'absent'\), expected module:factory"),
        (own("NUMBER"), {}, r"NUMBER: found int, expected what gives a torch\.nn\.Module"),
        (own("nothing"), {}, r"nothing: gives NoneType, expected a torch\.nn\.Module"),
        (own("broken"), {}, r"broken: cannot be built and asked \('width'\)"),
        (own("OneByOne"), {}, r"OneByOne: cannot be built and asked \(.*(indices|index|indexing)"),
        (own("two_logits"), {"--size": 48}, r"two_logits: gives 2 logits, expected 1; K classes have K names"),
        (own("two_logits"), {"--size": 48, "--labels": "a,b,c"}, r"two_logits: gives 2 logits, expected 3$"),
        (own("two_logits"), {}, r"two_logits: Own cannot take images of 32x32 pixels"),
        (TORCHVISION, {"--size": 16}, r"torchvision:squeezenet1_1: SqueezeNet cannot take images of 16x16 pixels"),
        (TIMM, {"--size": 8}, r"--size: found 8, Input should be greater than or equal to 16"),
        (TIMM, {"--mean": "0.1,0.2"}, r"--mean: found 0\.1,0\.2, expected one number, or three separated by commas"),
        (TIMM, {"--mean": "grey"}, r"--mean: found grey, expected one number"),
        (TIMM, {"--std": "0"}, r"--std: found 0, Input should be greater than 0"),
        (TIMM, {"--labels": "a"}, r"--labels: found a, .*at least 2 labels"),
        (TIMM, {"--labels": "a,b,a"}, r"--labels: found a,b,a, .*'a' twice"),
        (TIMM, {"--batch": 2}, r"--batch: is for artifacts or recipes, timm:test_resnet is the name of a network"),
        (TIMM, {"--set": "seed=1"}, r"--set: is for artifacts or recipes"),
        (TIMM, {"--size": None}, r"timm:test_resnet is the name of a network: expected --size too"),
        (TIMM, {"--weights": "gone.safetensors"}, r"timm:test_resnet: gone\.safetensors: no such weights file"),
        (TIMM, {"--weights": "w.pth"}, r"w\.pth: .*loaded from \.safetensors only"),
        (TIMM, {"--weights": "damaged.safetensors"}, r"damaged\.safetensors: not a readable \.safetensors file"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(tmp_path, monkeypatch, name: str, more: dict, says: str) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("w.pth", "damaged.safetensors"):
        Path(file).write_bytes(b"no tensors")
    given = {"--size": 32, "--out": "out", **more}
    options = [part for pair in given.items() if pair[1] is not None for part in pair]
    with pytest.raises(EdgeproofError, match=says) as caught:
        run(name, *options)
    assert "\n" not in str(caught.value) and not Path("out").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda state: state.pop("fc.weight"), r"fc\.weight has nothing, expected \[1, 96\]"),
        (
            lambda state: state.update({"fc.bias": torch.zeros(1000)}),
            r"fc\.bias has \[1000\], expected \[1\]",
        ),
        (lambda state: state.update({"more": torch.zeros(2)}), r"more has \[2\], expected nothing"),
    ],
)
def test_weights_that_do_not_fit_name_a_tensor(tmp_path, change, says: str) -> None:
    """An artifact with an untrained classifier would be worth nothing, so the classifier must fit too."""
    state = dict(load_module(TIMM, size=64).network.state_dict())
    change(state)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(EdgeproofError, match=rf"w\.safetensors: does not fit .*{says}"):
        load_module(TIMM, size=64, weights=tmp_path / "w.safetensors")


def test_options_of_a_network_are_for_networks(tmp_path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    for source in (tmp_path, "demo"):
        with pytest.raises(
            EdgeproofError, match=r"--size: is for networks, and .* is none: expected timm:NAME"
        ):
            run(source, "--size", 64, "--out", tmp_path / "out")
