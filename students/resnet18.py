"""ResNet18 (He et al. 2015, arXiv 1512.03385), from torchvision: the reference model of every comparison."""

from functools import partial
from pathlib import Path
from typing import Self

from torch import Tensor, nn
from torchvision.models import ResNet18_Weights, resnet18

from students.options import NumLogits
from students.output import ModelOutput, squeeze_binary
from students.weights import download, load_state, load_weights

LAYERS = {"layer1": 64, "layer2": 128, "layer3": 256, "layer4": 512}
HEAD = ("fc",)


class ResNet18(nn.Module):
    """torchvision's network with one typed output, trained whole or in its head only.

    Args:
        num_logits: 1 for the binary task, K for K classes.
        frozen: train ``fc`` alone and keep the features as they were loaded, BatchNorm statistics included,
            as the reference experiment did; it makes sense with ``pretrained`` or ``weights``.
        pretrained: ImageNet weights by torchvision's own download.
        weights: local ``.safetensors`` file with torchvision's tensor names; wins over ``pretrained``.

    """

    def __init__(
        self,
        *,
        num_logits: NumLogits = 1,
        frozen: bool = False,
        pretrained: bool = False,
        weights: Path | None = None,
    ) -> None:
        super().__init__()
        self.frozen = frozen
        self.feature_channels = dict(LAYERS)
        self.network = resnet18(num_classes=num_logits)
        if weights is not None:
            load_weights(self.network, weights, head=HEAD)
        elif pretrained:
            source = ResNet18_Weights.DEFAULT
            state = download("resnet18", partial(source.get_state_dict, check_hash=True, weights_only=True))
            load_state(self.network, state, source=str(source), head=HEAD)
        if frozen:
            self.network.requires_grad_(False)
            self.network.fc.requires_grad_(True)
            self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As in torch, except that frozen features stay in evaluation mode."""
        super().train(mode)
        if self.frozen:
            for name, child in self.network.named_children():
                child.train(mode and name in HEAD)
        return self

    def forward(self, images: Tensor) -> ModelOutput:
        """Normalized ``[N, 3, H, W]`` → logits and the output of each of the four layers."""
        network = self.network
        features = {}
        x = network.maxpool(network.relu(network.bn1(network.conv1(images))))
        for name in LAYERS:
            x = features[name] = getattr(network, name)(x)
        return ModelOutput(logits=squeeze_binary(network.fc(x.mean((2, 3)))), features=features)
