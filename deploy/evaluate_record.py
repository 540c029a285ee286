"""What an artifact does on a labelled folder: ``evaluation.json``. Torch-free."""

from typing import Literal

from distill.evaluation.band import Answered
from distill.evaluation.statistics import Interval
from distill.record import Frozen, Record


class Measure(Frozen):
    """A metric and its 95 % interval over groups of images; None where these images cannot give it."""

    value: float | None
    interval: Interval | None = None


class Judgement(Frozen):
    """Some images, judged at the artifact's frozen threshold.

    Attributes:
        n: images.
        classes: label → images of it.
        groups: scenes, identities or videos that stand behind every interval; an image without one counts by itself.
        measures: name in :class:`distill.evaluation.metrics.Metrics` → its value.
        confusion: true classes in rows, in the order of the artifact's labels.
    """

    n: int
    classes: dict[str, int]
    groups: int
    measures: dict[str, Measure]
    confusion: tuple[tuple[int, ...], ...]


class DegradedJudgement(Frozen):
    """The same images after one degradation (see :class:`distill.data.transforms.degradations.Degradation`).

    Attributes:
        name: in the table of degradations.
        family: what was done.
        strength: how strongly.
        generated_only: whether real images were left as they are.
        judged: what was said of them.
        change: of the AUC (of K classes the accuracy) against the same images as they are, paired.
        flips: share of the images whose verdict is another one than before.
    """

    name: str
    family: str
    strength: str
    generated_only: bool
    judged: Judgement
    change: Measure
    flips: float


class EvaluationRecord(Record):
    """``evaluation.json``.

    Attributes:
        artifact: the name that its manifest gives.
        precision: the manifest's.
        runtime: what ran it.
        task: the manifest's.
        labels: of the classes, in the order of their numbers.
        threshold: the frozen one; None for K classes.
        data: which images, in words.
        layout: how they were listed.
        grouped: whether any two images are known to belong together.
        overall: all of them.
        generators: name → its images beside all real ones; empty for K classes and where none has a name.
        degraded: the sweep over degraded images, *clean* first; empty if it was not asked for.
        answered: how often the artifact's band answers, and errs; None where it has none.
        skipped: files that could not be decoded, a line each.
        cautions: what to bear in mind when reading this.
    """

    artifact: str
    precision: str
    runtime: str
    task: Literal["binary", "multiclass"]
    labels: tuple[str, ...]
    threshold: float | None
    data: str
    layout: str
    grouped: bool
    overall: Judgement
    generators: dict[str, Judgement] = {}
    degraded: tuple[DegradedJudgement, ...] = ()
    answered: Answered | None = None
    skipped: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()

    @property
    def score(self) -> str:
        """Name of the measure that models are compared by."""
        return "auc" if self.task == "binary" else "accuracy"
