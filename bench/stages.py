"""The stages of this package: accuracy and its gate, latency, and the report."""

import importlib.metadata
import platform
import sys
from datetime import UTC, datetime
from typing import Any

from deploy.stages import deployed_models, model_folder, model_sizes
from distill.data.storage import read_bytes
from distill.errors import GateFailedError
from distill.files import read_json, write_json
from distill.machine import thread_count
from distill.pipeline.runfolder import WEIGHTS, chosen_folder, load_dataset
from distill.pipeline.stage import Progress, Run, Stage
from distill.pipeline.state import STATE
from distill.recipe import Recipe

ACCURACY, BENCH, REPORT = "accuracy.json", "bench.json", ("report.md", "report.html")
DEGRADATIONS = "degradations.json"
_PHOTOS = 16
_PACKAGES = (
    "edgeproof", "torch", "torchvision", "timm", "lightning", "numpy", "pillow",
    "onnx", "onnxruntime", "openvino", "nncf", "neural-compressor",
)  # fmt: skip


def bench_stages(recipe: Recipe, stages: list[Stage]) -> list[Stage]:
    """What follows all of ``stages``."""
    quantized = tuple(s.name for s in stages if s.verb in ("export", "quantize"))
    chosen = tuple(s.name for s in stages if s.name.startswith("choose:"))
    return [
        Stage(
            "accuracy",
            "evaluate",
            check_accuracy,
            _reads_accuracy,
            (*quantized, *chosen),
            (ACCURACY,),
            cost=25,
        ),
        *_sweep_stages(recipe),
        Stage(
            "bench",
            "bench",
            run_bench,
            _reads_bench,
            quantized,
            (BENCH,),
            cost=_bench_cost(recipe),
            alone=True,
        ),
        Stage("report", "report", make_report, _nothing, (), REPORT, cost=8, always=True, alone=True),
    ]


def _sweep_stages(recipe: Recipe) -> list[Stage]:
    if recipe.degradations.samples == 0:
        return []
    action, needs = judge_degradations, ("degradations:outputs",)
    return [Stage("degradations", "evaluate", action, _nothing, needs, (DEGRADATIONS,), cost=5)]


def _bench_cost(recipe: Recipe) -> float:
    return 2 * recipe.bench.max_seconds  # it has the machine to itself, where two other stages would run


def check_accuracy(run: Run, progress: Progress) -> None:
    """Write ``accuracy.json``; fail if INT8 lost more than the recipe allows."""
    from bench.accuracy import evaluate

    content = evaluate(run, progress)
    write_json(run.folder / ACCURACY, content)
    failed = [
        f"{c['name']} = {c['value']:.4f} (limit {c['limit']:g})"
        for c in content["gate"]["checks"]
        if not c["passed"]
    ]
    if failed:
        raise GateFailedError(f"accuracy gate failed: {'; '.join(failed)}")


def judge_degradations(run: Run, progress: Progress) -> None:
    """Write ``degradations.json``."""
    from bench.degradations import evaluate

    write_json(run.folder / DEGRADATIONS, evaluate(run, progress))


def run_bench(run: Run, progress: Progress) -> None:
    """Time every contestant in interleaved rounds of one process."""
    from bench.latency import measure
    from bench.record import write_record

    settings = run.recipe.bench
    measurement = measure(
        _contestants(run),
        rounds=settings.rounds,
        iterations=settings.iterations,
        warmup=settings.warmup,
        budget_s=settings.max_seconds,
        progress=lambda what, done, total, /: progress(done, total),
    )
    write_record(run.folder / BENCH, measurement.record())


def _contestants(run: Run) -> list[Any]:
    from bench.contestants.artifact import artifact_contestants
    from bench.contestants.torch import count_macs, count_params, reference_contestant, torch_contestants
    from distill.models import load_model

    threads = thread_count(run.recipe.bench.threads)
    photos = _photos(run)
    found = list(reference_contestant(threads=threads, images=photos))
    for model in deployed_models(run.recipe):
        module = load_model(run.recipe, model, run.folder / chosen_folder(model) / WEIGHTS)
        params = count_params(module)
        for size in model_sizes(run.recipe):
            macs = count_macs(module, size)
            preprocess = run.recipe.preprocess.model_copy(update={"size": size})
            found += torch_contestants(
                module, model=model, preprocess=preprocess, threads=threads, images=photos
            )
            for runtime in ("onnxruntime", "openvino"):
                for precision in ("fp32", "int8"):
                    folder = run.folder / model_folder(
                        run.recipe, model, runtime=runtime, precision=precision, size=size
                    )
                    if folder.is_dir():
                        found += artifact_contestants(
                            folder, model=model, threads=threads, images=photos, params=params, macs=macs
                        )
    return found


def _photos(run: Run) -> list[bytes]:
    """JPEG files of the test split, for the end-to-end scope."""
    dataset = load_dataset(run.folder)
    jpegs = [s for s in dataset.split("test") if s.path.lower().endswith((".jpg", ".jpeg"))]
    return [read_bytes(dataset.root, sample) for sample in jpegs[:_PHOTOS]]


def make_report(run: Run, progress: Progress) -> None:
    """Write the report from whatever the run folder holds."""
    from bench.report.write import write_report

    write_json(run.folder / "environment.json", environment(run))
    write_report(run.folder)


def environment(run: Run) -> dict[str, Any]:
    """What ran, where, and how long each stage took."""
    from distill import machine

    state = run.folder / STATE
    entries = read_json(state) if state.is_file() else {}
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "edgeproof": importlib.metadata.version("edgeproof"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
        "machine": machine.describe(),
        "command": " ".join(["edgeproof", *sys.argv[1:]]),
        "seconds": {name: entry["seconds"] for name, entry in entries.items()},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _nothing(recipe: Recipe) -> Any:
    return None


def _reads_accuracy(recipe: Recipe) -> Any:
    return recipe.gates.model_dump(mode="json")


def _reads_bench(recipe: Recipe) -> Any:
    return recipe.bench.model_dump(mode="json")
