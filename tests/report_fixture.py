"""A real run's records, to be changed and written again: what the report is tested on.

Nothing is invented but numbers: every name and every shape is what the writers made of the tiny run, and a change
that names a field which is not there fails.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel

from bench.gate import accuracy_gate
from bench.records.accuracy import AccuracyRecord
from bench.records.degradations import DegradationsRecord
from bench.records.environment import EnvironmentRecord
from bench.records.latency import BenchRecord, Row
from deploy.parity import ParityRecord
from distill.data.audit.report import AuditReport
from distill.data.summary import DataSummary
from distill.recipe import GateSettings, Recipe, load_recipe, to_toml
from distill.record import Record
from distill.roster import roster_of
from distill.training.cost import DistillationCost
from distill.training.history import History

STUDENT, ALONE = "small_cnn", "small_cnn/alone"
ORT, NNCF = "small_cnn-onnxruntime-int8-ort", "small_cnn-openvino-int8-nncf"
SMALL, LARGE = 32, 48
CHOSEN_LARGE: dict[str, Any] = {
    "model": STUDENT, "precision": "int8", "runtime": "openvino", "input_size": LARGE, "scope": "model",
}  # fmt: skip
"""The latency row of the artifact that is chosen, at the larger size."""
RECORDS: dict[str, tuple[str, type[Record]]] = {
    "environment": ("environment.json", EnvironmentRecord),
    "summary": ("data/summary.json", DataSummary),
    "audit": ("data/audit.json", AuditReport),
    "accuracy": ("accuracy.json", AccuracyRecord),
    "parity": ("parity.json", ParityRecord),
    "bench": ("bench.json", BenchRecord),
    "degradations": ("degradations.json", DegradationsRecord),
    "cost": ("distillation-cost.json", DistillationCost),
}
_Any = TypeVar("_Any")


def changed(value: _Any, /, **update: Any) -> _Any:
    """A copy of a model or a dataclass with other fields, checked as if it had been read."""
    if is_dataclass(value):
        return replace(value, **update)  # type: ignore[type-var, return-value]
    assert isinstance(value, BaseModel)
    unknown = set(update) - set(type(value).model_fields)
    assert not unknown, f"{type(value).__name__} has no {', '.join(sorted(unknown))}"
    return type(value).model_validate({**dict(value), **update})


@dataclass(frozen=True)
class Records:
    """Everything that the report reads; None stands for a file that is not there."""

    recipe: Recipe | None
    environment: EnvironmentRecord | None
    summary: DataSummary | None
    audit: AuditReport | None
    accuracy: AccuracyRecord | None
    parity: ParityRecord | None
    bench: BenchRecord | None
    degradations: DegradationsRecord | None
    cost: DistillationCost | None
    histories: Mapping[str, History]

    @classmethod
    def read(cls, run: Path) -> Self:
        """The records of a run folder."""
        recipe = load_recipe(str(run / "recipe.toml"))
        roster = roster_of(recipe)
        names = [f"{model.folder}/history.json" for model in (*roster.teachers, *roster.trainings)]
        histories = {name: History.read(run / name) for name in names}
        found = {key: kind.read(run / name) for key, (name, kind) in RECORDS.items()}
        return cls(recipe=recipe, histories=histories, **found)  # type: ignore[arg-type]

    def without(self, *names: str) -> Self:
        """Without some of them."""
        return replace(self, **dict.fromkeys(names))

    def write(self, folder: Path) -> Path:
        """Write them into a folder."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Record):
                value.write(folder / RECORDS[field.name][0])
        for name, history in self.histories.items():
            history.write(folder / name)
        if self.recipe:
            (folder / "recipe.toml").write_text(to_toml(self.recipe), encoding="utf-8")
        return folder

    def with_accuracy(self, **update: Any) -> Self:
        """With other fields of the accuracy record."""
        return replace(self, accuracy=changed(self.accuracy, **update))

    def with_split(self, key: str, split: str, **update: Any) -> Self:
        """With other metrics of one model on one split."""
        assert self.accuracy
        model = self.accuracy.models[key]
        splits = {**model.splits, split: changed(model.splits[split], **update)}
        return self.with_accuracy(models={**self.accuracy.models, key: changed(model, splits=splits)})

    def with_check(self, model: str, measure: str, **update: Any) -> Self:
        """With another outcome of one check of the accuracy gate."""
        assert self.accuracy
        checks = tuple(
            changed(check, **update) if (check.model, check.measure) == (model, measure) else check
            for check in self.accuracy.gate.checks
        )
        assert checks != self.accuracy.gate.checks
        passed = all(check.passed for check in checks)
        return self.with_accuracy(gate=changed(self.accuracy.gate, checks=checks, passed=passed))

    def with_rows(self, update: Callable[[Row], dict[str, Any]], **wanted: Any) -> Self:
        """With other fields of the bench rows that have the ``wanted`` values; there must be some."""
        assert self.bench
        fit = [row for row in self.bench.rows if all(getattr(row, k) == v for k, v in wanted.items())]
        assert fit, wanted
        rows = tuple(changed(row, **update(row)) if row in fit else row for row in self.bench.rows)
        return replace(self, bench=changed(self.bench, rows=rows))

    def with_cell(self, key: str, degradation: str, **update: Any) -> Self:
        """With other metrics of one model under one degradation."""
        assert self.degradations
        model = self.degradations.models[key]
        cells = {**model.degradations, degradation: changed(model.degradations[degradation], **update)}
        models = {**self.degradations.models, key: changed(model, degradations=cells)}
        return replace(self, degradations=changed(self.degradations, models=models))


def regated(records: Records, **limits: Any) -> Records:
    """With the gate that these limits (of the others the recipe's defaults) make of the records' models."""
    assert records.accuracy and records.recipe
    teacher = roster_of(records.recipe).teachers[0]
    gate = accuracy_gate(records.accuracy.models, teacher=teacher, limits=GateSettings(**limits))
    return records.with_accuracy(gate=gate)


AUC = {
    "teacher": 0.952,
    "teacher-onnxruntime-fp32": 0.952,
    "teacher-openvino-fp32": 0.952,
    "teacher-onnxruntime-int8-ort": 0.950,
    "teacher-openvino-int8-nncf": 0.951,
    STUDENT: 0.931,
    ALONE: 0.914,
    "small_cnn-onnxruntime-fp32": 0.931,
    "small_cnn-openvino-fp32": 0.931,
    ORT: 0.929,
    NNCF: 0.930,
}
P50 = {
    ("resnet18 (reference)", "torch", "fp32"): 34.6,
    ("teacher", "torch", "fp32"): 62.0,
    ("teacher", "onnxruntime", "fp32"): 17.1,
    ("teacher", "onnxruntime", "int8"): 12.0,
    ("teacher", "openvino", "fp32"): 16.4,
    ("teacher", "openvino", "bf16"): 9.0,
    ("teacher", "openvino", "int8"): 8.0,
    (STUDENT, "torch", "fp32"): 2.9,
    (STUDENT, "onnxruntime", "fp32"): 0.81,
    (STUDENT, "onnxruntime", "int8"): 0.52,
    (STUDENT, "openvino", "fp32"): 0.74,
    (STUDENT, "openvino", "bf16"): 0.41,
    (STUDENT, "openvino", "int8"): 0.36,
}


def calm(records: Records) -> Records:
    """The same run with numbers that say something: good models on a quiet machine, a distillation that helped."""
    assert records.accuracy and records.bench
    for key in records.accuracy.models:
        for split, auc in {"valid": AUC[key] + 0.004, "test": AUC[key], "heldout": AUC[key] - 0.17}.items():
            interval = None if split == "valid" else (auc - 0.019, auc + 0.017)
            records = records.with_split(key, split, auc=auc, auc_ci=interval)
        records = records.with_split(key, "control", auc=0.503, auc_ci=(0.45, 0.55))
    assert records.accuracy and records.bench
    comparisons = []
    for found in records.accuracy.comparisons:
        difference = AUC[found.a] - AUC[found.b]
        interval = (difference - 0.006, difference + 0.006)
        comparisons.append(changed(found, auc_difference=difference, ci=interval))
    gate = changed(
        records.accuracy.gate, checks=[changed(c, limit=0.05) for c in records.accuracy.gate.checks]
    )
    machine = changed(records.bench.machine, has_int8_dot=True, steal_share=0.004)
    records = replace(records, bench=changed(records.bench, machine=machine, noisy=False))
    return distilled(
        alike(with_references(records.with_accuracy(comparisons=comparisons, gate=gate)).with_rows(_calm_row)),
        verdict="shown by both", mean=0.017, ci=(0.012, 0.022), seeds_ci=(0.009, 0.025),
    )  # fmt: skip


def distilled(
    records: Records,
    *,
    verdict: str,
    mean: float,
    ci: Any,
    seeds_ci: Any = None,
    seeds: int = 3,
    groups: int = 600,
) -> Records:
    """With another outcome of every comparison of arms, over so many seeds and scenes."""
    assert records.accuracy
    found = records.accuracy.distillation[STUDENT]
    outcome = {
        "verdict": verdict, "mean": mean, "sd": 0.003, "ci": ci, "seeds_ci": seeds_ci, "detectable": 0.0071,
        "seeds_detectable": 0.0093, "seeds": seeds, "groups": groups,
    }  # fmt: skip
    comparisons = [changed(c, difference=changed(c.difference, **outcome)) for c in found.comparisons]
    arms = [
        changed(arm, seeds=[changed(arm.seeds[seed % len(arm.seeds)], seed=seed) for seed in range(seeds)])
        for arm in found.arms
    ]
    return records.with_accuracy(distillation={STUDENT: changed(found, arms=arms, comparisons=comparisons)})


def with_arm(records: Records, arm: str, *, auc: float) -> Records:
    """With a further control arm: its models and trainings are those of the student alone, at another AUC."""
    assert records.accuracy and records.recipe
    distillation = changed(records.recipe.distillation, controls=(*records.recipe.distillation.controls, arm))
    recipe = changed(records.recipe, distillation=distillation)
    found = records.accuracy.distillation[STUDENT]
    [alone] = [one for one in found.arms if one.arm == "alone"]
    spreads = [changed(s, mean=auc) if s.statistic == "auc" else s for s in alone.spreads]
    more = [
        changed(c, against=arm) for c in found.comparisons if (c.arm, c.against) == ("distilled", "alone")
    ]
    student = changed(
        found,
        arms=(*found.arms, changed(alone, arm=arm, spreads=spreads)),
        comparisons=(*found.comparisons, *more),
    )
    key, model = f"{STUDENT}/{arm}", records.accuracy.models[ALONE]
    models = {
        **records.accuracy.models,
        key: changed(model, identity=changed(model.identity, key=key, arm=arm)),
    }
    histories = {
        name.replace("alone", arm): history for name, history in records.histories.items() if "alone" in name
    }
    records = replace(records, recipe=recipe, histories={**records.histories, **histories})
    return records.with_accuracy(models=models, distillation={STUDENT: student})


def with_references(records: Records) -> Records:
    """With ResNet18 at every input size and scope that something is timed at."""
    assert records.bench
    rows = list(records.bench.rows)
    known = {(row.input_size, row.scope) for row in rows if row.reference}
    model = next(row for row in rows if row.reference)
    for size, scope in dict.fromkeys((row.input_size, row.scope) for row in rows):
        if (size, scope) not in known:
            rows.append(changed(model, input_size=size, scope=scope))
    return replace(records, bench=changed(records.bench, rows=rows))


def alike(records: Records) -> Records:
    """With every ratio that of the two medians of the same input size and scope."""
    assert records.bench
    slow = {(row.input_size, row.scope): row.p50_ms for row in records.bench.rows if row.reference}

    def ratio(row: Row) -> dict[str, Any]:
        found = (slow[row.input_size, row.scope] or 0.0) / (row.p50_ms or 1.0)
        reported = 458 / (row.p50_ms or 1.0) if row.input_size == 224 else None
        return {
            "speedup_vs_resnet18_eager": found, "speedup_ci": (found * 0.9, found * 1.1),
            "speedup_claimed": found * 0.9 > 1, "speedup_disagrees": False, "speedup_vs_reference": reported,
        }  # fmt: skip

    return records.with_rows(ratio)


def timed(p50: float) -> dict[str, Any]:
    """A row's times: a tight spread around ``p50`` milliseconds."""
    return {
        "status": "ok",
        "reason": None,
        "samples": 150,
        "min_ms": p50 * 0.96,
        "p50_ms": p50,
        "p90_ms": p50 * 1.09,
        "p99_ms": p50 * 1.31,
        "spread": 0.12,
        "mad_ms": None,
        "p50_ci_ms": None,
        "spoiled": 0,
        "noisy": False,
    }


def _calm_row(row: Row) -> dict[str, Any]:
    p50 = P50[row.model, row.runtime, row.precision]
    if row.input_size == SMALL:
        p50 /= 4.6
    return timed(p50 + 0.31 * (row.scope == "end_to_end"))
