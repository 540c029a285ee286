"""Smaller learning rates towards the input, for networks that were trained before: Clark et al. 2020 (arXiv 2003.10555).

timm knows the order of its models' layers.
"""

from collections.abc import Mapping

from timm.optim import param_groups_layer_decay
from torch import nn

from distill.errors import EdgeproofError


def layer_scales(model: nn.Module, *, decay: float) -> Mapping[int, float]:
    """``id`` of a parameter → share of the learning rate: ``decay`` once more for each layer further from the output.

    Parameters outside of timm's network have a share of 1, and are not listed.

    Raises:
        EdgeproofError: there is no network of timm in ``model``.
    """
    network = next((part for part in model.modules() if hasattr(part, "group_matcher")), None)
    if network is None:
        raise EdgeproofError(
            f"layer_decay: {type(model).__name__} does not tell the order of its layers, expected a network of timm"
        )
    groups = param_groups_layer_decay(network, layer_decay=decay)
    return {id(parameter): group["lr_scale"] for group in groups for parameter in group["params"]}
