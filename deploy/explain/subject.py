"""A model whose answers are explained: an artifact, or a network with its weights. Torch-free."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from deploy.explain.hide import METHODS, Ask, Map, explain
from deploy.prediction import answer_of
from deploy.runtime import Detector
from distill.errors import EdgeproofError
from distill.evaluation.band import Band
from distill.preprocess import Pixels, PreprocessSpec
from distill.task import Task, task_of_labels

MapOf = Callable[[Pixels], Map]


@dataclass(frozen=True)
class Box:
    """The face that a localiser found: x1, y1, x2, y2 in pixels of the model's input, and how sure it is of it."""

    corners: tuple[float, float, float, float]
    confidence: float


@dataclass(frozen=True)
class Subject:
    """A model that can be asked, and the maps that it offers.

    Attributes:
        name: what pictures and tables call it.
        form: runtime and precision, such as ``torch fp32``.
        spec: how an image becomes its input.
        task: what it answers.
        ask: uint8 ``[N, S, S, 3]`` → calibrated logits ``[N]`` or ``[N, K]``.
        threshold: on the probability of *generated*; None for K classes.
        band: where it answers *not sure*.
        own: method → map, of those that read the network's inside; the rest hide a part and ask again.
        box: of one picture uint8 ``[S, S, 3]``, where the network has a localiser.
        caution: what to bear in mind with every answer.
    """

    name: str
    form: str
    spec: PreprocessSpec
    task: Task
    ask: Ask
    threshold: float | None
    band: Band | None = None
    own: Mapping[str, MapOf] = field(default_factory=dict)
    box: Callable[[Pixels], Box] | None = None
    caution: str | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """Every way to explain it, those that read its inside first."""
        return (*self.own, *METHODS)

    def called(self, name: str) -> "Subject":
        """The same model under another name."""
        return replace(self, name=name)

    def map_of(self, pixels: Pixels, *, method: str) -> Map:
        """What its answer for uint8 ``[S, S, 3]`` hangs on: float32 ``[S, S]``; the network's own maps lie in [0, 1]."""
        found = self.own.get(method)
        return found(pixels) if found else explain(self.ask, pixels, method=method)

    def answer(self, pixels: Pixels) -> tuple[str, float]:
        """What it says of uint8 ``[S, S, 3]``: a label or *not sure*, and the probability of *generated* or the class."""
        scores: npt.NDArray[np.float64] = self.task.probabilities(self.ask(pixels[None]))[0]
        if self.threshold is None:
            best = int(np.argmax(scores))
            return self.task.labels[best], float(scores[best])
        label = self.task.labels[int(scores >= self.threshold)]
        return answer_of(float(scores), band=self.band) or label, float(scores)

    def strongest_crop(self, crops: Pixels) -> Pixels:
        """Of crops ``[N, S, S, 3]`` of one image the one that speaks most for *generated*, or for any of K classes."""
        logits = self.ask(crops) if len(crops) > 1 else np.zeros(1)
        found: Pixels = crops[int(np.argmax(logits if logits.ndim == 1 else logits.max(axis=1)))]
        return found


@dataclass(frozen=True)
class View:
    """A model seen by one method."""

    subject: Subject
    method: str


def artifact_subject(detector: Detector, *, name: str | None = None) -> Subject:
    """A loaded artifact."""
    manifest = detector.manifest
    stored = "int8" if manifest.precision == "int8" else detector.precision
    return Subject(
        name=name or manifest.name, form=f"{detector.runtime} {stored}", spec=detector.preprocessing(),
        task=task_of_labels(manifest.task, manifest.labels), ask=detector.run, threshold=manifest.threshold,
        band=manifest.band, caution=detector.caution,
    )  # fmt: skip


def views_of(subjects: Sequence[Subject], methods: Sequence[str] = ()) -> tuple[View, ...]:
    """What is drawn: every model by each of the methods that it offers.

    Without ``methods`` one network is seen by its own, one artifact by occlusion; several models by occlusion, which all of
    them offer, and then by their own.

    Raises:
        EdgeproofError: a method that none of the models offers.
    """
    offered = tuple(dict.fromkeys(method for subject in subjects for method in subject.methods))
    for method in methods:
        if method not in offered:
            also = "" if len(offered) > len(METHODS) else "; others need a checkpoint (.safetensors)"
            raise EdgeproofError(f"explain: method is {method!r}, choose one of: {', '.join(offered)}{also}")
    return tuple(
        View(subject, method)
        for method in methods or _usual(subjects)
        for subject in subjects
        if method in subject.methods
    )


def _usual(subjects: Sequence[Subject]) -> tuple[str, ...]:
    own = tuple(dict.fromkeys(m for subject in subjects for m in subject.own if m in _SHOWN))
    return own if own and len(subjects) == 1 else (METHODS[0], *own)


_SHOWN = ("hirescam", "attention")  # hirescam is never worse than chance in docs/explain.md
