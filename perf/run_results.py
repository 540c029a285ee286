"""What a finished run measured, as one small file to keep: ``python -m perf.run_results runs/robust``.

The result is ``perf/results/run-<recipe>.json``: machine, seconds, every model's AUC with its interval, every arm and seed
with the differences, and the AUC under every degradation. Nothing is measured here.
"""

import argparse
from pathlib import Path
from typing import Any

from bench.records.accuracy import AccuracyRecord
from bench.records.degradations import DegradationsRecord
from bench.records.environment import EnvironmentRecord
from distill.files import read_json, write_json

RESULTS = Path(__file__).parent / "results"


def collect(folder: Path) -> dict[str, Any]:
    """The content of the result file."""
    accuracy = AccuracyRecord.read(folder / "accuracy.json")
    environment = EnvironmentRecord.read(folder / "environment.json")
    swept = folder / "degradations.json"
    return {
        "schema_version": 1,
        "recipe": read_json(folder / "recipe.json"),
        "simulated": accuracy.simulated,
        "machine": environment.machine.model_dump(mode="json"),
        "created": environment.created,
        "seconds": environment.seconds,
        "teacher": _teacher(folder),
        "models": {
            key: {
                split: {"auc": found.auc, "auc_ci": found.auc_ci, "n": found.n}
                for split, found in model.splits.items()
            }
            for key, model in accuracy.models.items()
        },
        "distillation": {
            name: found.model_dump(mode="json") for name, found in accuracy.distillation.items()
        },
        "degraded": _degraded(DegradationsRecord.read(swept)) if swept.is_file() else {},
    }


def _teacher(folder: Path) -> dict[str, Any]:
    about = read_json(folder / "teacher" / "weights.json")
    wanted = ("architecture", "options", "adopted_from", "learned_from", "metric", "promised", "sha256")
    return {name: about[name] for name in wanted if name in about}


def _degraded(record: DegradationsRecord) -> dict[str, Any]:
    return {
        "images": record.images.model_dump(mode="json"),
        "auc": {
            key: {name: found.auc for name, found in model.degradations.items()}
            for key, model in record.models.items()
        },
        "differences": {
            f"{step.a} - {step.b}": {
                name: {"auc": found.auc_difference, "ci": found.ci}
                for name, found in step.degradations.items()
            }
            for step in record.comparisons
        },
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a finished run")
    folder = parser.parse_args().folder
    content = collect(folder)
    path = RESULTS / f"run-{content['recipe']['name']}.json"
    write_json(path, content)
    print(path)


if __name__ == "__main__":
    main()
