"""The images that INT8 is calibrated with, what is on record of them, and the largest drift of a single image."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from deploy.artifact import read_manifest
from deploy.manifest_digest import with_digest
from deploy.parity import ParityRecord
from deploy.quantizers.base import digest
from deploy.stages.parity import check_parity
from distill.cli.run import all_stages
from distill.data.samples import Sample
from distill.data.stratify import stratified
from distill.errors import GateFailedError
from distill.files import write_json
from distill.pipeline.runfolder import load_arrays
from distill.pipeline.stage import Run
from distill.recipe import QuantizationSettings, load_recipe


def samples(**counts: int) -> list[Sample]:
    """As many as said of each generator, real ones under ``real``."""
    return [
        Sample(path=f"{kind}/{i}.png", label=int(kind != "real"), generator="" if kind == "real" else kind)
        for kind, count in counts.items()
        for i in range(count)
    ]


def kinds(chosen: list[Sample]) -> Counter[str]:
    return Counter(sample.generator or "real" for sample in chosen)


def test_classes_and_generators_are_even_though_the_data_are_not() -> None:
    found = stratified(samples(real=900, gan=50, vae=700, blend=40), wanted=120, seed=0)
    assert kinds(found) == {"real": 60, "gan": 20, "vae": 20, "blend": 20}
    assert kinds(found[:12]) == {"real": 6, "gan": 2, "vae": 2, "blend": 2}
    assert len({sample.path for sample in found}) == 120


def test_where_one_kind_has_no_more_the_others_go_on() -> None:
    found = stratified(samples(real=100, gan=3, vae=10), wanted=60, seed=0)
    assert kinds(found) == {"real": 47, "gan": 3, "vae": 10}
    assert len(stratified(samples(real=4, gan=3), wanted=60, seed=0)) == 7


def test_the_choice_is_random_but_the_same_each_time() -> None:
    given = samples(real=200, gan=200)
    first, again, other = (stratified(given, wanted=50, seed=seed) for seed in (1, 1, 2))
    assert first == again and first != other
    assert kinds(first) == kinds(other)


def test_a_thousand_images_are_the_default() -> None:
    assert QuantizationSettings().samples == 1000


def test_the_digest_knows_every_image_but_not_their_order() -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (3, 1, 4, 4, 3), dtype=np.uint8))
    changed = [images[0], images[1], images[2] ^ np.uint8(1)]
    assert digest(images) == digest(images[::-1]) != digest(changed)
    assert digest(images) != digest(images[:2])


@pytest.mark.parametrize("key", ["small_cnn-onnxruntime-int8-ort", "small_cnn-openvino-int8-nncf"])
def test_an_artifact_says_what_it_was_calibrated_with(finished_run: Path, key: str) -> None:
    record = read_manifest(finished_run / "artifacts" / key).quantizer
    assert record is not None
    assert set(record.strata) == {"real", "blend", "transposed", "vae8"}
    assert record.strata["real"] == 8 and sum(record.strata.values()) == 16
    assert sorted(record.strata.values()) == [2, 3, 3, 8]
    assert len(record.images_sha256) == 64
    others = read_manifest(finished_run / "artifacts/teacher-openvino-int8-nncf").quantizer
    assert others is not None and others.images_sha256 == record.images_sha256


def judged_again(folder: Path, *overrides: str) -> ParityRecord:
    """Run the stage of parity; what it wrote."""
    run = Run(folder, load_recipe(str(folder / "recipe.toml"), overrides=overrides))
    stage = next(stage for stage in all_stages(run.recipe) if stage.name == "parity")
    try:
        check_parity(run, lambda done, total: None, **stage.arguments)
    finally:
        record = ParityRecord.read(folder / "parity.json")
    return record


def test_one_image_that_drifts_too_far_fails(run_copy: Path) -> None:
    path = run_copy / "predictions" / "small_cnn-onnxruntime-int8-ort.npz"
    said = {**load_arrays(path)}
    exact = load_arrays(run_copy / "predictions" / "small_cnn-onnxruntime-fp32.npz")["test"]
    said["test"] = exact.copy()
    said["test"][3] += 0.4 if exact[3] < 0.5 else -0.4
    np.savez(path, **said)
    with pytest.raises(GateFailedError, match=r"small_cnn-onnxruntime-int8-ort: one image's .* limit 0\.3"):
        judged_again(run_copy, "gates.int8_drift=0.3")
    record = ParityRecord.read(run_copy / "parity.json")
    [pair] = [pair for pair in record.drift if pair.b == "small_cnn-onnxruntime-int8-ort"]
    assert pair.max_abs_probability == pytest.approx(0.4)
    assert (pair.a, pair.limit, pair.passed) == ("small_cnn-onnxruntime-fp32", 0.3, False)
    assert judged_again(run_copy, "gates.int8_drift=0.5").passed


def test_a_teacher_and_a_student_that_was_trained_again_are_held_to_no_drift(run_copy: Path) -> None:
    manifest = run_copy / "artifacts/small_cnn-onnxruntime-int8-ort/manifest.json"
    content = json.loads(manifest.read_text())
    content["quantizer"]["repair"] = {
        "metric": "AUC", "fp32": 0.9, "limit": 0.005, "kept": "training", "passed": True,
        "tries": [{"step": "training", "score": 0.9, "drop": 0.0}],
    }  # fmt: skip
    write_json(manifest, with_digest(content))
    limits = {pair.b: pair.limit for pair in judged_again(run_copy, "gates.int8_drift=1.0").drift}
    assert limits == {
        "teacher-onnxruntime-int8-ort": None,
        "teacher-openvino-int8-nncf": None,
        "small_cnn-onnxruntime-int8-ort": None,
        "small_cnn-openvino-int8-nncf": 1.0,
    }
