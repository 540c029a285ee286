"""A collapse under INT8, planted and repaired: ``python -m perf.int8_collapse runs/demo --student small_cnn``.

A copy of a finished run gets a student whose channels are scaled by factors from 1 to ``--spread`` and whose next layers
take them back: the same function in FP32, with ranges that INT8 cannot hold. Each step of the repair is then taken,
whether or not the one before sufficed, for every quantizer of the recipe. The result is
``perf/results/int8-collapse.json``: score on validation and test images, size and latency of every form, one thread,
as ratios within interleaved rounds to post-training INT8 of the same runtime.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.contestants.artifact import artifact_contestants
from bench.latency import measure
from deploy.artifact import MODEL_FILES, read_manifest
from deploy.int8_check import inspect_int8
from deploy.quantizers import runtimes_of
from deploy.repair import Form, ImpossibleError
from deploy.stages.export import export_model, probabilities_of
from deploy.stages.tries import Tries
from distill.evaluation.choice import choice_of
from distill.files import read_json, sha256, write_json
from distill.models import load_model
from distill.pipeline.runfolder import WEIGHTS
from distill.pipeline.stage import Run
from distill.recipe import load_recipe
from distill.roster import Artifact, Model, Roster, roster_of
from distill.stages.quantization_aware import Lesson
from distill.stages.sources import shown_views, sources_of
from distill.stages.training import labels_of, pixels_of
from distill.task import find_task
from distill.training.checkpoint import save_weights
from distill.training.inference import predict

RESULTS = Path(__file__).parent / "results"
LEFT_OUT = ("bench", "plots", "degradations.npz", "report.html")


def plant(network: nn.Module, *, spread: float, seed: int) -> None:
    """Scale every normalized channel by 1 to ``spread`` and its reader by the inverse.

    Only for a network whose layers stand in one line, each normalization followed by ReLU.
    """
    generator = torch.Generator().manual_seed(seed)
    layers = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d | nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        for norm, reader in zip(layers, layers[1:], strict=False):
            if isinstance(norm, nn.BatchNorm2d) and isinstance(reader, nn.Conv2d | nn.Linear):
                factors = torch.pow(spread, torch.rand(norm.num_features, generator=generator))
                norm.weight.mul_(factors)
                norm.bias.mul_(factors)
                reader.weight.div_(_along_inputs(factors, reader))


def _along_inputs(factors: Tensor, reader: nn.Conv2d | nn.Linear) -> Tensor:
    depthwise = isinstance(reader, nn.Conv2d) and reader.groups > 1
    return factors.reshape(*([-1, 1] if depthwise else [1, -1]), *[1] * (reader.weight.ndim - 2))


def plant_in(run: Run, model: Model, *, spread: float) -> float:
    """Put the planted student into the run folder; returns the largest change of a validation logit in FP32."""
    path = run.folder / model.folder / WEIGHTS
    network, valid = load_model(run.recipe, model, path), pixels_of(run, "valid", spec=model.preprocess)
    before = predict(network, valid)
    plant(network, spread=spread, seed=run.recipe.seed)
    change = float((predict(network, valid) - before).abs().max())
    save_weights(network, path, sidecar=read_json(path.with_suffix(".json")))
    choice = choice_of(run.folder, model)
    choice.model_copy(update={"weights": sha256(path)}).write(run.folder / model.choice)
    return change


def collect(
    source: Path, *, student: str, spread: float, seconds: float, overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """The content of the result file."""
    with tempfile.TemporaryDirectory(prefix="edgeproof-collapse-") as temporary:
        folder = Path(temporary, "run")
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
        run = Run(folder, load_recipe(str(folder / "recipe.toml"), overrides=overrides))
        roster = roster_of(run.recipe, runtimes=runtimes_of(run.recipe))
        model = next(item for item in roster.distilled if item.name == student)
        lesson = Lesson(model, sources_of(run.recipe, roster), shown_views(run.recipe, roster))
        change = plant_in(run, model, spread=spread)
        export_model(run, _quiet, model=model, artifacts=_judged(roster, model, "fp32"))
        forms = [
            form
            for item in _judged(roster, model, "int8")
            for form in _forms(run, item, Path(temporary), lesson=lesson)
        ]
        _time(forms, seconds=seconds)
        return {
            "schema_version": 1,
            "recipe": run.recipe.name,
            "student": student,
            "spread": spread,
            "largest_change_of_fp32": change,
            "metric": find_task(run.recipe.task).metric,
            "repair": run.recipe.repair.model_dump(mode="json"),
            "forms": [{key: value for key, value in form.items() if key != "folder"} for form in forms],
        }


def _judged(roster: Roster, model: Model, precision: str) -> tuple[Artifact, ...]:
    return tuple(item for item in roster.artifacts_of(model) if item.judged and item.precision == precision)


def _forms(run: Run, artifact: Artifact, folder: Path, *, lesson: Lesson) -> list[dict[str, Any]]:
    """FP32, and INT8 after every step."""
    tries = Tries(run, artifact, folder=folder / artifact.key, progress=_quiet, lesson=lesson)
    parent = artifact.parent or artifact
    found = [_measured(run, artifact, "fp32", run.folder / parent.folder)]
    steps: dict[str, Callable[[], Form]] = {
        "plain": tries.plain, "layers": tries.layers, "training": tries.trained
    }  # fmt: skip
    for step, make in steps.items():
        try:
            form = make()
        except ImpossibleError as error:
            found.append({"quantizer": artifact.quantizer, "form": step, "reason": str(error)})
            continue
        found.append(_measured(run, artifact, step, form.artifact))
    return found


def _measured(run: Run, artifact: Artifact, form: str, folder: Path) -> dict[str, Any]:
    task, name = find_task(run.recipe.task), MODEL_FILES[artifact.runtime][0]
    said = probabilities_of(run, folder, artifact=artifact, splits=("valid", "test"))
    manifest = read_manifest(folder)
    parent = run.folder / (artifact.parent or artifact).folder / name
    return {
        "quantizer": artifact.quantizer,
        "runtime": artifact.runtime,
        "form": form,
        **{split: round(task.score_of(labels_of(run, split), values), 5) for split, values in said.items()},
        "bytes": sum(manifest.files[file].bytes for file in MODEL_FILES[artifact.runtime]),
        "layers_in_float": len(manifest.quantizer.float_layers) if manifest.quantizer else None,
        "int8": inspect_int8(folder / name, fp32_path=parent).reason,
        "folder": folder,
    }


def _time(forms: Sequence[dict[str, Any]], *, seconds: float) -> None:
    """Add each form's latency and its ratio to post-training INT8 of its runtime, all in the same rounds."""
    for runtime in dict.fromkeys(form["runtime"] for form in forms if "runtime" in form):
        timed = [form for form in forms if form.get("runtime") == runtime]
        contestants = [
            replace(found, reference=form["form"] == "plain")
            for form in timed
            for found in artifact_contestants(form["folder"], model=form["form"], threads=1, bf16=False)
            if found.scope == "model" and found.precision != "bf16"
        ]
        measurement = measure(
            contestants, rounds=30, iterations=20, warmup=20, budget_s=seconds, progress=_told
        )
        for form, row in zip(timed, measurement.rows, strict=True):
            ratio, span = row.speedup_vs_resnet18_eager, row.speedup_ci
            form |= {"min_ms": row.min_ms, "p50_ms": row.p50_ms, "noisy": row.noisy}
            form |= {"speed_of_plain": ratio, "speed_range": span}


def _quiet(done: int, total: int) -> None:
    """Nothing is told."""


def _told(what: str, done: int, total: int, /) -> None:
    """Nothing is told."""


def main() -> None:
    """Read the arguments and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("run", type=Path, help="a finished run")
    parser.add_argument("--student", default="small_cnn")
    parser.add_argument("--spread", type=float, default=128.0)
    parser.add_argument("--seconds", type=float, default=30.0, help="for the latency of one runtime")
    parser.add_argument("--set", action="append", default=[], help="such as repair.epochs=8")
    parser.add_argument("--out", type=Path, default=RESULTS / "int8-collapse.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = collect(
        given.run, student=given.student, spread=given.spread, seconds=given.seconds, overrides=given.set
    )
    given.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(given.out, found)
    for form in found["forms"]:
        print(", ".join(f"{key} {value}" for key, value in form.items()))


if __name__ == "__main__":
    main()
