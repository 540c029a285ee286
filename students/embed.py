"""A frozen backbone and a classical head that scikit-learn has fitted: one module, one file of weights, one graph."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field
from torch import Tensor, nn

from students.backbones import SPECTRUM, make_backbone
from students.heads import HEADS
from students.options import NumLogits, OptionError
from students.output import ModelOutput, squeeze_binary

HeadName = Literal[
    "logistic", "linear_svm", "rbf_svm", "knn", "random_forest", "gradient_boosting", "lightgbm"
]  # fmt: skip
Search = dict[str, tuple[bool | int | float | str, ...]]
Folds = Annotated[int, Field(ge=2, le=20)]
Bands = Annotated[int, Field(ge=4, le=256)]
Epochs = Annotated[int, Field(ge=0, le=100_000)]
ImageSize = Annotated[int, Field(ge=16, le=4096)]


class Embed(nn.Module):
    """Embeddings of a backbone, classified by a head of :data:`students.heads.HEADS`.

    Nothing in it has gradients: it is *fitted* (:mod:`distill.training.classical`), not trained.

    Args:
        num_logits: 1 for the binary task, K for K classes.
        backbone: a name of :func:`students.backbones.make_backbone`.
        head: what classifies.
        search: hyper-parameter, as scikit-learn calls it → the values to choose from; those of the head by default.
        folds: of groups, by which they are chosen.
        bands: of the backbone ``spectrum``.
        pretrained: the backbone's weights by its library's own download.
        weights: local ``.safetensors`` file with its library's tensor names; wins over ``pretrained``.
        fine_tune_epochs: epochs in which the backbone trains under one linear layer (:class:`UnderLinear`) before the head is
            fitted to what it then says.
        image_size: side of the input in pixels, for backbones built for one size (vision transformers, image towers).

    Attributes:
        backbone_name: the name given as ``backbone``.
        head_name: the name given as ``head``.

    """

    def __init__(
        self,
        *,
        num_logits: NumLogits = 1,
        backbone: str = SPECTRUM,
        head: HeadName = "logistic",
        search: Search | None = None,
        folds: Folds = 5,
        bands: Bands = 32,
        pretrained: bool = False,
        weights: Path | None = None,
        fine_tune_epochs: Epochs = 0,
        image_size: ImageSize | None = None,
    ) -> None:
        super().__init__()
        if fine_tune_epochs and backbone == SPECTRUM:
            raise OptionError(f"backbone {SPECTRUM}: it has no weights, expected fine_tune_epochs = 0")
        self.fine_tune_epochs = fine_tune_epochs
        self.feature_channels: dict[str, int] = {}
        self.num_logits, self.backbone_name, self.head_name, self.folds = (
            num_logits,
            backbone,
            str(head),
            folds,
        )
        self.search: Mapping[str, tuple[Any, ...]] = dict(search or {})
        found = make_backbone(
            backbone, pretrained=pretrained, weights=weights, bands=bands, image_size=image_size
        )
        self.backbone = found.network.eval().requires_grad_(False)
        self.width = found.width
        self.head = HEADS[head](found.width, num_logits)

    def train(self, mode: bool = True) -> Self:
        """As in torch, except that the backbone stays in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def embed(self, images: Tensor) -> Tensor:
        """Normalized ``[N, 3, H, W]`` → embeddings ``[N, D]``."""
        found: Tensor = self.backbone(images)
        return found.flatten(1)

    def classify(self, embeddings: Tensor) -> Tensor:
        """Embeddings ``[N, D]`` → logits ``[N]`` or ``[N, K]``."""
        return squeeze_binary(self.head(embeddings))

    def forward(self, images: Tensor) -> ModelOutput:
        """Normalized ``[N, 3, H, W]`` → logits; no features that others could learn from."""
        return ModelOutput(logits=self.classify(self.embed(images)), features={})


class UnderLinear(nn.Module):
    """The backbone of an :class:`Embed`, the very same, under one linear layer: what trains before a head is fitted."""

    def __init__(self, student: Embed) -> None:
        super().__init__()
        self.feature_channels: dict[str, int] = {}
        self.backbone = student.backbone.requires_grad_(True)
        self.head = nn.Linear(student.width, student.num_logits)

    def forward(self, images: Tensor) -> ModelOutput:
        """Normalized ``[N, 3, H, W]`` → logits."""
        return ModelOutput(logits=squeeze_binary(self.head(self.backbone(images).flatten(1))), features={})


def spectrum(
    *,
    num_logits: NumLogits = 1,
    head: HeadName = "logistic",
    search: Search | None = None,
    folds: Folds = 5,
    bands: Bands = 32,
) -> Embed:
    """:class:`Embed` on an image's power spectrum: no network at all."""
    return Embed(num_logits=num_logits, head=head, search=search, folds=folds, bands=bands)
