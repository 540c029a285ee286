"""Does the data leak its labels? Metadata, compression, duplicates and groups, before anything is trained."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from distill.data.audit.advice import accepting, advice, together
from distill.data.audit.classes import class_findings, class_notes
from distill.data.audit.duplicates import exact_duplicates, near_duplicates, straddling_groups
from distill.data.audit.findings import Facts, Finding, facts_of, not_checked
from distill.data.audit.flips import flip_tests
from distill.data.audit.probes import interval_of, out_of_fold
from distill.data.audit.report import AuditReport, Check
from distill.data.samples import GENERATED, REAL, UNLABELLED, Dataset
from distill.data.scan import FORMATS, Scan
from distill.data.splits import split_groups
from distill.errors import EdgeproofError, GateFailedError
from distill.evaluation.metrics import roc_auc
from distill.evaluation.statistics import MIN_GROUPS_OF_AN_INTERVAL

if TYPE_CHECKING:
    from distill.recipe import GateSettings

Progress = Callable[[int, int], None]

CHECKS = (
    "metadata", "file_bytes", "compression", "flip_jpeg96", "flip_jpeg95_fakes", "flip_png", "duplicates_across_splits",
    "duplicates_across_classes", "near_duplicates_across_splits", "near_duplicates_across_classes",
    "groups_across_splits",
)  # fmt: skip
"""What may fail, and be accepted by name."""

NOTES = ("class_balance", "generator_balance", "groups", "corrupt_files")
_PROBED = CHECKS[: CHECKS.index("flip_png") + 1]
ACCURACY_CHECKS = (
    "AUC drop", "TPR at 5 % FPR drop", "accuracy drop", "beyond guessing", "beyond guessing on held-out generators",
    "loss against the teacher", "loss against the teacher on held-out generators", "identity generator |AUC - 0.5|",
    "teacher AUC", "AUC on degraded images", "balanced accuracy on degraded images",
)  # fmt: skip
"""How the names of the accuracy gate's checks end, behind a model's name."""
_SEEN_AT_MOST = 20_000
_FEATURES = ("format", "JPEG quality", "width", "height", "bytes")
_BYTES = _FEATURES.index("bytes")
_UNLIKE_TRAIN = 0.2  # difference in the share of fakes that is worth a warning


def audit(
    dataset: Dataset,
    scan: Scan,
    *,
    gates: "GateSettings",
    seed: int,
    labels: Sequence[str] = (),
    min_groups: int = 0,
    progress: Progress | None = None,
) -> AuditReport:
    """Check a data set before anything is trained on it.

    Args:
        dataset: its samples; unlabelled ones take no part in classifiers.
        scan: what their files say, row by row.
        gates: limits, and the names of checks that may fail.
        seed: of probes, draws and intervals.
        labels: names of K classes; without them, images are real or generated.
        min_groups: below which a split is warned of.
        progress: told how many pictures have been re-encoded.

    Returns:
        All checks. One that failed and is named in ``gates.accept`` counts as passed and says so; one that could not be
        made says that it was not checked.

    Raises:
        EdgeproofError: an unknown name in ``gates.accept``, or fewer than two groups in a class.
    """
    check_accepted(gates.accept)
    facts = facts_of(dataset)
    _check_groups(dataset, facts, labels)
    auc: float | None = None
    interval: tuple[float, float] | None = None
    if labels:
        findings = class_findings(dataset.samples, facts, scan, labels=labels, seed=seed)
        notes = class_notes(facts, labels)
    else:
        groups = len(np.unique(facts.groups[facts.labelled]))
        if groups < MIN_GROUPS_OF_AN_INTERVAL:
            findings = dict.fromkeys(
                _PROBED, not_checked(f"{groups} groups, {MIN_GROUPS_OF_AN_INTERVAL} are needed")
            )
        else:
            auc, interval, findings = _metadata(facts, scan, limit=gates.metadata_auc, seed=seed)
            findings |= flip_tests(dataset, facts, scan, seed=seed, progress=progress)
        findings |= near_duplicates(dataset.samples, facts, scan)
        notes = {"class_balance": _class_balance(facts), "generator_balance": _generator_balance(dataset)}
    notes |= {"groups": _groups(dataset, least=min_groups), "corrupt_files": _left_out(dataset)}
    findings |= exact_duplicates(dataset.samples, facts, scan)
    findings["groups_across_splits"] = straddling_groups(dataset.samples, facts)
    limits = _limits(gates)
    judged = [
        _judge(name, findings[name], limit=limits.get(name, 0.0), accepted=name in gates.accept)
        for name in CHECKS
        if name in findings
    ]
    checks = [
        check if check.passed else check.model_copy(update={"advice": advice(check.name, dataset.samples)})
        for check in judged
    ]
    return AuditReport(
        passed=all(check.passed for check in checks),
        metadata_auc=auc,
        metadata_ci=interval,
        checks=(*checks, *(_note(name, found) for name, found in notes.items())),
    )


def _limits(gates: "GateSettings") -> dict[str, float]:
    """Of the checks that have one other than 0."""
    flips, near = (
        [name for name in CHECKS if name.startswith(prefix)] for prefix in ("flip_", "near_duplicates")
    )
    return {
        **dict.fromkeys(("metadata", "file_bytes"), gates.metadata_auc),
        **dict.fromkeys(("compression", *flips), gates.flip_drop),
        **dict.fromkeys(near, gates.near_duplicates),
    }


def require_passed(report: AuditReport, *, where: Path) -> None:
    """Raise :class:`GateFailedError` naming every failed check."""
    if report.failed:
        said = "; ".join(
            f"{check.name} = {check.value:.3g} (limit {check.limit:g})" for check in report.failed
        )
        accept = accepting([check.name for check in report.failed])
        order = sorted(
            report.failed, key=lambda check: "--set" not in check.advice
        )  # first what can be tried at once
        steps = together(check.advice for check in order)
        raise GateFailedError(f"data audit failed: {said}; see {where}. {steps} To accept all: {accept}")


def metadata_features(scan: Scan) -> npt.NDArray[np.float64]:
    """Format (its number), JPEG quality (NaN if none), width, height, bytes: all but the pixels, ``[N, 5]``."""
    columns = (scan.format, scan.quality, scan.width, scan.height, scan.bytes)
    return np.stack([column.astype(np.float64) for column in columns], axis=1)


def check_accepted(accepted: Sequence[str]) -> None:
    """The accuracy gate's names are made of a model's name and one of a few endings."""
    unknown = [name for name in accepted if name not in CHECKS and not name.endswith(ACCURACY_CHECKS)]
    if unknown:
        raise EdgeproofError(
            f"gates.accept: no check is called {unknown[0]!r}; choose among: {', '.join(CHECKS)}, or a name from the "
            "report's accuracy gate"
        )


def _check_groups(dataset: Dataset, facts: Facts, labels: Sequence[str]) -> None:
    names = labels or ("real", "generated")
    counts = {
        name: len(np.unique(facts.groups[facts.labelled & (facts.labels == number)]))
        for number, name in enumerate(names)
    }
    few = {name: count for name, count in counts.items() if count < 2 or not labels}
    if min(counts.values()) < 2:
        said = " and ".join(f"{count} {name}" for name, count in few.items())
        raise EdgeproofError(f"{dataset.root}: {said} groups, expected at least 2 of each to audit")


def _metadata(
    facts: Facts, scan: Scan, *, limit: float, seed: int
) -> tuple[float, tuple[float, float], dict[str, Finding]]:
    """AUC and 95 % interval of a probe of metadata without the number of bytes, and what is found of it and of bytes alone.

    Bytes are a check of their own, since they tell two things: how a file was saved, which is a leak, and how much
    detail a picture has, which is none. Whoever accepts them still hears of a class with a format of its own. A leak
    must be shown, at 99 %: chance is large in small sets.
    """
    rows = np.flatnonzero(facts.labelled)
    if len(rows) > _SEEN_AT_MOST:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _SEEN_AT_MOST, replace=False))
    seen = scan.take(rows)
    features, labels, groups = metadata_features(seen), facts.labels[rows], facts.groups[rows]

    def probed(*places: int) -> tuple[float, tuple[float, float], tuple[float, float]]:
        (scores,) = out_of_fold(features[:, places], labels, groups, seed=seed)
        sure, usual = (interval_of(labels, scores, groups, seed=seed, level=level) for level in (0.99, 0.95))
        return roc_auc(labels, scores), sure, usual

    def found(places: Sequence[int], names: str) -> Finding:
        auc, sure, (low, high) = probed(*places)
        note = f"AUC of a classifier of {names}: {auc:.3f}"
        if auc - 0.5 > limit:
            alone = {_FEATURES[place]: probed(place)[0] for place in places}
            note += f" ({low:.2f} to {high:.2f}); {_where(alone, seen, labels)}"
        return Finding(auc - 0.5, note, shown=sure[0] > 0.5)  # below 0.5 the folds speak, not the data

    places = [place for place in range(len(_FEATURES)) if place != _BYTES]
    auc, _, interval = probed(*places)
    said_of_bytes = "bytes alone (how files were saved, or how much detail pictures have)"
    return (
        auc,
        (float(interval[0]), float(interval[1])),
        {
            "metadata": found(places, "format, JPEG quality, width and height"),
            "file_bytes": found([_BYTES], said_of_bytes),
        },
    )


def _where(alone: dict[str, float], seen: Scan, labels: npt.NDArray[Any]) -> str:
    """Which property tells the most on its own, and what each class has of it."""
    ranked = sorted(alone, key=lambda name: -abs(alone[name] - 0.5))
    worst = _FEATURES.index(ranked[0])
    typical = [
        f"{name} {_typical(metadata_features(seen)[labels == label, worst], ranked[0])}"
        for label, name in ((REAL, "real"), (GENERATED, "generated"))
    ]
    return f"alone: {', '.join(f'{name} {alone[name]:.2f}' for name in ranked)}; {ranked[0]}: {', '.join(typical)}"


def _typical(values: npt.NDArray[Any], feature: str) -> str:
    if feature == "format":
        number, count = Counter(values.astype(int).tolist()).most_common(1)[0]
        return f"{FORMATS[number] if number >= 0 else 'other'} ({count / len(values):.0%})"
    known = values[~np.isnan(values)]
    return f"median {np.median(known):.0f}" if len(known) else "none"


def _judge(name: str, found: Finding, *, limit: float, accepted: bool) -> Check:
    beyond = found.value > limit + 1e-9
    failed = beyond and found.shown
    note = found.note if found.shown or not beyond else f"{found.note}; not shown to be a leak"
    return Check(
        name=name,
        value=float(found.value),
        limit=float(limit),
        passed=bool(not failed or accepted),
        accepted=bool(failed and accepted),
        note=f"ACCEPTED by the recipe: {note}" if failed and accepted else note,
        examples=found.examples,
        checked=found.checked,
    )


def _note(name: str, found: Finding) -> Check:
    return Check(
        name=name, value=float(found.value), limit=None, passed=True, accepted=False, note=found.note
    )


def _class_balance(facts: Facts) -> Finding:
    """The largest difference in the share of fakes between a split and the training split."""
    shares = {}
    for name in facts.split_names:
        labels = facts.labels[facts.within(name) & (facts.labels != UNLABELLED)]
        if len(labels):
            shares[name] = float((labels == GENERATED).mean())
    reference = shares.get("train", shares.get("", 0.5))
    unlike = [name for name, share in shares.items() if abs(share - reference) > _UNLIKE_TRAIN]
    said = ", ".join(f"{name or 'all'} {share:.0%}" for name, share in shares.items())
    warning = f"; WARNING: {', '.join(unlike)} unlike train" if unlike else ""
    value = max((abs(share - reference) for share in shares.values()), default=0.0)
    return Finding(value, f"share of fakes: {said}{warning}")


def _generator_balance(dataset: Dataset) -> Finding:
    """The largest share of one generator among the fakes that are trained on."""
    fakes = [sample for sample in dataset.samples if sample.label == GENERATED]
    trained = Counter(sample.generator for sample in fakes if sample.split in ("train", ""))
    largest = trained.most_common(5)
    total = trained.total()
    said = ", ".join(f"{name or 'unnamed'} {count / total:.0%}" for name, count in largest)
    more = f" and {len(trained) - len(largest)} more" if len(trained) > len(largest) else ""
    return Finding(largest[0][1] / total if total else 0.0, f"fakes to train on: {said or 'none'}{more}")


def _groups(dataset: Dataset, *, least: int) -> Finding:
    """The smallest number of groups in a split that something is measured on."""
    found = split_groups(dataset.samples)
    judged = {split: count for split, count in found.items() if split in ("valid", "test", "heldout")}
    few = [split for split, count in judged.items() if count < least]
    said = ", ".join(f"{split or 'all'} {count}" for split, count in found.items())
    warning = f"; WARNING: {', '.join(few)} below {least}, so little can be shown there" if few else ""
    return Finding(min(judged.values(), default=0), f"groups (scenes, identities): {said}{warning}")


def _left_out(dataset: Dataset) -> Finding:
    """The share of files that were left out."""
    count, first = len(dataset.skipped), dataset.skipped[:1]
    example = "".join(f", the first {item.path}: {item.reason}" for item in first)
    return Finding(count / max(1, count + len(dataset.samples)), f"{count} files left out{example}")
