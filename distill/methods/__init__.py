"""Distillation methods: one file each, one explicit table."""

from typing import Any

from distill.errors import EdgeproofError
from distill.methods.hint import Hint
from distill.methods.kl import KL
from distill.methods.logit_mse import LogitMSE
from distill.methods.method import Method, Needs, features_of
from distill.methods.pair import Link, Pair
from distill.methods.soft_bce import SoftBCE
from distill.parts import find_part
from distill.recipe import MethodSettings
from distill.roster import TEACHER
from students.options import OptionError, check_options

__all__ = ["METHODS", "Link", "Method", "Needs", "Pair", "build_method", "features_of", "heard_by"]

METHODS: dict[str, type[Method]] = {"hint": Hint, "kl": KL, "logit_mse": LogitMSE, "soft_bce": SoftBCE}


def build_method(settings: MethodSettings, *, pair: Pair) -> Method:
    """The loss term that a recipe asks for; ``pair`` holds the teachers that it listens to.

    Raises:
        EdgeproofError: unknown method, option or feature, or a method that does not fit the task.
    """
    key, factory = f"distillation.methods: {settings.name}", _factory(settings)
    if not callable(factory):
        raise EdgeproofError(f"{key}: found {type(factory).__name__}, expected a Method")
    if settings.teachers is not None and not getattr(factory, "listens", True):
        raise EdgeproofError(
            f"{key}: listens to no teacher, found teachers = {list(settings.teachers)}; leave the key out"
        )
    try:
        options = check_options(key, factory, settings.options, given=("pair", "weight"))
    except OptionError as error:
        raise EdgeproofError(str(error)) from None
    try:
        found: object = factory(pair, weight=settings.weight, **options)
    except EdgeproofError as error:
        raise EdgeproofError(_of(settings.name, str(error))) from None
    except (TypeError, ValueError, LookupError, AttributeError, RuntimeError) as error:
        raise EdgeproofError(f"{key}: cannot be built ({error})") from None
    if not isinstance(found, Method):
        raise EdgeproofError(f"{key}: found {type(found).__name__}, expected a Method")
    found.warmup, found.until = settings.warmup, settings.until
    return found


def heard_by(settings: MethodSettings) -> tuple[str, ...]:
    """Names of the teachers that a method of a recipe listens to; raises as :func:`build_method` for its name."""
    if not getattr(_factory(settings), "listens", True):
        return ()
    return (TEACHER,) if settings.teachers is None else settings.teachers


def _factory(settings: MethodSettings) -> Any:
    return find_part("methods", settings.name, table=METHODS, kind="distillation method")


def _of(name: str, message: str) -> str:
    """A mistake with the name of the method that it was found in."""
    return (
        message if message.startswith("distillation.methods") else f"distillation.methods: {name}: {message}"
    )
