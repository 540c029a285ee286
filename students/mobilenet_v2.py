"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381), from torchvision."""

from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from students.options import NumLogits, OptionError
from students.output import ModelOutput, squeeze_binary
from students.weights import download, load_state, load_weights

# The last inverted residual at each stride, by its index in torchvision's `features`.
STAGES = {3: "stride4", 6: "stride8", 13: "stride16", 17: "stride32"}
HEAD = ("classifier.1",)


class MobileNetV2(nn.Module):
    """torchvision's network with one typed output.

    Args:
        num_logits: 1 for the binary task, K for K classes.
        width_mult: multiplier of every layer's channels.
        pretrained: ImageNet weights by torchvision's own download (``width_mult`` 1 only).
        weights: local ``.safetensors`` file with torchvision's tensor names; wins over ``pretrained``.

    """

    def __init__(
        self,
        *,
        num_logits: NumLogits = 1,
        width_mult: Annotated[float, Field(ge=0.1, le=2.0)] = 1.0,
        pretrained: bool = False,
        weights: Path | None = None,
    ) -> None:
        super().__init__()
        self.network = mobilenet_v2(num_classes=num_logits, width_mult=width_mult)
        self.feature_channels = {STAGES[i]: int(self.network.features[i].out_channels) for i in STAGES}
        if weights is not None:
            load_weights(self.network, weights, head=HEAD)
        elif pretrained:
            if width_mult != 1.0:
                raise OptionError(f"mobilenet_v2: pretrained needs width_mult 1.0, found {width_mult}")
            source = MobileNet_V2_Weights.DEFAULT
            state = download(
                "mobilenet_v2", partial(source.get_state_dict, check_hash=True, weights_only=True)
            )
            load_state(self.network, state, source=str(source), head=HEAD)

    def forward(self, images: Tensor) -> ModelOutput:
        """Normalized ``[N, 3, H, W]`` → logits and the last map at strides 4, 8, 16 and 32."""
        features = {}
        x = images
        for index, layer in enumerate(self.network.features):
            x = layer(x)
            if index in STAGES:
                features[STAGES[index]] = x
        return ModelOutput(logits=squeeze_binary(self.network.classifier(x.mean((2, 3)))), features=features)
