"""What a frequency branch gives a student: ``python -m perf.frequency FOLDER``.

FOLDER is a simulated set of the demo (``data/simulated`` of a run). ``rep_cnn`` is trained alone, on the training split, with
no branch, with one of every DCT coefficient, and with one of learned bands: equal steps, three seeds, last epochs. The result
is ``perf/results/frequency.json``: AUC and TPR at 5 % FPR on test and on families never seen, and the differences to no branch
with both intervals.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from distill import machine
from distill.data.layouts import load_dataset
from distill.data.pixels import PixelSource, open_pixels
from distill.data.samples import GENERATED, Dataset
from distill.evaluation.arms import Resampled, arm_difference, resample
from distill.files import write_json
from distill.preprocess import PreprocessSpec
from distill.training.inference import predict
from perf.last_epoch import train_alone
from students import build_student

RESULT = Path(__file__).parent / "results" / "frequency.json"
SPEC = PreprocessSpec(size=64, policy="center_crop", mean=(0.0, 0.0, 0.0))
STUDENT, EPOCHS, SEEDS = "rep_cnn", 5, (0, 1, 2)
BRANCHES: Final[dict[str, Any]] = {"none": False, "dct": True, "bands": "bands"}
SPLITS, STATISTICS = ("test", "heldout"), ("auc", "tpr_at_5fpr")
Scores = dict[str, npt.NDArray[np.float32]]


def trained(frequency: Any, images: dict[str, PixelSource]) -> Scores:
    """Logits ``[S, N]`` of every seed on each split that is judged."""
    rows: dict[str, list[npt.NDArray[np.float32]]] = {split: [] for split in SPLITS}
    for seed in SEEDS:
        torch.manual_seed(seed)
        network = build_student(STUDENT, options={"frequency": frequency})
        train_alone(network, images["train"], images["valid"], epochs=EPOCHS, seed=seed)
        for split in SPLITS:
            rows[split].append(predict(network, images[split]).numpy())
    return {split: np.stack(found) for split, found in rows.items()}


def resampled(scores: Scores, images: dict[str, PixelSource]) -> dict[str, dict[str, Resampled]]:
    """Split → statistic → its values and resamples over scenes."""
    found = {}
    for split, rows in scores.items():
        samples = images[split].samples
        labels = np.array([sample.label == GENERATED for sample in samples])
        groups = [sample.group or sample.path for sample in samples]
        found[split] = resample(labels, rows, groups, statistics=STATISTICS)
    return found


def measure(dataset: Dataset) -> dict[str, Any]:
    """The content of the result file."""
    images = {
        split: open_pixels(dataset.root, dataset.split(split), spec=SPEC, memory_mb=500)
        for split in ("train", "valid", *SPLITS)
    }
    arms = {name: resampled(trained(kind, images), images) for name, kind in BRANCHES.items()}
    return {
        "schema_version": 1,
        "machine": machine.describe(),
        "settings": {
            "student": STUDENT,
            "epochs": EPOCHS,
            "seeds": list(SEEDS),
            "images": len(images["train"]),
        },
        "rows": {
            name: {
                split: {statistic: each.values.tolist() for statistic, each in found.items()}
                for split, found in arm.items()
            }
            for name, arm in arms.items()
        },
        "differences": {name: _against_none(arms[name], arms["none"]) for name in BRANCHES if name != "none"},
    }


def _against_none(
    arm: dict[str, dict[str, Resampled]], none: dict[str, dict[str, Resampled]]
) -> dict[str, Any]:
    return {
        split: {
            statistic: asdict(difference)
            for statistic, each in found.items()
            if (difference := arm_difference(each, none[split][statistic]))
        }
        for split, found in arm.items()
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="a simulated set with the splits train, valid, test and heldout"
    )
    torch.set_num_threads(1)
    content = measure(load_dataset(parser.parse_args().folder))
    write_json(RESULT, content)
    for name, rows in content["rows"].items():
        print(f"{name:6}", {split: round(float(np.mean(found["auc"])), 4) for split, found in rows.items()})
    for name, found in content["differences"].items():
        print(
            f"{name:6}",
            {split: (d["auc"]["mean"], d["auc"]["ci"], d["auc"]["verdict"]) for split, d in found.items()},
        )


if __name__ == "__main__":
    main()
