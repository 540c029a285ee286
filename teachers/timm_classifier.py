"""Any classifier of timm (Wightman 2019, github.com/huggingface/pytorch-image-models) as a teacher."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field
from torch import Tensor, nn

from students.options import Dropout, NumLogits, OptionError
from students.output import ModelOutput, squeeze_binary
from students.timm_models import create_classifier

MAX_FEATURES = 4


class TimmClassifier(nn.Module):
    """A timm model with one typed output; its last stages (transformers: blocks) are the features.

    Args:
        model: timm's name, with or without its pretrained tag.
        num_logits: 1 for the binary task, K for K classes.
        image_size: side of the input in pixels, for models built for one size (vision transformers).
        dropout: probability of dropping a pooled feature while training.
        pretrained: timm's own weights, by its own download.
        weights: local ``.safetensors`` file with timm's tensor names; wins over ``pretrained``.
        grad_checkpointing: compute activations again in the backward pass instead of keeping them: less memory, more time.

    """

    def __init__(
        self,
        model: str,
        *,
        num_logits: NumLogits = 1,
        image_size: Annotated[int, Field(ge=16, le=4096)] | None = None,
        dropout: Dropout = 0.0,
        pretrained: bool = False,
        weights: Path | None = None,
        grad_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        size = {} if image_size is None else {"img_size": image_size}
        self.network: Any = create_classifier(
            model, pretrained=pretrained, weights=weights, num_classes=num_logits, drop_rate=dropout, **size
        )
        stages = getattr(self.network, "feature_info", None)
        if not stages or not hasattr(self.network, "forward_intermediates"):
            raise OptionError(f"timm model {model}: offers no intermediate features, choose another")
        self.grad_checkpointing = grad_checkpointing
        if grad_checkpointing:
            _try_checkpoints(model, self.network)
        widths = {f"stage{i}": int(stage["num_chs"]) for i, stage in enumerate(stages)}
        self.feature_channels = dict(list(widths.items())[-MAX_FEATURES:])

    def train(self, mode: bool = True) -> Self:
        """As in torch; activations are kept or computed again where there are gradients, and not in an exported graph."""
        super().train(mode)
        if self.grad_checkpointing:
            self.network.set_grad_checkpointing(mode)
        return self

    def forward(self, images: Tensor) -> ModelOutput:
        """Normalized ``[N, 3, H, W]`` → logits and up to four last feature maps, NCHW for every model."""
        last, maps = self.network.forward_intermediates(
            images, indices=len(self.feature_channels), output_fmt="NCHW"
        )
        features = dict(zip(self.feature_channels, maps, strict=True))
        return ModelOutput(logits=squeeze_binary(self.network.forward_head(last)), features=features)


def _try_checkpoints(model: str, network: Any) -> None:
    try:
        network.set_grad_checkpointing(True)
    except (AttributeError, AssertionError):
        raise OptionError(
            f"timm model {model}: has no gradient checkpoints, expected grad_checkpointing = false"
        ) from None
