"""A network trained alone on a set of images for a study: its last epoch, so that nothing is chosen."""

import tempfile
from pathlib import Path

import numpy as np
from torch import nn

from distill.data.pixels import PixelSource
from distill.task import BINARY
from distill.training.batches import BatchDataset
from distill.training.checkpoint import load_weights
from distill.training.fit import TrainingData, fit
from distill.training.settings import LossSettings, Schedule, TrainingSettings
from distill.training.views import views_of

_ALONE = LossSettings()


def train_alone(
    network: nn.Module,
    pixels: PixelSource,
    valid: PixelSource,
    *,
    epochs: int,
    seed: int,
    loss: LossSettings = _ALONE,
    balanced: bool = False,
) -> nn.Module:
    """Train ``network`` in FP32 with mirrored images; ``balanced`` shows both classes equally often."""
    labels = np.array([sample.label for sample in pixels.samples])
    views = views_of(flips=True, augmented=False, cached=False, count=1, seed=seed)
    data = TrainingData(train=BatchDataset(pixels, views=views), valid=BatchDataset(valid), spec=pixels.spec)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            network,
            task=BINARY,
            objectives=[BINARY.ground_truth(loss, labels=labels)],
            data=data,
            schedule=Schedule(epochs=epochs, batch_size=64, learning_rate=6e-3),
            settings=TrainingSettings(balanced=balanced, precision="fp32"),
            seed=seed,
            folder=Path(folder),
            sidecar={},
        )
        load_weights(network, Path(folder) / "last.safetensors")
    return network.eval()
