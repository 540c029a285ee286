"""What must hold of the accuracy: it is beyond guessing, close to the teacher's, INT8 changes little, nothing leaks. Torch-free.

The stage that fails a run and the report's verdict read the checks made here, and nothing else decides.
"""

from collections.abc import Iterator, Mapping

from bench.records.accuracy import AccuracyCheck, AccuracyGate, Measure, ModelAccuracy
from distill.evaluation.metrics import Metrics
from distill.evaluation.statistics import MIN_GROUPS_OF_AN_INTERVAL
from distill.recipe import DISTILLED, GateSettings
from distill.roster import Model

TITLES: dict[Measure, str] = {
    "auc_drop": "AUC drop",
    "tpr_at_5fpr_drop": "TPR at 5 % FPR drop",
    "accuracy_drop": "accuracy drop",
    "above_chance": "beyond guessing",
    "heldout_above_chance": "beyond guessing on held-out generators",
    "teacher_gap": "loss against the teacher",
    "heldout_teacher_gap": "loss against the teacher on held-out generators",
    "identity_auc": "identity generator |AUC - 0.5|",
    "teacher_auc": "AUC",
    "degraded_auc": "AUC on degraded images",
    "degraded_accuracy": "balanced accuracy on degraded images",
}
_ALL_PASS = -1.0  # of gates.above_chance


def accuracy_gate(
    models: Mapping[str, ModelAccuracy], *, teacher: Model, limits: GateSettings
) -> AccuracyGate:
    """Check the main teacher, the distilled students and every INT8 form of them, and networks on the identity generator.

    A failed check that ``limits.accept`` names passes, and is marked as accepted.

    Args:
        models: every judged model by its key.
        teacher: the main teacher; others only teach, and are held to nothing.
        limits: of the recipe.
    """
    found = [
        *_int8(models, limits),
        *_above_chance(models, teacher, limits),
        *_teacher_gap(models, teacher, limits),
        *_identity(models, teacher, limits),
        *_teacher(models, teacher, limits),
    ]
    return gate_of(found, limits)


def gate_of(found: list[AccuracyCheck], limits: GateSettings) -> AccuracyGate:
    """The gate of some checks, those that the recipe accepts marked."""
    checks = tuple(
        check.model_copy(update={"passed": True, "accepted": True})
        if not check.passed and check.name in limits.accept
        else check
        for check in found
    )
    return AccuracyGate(passed=all(check.passed for check in checks), checks=checks)


def check_of(
    key: str, measure: Measure, value: float | None, limit: float, *, passed: bool, note: str = ""
) -> AccuracyCheck:
    """A check of the model ``key``, by its name in ``gates.accept``."""
    return AccuracyCheck(
        name=f"{key} {TITLES[measure]}",
        model=key,
        measure=measure,
        value=value,
        limit=limit,
        passed=passed,
        note=note,
    )


def _int8(models: Mapping[str, ModelAccuracy], limits: GateSettings) -> Iterator[AccuracyCheck]:
    """What INT8 changed against its FP32 form: a gain beyond the limit is as wrong as a loss, since both see the same images."""
    for key, model in models.items():
        who = model.identity
        if not _is_int8_student(model) or who.parent is None:
            continue
        before, after = models[who.parent].splits["test"], model.splits["test"]
        pairs: tuple[tuple[Measure, float | None, float | None, float], ...] = (
            ("auc_drop", before.auc, after.auc, limits.auc_drop),
            ("tpr_at_5fpr_drop", before.tpr_at_5fpr, after.tpr_at_5fpr, limits.tpr_at_5fpr_drop),
            ("accuracy_drop", before.accuracy, after.accuracy, limits.accuracy_drop),
        )
        for measure, old, new, limit in pairs:
            if old is not None and new is not None:
                gain = "a gain: FP32 and INT8 do not answer alike" if new - old > limit else ""
                yield check_of(
                    key, measure, old - new, limit, passed=abs(old - new) <= limit + 1e-12, note=gain
                )


def _above_chance(
    models: Mapping[str, ModelAccuracy], teacher: Model, limits: GateSettings
) -> Iterator[AccuracyCheck]:
    """Whether the lower end of the 95 % interval lies beyond guessing: INT8 on held-out generators too."""
    if limits.above_chance == _ALL_PASS:
        return
    for key, model in models.items():
        if key == teacher.key or _is_student(model):
            yield _beyond(key, "above_chance", model.splits["test"], limits.above_chance)
        if _is_int8_student(model) and _has_score(model, "heldout"):
            yield _beyond(key, "heldout_above_chance", model.splits["heldout"], limits.above_chance)


def _beyond(key: str, measure: Measure, found: Metrics, margin: float) -> AccuracyCheck:
    low = found.score_ci[0] if found.score_ci else None
    limit = found.beyond_guessing(margin)
    few = ""
    if low is None:
        groups = "too few" if found.groups is None else str(found.groups)
        few = f"{groups} groups (scenes) give no interval, {MIN_GROUPS_OF_AN_INTERVAL} or more would"
    return check_of(key, measure, low, limit, passed=low is not None and low >= limit, note=few)


def _teacher_gap(
    models: Mapping[str, ModelAccuracy], teacher: Model, limits: GateSettings
) -> Iterator[AccuracyCheck]:
    """What students and their INT8 forms know less than the teacher, the latter on held-out generators too."""
    best = models[teacher.key]
    for key, model in models.items():
        splits: tuple[tuple[Measure, str, bool], ...] = (
            ("teacher_gap", "test", _is_student(model)),
            ("heldout_teacher_gap", "heldout", _is_int8_student(model)),
        )
        for measure, split, asked in splits:
            if asked and _has_score(model, split) and _has_score(best, split):
                gap = (best.splits[split].score or 0.0) - (model.splits[split].score or 0.0)
                yield _at_most(key, measure, gap, limits.teacher_gap)


def _is_student(model: ModelAccuracy) -> bool:
    """Whether it is what a recipe is about: a distilled network, or an INT8 form of it."""
    who = model.identity
    network = who.runtime == "torch" and who.arm == DISTILLED
    return who.role == "student" and (network or who.precision == "int8")


def _is_int8_student(model: ModelAccuracy) -> bool:
    return model.identity.role == "student" and model.identity.precision == "int8"


def _has_score(model: ModelAccuracy, split: str) -> bool:
    return split in model.splits and model.splits[split].score is not None


def _identity(
    models: Mapping[str, ModelAccuracy], teacher: Model, limits: GateSettings
) -> Iterator[AccuracyCheck]:
    """Whether a network tells images apart that are alike: then something leaks."""
    for key, model in models.items():
        control = model.splits.get("control")
        judged = model.identity.role == "student" or key == teacher.key
        if judged and model.identity.runtime == "torch" and control and control.auc is not None:
            yield _at_most(key, "identity_auc", abs(control.auc - 0.5), limits.identity_auc)


def _teacher(
    models: Mapping[str, ModelAccuracy], teacher: Model, limits: GateSettings
) -> Iterator[AccuracyCheck]:
    auc = models[teacher.key].splits["test"].auc
    if limits.teacher_auc and auc is not None:
        limit = limits.teacher_auc
        yield check_of(teacher.key, "teacher_auc", auc, limit, passed=auc >= limit)


def _at_most(key: str, measure: Measure, value: float, limit: float) -> AccuracyCheck:
    return check_of(key, measure, value, limit, passed=value <= limit)
