"""The run's gates as its records tell them: data audit, parity, INT8 proof, accuracy."""

from dataclasses import dataclass

from bench.records.accuracy import AccuracyCheck
from bench.report.data import RunData
from distill.data.audit.report import AuditReport
from distill.page.formats import fixed, listing, with_interval


@dataclass(frozen=True)
class Gate:
    """One gate of the run; ``passed`` is None where it was not reached."""

    name: str
    passed: bool | None
    detail: str


def all_gates(run: RunData) -> tuple[Gate, ...]:
    """Every gate of a run, in the order they are met."""
    first = (_audit_gate(run), _parity_gate(run), _int8_gate(run), *_drift_gate(run))
    return *first, _accuracy_gate(run), *_degradation_gate(run)


def accuracy_checks(run: RunData) -> tuple[AccuracyCheck, ...]:
    """The checks of the accuracy gate."""
    return run.accuracy.gate.checks if run.accuracy else ()


def degradation_checks(run: RunData) -> tuple[AccuracyCheck, ...]:
    """The checks of the gate on degraded images; none where the recipe asks for none."""
    return run.degradations.gate.checks if run.degradations and run.degradations.gate else ()


def failed_checks(run: RunData) -> tuple[AccuracyCheck, ...]:
    """What fails the run, of accuracy and on degraded images."""
    return tuple(check for check in (*accuracy_checks(run), *degradation_checks(run)) if not check.passed)


def check_in_words(check: AccuracyCheck) -> str:
    """A check with its value and limit."""
    if check.value is None:
        return f"{check.name}: {check.note}"
    note = f" ({check.note})" if check.note else ""
    return f"{check.name} {fixed(check.value)}, limit {fixed(check.limit)}{note}"


def _failed(bad: list[str]) -> str:
    return f"; failed: {listing(bad)}" if bad else ""


def _audit_gate(run: RunData) -> Gate:
    if run.audit is None:
        return Gate("Data audit", None, "no audit.json")
    bad = [check.name for check in run.audit.checks if not check.passed]
    unasked = [check.name for check in run.audit.checks if not check.checked]
    left = f"; not checked: {listing(unasked)}" if unasked else ""
    return Gate("Data audit", run.audit.passed, _metadata(run.audit) + _failed(bad) + left)


def _metadata(audit: AuditReport) -> str:
    """What metadata alone tell of the class."""
    if audit.metadata_auc is None:
        return next(
            (check.note for check in audit.checks if check.name == "metadata"), "metadata were not looked at"
        )
    return f"AUC from metadata alone {with_interval(audit.metadata_auc, audit.metadata_ci)}, 0.5 is right"


def _parity_gate(run: RunData) -> Gate:
    if run.parity is None or not run.parity.pairs:
        return Gate("Parity", None, "no pairs compared" if run.parity else "no parity.json")
    pairs = run.parity.pairs
    bad = [f"{pair.model}: {pair.a} against {pair.b}" for pair in pairs if not pair.passed]
    worst = max((pair.max_abs_probability or 0.0 for pair in pairs if pair.limit is not None), default=0.0)
    if not run.parity.passed and not bad and not _fake_int8(run) and not _drifting(run):
        bad = ["parity.json says so without naming a pair"]
    detail = f"{len(pairs)} pairs, largest FP32 difference in probability {worst:.1e}"
    return Gate("Parity", not bad, detail + _failed(bad))


def _fake_int8(run: RunData) -> list[str]:
    proofs = run.parity.int8 if run.parity else ()
    return [f"{proof.artifact} ({proof.reason or 'no reason given'})" for proof in proofs if not proof.passed]


def _int8_gate(run: RunData) -> Gate:
    if run.parity is None or not run.parity.int8:
        return Gate("INT8 proof", None, "no INT8 file was checked")
    bad, count = _fake_int8(run), len(run.parity.int8)
    return Gate("INT8 proof", not bad, f"{count - len(bad)} of {count} files really hold INT8{_failed(bad)}")


def _drifting(run: RunData) -> list[str]:
    pairs = run.parity.drift if run.parity else ()
    return [f"{pair.b} {fixed(pair.max_abs_probability)}" for pair in pairs if not pair.passed]


def _drift_gate(run: RunData) -> tuple[Gate, ...]:
    """None in runs from before there was one, or where nothing is held to it."""
    held = [pair for pair in (run.parity.drift if run.parity else ()) if pair.limit is not None]
    if not held and not _drifting(run):
        return ()
    worst = max((pair.max_abs_probability or 0.0 for pair in held), default=0.0)
    detail = f"largest change of one test image's probability {fixed(worst)}{_failed(_drifting(run))}"
    return (Gate("INT8 drift", not _drifting(run), detail),)


def _accuracy_gate(run: RunData) -> Gate:
    if run.accuracy is None:
        return Gate("Accuracy", None, "no gate in accuracy.json")
    return _of_checks("Accuracy", accuracy_checks(run))


def _degradation_gate(run: RunData) -> tuple[Gate, ...]:
    """None where the recipe asks for nothing on degraded images."""
    asked = run.recipe is not None and (run.recipe.gates.degraded_auc or run.recipe.gates.degraded_accuracy)
    if found := degradation_checks(run):
        return (_of_checks("Degraded images", found),)
    return (Gate("Degraded images", None, "no gate in degradations.json"),) if asked else ()


def _of_checks(name: str, checks: tuple[AccuracyCheck, ...]) -> Gate:
    bad = [check_in_words(check) for check in checks if not check.passed]
    return Gate(name, not bad, f"{len(checks) - len(bad)} of {len(checks)} checks passed{_failed(bad)}")
