"""The invented sweep over degraded images that ``report_fixture`` puts into its run folder."""

import random
from collections.abc import Callable
from typing import Any

FALLS = {  # degradation → family, strength, AUC that is lost
    "clean": ("Clean", "clean", 0.0),
    "jpeg95": ("JPEG quality", "95", 0.008),
    "jpeg75": ("JPEG quality", "75", 0.051),
    "jpeg60": ("JPEG quality", "60", 0.088),
    "jpeg40": ("JPEG quality", "40", 0.142),
    "jpeg30": ("JPEG quality", "30", 0.187),
    "resize_half": ("Resize to", "1/2", 0.203),
    "resize_quarter": ("Resize to", "1/4", 0.341),
    "noise5": ("Noise sigma", "5", 0.067),
    "noise10": ("Noise sigma", "10", 0.154),
    "blur1": ("Blur sigma", "1", 0.121),
    "blur2": ("Blur sigma", "2", 0.262),
    "blur3": ("Blur sigma", "3", 0.334),
    "webp75": ("WebP quality", "75", 0.094),
    "webp50": ("WebP quality", "50", 0.131),
    "jpeg95_fakes": ("Only generated as JPEG", "95", 0.011),
}


def degradations(
    auc: dict[str, float],
    students: tuple[str, ...],
    *,
    metrics: Callable[[float], dict[str, Any]],
    describe: Callable[[str, float], dict[str, Any]],
) -> dict[str, Any]:
    """``degradations.json`` of the models whose AUC is given; every fall is invented."""
    swept = {key: value for key, value in auc.items() if not key.endswith("fp32")}
    pairs = [(name, f"{name}/control", "distillation") for name in students]
    pairs += [(name, "teacher", "size") for name in students]
    pairs += [(key, key.partition("-")[0], "int8") for key in swept if key.endswith("int8")]
    return {
        "simulated": True,
        "images": {"n": 400, "n_real": 200, "n_fake": 200, "groups": 200, "of": 600},
        "degradations": [
            {"name": name, "family": family, "strength": strength, "generated_only": name == "jpeg95_fakes"}
            for name, (family, strength, _) in FALLS.items()
        ],
        "models": {
            key: {**_about(describe(key, value)), "degradations": _cells(key, value, metrics)}
            for key, value in swept.items()
        },
        "comparisons": [
            {
                "what": what,
                "a": a,
                "b": b,
                "degradations": {name: _step(auc[a] - auc[b]) for name in FALLS},
            }
            for a, b, what in pairs
        ],
    }


def _about(model: dict[str, Any]) -> dict[str, Any]:
    return {key: model[key] for key in ("kind", "student", "runtime", "precision", "threshold")}


def _cells(key: str, auc: float, metrics: Callable[[float], dict[str, Any]]) -> dict[str, Any]:
    draw = random.Random(f"degraded {key}")
    cells, clean = {}, metrics(auc)
    for name, (_, _, fall) in FALLS.items():
        found = metrics(auc - fall * draw.uniform(0.8, 1.2))
        kept = {k: found[k] for k in ("auc", "auc_ci", "balanced_accuracy", "tpr", "tnr")}
        changes = {f"{k}_change": found[k] - clean[k] for k in ("auc", "balanced_accuracy")}
        ci = [changes["auc_change"] - 0.02, changes["auc_change"] + 0.02]
        flips = {"count": round(400 * fall), "share": fall}
        cells[name] = {**kept, **changes, "auc_change_ci": ci, "flips": flips}
    return cells


def _step(change: float) -> dict[str, Any]:
    flips = {"count": 9, "share": 9 / 400}
    return {"auc_difference": change, "ci": [change - 0.01, change + 0.01], "flips": flips}
