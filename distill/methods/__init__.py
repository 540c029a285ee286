"""Distillation methods: one file each, one explicit table."""

from distill.errors import EdgeproofError
from distill.methods.hint import Hint
from distill.methods.kl import KL
from distill.methods.logit_mse import LogitMSE
from distill.methods.method import Method, Needs, Pair, features_of
from distill.methods.soft_bce import SoftBCE
from distill.parts import find_part
from distill.recipe import MethodSettings
from students.options import OptionError, check_options

__all__ = ["METHODS", "Method", "Needs", "Pair", "build_method", "features_of"]

METHODS: dict[str, type[Method]] = {"hint": Hint, "kl": KL, "logit_mse": LogitMSE, "soft_bce": SoftBCE}


def build_method(settings: MethodSettings, *, pair: Pair) -> Method:
    """The loss term that a recipe asks for; ``pair`` holds the teachers that it listens to.

    Raises:
        EdgeproofError: unknown method, option or feature, or a method that does not fit the task.
    """
    factory = find_part("methods", settings.name, table=METHODS, kind="distillation method")
    if not callable(factory):
        raise EdgeproofError(
            f"distillation.methods: {settings.name}: found {type(factory).__name__}, expected a Method"
        )
    try:
        options = check_options(
            f"distillation.methods: {settings.name}", factory, settings.options, given=("pair", "weight")
        )
    except OptionError as error:
        raise EdgeproofError(str(error)) from None
    try:
        found: object = factory(pair, weight=settings.weight, **options)
    except (TypeError, ValueError, LookupError, AttributeError, RuntimeError) as error:
        raise EdgeproofError(f"distillation.methods: {settings.name}: cannot be built ({error})") from None
    if not isinstance(found, Method):
        raise EdgeproofError(
            f"distillation.methods: {settings.name}: found {type(found).__name__}, expected a Method"
        )
    return found
