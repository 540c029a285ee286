"""Any classifier of torchvision by its name there (pytorch.org/vision/stable/models.html), as it is: one tensor of logits."""

import difflib
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import torchvision
from pydantic import Field
from torch import nn

from students.options import Factory, NumLogits, OptionError
from students.weights import first_line, load_weights

TORCHVISION = "torchvision:"
# they have second classifiers for their training, and warn about how they start
_PLAIN: Final = {"aux_logits": False, "init_weights": True}
_MORE: Final[dict[str, dict[str, Any]]] = {"googlenet": _PLAIN, "inception_v3": _PLAIN}


def torchvision_classifier(
    model: str,
    *,
    num_logits: NumLogits = 1,
    image_size: Annotated[int, Field(ge=16, le=4096)] | None = None,
    weights: Path | None = None,
) -> nn.Module:
    """Build one: normalized float ``[N, 3, H, W]`` → logits ``[N, num_logits]``. Nothing is downloaded.

    Args:
        model: torchvision's name.
        num_logits: 1 for the binary task, K for K classes.
        image_size: side of the input in pixels, for models built for one size (vision transformers).
        weights: local ``.safetensors`` file with torchvision's tensor names; its classifier may be another.

    Raises:
        OptionError: an unknown name, arguments that the model does not take, or weights that do not fit.

    """
    names = torchvision.models.list_models(module=torchvision.models)
    if model not in names:
        close = ", ".join(difflib.get_close_matches(model, names, n=5, cutoff=0.4))
        hint = f"close matches: {close}" if close else "torchvision.models.list_models() lists them"
        raise OptionError(f"unknown torchvision model {model!r}; {hint}")
    more = {**_MORE.get(model, {}), **({} if image_size is None else {"image_size": image_size})}
    try:
        network: nn.Module = torchvision.models.get_model(model, weights=None, num_classes=num_logits, **more)
    except (TypeError, ValueError, AssertionError) as error:
        raise OptionError(f"torchvision model {model}: cannot be built ({first_line(error)})") from error
    if weights is not None:
        load_weights(network, weights, head=(last_layer(network),))
    return network


def torchvision_factory(name: str) -> Factory | None:
    """What builds ``torchvision:<name>``; None for any other name."""
    if not name.startswith(TORCHVISION):
        return None
    return partial(torchvision_classifier, name.removeprefix(TORCHVISION))


def last_layer(network: nn.Module) -> str:
    """Name of the last layer that has weights, which is the one that answers."""
    layers: list[str] = [
        name for name, part in network.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)
    ]
    return layers[-1]
