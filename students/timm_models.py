"""timm's models by name, with one wording for what can go wrong: names, options and weights."""

import difflib
from pathlib import Path
from typing import Any

import timm
from torch import nn

from students.options import OptionError
from students.weights import download, first_line, load_weights


def create_classifier(name: str, *, pretrained: bool, weights: Path | None, **arguments: Any) -> nn.Module:
    """A timm classifier, with timm's pretrained weights or a local ``.safetensors`` file with timm's names.

    Raises:
        OptionError: an unknown name, arguments that the model does not take, or weights that cannot be had.

    """
    if weights is None:
        return _create(name, pretrained=pretrained, **arguments)
    model = _create(name, pretrained=False, **arguments)
    load_weights(model, weights, head=_head(model))
    return model


def create_backbone(name: str, *, pretrained: bool, weights: Path | None) -> nn.Module:
    """The same network as a pyramid of features without a classifier (timm's ``features_only``).

    Raises:
        OptionError: as :func:`create_classifier`; or the model has no pyramid of features.

    """
    if weights is None:
        return _create(name, pretrained=pretrained, features_only=True)
    whole = create_classifier(name, pretrained=False, weights=weights)
    return _create(
        name, pretrained=True, features_only=True, pretrained_cfg_overlay={"state_dict": whole.state_dict()}
    )


def _create(name: str, *, pretrained: bool, **arguments: Any) -> nn.Module:
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=5, cutoff=0.4)
        hint = f"close matches: {', '.join(close)}" if close else "timm.list_models() lists them"
        raise OptionError(f"unknown timm model {name!r}; {hint}")
    if pretrained:
        return download(f"timm model {name}", lambda: _call_timm(name, pretrained=True, **arguments))
    return _call_timm(name, pretrained=False, **arguments)


def _call_timm(name: str, **arguments: Any) -> nn.Module:
    try:
        model: nn.Module = timm.create_model(name, **arguments)
    except (TypeError, RuntimeError) as error:
        if arguments["pretrained"]:
            raise
        raise OptionError(f"timm model {name}: cannot be built ({first_line(error)})") from error
    return model


def _head(model: nn.Module) -> tuple[str, ...]:
    names = getattr(model, "pretrained_cfg", {}).get("classifier") or ()
    return (names,) if isinstance(names, str) else tuple(names)
