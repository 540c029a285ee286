"""The stages of this package: export, quantize, parity; for the trained size and for the like-for-like one."""

import importlib.metadata
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from deploy.artifact import read_manifest, write_artifact
from deploy.stages.degradations import OUTPUTS, predict_degraded
from distill.errors import GateFailedError, unknown_name
from distill.evaluation.calibration import Calibration
from distill.files import read_json, write_json
from distill.pipeline.runfolder import (
    EVALUATED,
    PREDICTIONS,
    SUMMARY,
    TEACHER,
    WEIGHTS,
    artifact_folder,
    artifact_predictions,
    chosen_folder,
    load_dataset,
    load_predictions,
    save_predictions,
)
from distill.pipeline.stage import Progress, Run, Stage
from distill.preprocess import Pixels, PreprocessSpec
from distill.recipe import Recipe

PARITY = "parity.json"
FP32_FILES = {"onnxruntime": ("model.onnx",), "openvino": ("model.xml", "model.bin")}
_SECONDS_A_SAMPLE = 0.08  # of the sweep, in the demo
_LATENCY_ONLY_SAMPLES = 8  # enough for ranges that nobody will judge images with


def deploy_stages(recipe: Recipe) -> list[Stage]:
    """Artifacts of the teacher and every student, then the proof that they are what they claim to be."""
    stages = []
    for model in deployed_models(recipe):
        for size in model_sizes(recipe):
            stages += _model_stages(recipe, model, size=size)
    needs = tuple(stage.name for stage in stages if not stage.name.endswith(f"@{like_for_like(recipe)}"))
    parity = Stage("parity", "verify", check_parity, _reads_parity, needs, (PARITY,), cost=6)
    return [*stages, parity, *_sweep_stages(recipe, stages)]


def _sweep_stages(recipe: Recipe, stages: list[Stage]) -> list[Stage]:
    """What every model says of degraded images; judged in ``bench``."""
    if recipe.degradations.samples == 0:
        return []
    chosen = [f"choose:{name}{control}" for name in recipe.students for control in ("", "/control")]
    int8 = [s.name for s in stages if s.verb == "quantize" and f"@{recipe.preprocess.size}:" in s.name]
    needs = ("teacher:choice", *chosen, *int8)
    cost = _SECONDS_A_SAMPLE * recipe.degradations.samples
    return [
        Stage(
            "degradations:outputs", "evaluate", predict_degraded, _reads_sweep, needs, (OUTPUTS,), cost=cost
        )
    ]


def deployed_models(recipe: Recipe) -> list[str]:
    """What is exported."""
    return [TEACHER, *recipe.students]


def like_for_like(recipe: Recipe) -> int:
    """The input size at which every architecture is timed beside the reference."""
    return recipe.bench.like_for_like_size


def model_sizes(recipe: Recipe) -> list[int]:
    """The trained size first."""
    return sorted(
        {recipe.preprocess.size, like_for_like(recipe)}, key=lambda size: size != recipe.preprocess.size
    )


def model_folder(recipe: Recipe, model: str, *, runtime: str, precision: str, size: int) -> str:
    """Where an artifact stands; those at another size than the trained one serve the latency bench alone."""
    if size == recipe.preprocess.size:
        return artifact_folder(model, runtime=runtime, precision=precision)
    return f"bench/{model}-{runtime}-{precision}-{size}"


def _model_stages(recipe: Recipe, model: str, *, size: int) -> list[Stage]:
    from deploy.quantizers import QUANTIZERS

    choice = "teacher:choice" if model == TEACHER else f"choose:{model}"
    suffix = f"{model}@{size}"
    folders = [
        model_folder(recipe, model, runtime=runtime, precision="fp32", size=size) for runtime in FP32_FILES
    ]
    files = [
        f"{folder}/{name}"
        for folder, names in zip(folders, FP32_FILES.values(), strict=True)
        for name in ("manifest.json", *names)
    ]
    if size == recipe.preprocess.size:
        files += [artifact_predictions(model, runtime=runtime, precision="fp32") for runtime in FP32_FILES]
    stages = [
        Stage(
            f"export:{suffix}",
            "export",
            partial(export_model, model=model, size=size),
            _reads_export,
            (choice,),
            tuple(files),
            cost=8,
        )
    ]
    for name in recipe.quantization.quantizers:
        if name not in QUANTIZERS:
            raise unknown_name(kind="quantizer", given=name, choices=QUANTIZERS)
        runtime = QUANTIZERS[name].runtime
        folder = model_folder(recipe, model, runtime=runtime, precision="int8", size=size)
        outputs = tuple(f"{folder}/{file}" for file in ("manifest.json", *FP32_FILES[runtime]))
        if size == recipe.preprocess.size:
            outputs += (artifact_predictions(model, runtime=runtime, precision="int8"),)
        action = partial(quantize_model, model=model, quantizer=name, size=size)
        needs = (f"export:{suffix}",)
        stages.append(
            Stage(
                f"quantize:{suffix}:{name}", "quantize", action, _reads_quantization, needs, outputs, cost=8
            )
        )
    return stages


def export_model(run: Run, progress: Progress, *, model: str, size: int) -> None:
    """One FP32 artifact per runtime, from the same ONNX file."""
    from deploy.export import export_onnx, export_openvino
    from distill.models import load_model

    choice = read_json(run.folder / chosen_folder(model) / "choice.json")
    calibration = Calibration(**choice["calibration"])
    preprocess = _resized(run.recipe.preprocess, size)
    module = load_model(run.recipe, model, run.folder / chosen_folder(model) / WEIGHTS)
    with tempfile.TemporaryDirectory(dir=run.folder) as temporary:
        onnx, xml = Path(temporary, "model.onnx"), Path(temporary, "model.xml")
        export_onnx(module, preprocess=preprocess, calibration=calibration, num_logits=1, path=onnx)
        export_openvino(onnx, path=xml)
        for runtime, names in FP32_FILES.items():
            write_artifact(
                run.folder / model_folder(run.recipe, model, runtime=runtime, precision="fp32", size=size),
                name=model,
                files={name: Path(temporary, name) for name in names},
                preprocess=preprocess,
                threshold=choice["threshold"],
                calibration=calibration,
                precision="fp32",
                parent=choice["weights"],
                versions=_versions("torch", "onnx", runtime),
                data=_data_name(run),
            )
    if size == run.recipe.preprocess.size:
        for runtime in FP32_FILES:
            predict_evaluated(run, model, runtime=runtime, precision="fp32")


def quantize_model(run: Run, progress: Progress, *, model: str, quantizer: str, size: int) -> None:
    """One INT8 artifact for the quantizer's runtime; its threshold is fitted again on validation images."""
    from deploy.quantizers import QUANTIZERS
    from distill.evaluation.metrics import choose_threshold
    from distill.stages.training import labels_of

    backend = QUANTIZERS[quantizer]
    source = run.folder / model_folder(
        run.recipe, model, runtime=backend.runtime, precision="fp32", size=size
    )
    parent = read_manifest(source)
    names = FP32_FILES[backend.runtime]
    target = run.folder / model_folder(
        run.recipe, model, runtime=backend.runtime, precision="int8", size=size
    )
    with tempfile.TemporaryDirectory(dir=run.folder) as temporary:
        record = backend.quantize(
            source=source / names[0],
            output=Path(temporary, names[0]),
            images=calibration_images(run, preprocess=parent.preprocess),
            settings={},
        )

        def write(threshold: float) -> None:
            write_artifact(
                target,
                name=model,
                files={name: Path(temporary, name) for name in names},
                preprocess=parent.preprocess,
                threshold=threshold,
                calibration=parent.calibration,
                precision="int8",
                parent=parent.parent,
                quantizer=record,
                versions=_versions(backend.runtime),
                data=parent.data,
            )

        write(parent.threshold)
        if size == run.recipe.preprocess.size:
            valid = predict_evaluated(run, model, runtime=backend.runtime, precision="int8")["valid"]
            write(choose_threshold(labels_of(run, "valid"), valid))


def predict_evaluated(run: Run, model: str, *, runtime: str, precision: str) -> dict[str, Any]:
    """Probabilities of an artifact on every evaluated split, through the runtime that users get; kept on disk."""
    from deploy.runtime import Detector
    from distill.stages.training import pixels_of

    detector = Detector.load(
        run.folder / artifact_folder(model, runtime=runtime, precision=precision), runtime=runtime, threads=1
    )
    found = {}
    for split in EVALUATED:
        pixels = pixels_of(run, split)
        if len(pixels):
            logits = [detector.run(pixels.batch([index])) for index in range(len(pixels))]
            found[split] = detector.probabilities(np.concatenate(logits))
    save_predictions(run.folder / artifact_predictions(model, runtime=runtime, precision=precision), found)
    return found


def calibration_images(run: Run, *, preprocess: PreprocessSpec) -> list[Pixels]:
    """Training images only, both classes in turn, ``uint8 [1, S, S, 3]`` each; deterministic."""
    from distill.data.pixels import decode

    dataset = load_dataset(run.folder)
    trained_size = preprocess.size == run.recipe.preprocess.size
    wanted = run.recipe.quantization.samples if trained_size else _LATENCY_ONLY_SAMPLES
    random = np.random.default_rng(run.recipe.seed)
    chosen = []
    for label in (0, 1):
        samples = [sample for sample in dataset.split("train") if sample.label == label]
        picks = random.permutation(len(samples))[: (wanted + 1 - label) // 2]
        chosen.append([samples[index] for index in picks])
    mixed = [sample for pair in zip(*chosen, strict=False) for sample in pair]
    return [decode(dataset.root, sample, spec=preprocess)[None] for sample in mixed]


def check_parity(run: Run, progress: Progress) -> None:
    """PyTorch against ONNX Runtime against OpenVINO on the same test images, and the proof of INT8."""
    pairs: list[dict[str, Any]] = []
    int8: list[dict[str, Any]] = []
    models = deployed_models(run.recipe)
    for number, model in enumerate(models, start=1):
        pairs += _fp32_pairs(run, model)
        int8 += _int8_rows(run, model)
        progress(number, len(models))
    passed = all(row["passed"] for row in [*pairs, *int8])
    write_json(run.folder / PARITY, {"passed": passed, "pairs": pairs, "int8": int8})
    failed = [
        f"{row['student']} {row['a']} vs {row['b']}: {row['max_abs_probability']}"
        for row in pairs
        if not row["passed"]
    ]
    failed += [f"{row['artifact']}: {row['reason']}" for row in int8 if not row["passed"]]
    if failed:
        raise GateFailedError(f"parity gate failed: {'; '.join(failed)}")


def _fp32_pairs(run: Run, model: str) -> list[dict[str, Any]]:
    from deploy.parity import compare

    folder = run.folder / chosen_folder(model)
    choice = read_json(folder / "choice.json")
    calibration = Calibration(**choice["calibration"])
    torch_logits = load_predictions(folder / PREDICTIONS)["test"].astype(np.float64)
    sides = {"torch": 1 / (1 + np.exp(-(torch_logits / calibration.temperature + calibration.bias)))}
    for runtime in FP32_FILES:
        path = run.folder / artifact_predictions(model, runtime=runtime, precision="fp32")
        sides[f"{runtime}-fp32"] = load_predictions(path)["test"]
    rows = []
    for a, b in (
        ("torch", "onnxruntime-fp32"),
        ("torch", "openvino-fp32"),
        ("onnxruntime-fp32", "openvino-fp32"),
    ):
        report = compare(
            sides[a], sides[b], threshold=choice["threshold"], limit=run.recipe.gates.parity_fp32
        )
        rows.append({"student": model, "a": a, "b": b, **report.model_dump()})
    return rows


def _int8_rows(run: Run, model: str) -> list[dict[str, Any]]:
    from deploy.int8_check import inspect_int8

    rows = []
    for runtime, names in FP32_FILES.items():
        relative = artifact_folder(model, runtime=runtime, precision="int8")
        artifact = run.folder / relative / names[0]
        if artifact.is_file():
            fp32 = run.folder / artifact_folder(model, runtime=runtime, precision="fp32") / names[0]
            rows.append(
                {"artifact": Path(relative).name, **inspect_int8(artifact, fp32_path=fp32).model_dump()}
            )
    return rows


def _resized(spec: PreprocessSpec, size: int) -> PreprocessSpec:
    return spec.model_copy(update={"size": size})


def _versions(*packages: str) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in packages}


def _data_name(run: Run) -> str:
    return "simulated" if read_json(run.folder / SUMMARY)["simulated"] else run.recipe.name


def _reads_export(recipe: Recipe) -> Any:
    return [recipe.preprocess.model_dump(mode="json")]


def _reads_quantization(recipe: Recipe) -> Any:
    return [recipe.quantization.samples, recipe.seed]


def _reads_sweep(recipe: Recipe) -> Any:
    return [recipe.degradations.samples, recipe.seed]


def _reads_parity(recipe: Recipe) -> Any:
    return [recipe.gates.parity_fp32]
