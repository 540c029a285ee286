"""A plausible run folder, invented: what the report is tested on. No number in it was measured."""

import json
import math
import random
from pathlib import Path
from typing import Any

from report_fixture_degradations import degradations

STUDENTS = ("small_cnn", "mobilenet_v2")
TRAINED, HELD_OUT = ("transposed", "nearest", "bilinear", "vae"), ("denoise", "blend")
AUC = {
    "teacher": 0.952,
    "small_cnn": 0.931,
    "small_cnn/control": 0.914,
    "small_cnn-onnxruntime-fp32": 0.931,
    "small_cnn-openvino-fp32": 0.931,
    "small_cnn-onnxruntime-int8": 0.929,
    "small_cnn-openvino-int8": 0.930,
    "mobilenet_v2": 0.938,
    "mobilenet_v2/control": 0.936,
    "mobilenet_v2-onnxruntime-fp32": 0.938,
    "mobilenet_v2-openvino-fp32": 0.938,
    "mobilenet_v2-onnxruntime-int8": 0.921,
    "mobilenet_v2-openvino-int8": 0.924,
}
BYTES = {
    "teacher": 1_460_000,
    "small_cnn": 392_000,
    "mobilenet_v2": 9_100_000,
    "resnet18 (reference)": 44_800_000,
}
P50 = {
    ("resnet18 (reference)", "torch", "fp32"): 34.6,
    ("resnet18 (reference)", "onnxruntime", "fp32"): 13.2,
    ("resnet18 (reference)", "openvino", "fp32"): 12.9,
    ("teacher", "torch", "fp32"): 62.0,
    ("teacher", "openvino", "fp32"): 16.4,
    ("small_cnn", "torch", "fp32"): 2.9,
    ("small_cnn", "onnxruntime", "fp32"): 0.81,
    ("small_cnn", "onnxruntime", "int8"): 0.52,
    ("small_cnn", "openvino", "fp32"): 0.74,
    ("small_cnn", "openvino", "bf16"): 0.41,
    ("small_cnn", "openvino", "int8"): 0.36,
    ("mobilenet_v2", "torch", "fp32"): 17.3,
    ("mobilenet_v2", "onnxruntime", "fp32"): 3.7,
    ("mobilenet_v2", "onnxruntime", "int8"): 2.3,
    ("mobilenet_v2", "openvino", "fp32"): 3.6,
    ("mobilenet_v2", "openvino", "int8"): 2.6,
}
RECIPE = """# edgeproof run demo
name = "demo"
seed = 0

[preprocess]
size = 64

[teacher]
name = "efficientnet_fpn_cbam"
options = { backbone = "test_efficientnet" }
"""


def contents() -> dict[str, Any]:
    """File name → JSON value of a run that passed everything; change it, then :func:`write` it."""
    return {
        "recipe.json": {
            "name": "demo",
            "seed": 0,
            "preprocess": {"size": 64},
            "students": {name: {"name": name} for name in STUDENTS},
            "data": {"layout": "simulated"},
            "bench": {"like_for_like_size": 224},
        },
        "environment.json": _environment(),
        "data/summary.json": _summary(),
        "data/audit.json": _audit(),
        "teacher/history.json": _history("teacher", 0),
        **{
            f"students/{name}/seed{seed}/{arm}/history.json": _history(
                name + "/control" * (arm == "control"), seed
            )
            for name in STUDENTS
            for seed in (0, 1, 2)
            for arm in ("distilled", "control")
        },
        "accuracy.json": _accuracy(),
        "degradations.json": degradations(AUC, STUDENTS, metrics=metrics, describe=_model),
        "parity.json": _parity(),
        "bench.json": _bench(),
    }


def write(run: Path, files: dict[str, Any] | None = None) -> Path:
    """Write the files into ``run``; all of :func:`contents` unless told otherwise."""
    for name, value in (contents() if files is None else files).items():
        path = run / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value), encoding="utf-8")
    (run / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    return run


def _environment() -> dict[str, Any]:
    stages = (
        "data",
        "audit",
        "teacher",
        "outputs",
        "students",
        "calibrate",
        "export",
        "quantize",
        "parity",
        "bench",
    )
    return {
        "created": "2026-01-01T12:00:00+00:00",
        "edgeproof": "0.1.0",
        "python": "3.11.9",
        "platform": "Linux x86_64",
        "versions": {"torch": "2.9.0", "openvino": "2026.0", "onnxruntime": "1.24"},
        "machine": {"cpu_model": "Example CPU"},
        "command": "edgeproof run demo",
        "seconds": dict(zip(stages, (38.2, 3.1, 151.0, 9.4, 204.6, 2.2, 14.8, 33.1, 6.0, 71.5), strict=True)),
    }


def _summary() -> dict[str, Any]:
    held = {name: {"split": ["heldout"], "count": 150} for name in HELD_OUT}
    return {
        "layout": "simulated",
        "simulated": True,
        "splits": {
            "train": {"real": 1400, "fake": 1400},
            "valid": {"real": 300, "fake": 300},
            "test": {"real": 300, "fake": 300},
            "heldout": {"real": 300, "fake": 300},
            "control": {"real": 100, "fake": 100},
        },
        "generators": {
            **{name: {"split": ["train", "valid", "test"], "count": 500} for name in TRAINED},
            **held,
            "identity": {"split": ["control"], "count": 100},
        },
        "skipped": [{"path": "train/fake/00017.jpg", "reason": "truncated: 1,024 of 9,310 bytes"}],
        "held_out": list(HELD_OUT),
    }


def _audit() -> dict[str, Any]:
    note = "AUC of a classifier of format, JPEG quality, size and bytes: 0.508"
    return {
        "passed": True,
        "metadata_auc": 0.508,
        "metadata_ci": [0.488, 0.529],
        "checks": [
            {"name": "metadata", "value": 0.008, "limit": 0.05, "passed": True, "note": note},
            {
                "name": "duplicates_across_splits",
                "value": 0,
                "limit": 0,
                "passed": True,
                "note": "identical files",
            },
        ],
    }


def _history(key: str, seed: int) -> dict[str, Any]:
    draw = random.Random(f"{key}{seed}")
    top = AUC[key] + draw.uniform(-0.006, 0.006)
    epochs = []
    for epoch in range(1, 13):
        auc = top - (top - 0.55) * math.exp(-epoch / 2.6) + draw.uniform(-0.008, 0.008)
        loss = 0.69 - 0.4 * (auc - 0.5) / 0.45
        epochs.append({"epoch": epoch, "train_loss": loss - 0.02, "valid_loss": loss, "valid_auc": auc})
    return {"epochs": epochs, "best_epoch": 12, "seconds": 14.2}


def _roc(auc: float) -> dict[str, list[float]]:
    power = auc / (1 - auc)
    fpr = [i / 100 for i in range(101)]
    return {"fpr": fpr, "tpr": [1 - (1 - x) ** power for x in fpr]}


def metrics(auc: float, *, reals: int = 300) -> dict[str, Any]:
    """Metrics of one split that hang together with the AUC."""
    tpr = tnr = 0.5 + 0.46 * (auc - 0.5) / 0.45
    tp, tn = round(300 * tpr), round(reals * tnr)
    return {
        "n": reals + 300,
        "n_real": reals,
        "n_fake": 300,
        "auc": auc,
        "auc_ci": [auc - 0.019, min(auc + 0.017, 1.0)],
        "ap": auc - 0.01,
        "eer": 1 - tpr,
        "balanced_accuracy": (tpr + tnr) / 2,
        "tpr": tpr,
        "tnr": tnr,
        "f1": 2 * tp / (2 * tp + reals - tn + 300 - tp),
        "tpr_at_1fpr": max(auc - 0.43, 0.0),
        "tpr_at_5fpr": max(auc - 0.2, 0.0),
        "ece": 0.031,
        "nll": 0.36,
        "brier": 0.11,
        "confusion": [[tn, reals - tn], [300 - tp, tp]],
    }


def _model(key: str, auc: float) -> dict[str, Any]:
    draw = random.Random(key)
    base, _, rest = key.partition("-")
    runtime, precision = rest.split("-") if rest else ("torch", "fp32")
    student = None if key == "teacher" else base.removesuffix("/control")
    kind = "artifact" if rest else "control" if "/" in key else "student" if student else "teacher"
    generators = {name: (auc + draw.uniform(-0.03, 0.03), False) for name in TRAINED}
    generators |= {name: (auc - 0.17 + draw.uniform(-0.06, 0.06), True) for name in HELD_OUT}
    generators["identity"] = (0.503, False)
    confidence: list[float | None] = [(i + 0.5) / 15 for i in range(15)]
    accuracy: list[float | None] = [min(max(c + draw.uniform(-0.06, 0.06), 0), 1) for c in confidence if c]
    confidence[7] = accuracy[7] = None
    parent = student if precision == "fp32" else f"{base}-{runtime}-fp32"
    flips = {"count": 7, "share": 7 / 600, "parent": parent} if rest else None
    return {
        "kind": kind,
        "student": student,
        "runtime": runtime,
        "precision": precision,
        "threshold": 0.512,
        "calibration": {"temperature": 1.3, "bias": 0.02},
        "splits": {
            "valid": metrics(auc + 0.004),
            "test": metrics(auc),
            "heldout": metrics(auc - 0.17),
            "control": metrics(0.503),
        },
        "generators": {
            name: {"auc": a, "auc_ci": [a - 0.03, min(a + 0.03, 1.0)], "n": 150, "heldout": h}
            for name, (a, h) in generators.items()
        },
        "roc": _roc(auc),
        "reliability": {"confidence": confidence, "accuracy": accuracy, "count": [40] * 7 + [0] + [40] * 7},
        "flips_vs_parent": flips,
        "refit_threshold": 0.512 + (0.006 if precision == "int8" else 0.0),
    }


def _accuracy() -> dict[str, Any]:
    comparisons = []
    for name in STUDENTS:
        pairs = [(name, "teacher", "size"), (name, f"{name}/control", "distillation")]
        for runtime in ("onnxruntime", "openvino"):
            pairs.append((f"{name}-{runtime}-fp32", name, "export"))
            pairs.append((f"{name}-{runtime}-int8", f"{name}-{runtime}-fp32", "int8"))
        for a, b, what in pairs:
            change = AUC[a] - AUC[b]
            ci = [change - 0.006, change + 0.006] if what != "export" else [0.0, 0.0]
            comparisons.append({"a": a, "b": b, "what": what, "auc_difference": change, "ci": ci})
    checks = [
        {"name": f"{s}-{r}-int8 {m}", "value": v, "limit": limit, "passed": True}
        for s in STUDENTS
        for r in ("onnxruntime", "openvino")
        for m, limit, v in (
            ("AUC drop", 0.02, AUC[s] - AUC[f"{s}-{r}-int8"]),
            ("TPR at 5 % FPR drop", 0.1, 0.012),
        )
    ]
    return {
        "positive": "generated",
        "simulated": True,
        "models": {key: _model(key, auc) for key, auc in AUC.items()},
        "distillation": {
            "small_cnn": _distillation("small_cnn", verdict="better", ci=[0.009, 0.025]),
            "mobilenet_v2": _distillation("mobilenet_v2", verdict="no difference shown", ci=[-0.007, 0.011]),
        },
        "comparisons": comparisons,
        "gate": {"passed": True, "checks": checks},
    }


def _distillation(name: str, *, verdict: str, ci: list[float]) -> dict[str, Any]:
    ours, theirs = AUC[name], AUC[f"{name}/control"]

    def scores(auc: float) -> dict[str, Any]:
        return {
            epoch: {"auc": auc - d, "tpr_at_5fpr": auc - d - 0.2}
            for epoch, d in (("best", 0), ("last", 0.004))
        }

    shifts = enumerate((-0.004, 0.001, 0.003))
    seeds = [{"seed": i, "distilled": scores(ours + d), "control": scores(theirs - d)} for i, d in shifts]
    difference = {"auc_mean": ours - theirs, "auc_sd": 0.003, "auc_ci": ci, "verdict": verdict}
    return {"seeds": seeds, "difference": difference}


def _parity() -> dict[str, Any]:
    pairs, int8 = [], []
    for name in STUDENTS:
        for runtime in ("onnxruntime", "openvino"):
            shared = {"student": name, "a": "torch", "n": 600, "passed": True}
            pairs.append(
                {**shared, "b": f"{runtime}-fp32", "max_abs_probability": 3e-6, "flips": 0, "limit": 1e-3}
            )
            pairs.append(
                {**shared, "b": f"{runtime}-int8", "max_abs_probability": 0.061, "flips": 7, "limit": None}
            )
            shares = {"int8_weight_share": 1.0, "size_ratio": 0.31, "quantized_operator_share": 0.96}
            reason = "100% of the weights are stored as INT8, 96% of the operators are quantized"
            int8.append({"artifact": f"{name}-{runtime}-int8", **shares, "passed": True, "reason": reason})
    return {"passed": True, "pairs": pairs, "int8": int8}


def row(
    model: str, runtime: str, precision: str, *, p50: float, size: int, scope: str = "model"
) -> dict[str, Any]:
    """One bench row with a tight spread."""
    return {
        "model": model,
        "runtime": runtime,
        "precision": precision,
        "quantizer": None if precision != "int8" else "nncf_openvino" if runtime == "openvino" else "ort_qdq",
        "threads": 2,
        "batch": 1,
        "input_size": size,
        "scope": scope,
        "samples": 150,
        "min_ms": p50 * 0.96,
        "p50_ms": p50,
        "p90_ms": p50 * 1.09,
        "p99_ms": p50 * 1.31,
        "spread": 0.12,
        "noisy": False,
        "speedup_vs_reference": 458 / p50,
        "speedup_vs_resnet18_eager": 34.6 / p50,
        "speedup_range": [34.6 / p50 * 0.9, 34.6 / p50 * 1.1],
        "speedup_claimed": 34.6 / p50 * 0.9 > 1,
        "bytes": round(BYTES[model] * (0.29 if precision == "int8" else 1.0)),
        "params": BYTES[model] // 4,
        "macs": {"teacher": 410, "small_cnn": 164, "mobilenet_v2": 300}.get(model, 1814) * 1_000_000,
        "metrics": None,
        "status": "ok",
        "reason": None,
    }


def _bench() -> dict[str, Any]:
    rows = []
    for (model, runtime, precision), p50 in P50.items():
        rows.append(row(model, runtime, precision, p50=p50, size=224))
        if "reference" not in model:
            rows.append(row(model, runtime, precision, p50=p50 / 4.6, size=64))
            rows.append(row(model, runtime, precision, p50=p50 / 4.6 + 0.31, size=64, scope="end_to_end"))
    nothing = dict.fromkeys(("min_ms", "p50_ms", "p90_ms", "p99_ms", "spread", "bytes"))
    skipped = {"status": "skipped", "reason": "this CPU does not compute in bf16"}
    rows.append({**row("mobilenet_v2", "openvino", "bf16", p50=1.0, size=224), **nothing, **skipped})
    machine = {
        "cpu_model": "Example CPU @ 2.0 GHz",
        "isa_flags": ["avx2", "avx512f", "avx512_vnni", "amx_int8"],
        "cores": 2,
        "threads": 2,
        "has_int8_dot": True,
        "has_bf16": True,
        "governor": None,
        "memory_bytes": 8_000_000_000,
        "os": "Linux",
        "versions": {"torch": "2.9.0", "openvino": "2026.0"},
    }
    return {
        "schema_version": 1,
        "machine": machine,
        "reference_s": 0.458,
        "steal_share": 0.004,
        "rounds": 30,
        "rows": rows,
    }
