"""What makes up for rare fakes, at equal budget: ``python -m perf.imbalance FOLDER``.

FOLDER is a simulated set of the demo (``edgeproof data simulate``, or ``data/simulated`` of a run). One student is trained
alone on as many images and in as many steps for every share of fakes and every remedy, from subsets of the training split
that its seed draws; its last epoch is taken, so that nothing is chosen. All are judged on the same test images, weighted to
the share of fakes that was trained on: F1 at probability 0.5, as a plain classifier decides; F1 at the threshold that is best
on the validation images, weighted alike; area under the precision-recall curve; TPR at 1 % FPR. Means over the seeds, with the
interval that 1,000 resamplings of the test scenes leave. The result is ``perf/results/imbalance.json``.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from distill import machine
from distill.data.layouts import load_dataset
from distill.data.pixels import PixelSource, open_pixels
from distill.data.samples import GENERATED, REAL, Dataset, Sample
from distill.evaluation.statistics import (
    STATISTICS,
    Curve,
    curves,
    group_counts,
    group_index,
    percentile_interval,
)
from distill.files import read_json, write_json
from distill.preprocess import PreprocessSpec
from distill.training.inference import predict
from distill.training.settings import LossSettings
from perf.last_epoch import train_alone
from students import build_student

RESULT = Path(__file__).parent / "results" / "imbalance.json"
SPEC = PreprocessSpec(size=64, policy="center_crop", mean=(0.0, 0.0, 0.0))
STUDENT, OPTIONS = "small_cnn", {"convs_per_block": 1}
SHARES = (0.01, 0.05, 0.17, 0.5)
IMAGES, EPOCHS, SEEDS, RESAMPLES = 2000, 6, (0, 1, 2), 1000
MEASURES = ("f1_at_half", "f1", "ap", "tpr_at_1fpr")
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Remedy:
    """What is done about rare fakes: a loss, or batches in which both classes come equally often."""

    loss: LossSettings = LossSettings()
    balanced: bool = False

    @property
    def idle_at_even(self) -> bool:
        """Whether it changes nothing where both classes are equally frequent."""
        return self.balanced or bool(self.loss.remedies)


REMEDIES: Final[dict[str, Remedy]] = {
    "nothing": Remedy(),
    "pos_weight": Remedy(LossSettings(pos_weight="auto")),
    "focal loss": Remedy(LossSettings(kind="focal")),
    "balanced batches": Remedy(balanced=True),
    "logit adjustment": Remedy(LossSettings(logit_adjustment=1.0)),
}


def subset(samples: Sequence[Sample], *, share: float, images: int, seed: int) -> list[Sample]:
    """``images`` of the samples, ``share`` of them generated, at random and in random order."""
    random, fakes = np.random.default_rng(seed), round(share * images)
    drawn = []
    for label, wanted in ((GENERATED, fakes), (REAL, images - fakes)):
        of_class = [sample for sample in samples if sample.label == label]
        drawn += [of_class[place] for place in random.permutation(len(of_class))[:wanted]]
    return [drawn[place] for place in random.permutation(len(drawn))]


def f1(curve: Curve) -> Floats:
    """F1 of every threshold ``[R, K + 1]``."""
    true, false = curve.true_positives, curve.false_positives
    return 2 * true / (true + false + true[:, -1:])


def f1_at(labels: Bools, logits: Floats, weights: Floats, *, threshold: float) -> Floats:
    """F1 ``[R]`` of one threshold on the logit under weightings ``[R, N]``."""
    called = logits >= threshold
    true, false = (weights * (called & labels)).sum(1), (weights * (called & ~labels)).sum(1)
    found: Floats = 2 * true / (true + false + (weights * labels).sum(1))
    return found


def best_threshold(labels: Bools, logits: Floats, *, share: float) -> float:
    """The threshold on the logit whose F1 is best where ``share`` of the images is generated."""
    curve = curves(labels, logits, prevalence(labels, share=share)[None])
    return float(curve.thresholds[f1(curve)[0].argmax()])


def prevalence(labels: Bools, *, share: float) -> Floats:
    """Weights ``[N]`` by which ``share`` of the images is generated."""
    weights: Floats = np.where(labels, share / labels.mean(), (1 - share) / (1 - labels.mean()))
    return weights


@dataclass(frozen=True)
class Judged:
    """The images that all are judged on."""

    pixels: PixelSource

    @property
    def labels(self) -> Bools:
        """Whether each is generated, ``[N]``."""
        return np.array([sample.label == GENERATED for sample in self.pixels.samples])

    def weights(self, *, share: float) -> Floats:
        """Of all images as they are, then of each resampling of the scenes, ``[1 + R, N]``; by prevalence."""
        group = group_index([sample.group or sample.path for sample in self.pixels.samples], len(self.labels))
        counts = group_counts(int(group.max()) + 1, samples=len(group), n=RESAMPLES, seed=0)
        rows = [np.ones((1, len(group))), *(found[:, group] for found in counts)]
        return np.concatenate(rows) * prevalence(self.labels, share=share)


def measures(test: Judged, logits: Floats, *, threshold: float, weights: Floats) -> dict[str, Floats]:
    """Every measure ``[1 + R]`` of one training; the first value is that of the images as they are."""
    labels = test.labels
    curve = curves(labels, logits, weights)
    return {
        "f1_at_half": f1_at(labels, logits, weights, threshold=0.0),
        "f1": f1_at(labels, logits, weights, threshold=threshold),
        "ap": STATISTICS["ap"](curve),
        "tpr_at_1fpr": STATISTICS["tpr_at_1fpr"](curve),
    }


def measure(dataset: Dataset, *, shares: Sequence[float], seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """One row for each share and remedy."""
    valid, test = (
        open_pixels(dataset.root, dataset.split(split), spec=SPEC, memory_mb=500)
        for split in ("valid", "test")
    )
    for share in shares:
        weights = Judged(test).weights(share=share)
        for name, remedy in REMEDIES.items():
            if share == 0.5 and remedy.idle_at_even:
                continue
            found = [
                _one(dataset, remedy, share=share, seed=seed, valid=valid, test=test, weights=weights)
                for seed in seeds
            ]
            yield {"share": share, "remedy": name, "fakes": round(share * IMAGES), **_summary(found)}


def _one(
    dataset: Dataset,
    remedy: Remedy,
    *,
    share: float,
    seed: int,
    valid: PixelSource,
    test: PixelSource,
    weights: Floats,
) -> dict[str, Floats]:
    chosen = subset(dataset.split("train"), share=share, images=IMAGES, seed=seed)
    pixels = open_pixels(dataset.root, chosen, spec=SPEC, memory_mb=500)
    torch.manual_seed(seed)
    network = train_alone(
        build_student(STUDENT, options=OPTIONS), pixels, valid, epochs=EPOCHS, seed=seed, loss=remedy.loss,
        balanced=remedy.balanced,
    )  # fmt: skip
    said, tested = (predict(network, part).numpy().astype(np.float64) for part in (valid, test))
    threshold = best_threshold(Judged(valid).labels, said, share=share)
    return measures(Judged(test), tested, threshold=threshold, weights=weights)


def _summary(found: Sequence[dict[str, Floats]]) -> dict[str, Any]:
    """Mean over the seeds, its interval over the scenes, and every seed's value, of each measure."""
    rows: dict[str, Any] = {}
    for name in found[0]:
        values = np.stack([each[name] for each in found])
        drawn = percentile_interval([values[:, 1:].mean(0)], 0.95)
        rows[name] = {"mean": float(values[:, 0].mean()), "ci": drawn, "seeds": values[:, 0].tolist()}
    return rows


def markdown(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The table of the documentation, line by line."""
    yield "| fakes trained on | remedy | F1 at 0.5 | F1 at the frozen threshold | AUPRC | TPR at 1 % FPR |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        cells = (
            f"{row[name]['mean']:.3f} [{row[name]['ci'][0]:.3f}, {row[name]['ci'][1]:.3f}]"
            for name in MEASURES
        )
        yield f"| {row['share']:.0%} ({row['fakes']:,}) | {row['remedy']} | {' | '.join(cells)} |"


def main() -> None:
    """Command line; the rows of shares that were measured before are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a simulated set with the splits train, valid and test")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES, help="of fakes (default: all)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    settings = {
        "student": STUDENT,
        "options": OPTIONS,
        "images": IMAGES,
        "epochs": EPOCHS,
        "seeds": list(SEEDS),
    }
    before = read_json(RESULT) if RESULT.is_file() else {}
    same = before.get("settings") == settings
    rows = [row for row in before.get("rows", []) if same and row["share"] not in given.shares]
    for row in measure(load_dataset(given.folder), shares=given.shares, seeds=SEEDS):
        rows = sorted([*rows, row], key=lambda each: each["share"])
        about = {"schema_version": 1, "machine": machine.describe(), "settings": settings}
        write_json(RESULT, {**about, "resamples": RESAMPLES, "rows": rows})
        print("\n".join(list(markdown([row]))[2:]), flush=True)
    print("\n".join(markdown(rows)))


if __name__ == "__main__":
    main()
