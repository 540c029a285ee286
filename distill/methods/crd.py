"""Contrastive representation distillation: Tian et al. 2020 (arXiv 1910.10699)."""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from distill.data.samples import Sample
from distill.errors import EdgeproofError
from distill.methods.maps import OneMap
from distill.methods.method import Needs
from distill.methods.objective import Batch, Step
from distill.methods.pair import Pair
from students.output import ModelOutput

_EPSILON = 1e-7
Choice = Literal["any", "other_class"]


def contrast_loss(scores: Tensor, *, images: int) -> Tensor:
    """Noise-contrastive estimation, summed over the samples of an image and averaged over the N images.

    ``-[log h(positive) + Σ log(1 - h(negative))]`` with ``h = P / (P + K / n + 1e-7)``.

    Args:
        scores: ``[N, 1 + K]``, P of the positive and of K negatives.
        images: n, of the data set.
    """
    noise = (scores.shape[1] - 1) / images
    positive = (scores[:, 0] / (scores[:, 0] + noise + _EPSILON)).log()
    negative = (noise / (scores[:, 1:] + noise + _EPSILON)).log().sum(dim=1)
    return -(positive + negative).mean()


def draw_negatives(
    indices: Tensor, *, count: int, labels: Tensor, choice: Choice, key: Sequence[int]
) -> Tensor:
    """Numbers of other images ``[N, count]`` for the images ``[N]``, drawn uniformly with replacement.

    Args:
        indices: the images' own numbers.
        count: K.
        labels: ``[n]`` of the whole data set; -1 = unknown.
        choice: ``other_class``: of those whose label is known and another; an image without a label draws from all.
        key: seeds the draws.
    """
    random = np.random.default_rng(list(key))
    draws = random.integers(0, len(labels) - 1, (len(indices), count))
    found = torch.from_numpy(draws).to(indices.device)
    found += found >= indices[:, None]  # never itself
    if choice == "any":
        return found
    shares = torch.from_numpy(random.random((len(indices), count))).to(indices.device)
    own = labels[indices]
    for label in torch.unique(own[own >= 0]):
        others = torch.nonzero((labels >= 0) & (labels != label))[:, 0]
        chosen = own == label
        found[chosen] = others[(shares[chosen] * len(others)).long()]
    return found


class CRD(OneMap):
    """Tell the teacher's feature of the same image from those of others, and the student's in turn.

    Means over places of one map each go through a linear layer to unit vectors. Memory banks hold what both networks
    last said of every image of the data set; they travel with the checkpoint of an unfinished training.

    Args:
        pair: the models.
        weight: of the term.
        student_feature: name of the student's map.
        teacher_feature: name of the teacher's map.
        dimensions: of the embedding.
        negatives: K, drawn anew for every image of every step.
        negatives_of: ``any`` other image, or ``other_class`` where labels are known.
        temperature: τ.
        momentum: of the memory.
        seed: of the draws, which depend on it and the step alone.
    """

    name = "crd"
    memory_student: Tensor
    memory_teacher: Tensor
    scales: Tensor
    labels: Tensor

    def __init__(
        self,
        pair: Pair,
        *,
        weight: float = 1.0,
        student_feature: str = "",
        teacher_feature: str = "",
        dimensions: Annotated[int, Field(ge=2, le=1024)] = 128,
        negatives: Annotated[int, Field(ge=1, le=65_536)] = 1024,
        negatives_of: Choice = "any",
        temperature: Annotated[float, Field(gt=0)] = 0.07,
        momentum: Annotated[float, Field(ge=0, lt=1)] = 0.5,
        seed: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        super().__init__(
            pair, weight=weight, student_feature=student_feature, teacher_feature=teacher_feature
        )
        self.dimensions, self.negatives, self.negatives_of = dimensions, negatives, negatives_of
        self.temperature, self.momentum, self.seed = temperature, momentum, seed
        own, theirs = self.shapes
        self.embed_student = nn.Linear(own.channels, dimensions)
        self.embed_teacher = nn.Linear(theirs.channels, dimensions)
        for side in ("student", "teacher"):
            self.register_buffer(f"memory_{side}", torch.zeros(0, dimensions))
        self.register_buffer("scales", torch.zeros(2))  # Z of both banks, estimated in the first step
        self.register_buffer("labels", torch.zeros(0, dtype=torch.long), persistent=False)

    @property
    def needs(self) -> Needs:
        """One map, and a place for every image."""
        return Needs(features=super().needs.features, memory=True)

    def prepare(self, samples: Sequence[Sample]) -> None:
        """Fill the banks with random vectors of about unit norm."""
        self.labels = torch.tensor([sample.label for sample in samples])
        known = torch.unique(self.labels[self.labels >= 0])
        if len(samples) < 2 or (self.negatives_of == "other_class" and len(known) == 1):
            raise EdgeproofError(
                f"distillation.methods: crd contrasts an image with {'others' if len(samples) < 2 else 'other classes'}, "
                f"found {len(samples)} images of {len(known)} classes"
            )
        random, bound = np.random.default_rng(self.seed), (3 / self.dimensions) ** 0.5
        shape = (2, len(samples), self.dimensions)
        banks = torch.from_numpy(random.uniform(-bound, bound, shape).astype(np.float32))
        self.memory_student, self.memory_teacher = banks[0].clone(), banks[1].clone()

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """Scalar loss: both directions; then the memory follows."""
        [link] = self.links
        with torch.autocast(output.logits.device.type, enabled=False):
            maps = output.features[link.student].float(), self.read(batch, link.teacher)
            pooled = [map_.mean(dim=(2, 3)) for map_ in maps]
            student = F.normalize(self.embed_student(pooled[0]), dim=1)
            teacher = F.normalize(self.embed_teacher(pooled[1]), dim=1)
            others = draw_negatives(
                batch.indices, count=self.negatives, labels=self.labels, choice=self.negatives_of,
                key=(self.seed, step.step),
            )  # fmt: skip
            rows = torch.cat([batch.indices[:, None], others], dim=1)
            total = self._contrast(student, self.memory_teacher[rows], place=0)
            total = total + self._contrast(teacher, self.memory_student[rows], place=1)
        self._remember(self.memory_student, student, batch.indices)
        self._remember(self.memory_teacher, teacher, batch.indices)
        return total

    def _contrast(self, anchor: Tensor, bank: Tensor, *, place: int) -> Tensor:
        """Loss of anchors ``[N, D]`` against ``[N, 1 + K, D]`` of the other network's memory."""
        raw = (torch.einsum("nd,nkd->nk", anchor, bank) / self.temperature).exp()
        images = len(self.memory_student)
        with torch.no_grad():
            if not self.scales[place]:
                self.scales[place] = raw.mean() * images
        return contrast_loss(raw / self.scales[place].clone(), images=images)

    @torch.no_grad()
    def _remember(self, bank: Tensor, rows: Tensor, indices: Tensor) -> None:
        kept = self.momentum * bank[indices] + (1 - self.momentum) * rows
        bank[indices] = F.normalize(kept, dim=1)
