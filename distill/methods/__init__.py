"""Distillation methods: one file each, one explicit table."""

from typing import Any

from distill.errors import EdgeproofError
from distill.methods.attention_map import AttentionMap
from distill.methods.attention_transfer import AttentionTransfer
from distill.methods.box_distillation import FaceBoxDistillation
from distill.methods.crd import CRD
from distill.methods.dist import DIST
from distill.methods.dkd import DKD
from distill.methods.frequency import Frequency
from distill.methods.fsp import FSP
from distill.methods.hint import Hint
from distill.methods.kl import KL
from distill.methods.label_smoothing import LabelSmoothing
from distill.methods.logit_mse import LogitMSE
from distill.methods.logit_standardization import LogitStandardization
from distill.methods.method import Method, Needs, features_of
from distill.methods.mutual import Mutual
from distill.methods.nst import NST
from distill.methods.ofd import OFD
from distill.methods.pair import Link, Pair
from distill.methods.pkt import PKT
from distill.methods.reviewkd import ReviewKD
from distill.methods.rkd import RKD
from distill.methods.several_teachers import SeveralTeachers
from distill.methods.soft_bce import SoftBCE
from distill.methods.sp import SP
from distill.methods.vid import VID
from distill.parts import find_part
from distill.recipe import MethodSettings
from distill.roster import TEACHER
from students.options import OptionError, check_options

__all__ = ["METHODS", "Link", "Method", "Needs", "Pair", "build_method", "features_of", "heard_by"]

METHODS: dict[str, type[Method]] = {
    "attention_map": AttentionMap,
    "attention_transfer": AttentionTransfer,
    "crd": CRD,
    "dist": DIST,
    "dkd": DKD,
    "face_box": FaceBoxDistillation,
    "frequency": Frequency,
    "fsp": FSP,
    "hint": Hint,
    "kl": KL,
    "label_smoothing": LabelSmoothing,
    "logit_mse": LogitMSE,
    "logit_standardization": LogitStandardization,
    "mutual": Mutual,
    "nst": NST,
    "ofd": OFD,
    "pkt": PKT,
    "reviewkd": ReviewKD,
    "rkd": RKD,
    "several_teachers": SeveralTeachers,
    "soft_bce": SoftBCE,
    "sp": SP,
    "vid": VID,
}


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
