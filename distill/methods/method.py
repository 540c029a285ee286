"""What a distillation method is: a term of the loss that declares its options and what it needs of the pair."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from distill.data.samples import Sample
from distill.errors import EdgeproofError
from distill.methods.objective import Batch, Objective, Step
from distill.methods.pair import Pair
from students.output import ModelOutput


@dataclass(frozen=True)
class Needs:
    """What a method reads beside the teachers' logits and ``batch.indices``, which cost nothing and are always there.

    Attributes:
        features: teacher's name → what it reads of it: feature maps, ``attention.<level>``, ``boxes``, ``box_logits``
            (see :func:`distill.training.teachers.pick`); nothing else is computed and cached.
        memory: it keeps a memory over the data set (by ``batch.indices``), which works in one process only.
    """

    features: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    memory: bool = False


class Method(Objective):
    """A term that listens to one or more teachers, or to nobody.

    A subclass declares its options as keyword-only arguments beside ``weight``; their annotations are what a recipe's
    values are checked against. ``listens`` is False for a method without a teacher. ``warmup`` and ``until`` belong to
    every method and are set by :func:`distill.methods.build_method`.

    Attributes:
        as_labels: whether it can teach what has no gradients too, as soft labels: the teacher's softened probabilities, in
            place of the loss.
        warmup: share of the training over which the weight rises linearly from 0.
        until: share of the training after which the term is off (Cho & Hariharan 2019, arXiv 1910.01348); it then
            costs nothing.
    """

    listens = True
    as_labels = False

    def __init__(self, pair: Pair, *, weight: float = 1.0) -> None:
        super().__init__(weight=weight)
        if self.listens and not pair.teachers:
            raise EdgeproofError(f"distillation.methods: {self.name} listens to no teacher, expected one")
        self.teachers = tuple(pair.teachers) if self.listens else ()
        self.warmup, self.until = 0.0, 1.0

    @property
    def needs(self) -> Needs:
        """What it reads; by default the logits alone."""
        return Needs()

    def prepare(self, samples: Sequence[Sample]) -> None:
        """Told the training data once, before the first step; ``batch.indices`` are positions in it."""

    def forward(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """The weighted scalar, by its schedule."""
        if not self.active(step):
            return output.logits.float().new_zeros(())
        share = min(1.0, step.share / self.warmup) if self.warmup else 1.0
        return share * super().forward(output, batch, step)

    def active(self, step: Step) -> bool:
        """Whether it still has its say."""
        return step.share < self.until

    def teacher(self, batch: Batch) -> ModelOutput:
        """What the first of its teachers said of the batch."""
        return self.said(batch, self.teachers[0])

    def said(self, batch: Batch, name: str) -> ModelOutput:
        """What one of its teachers said of the batch; no gradient goes back to it."""
        if name not in batch.teachers:
            raise ValueError(f"{self.name} needs what {name} said, but the batch holds {[*batch.teachers]}")
        found = batch.teachers[name]
        return found._replace(logits=found.logits.detach())

    def read(self, batch: Batch, name: str) -> Tensor:
        """One of the things that it reads of its first teacher."""
        features = self.teacher(batch).features
        if name not in features:
            raise ValueError(
                f"{self.name} needs the feature {name!r} of {self.teachers[0]}, but the batch holds {[*features]}"
            )
        return features[name].detach().float()


def features_of(methods: Iterable[Method]) -> dict[str, tuple[str, ...]]:
    """Every teacher that the methods listen to → what they read of it beside its logits."""
    found: dict[str, set[str]] = {}
    for method in methods:
        for name in method.teachers:
            found.setdefault(name, set()).update(method.needs.features.get(name, ()))
    return {name: tuple(sorted(features)) for name, features in found.items()}
