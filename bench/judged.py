"""What every model said of the evaluated splits, and the one threshold it is judged at. Torch-free.

Every model left its calibrated probabilities in the run folder; nothing is run here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.records.accuracy import Flips
from bench.records.identity import Identity, identity_of
from deploy.artifact import read_manifest
from distill.data.samples import Sample
from distill.evaluation.band import Band
from distill.evaluation.calibration import Calibration
from distill.evaluation.choice import choice_of
from distill.evaluation.metrics import verdicts
from distill.pipeline.runfolder import load_arrays
from distill.pipeline.stage import Run
from distill.roster import Roster

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """One model's probabilities of *generated* ``[N]``, or of K classes ``[N, K]``, for each split that has images."""

    identity: Identity
    threshold: float | None
    calibration: Calibration
    probabilities: dict[str, Scores]
    band: Band | None = None

    @property
    def verdicts(self) -> npt.NDArray[np.int64]:
        """The class that each test image was given, ``[N]``."""
        return verdicts(self.probabilities["test"], self.threshold)


def judged_models(run: Run, roster: Roster) -> dict[str, Judged]:
    """Every judged network and artifact by its key, in the roster's order."""
    return {item.identity.key: item for item in _judged(run, roster)}


def _judged(run: Run, roster: Roster) -> Iterator[Judged]:
    for model in roster.models:
        choice = choice_of(run.folder, model)
        probabilities = load_arrays(run.folder / model.predictions)
        yield Judged(
            identity_of(model), choice.threshold, choice.calibration, probabilities, band=choice.band
        )
    for artifact in roster.judged:
        manifest = read_manifest(run.folder / artifact.folder)
        yield Judged(
            identity=identity_of(artifact),
            # the network's: one frozen threshold; the artifact's own, fitted again after INT8, shows the drift
            threshold=choice_of(run.folder, artifact.model).threshold,
            calibration=manifest.calibration,
            probabilities=load_arrays(run.folder / artifact.predictions),
            band=manifest.band,
        )


def flips(ours: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> Flips:
    """How many of two models' verdicts ``[N]`` differ."""
    count = int((ours != theirs).sum())
    return Flips(count=count, share=count / len(ours))


@dataclass(frozen=True)
class Truth:
    """The samples of a split, their labels ``[N]`` (1 = generated, or numbers of K classes), and groups ``[N]`` for intervals."""

    samples: tuple[Sample, ...]
    labels: npt.NDArray[np.int64]
    groups: tuple[str, ...]

    def only(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> "Truth":
        """The truth of some of the samples."""
        return truth_of([self.samples[index] for index in indices])


def truth_of(samples: Sequence[Sample]) -> Truth:
    """What is known of ``samples``; one without a group is a group of its own."""
    return Truth(
        samples=tuple(samples),
        labels=np.array([sample.label for sample in samples], dtype=np.int64),
        groups=tuple(sample.group or sample.path for sample in samples),
    )
