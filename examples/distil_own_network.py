"""A network of one's own, taught by a larger one, quantized and timed: python examples/distil_own_network.py FOLDER OUT.

FOLDER holds real/ and fake/ (or any layout that edgeproof knows). Needs edgeproof[all].
"""

import argparse
from pathlib import Path

from torch import nn
from torchvision.models import resnet18

import bench
import deploy
import distill

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("data", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--epochs", type=int, default=5)
given = parser.parse_args()

student = nn.Sequential(  # normalized [N, 3, 64, 64] → logits [N, 1]
    nn.Conv2d(3, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2), nn.BatchNorm2d(32), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 1),
)  # fmt: skip
spec = distill.PreprocessSpec(size=64, policy="center_crop", mean=(0.0, 0.0, 0.0))
found = distill.distil(
    teacher=resnet18(num_classes=1),  # yours, trained
    student=student, data=given.data, methods=["soft_bce"], preprocess=spec,
    schedule=distill.Schedule(epochs=given.epochs),
)  # fmt: skip
fp32 = deploy.export(
    found.student, spec, out=given.out / "fp32", calibration=found.calibration, threshold=found.threshold
)
int8 = deploy.quantize(fp32, given.data, out=given.out / "int8")
for row in bench.compare([fp32, int8], rounds=10).rows:
    print(f"{row.model:24} {row.runtime:12} {row.precision}  {row.p50_ms:.3f} ms")
