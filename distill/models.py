"""Networks of a run by their place in the roster, as the stages need them."""

import inspect
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from distill import probe
from distill.errors import EdgeproofError
from distill.networks import find_network
from distill.probe import Parts
from distill.recipe import Recipe
from distill.roster import Model, settings_of
from distill.task import find_task
from distill.training.checkpoint import load_weights, read_sidecar
from distill.wrapped import Wrapped, wrap
from students.options import OptionError, build

_WEIGHTS: dict[str, Any] = {"pretrained": False, "weights": None}  # options that read or download files


def make_model(recipe: Recipe, model: Model) -> nn.Module:
    """An untrained network, as the recipe describes it.

    Raises:
        EdgeproofError: an unknown name, option or layer, or a module with another number of logits.
    """
    settings = settings_of(recipe, model)
    return _build(
        model, options=settings.options, layers=settings.layers, num_logits=find_task(recipe.task).num_logits
    )


def untrained(recipe: Recipe, model: Model) -> nn.Module:
    """The same without reading or downloading weights, to be timed; raises as :func:`make_model`."""
    settings = settings_of(recipe, model)
    return _build(
        model,
        options=_without_weights(model, settings.options),
        layers=settings.layers,
        num_logits=find_task(recipe.task).num_logits,
    )


def load_model(recipe: Recipe, model: Model, path: Path) -> nn.Module:
    """The trained network of ``path``, its hash verified, in evaluation mode."""
    read_sidecar(path)
    module = make_model(recipe, model)
    load_weights(module, path)
    return module.eval()


def parts_of(recipe: Recipe, model: Model) -> Parts:
    """What a network gives, as one pass of zeros tells; raises as :func:`skeleton_of`. A black box gives one logit."""
    if model.black_box:
        return Parts(size=model.preprocess.size, logits=1)
    return _skeleton_and_parts(recipe, model)[1]


def skeleton_of(recipe: Recipe, model: Model) -> nn.Module:
    """The network without its weights: none are read, downloaded or, where possible, allocated.

    Raises:
        EdgeproofError: an unknown name, option or layer, or a network that cannot take images of the recipe's size.
    """
    return _skeleton_and_parts(recipe, model)[0]


def _skeleton_and_parts(recipe: Recipe, model: Model) -> tuple[nn.Module, Parts]:
    settings = settings_of(recipe, model)
    options = json.dumps(settings.options, sort_keys=True, default=str)
    try:
        return _skeleton(model, options, settings.layers, find_task(recipe.task).num_logits)
    except OptionError as error:  # a layer that gives no feature map
        raise EdgeproofError(f"{model.section}: {error}") from None


@lru_cache(maxsize=64)
def _skeleton(
    model: Model, options: str, layers: tuple[str, ...], num_logits: int
) -> tuple[nn.Module, Parts]:
    plain = _without_weights(model, json.loads(options))
    try:
        with torch.device("meta"):  # shapes without memory
            return _probed(model, options=plain, layers=layers, num_logits=num_logits)
    except (NotImplementedError, RuntimeError, AssertionError):  # a user's module may need real tensors
        return _probed(model, options=plain, layers=layers, num_logits=num_logits)


def _without_weights(model: Model, options: Mapping[str, Any]) -> dict[str, Any]:
    try:
        takes = inspect.signature(find_network(model.architecture, role=model.role)).parameters
    except EdgeproofError as error:
        raise EdgeproofError(f"{model.section}: {error}") from None
    return {**options, **{name: value for name, value in _WEIGHTS.items() if name in takes}}


def _probed(
    model: Model, *, options: Mapping[str, Any], layers: tuple[str, ...], num_logits: int
) -> tuple[nn.Module, Parts]:
    module = _build(model, options=options, layers=layers, num_logits=num_logits)
    parts = probe.parts_of(module, size=model.preprocess.size)
    if parts.logits != num_logits:
        raise OptionError(f"{model.architecture} gives {parts.logits} logits, expected {num_logits}")
    return module, parts


def _build(
    model: Model, *, options: Mapping[str, Any], layers: tuple[str, ...], num_logits: int
) -> nn.Module:
    try:
        table = {model.architecture: find_network(model.architecture, role=model.role)}
        found = build(
            kind=model.role, name=model.architecture, table=table, num_logits=num_logits, options=options
        )
        module = wrap(found, layers=layers, image_size=model.preprocess.size)
        if isinstance(module, Wrapped) and module.num_logits != num_logits:
            raise OptionError(f"{model.architecture} gives {module.num_logits} logits, expected {num_logits}")
    except (OptionError, EdgeproofError) as error:
        raise EdgeproofError(f"{model.section}: {error}") from None
    except Exception as error:  # a module of the user's own may raise anything
        if ":" not in model.architecture or isinstance(error, NotImplementedError | RuntimeError):
            raise
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise EdgeproofError(f"{model.section}: {model.architecture} cannot be built ({reason})") from error
    return module
