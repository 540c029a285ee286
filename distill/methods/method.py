"""What a distillation method is: a term of the loss that declares its options and what it needs of the pair."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from distill.data.samples import Sample
from distill.errors import EdgeproofError, unknown_name
from distill.methods.objective import Batch, Objective
from distill.task import BINARY, Task
from students.output import ModelOutput


@dataclass(frozen=True)
class Pair:
    """The models that a method stands between.

    Attributes:
        student: feature name → channels, shallow to deep.
        teachers: name of each teacher it listens to → the same of its features.
        task: what both answer.
    """

    student: Mapping[str, int]
    teachers: Mapping[str, Mapping[str, int]]
    task: Task = BINARY

    def student_feature(self, name: str) -> str:
        """The named feature, or the deepest; raises :class:`EdgeproofError` if there is none of that name."""
        return _feature(name, self.student, kind="student feature")

    def teacher_feature(self, name: str, *, teacher: str) -> str:
        """The same of a teacher."""
        return _feature(name, self.teachers[teacher], kind=f"{teacher} feature")


@dataclass(frozen=True)
class Needs:
    """What a method reads beside the teachers' logits and ``batch.indices``, which cost nothing and are always there.

    Attributes:
        features: teacher's name → the feature maps it reads; no others are computed and cached.
        memory: it keeps a memory over the data set (by ``batch.indices``), which works in one process only.
    """

    features: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    memory: bool = False


class Method(Objective):
    """A term that listens to one or more teachers.

    A subclass declares its options as keyword-only arguments beside ``weight``; their annotations are what a recipe's
    values are checked against.
    """

    def __init__(self, pair: Pair, *, weight: float = 1.0) -> None:
        super().__init__(weight=weight)
        if not pair.teachers:
            raise EdgeproofError(f"distillation.methods: {self.name} listens to no teacher, expected one")
        self.teachers = tuple(pair.teachers)

    @property
    def needs(self) -> Needs:
        """What it reads; by default the logits alone."""
        return Needs()

    def prepare(self, samples: Sequence[Sample]) -> None:
        """Told the training data once, before the first step; ``batch.indices`` are positions in it."""

    def teacher(self, batch: Batch) -> ModelOutput:
        """What the first of its teachers said of the batch."""
        name = self.teachers[0]
        if name not in batch.teachers:
            raise ValueError(f"{self.name} needs what {name} said, but the batch holds {[*batch.teachers]}")
        return batch.teachers[name]


def features_of(methods: Iterable[Method]) -> dict[str, tuple[str, ...]]:
    """Every teacher that the methods listen to → the feature maps that they read of it."""
    found: dict[str, set[str]] = {}
    for method in methods:
        for name in method.teachers:
            found.setdefault(name, set()).update(method.needs.features.get(name, ()))
    return {name: tuple(sorted(features)) for name, features in found.items()}


def _feature(name: str, channels: Mapping[str, int], *, kind: str) -> str:
    if not channels:
        raise EdgeproofError(f"{kind}: the model offers none; name its layers")
    if not name:
        return list(channels)[-1]
    if name not in channels:
        raise unknown_name(kind=kind, given=name, choices=channels)
    return name
