"""A depthwise student that is exact in FP32 and collapses under post-training INT8, and images that it learned from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from training_fixture import SETTINGS, SPEC

from deploy.interface import export, quantize
from deploy.quantizers import QUANTIZERS
from deploy.runtime import Detector
from distill.data.pixels import PixelSource
from distill.data.samples import Sample
from distill.methods.ground_truth import GroundTruth
from distill.methods.logit_mse import LogitMSE
from distill.methods.method import Pair
from distill.methods.objective import Objective
from distill.recipe import Schedule
from distill.task import BINARY
from distill.training.batches import BatchDataset
from distill.training.fit import TrainingData, fit
from distill.training.inference import predict
from distill.training.teachers import Online
from distill.training.views import Views
from students.output import ModelOutput

SPREAD = 300.0


class Depthwise(nn.Module):
    """Pointwise and depthwise convolutions in turns, each with batch normalization and ReLU."""

    feature_channels = {"last": 32}

    def __init__(self) -> None:
        super().__init__()
        layers = [
            (3, 16, 3, 2, 1),
            (16, 16, 3, 1, 16),
            (16, 32, 1, 1, 1),
            (32, 32, 3, 2, 32),
            (32, 32, 1, 1, 1),
        ]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, k, stride=s, padding=k // 2, groups=g, bias=False) for i, o, k, s, g in layers
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(layer[1]) for layer in layers)
        self.head = nn.Linear(32, 1)

    def forward(self, images: Tensor) -> ModelOutput:
        x = images
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = norm(convolution(x)).relu()
        return ModelOutput(self.head(x.mean((2, 3))).squeeze(1), {"last": x})


@torch.no_grad()
def plant(network: Depthwise, *, spread: float = SPREAD, only: int | None = None) -> None:
    """Scale channels by 1 to ``spread`` and their readers by the inverse: the same function, with wide ranges.

    ReLU lets positive factors through, so FP32 answers as before; a tensor that has one scale for all its channels in
    INT8 rounds the small ones away.
    """
    generator = torch.Generator().manual_seed(0)
    readers = [*network.convolutions[1:], network.head]
    for number, (norm, reader) in enumerate(zip(network.norms, readers, strict=True)):
        factors = spread ** torch.rand(norm.num_features, generator=generator)
        if only not in (None, number):
            continue
        norm.weight *= factors
        norm.bias *= factors
        depthwise = isinstance(reader, nn.Conv2d) and reader.groups > 1
        shape = [-1, 1] if depthwise else [1, -1]
        reader.weight /= factors.reshape(*shape, *[1] * (reader.weight.ndim - 2))


def images(count: int, *, seed: int) -> PixelSource:
    """Noise of any colour; the generated half has a faint checkerboard."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    board = np.indices((16, 16)).sum(0)[None, :, :, None] % 2 * 2 - 1
    pixels = random.normal(random.uniform(70, 180, (count, 1, 1, 3)), 30, (count, 16, 16, 3))
    pixels += board * (labels * random.uniform(2, 14, count))[:, None, None, None]
    samples = tuple(Sample(path=f"{seed}/{i}.png", label=int(label)) for i, label in enumerate(labels))
    return PixelSource(root=None, samples=samples, spec=SPEC, cache=pixels.clip(0, 255).astype(np.uint8))


TRAIN, VALID = images(1024, seed=0), images(600, seed=1)
CALIBRATION = list(TRAIN.cache[:128])


def train(
    network: nn.Module,
    folder: Path,
    *,
    objectives: list[Objective],
    teacher: nn.Module | None = None,
    **schedule,
) -> None:
    """Fit ``network`` and leave it with the weights of its best epoch."""
    teachers = {"teacher": Online(teacher, spec=SPEC, features=())} if teacher else {}
    data = TrainingData(
        train=BatchDataset(TRAIN, views=Views(count=2, flips=True)),
        valid=BatchDataset(VALID),
        spec=SPEC,
        online=teachers,
    )
    fit(
        network, task=BINARY, objectives=objectives, data=data,
        schedule=Schedule(batch_size=32, **schedule), settings=SETTINGS, seed=0, folder=folder, sidecar={},
    )  # fmt: skip
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    network.eval()


def taught() -> list[Objective]:
    """Labels and a teacher."""
    pair = Pair(student={"last": 32}, teachers={"teacher": {}}, task=BINARY)
    return [GroundTruth(), LogitMSE(pair)]


@dataclass(frozen=True)
class Scores:
    """AUC on the validation images: of PyTorch, and of INT8 by each tool."""

    torch: float
    int8: dict[str, float]


def auc(logits) -> float:
    return BINARY.score([sample.label for sample in VALID.samples], logits)


def scores(network: nn.Module, folder: Path, *, trained: bool = False) -> Scores:
    """Export, quantize with both tools, and judge."""
    export(network, SPEC, out=folder / "fp32")
    int8 = {}
    for tool in ("nncf", "ort"):
        settings = QUANTIZERS[tool].trained_settings if trained else {}
        quantize(folder / "fp32", CALIBRATION, out=folder / tool, tool=tool, settings=settings)
        int8[tool] = auc(Detector.load(folder / tool, threads=1).run(VALID.cache))
    return Scores(torch=auc(predict(network, VALID).numpy()), int8=int8)
