"""What a method stands between: the shapes of both networks' features, and which map belongs to which."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import nn

from distill.errors import EdgeproofError, unknown_name
from distill.preprocess import PreprocessSpec
from distill.probe import BOX_LOGITS, BOXES, FeatureMap, Parts
from distill.task import BINARY, Task

Maps = Mapping[str, FeatureMap]


class Link(NamedTuple):
    """A student's feature map and the teacher's that it is held against."""

    student: str
    teacher: str


@dataclass(frozen=True)
class Pair:
    """The models that a method stands between.

    Attributes:
        student: feature name → its shape, shallow to deep.
        teachers: name of each teacher it listens to → the same of its features.
        task: what both answer.
        attention: teacher's name → ``attention.<level>`` → the shape of that map, where it has spatial attention.
        localisers: the teachers that say where a face is.
        sees: how an image becomes the input of a network, by teacher's name; the student's own under "".
        make_student: builds another network of the student's architecture, with other first weights.
    """

    student: Maps
    teachers: Mapping[str, Maps]
    task: Task = BINARY
    attention: Mapping[str, Maps] = field(default_factory=dict)
    localisers: frozenset[str] = frozenset()
    sees: Mapping[str, PreprocessSpec] = field(default_factory=dict)
    make_student: Callable[[], nn.Module] | None = None

    @classmethod
    def of(
        cls,
        student: Parts,
        teachers: Mapping[str, Parts],
        *,
        task: Task,
        sees: Mapping[str, PreprocessSpec],
        make_student: Callable[[], nn.Module] | None = None,
    ) -> "Pair":
        """From what the networks give."""
        return cls(
            student=student.features,
            teachers={name: parts.features for name, parts in teachers.items()},
            task=task,
            attention={name: parts.attention for name, parts in teachers.items()},
            localisers=frozenset(name for name, parts in teachers.items() if parts.boxes),
            sees=sees,
            make_student=make_student,
        )

    def student_feature(self, name: str) -> str:
        """The named feature, or the deepest; raises :class:`EdgeproofError` if there is none of that name."""
        return _feature(name, self.student, kind="student feature")

    def teacher_feature(self, name: str, *, teacher: str) -> str:
        """The same of a teacher."""
        return _feature(name, self.teachers[teacher], kind=f"{teacher} feature")

    def link(self, student: str = "", teacher_feature: str = "", *, teacher: str) -> Link:
        """The named maps; the other one of the same stride if one is named; the deepest stride that both have if none.

        Raises:
            EdgeproofError: no map of that name, or no stride that both have.
        """
        if student or teacher_feature:
            return self._completed(student, teacher_feature, teacher=teacher)
        return self.links(teacher=teacher)[-1]

    def links(
        self, students: Sequence[str] = (), teacher_features: Sequence[str] = (), *, teacher: str
    ) -> tuple[Link, ...]:
        """Several pairs, shallow to deep: the named ones, otherwise one for every stride that both have.

        Raises:
            EdgeproofError: as :meth:`link`, or lists of unequal length.
        """
        if students and teacher_features and len(students) != len(teacher_features):
            raise EdgeproofError(
                f"student_features are {list(students)} and teacher_features {list(teacher_features)}, "
                "expected as many of each"
            )
        if students or teacher_features:
            names = zip(
                students or [""] * len(teacher_features),
                teacher_features or [""] * len(students),
                strict=True,
            )
            return tuple(self._completed(one, other, teacher=teacher) for one, other in names)
        return match_by_stride(
            self._own(), self._of(self.teachers[teacher], teacher), names=("student", teacher)
        )

    def attention_links(
        self, students: Sequence[str] = (), levels: Sequence[str] = (), *, teacher: str
    ) -> tuple[Link, ...]:
        """The same for a teacher's spatial attention; raises as well if it has none."""
        maps = self.attention.get(teacher, {})
        if not maps:
            raise EdgeproofError(
                f"{teacher} gives no attention maps, expected a teacher with CBAM (efficientnet_fpn_cbam)"
            )
        named = [level if level in maps else f"attention.{level}" for level in levels]
        attended = Pair(self.student, {teacher: maps}, self.task)
        return attended.links(students, named, teacher=teacher)

    def boxes_of(self, teacher: str) -> tuple[str, str]:
        """How a teacher's box and its confidence are asked for; raises :class:`EdgeproofError` if it gives none."""
        if teacher not in self.localisers:
            raise EdgeproofError(
                f"{teacher} gives no boxes, expected a teacher with a localiser (efficientnet_fpn_cbam)"
            )
        return BOXES, BOX_LOGITS

    def _completed(self, student: str, teacher_feature: str, *, teacher: str) -> Link:
        maps = self._of(self.teachers[teacher], teacher)
        for name, known, kind in (
            (student, self._own(), "student feature"), (teacher_feature, maps, f"{teacher} feature"),
        ):  # fmt: skip
            if name:
                _feature(name, known, kind=kind)
        if student and teacher_feature:
            return Link(student, teacher_feature)
        own = {student: self.student[student]} if student else self.student
        other = {teacher_feature: maps[teacher_feature]} if teacher_feature else maps
        return match_by_stride(own, other, names=("student", teacher))[-1]

    def _own(self) -> Maps:
        return self._of(self.student, "student")

    @staticmethod
    def _of(maps: Maps, owner: str) -> Maps:
        _feature("", maps, kind=f"{owner} feature")
        return maps


def match_by_stride(student: Maps, teacher: Maps, *, names: tuple[str, str]) -> tuple[Link, ...]:
    """One pair for every stride that both have, shallow to deep; of several maps of one stride, the deepest.

    Raises:
        EdgeproofError: none; lists the strides of both.
    """
    own, other = ({value.stride: name for name, value in maps.items()} for maps in (student, teacher))
    common = sorted(own.keys() & other.keys())
    if not common:
        listed = [
            ", ".join(f"{key} has {value.stride}" for key, value in maps.items())
            for maps in (student, teacher)
        ]
        raise EdgeproofError(
            f"no feature map of the student has the stride of one of {names[1]}'s (student: {listed[0]}; "
            f"{names[1]}: {listed[1]}); expected a stride that both have, or the names of a pair"
        )
    return tuple(Link(own[stride], other[stride]) for stride in common)


def _feature(name: str, maps: Maps, *, kind: str) -> str:
    if not maps:
        raise EdgeproofError(f"{kind}: the model offers none; name its layers")
    if not name:
        return list(maps)[-1]
    if name not in maps:
        raise unknown_name(kind=kind, given=name, choices=maps)
    return name
