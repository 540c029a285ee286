"""What must hold of the accuracy: INT8 loses little, nothing leaks, the teacher is good enough. Torch-free."""

from collections.abc import Iterator, Mapping

from bench.records.accuracy import AccuracyCheck, AccuracyGate, Measure, ModelAccuracy
from distill.recipe import GateSettings
from distill.roster import Model

_TITLES: dict[Measure, str] = {
    "auc_drop": "AUC drop",
    "tpr_at_5fpr_drop": "TPR at 5 % FPR drop",
    "accuracy_drop": "accuracy drop",
    "identity_auc": "identity generator |AUC - 0.5|",
    "teacher_auc": "AUC",
}


def accuracy_gate(
    models: Mapping[str, ModelAccuracy], *, teacher: Model, limits: GateSettings
) -> AccuracyGate:
    """Check every INT8 student, every network on the identity generator, and the main teacher.

    A failed check that ``limits.accept`` names passes, and is marked as accepted.

    Args:
        models: every judged model by its key.
        teacher: the main teacher; others only teach, and are held to nothing.
        limits: of the recipe.
    """
    found = [*_int8(models, limits), *_identity(models, teacher, limits), *_teacher(models, teacher, limits)]
    checks = tuple(
        check.model_copy(update={"passed": True, "accepted": True})
        if not check.passed and check.name in limits.accept
        else check
        for check in found
    )
    return AccuracyGate(passed=all(check.passed for check in checks), checks=checks)


def _int8(models: Mapping[str, ModelAccuracy], limits: GateSettings) -> Iterator[AccuracyCheck]:
    """What an INT8 student lost against its FP32 form."""
    for key, model in models.items():
        who = model.identity
        if who.role != "student" or who.precision != "int8" or who.parent is None:
            continue
        before, after = models[who.parent].splits["test"], model.splits["test"]
        pairs: tuple[tuple[Measure, float | None, float | None, float], ...] = (
            ("auc_drop", before.auc, after.auc, limits.auc_drop),
            ("tpr_at_5fpr_drop", before.tpr_at_5fpr, after.tpr_at_5fpr, limits.tpr_at_5fpr_drop),
            ("accuracy_drop", before.accuracy, after.accuracy, limits.accuracy_drop),
        )
        for measure, old, new, limit in pairs:
            if old is not None and new is not None:
                yield _at_most(key, measure, old - new, limit)


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
        name, limit = f"{teacher.key} {_TITLES['teacher_auc']}", limits.teacher_auc
        yield AccuracyCheck(
            name=name, model=teacher.key, measure="teacher_auc", value=auc, limit=limit, passed=auc >= limit
        )


def _at_most(key: str, measure: Measure, value: float, limit: float) -> AccuracyCheck:
    name = f"{key} {_TITLES[measure]}"
    return AccuracyCheck(
        name=name, model=key, measure=measure, value=value, limit=limit, passed=value <= limit
    )
