"""A tiny network, images that it can learn from, and a teacher that is asked at every step."""

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from distill.data.pixels import PixelSource
from distill.data.samples import UNLABELLED, Sample
from distill.methods import Pair
from distill.methods.ground_truth import GroundTruth
from distill.preprocess import PreprocessSpec
from distill.probe import FeatureMap
from distill.recipe import Schedule, TrainingSettings
from distill.task import BINARY
from distill.training.batches import BatchDataset
from distill.training.fit import TrainingData, fit
from distill.training.teachers import Online
from distill.training.views import Views
from students.output import ModelOutput

SPEC = PreprocessSpec(size=16)
SETTINGS = TrainingSettings(precision="fp32", accelerator="cpu", threads=1)
SCHEDULE = Schedule(epochs=3, batch_size=8, learning_rate=2e-2)
PAIR = Pair(student={"last": FeatureMap(4, 7, 2)}, teachers={"teacher": {"t": FeatureMap(5, 7, 2)}})


class TinyNet(nn.Module):
    feature_channels = {"last": 4}

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, stride=2)
        self.norm = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(4, 1)

    def forward(self, images):
        features = self.norm(self.convolution(images)).relu()
        logits = self.head(self.dropout(features.mean((2, 3))))
        return ModelOutput(logits=logits.squeeze(1), features={"last": features})


class MeanTeacher(nn.Module):
    """Says how bright an image is; remembers what it was shown."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def forward(self, images):
        self.shown.append(images)
        return ModelOutput(logits=4 * images.mean((1, 2, 3)), features={})


def images(count, *, seed, unlabelled=0):
    """Noise; the generated half is a little brighter. The last ones have no label."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    pixels = random.integers(0, 200, (count, 16, 16, 3)) + 40 * labels[:, None, None, None]
    labels[count - unlabelled :] = UNLABELLED
    samples = tuple(Sample(path=f"{seed}/{i}.png", label=int(label)) for i, label in enumerate(labels))
    return PixelSource(root=None, samples=samples, spec=SPEC, cache=pixels.astype(np.uint8))


def training_data(*, unlabelled=0, online=None):
    train = BatchDataset(images(32, seed=0, unlabelled=unlabelled), views=Views(count=2, flips=True))
    teachers = {"teacher": Online(online, spec=SPEC, features=())} if online else {}
    return TrainingData(train=train, valid=BatchDataset(images(16, seed=1)), spec=SPEC, online=teachers)


def network():
    torch.manual_seed(7)
    return TinyNet()


def train(folder, data, *, model=None, objectives=None, settings=SETTINGS, progress=None, **schedule):
    """Fit the tiny network; further arguments change its schedule."""
    return fit(
        model or network(),
        task=BINARY,
        objectives=objectives or [GroundTruth()],
        data=data,
        schedule=SCHEDULE.model_copy(update=schedule),
        settings=settings,
        seed=3,
        folder=folder,
        sidecar={},
        progress=progress,
    )


def same(first, second):
    """Whether two files of weights hold the same bits."""
    one, other = load_file(first), load_file(second)
    assert one.keys() == other.keys()
    return all(torch.equal(one[key], other[key]) for key in one)
