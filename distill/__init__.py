"""Distillation: recipes, data, methods, training, metrics and the run folder.

From Python: :func:`distil` a teacher into a student of one's own, :func:`wrap` plain modules, :func:`run` a recipe.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distill.cli.run import run as run
    from distill.interface import Distilled as Distilled
    from distill.interface import distil as distil
    from distill.preprocess import PreprocessSpec as PreprocessSpec
    from distill.recipe import Schedule as Schedule
    from distill.wrapped import wrap as wrap

_HOMES = {
    "Distilled": "distill.interface",
    "PreprocessSpec": "distill.preprocess",
    "Schedule": "distill.recipe",
    "distil": "distill.interface",
    "run": "distill.cli.run",
    "wrap": "distill.wrapped",
}
__all__ = ["Distilled", "PreprocessSpec", "Schedule", "distil", "run", "wrap"]


def __getattr__(name: str) -> Any:
    """Import what is asked for, so that a part needs no more than it uses."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
