"""What methods on feature maps share: which maps they read, and how two maps become comparable."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.methods.method import Method, Needs
from distill.methods.objective import Batch, Step
from distill.methods.pair import Link, Pair
from distill.probe import FeatureMap
from students.output import ModelOutput

Two = tuple[Tensor, Tensor]


def pool_to_smaller(student: Tensor, teacher: Tensor) -> Two:
    """Two ``[N, C, H, W]`` maps at the smaller of both sizes: the larger one's cells are averaged."""
    height, width = (min(a, b) for a, b in zip(student.shape[2:], teacher.shape[2:], strict=True))
    return F.adaptive_avg_pool2d(student, (height, width)), F.adaptive_avg_pool2d(teacher, (height, width))


class MapsMethod(Method):
    """A method on pairs of maps, each with the student's first: a subclass sets its links, and tells their distance.

    Attributes:
        links: the pairs of maps, shallow to deep.
    """

    links: tuple[Link, ...]

    @property
    def needs(self) -> Needs:
        """The teacher's maps."""
        return Needs(features={self.teachers[0]: tuple(link.teacher for link in self.links)})

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """Scalar loss, in FP32: products of features lose too much in bf16."""
        maps = [
            (output.features[link.student].float(), self.read(batch, link.teacher)) for link in self.links
        ]
        with torch.autocast(output.logits.device.type, enabled=False):
            return self.distance(maps)

    def distance(self, maps: Sequence[Two]) -> Tensor:
        """Scalar of the student's and the teacher's maps, one pair for each link."""
        raise NotImplementedError


class OneMap(MapsMethod):
    """A method on one pair of maps, by default at the deepest stride that both networks have."""

    def __init__(
        self, pair: Pair, *, weight: float = 1.0, student_feature: str = "", teacher_feature: str = ""
    ) -> None:
        super().__init__(pair, weight=weight)
        self.links = (pair.link(student_feature, teacher_feature, teacher=self.teachers[0]),)
        self.shapes = shapes_of(pair, self.links, teacher=self.teachers[0])[0]


class ManyMaps(MapsMethod):
    """A method on several pairs of maps, by default one for every stride that both networks have."""

    def __init__(
        self,
        pair: Pair,
        *,
        weight: float = 1.0,
        student_features: tuple[str, ...] = (),
        teacher_features: tuple[str, ...] = (),
    ) -> None:
        super().__init__(pair, weight=weight)
        self.links = pair.links(student_features, teacher_features, teacher=self.teachers[0])
        self.shapes = shapes_of(pair, self.links, teacher=self.teachers[0])


def shapes_of(
    pair: Pair, links: Sequence[Link], *, teacher: str
) -> tuple[tuple[FeatureMap, FeatureMap], ...]:
    """The shapes of the student's and the teacher's map of every link."""
    maps = {**pair.attention.get(teacher, {}), **pair.teachers[teacher]}
    return tuple((pair.student[link.student], maps[link.teacher]) for link in links)
