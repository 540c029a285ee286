"""A teacher that says the same each time, and a training of a tiny network that follows it."""

import torch
from safetensors.torch import load_file
from training_fixture import PAIR, SCHEDULE, SETTINGS, SPEC, images
from training_fixture import network as model

from distill.methods.ground_truth import GroundTruth
from distill.methods.hint import Hint
from distill.methods.logit_mse import LogitMSE
from distill.task import BINARY
from distill.training.batches import BatchDataset
from distill.training.fit import TrainingData, fit
from distill.training.views import Views
from students.output import ModelOutput

FLIPS = Views(count=2, flips=True)


class Said:
    """What a teacher said of every image in every view: logits ``[N, V]``, features ``[N, V, C, H, W]``."""

    key = "says the same"

    def __init__(self, logits, **features):
        self.logits, self.features = logits, features

    def outputs(self, indices, numbers):
        features = {name: values[indices, numbers] for name, values in self.features.items()}
        return ModelOutput(logits=self.logits[indices, numbers], features=features)


def lesson():
    """Images to learn from with two views each, and a teacher's answers on them."""
    random = torch.Generator().manual_seed(0)
    said = Said(torch.randn(32, 2, generator=random), t=torch.randn(32, 2, 5, 3, 3, generator=random).half())
    train = BatchDataset(images(32, seed=0), teachers={"teacher": said}, views=FLIPS)
    return TrainingData(train=train, valid=BatchDataset(images(16, seed=1)), spec=SPEC)


def taught():
    torch.manual_seed(8)
    hint = Hint(PAIR, weight=0.1, student_feature="last", teacher_feature="t")
    return [GroundTruth(), LogitMSE(PAIR, weight=0.5), hint]


def train(folder, data, *, objectives=None, schedule=SCHEDULE, network=None, **options):
    return fit(
        network or model(),
        task=BINARY,
        objectives=objectives or [GroundTruth()],
        data=data,
        schedule=schedule,
        settings=options.pop("settings", SETTINGS),
        seed=3,
        folder=folder,
        sidecar={"architecture": "tiny"},
        **options,
    )


def same(first, second, name):
    one, other = load_file(first / name), load_file(second / name)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
