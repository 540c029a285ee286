"""The work of the parity stage: PyTorch, ONNX Runtime and OpenVINO on the same test images, and the proof of INT8."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from deploy.artifact import MODEL_FILES, read_manifest
from deploy.parity import Int8Proof, ParityPair, ParityRecord, compare
from distill.errors import GateFailedError
from distill.evaluation.choice import choice_of
from distill.pipeline.runfolder import load_arrays
from distill.pipeline.stage import Progress, Run
from distill.roster import Artifact, Model

PARITY = "parity.json"


def check_parity(
    run: Run, progress: Progress, *, models: Sequence[Model], artifacts: Sequence[Artifact]
) -> None:
    """Write ``parity.json``; fail if two FP32 forms differ, INT8 is none, or it answers one image quite otherwise."""
    pairs: list[ParityPair] = []
    drift: list[ParityPair] = []
    proofs: list[Int8Proof] = []
    for number, model in enumerate(models, start=1):
        own = [artifact for artifact in artifacts if artifact.model == model]
        pairs += _fp32_pairs(run, model, [item for item in own if item.precision == "fp32"])
        int8 = [item for item in own if item.precision == "int8"]
        drift += [_drift(run, item) for item in int8]
        proofs += [_int8_proof(run, item) for item in int8]
        progress(number, len(models))
    failed = [f"{row.model} {row.a} vs {row.b}: {row.max_abs_probability}" for row in pairs if not row.passed]
    failed += [f"{row.artifact}: {row.reason}" for row in proofs if not row.passed]
    failed += [
        f"{row.b}: one image's probability drifts by {row.max_abs_probability}, limit {row.limit}"
        for row in drift
        if not row.passed
    ]
    record = ParityRecord(passed=not failed, pairs=tuple(pairs), int8=tuple(proofs), drift=tuple(drift))
    record.write(run.folder / PARITY)
    if failed:
        raise GateFailedError(f"parity gate failed: {'; '.join(failed)}")


def _fp32_pairs(run: Run, model: Model, artifacts: Sequence[Artifact]) -> Iterator[ParityPair]:
    threshold, limit = choice_of(run.folder, model).threshold, run.recipe.gates.parity_fp32
    forms = {
        "torch": model.predictions,
        **{f"{item.runtime}-{item.precision}": item.predictions for item in artifacts},
    }
    said = {name: load_arrays(run.folder / path)["test"] for name, path in forms.items()}
    for a, b in combinations(said, 2):
        report = compare(said[a], said[b], threshold=threshold, limit=limit)
        yield ParityPair(model=model.key, a=a, b=b, **report.model_dump())


def _drift(run: Run, artifact: Artifact) -> ParityPair:
    """An INT8 form against its own FP32 form; one of a student that was trained again comes from another network."""
    if artifact.parent is None:
        raise ValueError(f"{artifact.key} has no parent, expected an INT8 artifact")
    made = read_manifest(run.folder / artifact.folder).quantizer
    trained = bool(made and made.repair and made.repair.kept == "training")
    said = [load_arrays(run.folder / form.predictions)["test"] for form in (artifact.parent, artifact)]
    report = compare(
        *said,
        threshold=choice_of(run.folder, artifact.model).threshold,
        limit=None if artifact.model.is_teacher or trained else run.recipe.gates.int8_drift,
    )
    return ParityPair(model=artifact.model.key, a=artifact.parent.key, b=artifact.key, **report.model_dump())


def _int8_proof(run: Run, artifact: Artifact) -> Int8Proof:
    from deploy.int8_check import inspect_int8

    if artifact.parent is None:
        raise ValueError(f"{artifact.key} has no parent, expected an INT8 artifact")
    name = MODEL_FILES[artifact.runtime][0]
    parent = run.folder / artifact.parent.folder / name
    evidence = inspect_int8(run.folder / artifact.folder / name, fp32_path=parent)
    return Int8Proof(artifact=artifact.key, **evidence.model_dump())
