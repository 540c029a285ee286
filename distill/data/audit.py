"""Does the data leak its labels? A classifier that sees only metadata must stay near AUC 0.5 (PROTOCOL, rule 1)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from distill.data.samples import GENERATED, REAL, Dataset, Sample
from distill.errors import EdgeproofError, GateFailedError
from distill.files import sha256
from distill.metrics import roc_auc
from distill.statistics import bootstrap_ci

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
_SEEN_AT_MOST = 20_000


def audit(dataset: Dataset, *, metadata_limit: float, accept: Sequence[str], seed: int) -> dict[str, Any]:
    """Check a data set before anything is trained on it.

    Returns:
        ``{"passed", "metadata_auc", "metadata_ci", "checks": [{"name", "value", "limit", "passed", "note"}]}``;
        a check named in ``accept`` does not fail the audit, and its note says that it was accepted.
    """
    samples = [sample for sample in dataset.samples if sample.split != "control"]
    auc, interval = metadata_auc(dataset.root, samples, seed=seed)
    hashes = [sha256(dataset.root / sample.path) for sample in dataset.samples]
    checks = [
        _metadata_check(auc, interval, limit=metadata_limit),
        _check(
            "duplicates_across_splits",
            _shared(dataset.samples, hashes, key="split"),
            0,
            "identical files in two splits",
        ),
        _check(
            "duplicates_across_classes",
            _shared(dataset.samples, hashes, key="label"),
            0,
            "identical files in both classes",
        ),
        _check(
            "groups_across_splits",
            _straddling(dataset.samples),
            0,
            "groups (scene, identity) that stand in two splits",
        ),
    ]
    for check in checks:
        if not check["passed"] and check["name"] in accept:
            check.update(passed=True, note=f"ACCEPTED by the recipe: {check['note']}")
    return {
        "passed": all(check["passed"] for check in checks),
        "metadata_auc": auc,
        "metadata_ci": interval,
        "checks": checks,
    }


def require_passed(report: dict[str, Any], *, where: Path) -> None:
    """Raise :class:`GateFailedError` naming every failed check."""
    failed = [
        f"{check['name']} = {check['value']:.3g} (limit {check['limit']:g})"
        for check in report["checks"]
        if not check["passed"]
    ]
    if failed:
        raise GateFailedError(
            f"data audit failed: {'; '.join(failed)}; see {where}, or accept by name in gates.accept"
        )


def metadata_auc(root: Path, samples: Sequence[Sample], *, seed: int) -> tuple[float, list[float]]:
    """AUC and 95 % interval of gradient boosting on :func:`metadata_features`, cross-validated by group.

    Raises:
        EdgeproofError: fewer than two groups in a class.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    if len(samples) > _SEEN_AT_MOST:
        chosen = np.random.default_rng(seed).choice(len(samples), _SEEN_AT_MOST, replace=False)
        samples = [samples[index] for index in sorted(chosen)]
    features = np.array([metadata_features(root / sample.path) for sample in samples])
    labels = np.array([sample.label for sample in samples])
    groups = np.unique([sample.group or sample.path for sample in samples], return_inverse=True)[1]
    per_class = [len(np.unique(groups[labels == label])) for label in (REAL, GENERATED)]
    if min(per_class) < 2:
        raise EdgeproofError(
            f"{root}: {per_class[REAL]} real and {per_class[GENERATED]} generated groups, expected at least 2 of each to audit"
        )
    folds = StratifiedGroupKFold(n_splits=min(5, *per_class))
    # balanced: otherwise each fold's share of fakes, which runs against its training share, would set the scores
    model = HistGradientBoostingClassifier(
        max_iter=50,
        random_state=seed,
        class_weight="balanced",
        min_samples_leaf=max(2, min(20, len(samples) // 20)),  # its default, 20, sees nothing in small sets
    )
    scores = cross_val_predict(model, features, labels, groups=groups, cv=folds, method="predict_proba")[:, 1]
    scores = scores.round(6)  # so that rounding ranks nothing
    interval = bootstrap_ci(labels, scores, groups, seed=seed)
    return roc_auc(labels, scores), list(interval or ())


def metadata_features(path: Path) -> npt.NDArray[np.float64]:
    """Format, JPEG quality (mean of the quantization table), width, height, bytes: all but the pixels."""
    with Image.open(path) as image:
        tables = getattr(image, "quantization", None) or {}
        quality = float(np.mean(tables[0])) if tables else 0.0
        kind = [float(image.format == name) for name in FORMATS]
        return np.array([*kind, quality, image.width, image.height, path.stat().st_size])


def _metadata_check(auc: float, interval: Sequence[float], *, limit: float) -> dict[str, Any]:
    """A leak must be shown: in a small set chance alone takes the AUC beyond the limit."""
    note = f"AUC of a classifier of format, JPEG quality, size and bytes: {auc:.3f}"
    check = _check("metadata", abs(auc - 0.5), limit, note)
    if not check["passed"] and interval and interval[0] <= 0.5 <= interval[1]:
        low, high = interval
        check.update(
            passed=True, note=f"{note}; not shown to be a leak, its interval is {low:.2f} to {high:.2f}"
        )
    return check


def _check(name: str, value: float, limit: float, note: str) -> dict[str, Any]:
    return {
        "name": name,
        "value": float(value),
        "limit": float(limit),
        "passed": bool(value <= limit),
        "note": note,
    }


def _shared(samples: Sequence[Sample], hashes: Sequence[str], *, key: str) -> int:
    seen: dict[str, set[Any]] = {}
    for sample, digest in zip(samples, hashes, strict=True):
        if sample.split != "control":  # the identity generator may repeat its camera
            seen.setdefault(digest, set()).add(getattr(sample, key))
    return sum(len(values) > 1 for values in seen.values())


def _straddling(samples: Sequence[Sample]) -> int:
    splits: dict[str, set[str]] = {}
    for sample in samples:
        splits.setdefault(sample.group or sample.path, set()).add(sample.split)
    return sum(len(values) > 1 for values in splits.values())


def summary(dataset: Dataset, *, held_out: Sequence[str]) -> dict[str, Any]:
    """Counts per split, class and generator, and what was left out."""
    splits: dict[str, dict[str, int]] = {}
    generators: dict[str, dict[str, Any]] = {}
    for sample in dataset.samples:
        counts = splits.setdefault(sample.split, {"real": 0, "fake": 0})
        counts["real" if sample.label == REAL else "fake"] += 1
        if sample.label == GENERATED:
            entry = generators.setdefault(sample.generator, {"split": set(), "count": 0})
            entry["split"].add(sample.split)
            entry["count"] += 1
    for entry in generators.values():
        entry["split"] = sorted(entry["split"])
    return {
        "layout": dataset.layout,
        "simulated": dataset.layout == "simulated",
        "splits": splits,
        "generators": generators,
        "held_out": list(held_out),
        "skipped": [{"path": item.path, "reason": item.reason} for item in dataset.skipped],
    }


def audit_folder(path: Path, *, layout: str) -> dict[str, Any]:
    """Audit a data set that no recipe names, with the default limits."""
    from distill.data.layouts import load_dataset
    from distill.data.pixels import find_unreadable
    from distill.precision import thread_count

    dataset = find_unreadable(load_dataset(path, layout=layout), max_bad_share=1.0, threads=thread_count(0))
    if len({sample.label for sample in dataset.samples}) < 2:
        raise EdgeproofError(f"{path}: only one class has readable images, expected real and generated ones")
    report = audit(dataset, metadata_limit=0.05, accept=(), seed=0)
    return {**report, "skipped": [{"path": item.path, "reason": item.reason} for item in dataset.skipped]}


def print_audit(report: dict[str, Any], *, as_json: bool) -> None:
    """For people, or for programs."""
    if as_json:
        print(json.dumps(report))
        return
    for check in report["checks"]:
        verdict = "ok  " if check["passed"] else "FAIL"
        print(f"{verdict} {check['name']}: {check['value']:.3g} (limit {check['limit']:g}); {check['note']}")
    for item in report["skipped"]:
        print(f"left out {item['path']}: {item['reason']}")
