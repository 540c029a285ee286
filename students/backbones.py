"""Networks without a classifier, by name: images → embeddings. Frozen, so that a classical head can be fitted to them."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import torchvision
from torch import nn

from students.options import OptionError, unknown
from students.spectrum import Spectrum
from students.timm_models import create_classifier
from students.torchvision_classifier import TORCHVISION, last_layer, torchvision_classifier
from students.weights import download, first_line, load_state, read_state

TIMM, OPENCLIP = "timm:", "openclip:"
SPECTRUM = "spectrum"
NAMES: Final = (SPECTRUM, f"{TIMM}<name>", f"{TORCHVISION}<name>", f"{OPENCLIP}<name>")
_WEIGHTS_OF_CLIP = (
    "weights = '<file>.safetensors', which where there is a network safetensors.torch.save_file(open_clip.create_model(name, "
    "pretrained=tag).visual.state_dict(), file) writes"
)


class Backbone(NamedTuple):
    """Normalized images ``[N, 3, H, W]`` → embeddings ``[N, width]``."""

    network: nn.Module
    width: int


def make_backbone(
    name: str, *, pretrained: bool, weights: Path | None, bands: int = 32, image_size: int | None = None
) -> Backbone:
    """Build a backbone; without ``pretrained`` or ``weights`` its weights are as they come, at random.

    Args:
        name: ``spectrum``, ``timm:<name>``, ``torchvision:<name>``, or ``openclip:<name>`` for an image tower of open_clip.
        pretrained: weights by the library's own download; not of ``openclip``.
        weights: local ``.safetensors`` file with the library's tensor names; wins over ``pretrained``.
        bands: of ``spectrum``.
        image_size: side of the input in pixels, for networks built for one size (vision transformers, image towers).

    Raises:
        OptionError: an unknown name, a package that is missing, or weights that cannot be had or do not fit.

    """
    if name == SPECTRUM:
        if weights is not None or pretrained:
            raise OptionError(
                f"backbone {SPECTRUM}: it has no weights, expected neither weights nor pretrained"
            )
        network = Spectrum(bands=bands)
        return Backbone(network, network.width)
    for prefix, make in _LIBRARIES.items():
        if name.startswith(prefix):
            given = name.removeprefix(prefix)
            return make(given, pretrained=pretrained, weights=weights, image_size=image_size)
    raise unknown(kind="backbone", given=name, choices=NAMES)


def _of_timm(name: str, *, pretrained: bool, weights: Path | None, image_size: int | None) -> Backbone:
    size = {} if image_size is None else {"img_size": image_size}
    network = create_classifier(name, pretrained=pretrained, weights=weights, **size)
    cast(Any, network).reset_classifier(0)
    width = getattr(network, "head_hidden_size", None) or cast(Any, network).num_features
    return Backbone(network, int(width))


def _of_torchvision(name: str, *, pretrained: bool, weights: Path | None, image_size: int | None) -> Backbone:
    network = torchvision_classifier(name, num_logits=1, weights=weights, image_size=image_size)
    if pretrained and weights is None:
        network = download(
            f"torchvision model {name}", lambda: torchvision.models.get_model(name, weights="DEFAULT")
        )
    found = last_layer(network)
    layer = cast(Any, network.get_submodule(found))
    parent, _, child = found.rpartition(".")
    setattr(network.get_submodule(parent), child, nn.Identity())
    return Backbone(network, int(layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels))


def _of_open_clip(name: str, *, pretrained: bool, weights: Path | None, image_size: int | None) -> Backbone:
    if pretrained:
        raise OptionError(
            f"backbone {OPENCLIP}{name}: pretrained is not offered, expected {_WEIGHTS_OF_CLIP}"
        )
    try:
        open_clip = importlib.import_module("open_clip")
    except ImportError as error:
        raise OptionError(
            f"backbone {OPENCLIP}{name}: package open_clip cannot be imported ({first_line(error)}); pip install "
            "'edgeproof[clip]'"
        ) from None
    try:
        tower: nn.Module = open_clip.create_model(name, pretrained=None, force_image_size=image_size).visual
    except (RuntimeError, KeyError, ValueError) as error:
        raise OptionError(f"backbone {OPENCLIP}{name}: cannot be built ({first_line(error)})") from None
    if weights is not None:
        state = read_state(weights)
        own = {
            key.removeprefix("visual."): value for key, value in state.items() if key.startswith("visual.")
        }
        load_state(tower, own or state, source=str(weights), head=())
    return Backbone(tower, int(cast(Any, tower).output_dim))


_LIBRARIES: Final[dict[str, Callable[..., Backbone]]] = {
    TIMM: _of_timm, TORCHVISION: _of_torchvision, OPENCLIP: _of_open_clip
}  # fmt: skip
