"""Models by name, with their checkpoints, as the stages need them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from distill.errors import EdgeproofError
from distill.recipe import Recipe
from distill.training.checkpoint import load_weights, read_sidecar
from students import build_student
from students.options import OptionError
from teachers import build_teacher


def make_model(recipe: Recipe, model: str) -> nn.Module:
    """An untrained ``teacher`` or student, as the recipe describes it.

    Raises:
        EdgeproofError: an unknown name or option.
    """
    if model == "teacher":
        return _translated(
            build_teacher, recipe.teacher.name, where="teacher", options=recipe.teacher.options
        )
    student = recipe.students[model]
    return _translated(build_student, student.name, where=f"students.{model}", options=student.options)


def load_model(recipe: Recipe, model: str, path: Path) -> nn.Module:
    """The trained model of ``path``, its hash verified, in evaluation mode."""
    read_sidecar(path)
    module = make_model(recipe, model)
    load_weights(module, path)
    return module.eval()


def channels(model: nn.Module) -> dict[str, int]:
    """Feature name → number of channels, shallow to deep."""
    found: Any = model.feature_channels
    return dict(found)


def freeze(model: nn.Module) -> nn.Module:
    """Evaluation mode, and no gradients: what a teacher is while others learn from it."""
    return model.eval().requires_grad_(False)


def _translated(
    build: Callable[..., nn.Module], name: str, *, where: str, options: dict[str, Any]
) -> nn.Module:
    try:
        return build(name, num_logits=1, options=options)
    except OptionError as error:
        raise EdgeproofError(f"{where}: {error}") from None
