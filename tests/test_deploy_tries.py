"""The repair in a run: what a stage of quantization tries, keeps and says."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from bench.report.data import load_run
from bench.report.repair import needed
from deploy.artifact import verify
from deploy.int8_check import inspect_int8
from deploy.manifest_digest import with_digest
from deploy.quantizers import ort
from deploy.stages.tries import Tries
from distill.cli.run import all_stages
from distill.errors import EdgeproofError
from distill.files import sha256, write_json
from distill.pipeline.runfolder import load_arrays
from distill.pipeline.stage import Run, Stage
from distill.recipe import load_recipe
from distill.stages.quantization_aware import quantization_schedule, retrain
from distill.stages.training import labels_of

ALL = "repair.steps=['layers', 'training']"
KEY = "small_cnn-onnxruntime-int8-ort"


def opened(folder: Path, *overrides: str) -> tuple[Run, dict[str, Stage]]:
    recipe = load_recipe(str(folder / "recipe.toml"), overrides=overrides)
    return Run(folder, recipe), {stage.name: stage for stage in all_stages(recipe)}


def quantized(run: Run, stages: dict[str, Stage], size: int = 32):
    """Do the student's quantization for ONNX Runtime; its manifest's record."""
    stages[f"quantize:small_cnn@{size}:ort"].run(run, lambda done, total: None)
    folder = run.folder / (f"artifacts/{KEY}" if size == 32 else f"bench/{KEY}-{size}")
    record = verify(folder).quantizer
    assert record is not None
    return record


def test_every_step_is_tried_and_the_best_is_kept(run_copy: Path) -> None:
    """FP32 is made out to be perfect, so that no form holds."""
    run, stages = opened(run_copy, ALL, "repair.max_drop=0.0", "repair.epochs=1")
    predictions = run_copy / "predictions" / "small_cnn-onnxruntime-fp32.npz"
    better = {**load_arrays(predictions)}
    labels = labels_of(run, "valid")
    better["valid"] = np.where(labels > 0, 0.9, 0.1)
    np.savez(predictions, **better)
    record = quantized(run, stages)
    repair = record.repair
    assert repair is not None
    assert (repair.fp32, repair.passed, repair.metric) == (1.0, False, "AUC")
    assert [item.step for item in repair.tries] == ["plain", "layers", "training"]
    measured = {item.step: item.score for item in repair.tries if item.score is not None}
    assert repair.kept == max(measured, key=measured.__getitem__)
    again = run_copy / "students/small_cnn/int8/weights.safetensors"
    before = run_copy / "students/small_cnn/weights.safetensors"
    assert load_file(again).keys() == load_file(before).keys()
    assert sha256(again) != sha256(before)
    [said] = [text for text in needed(load_run(run_copy)) if "ONNX Runtime" in text]
    assert said.startswith("small_cnn INT8 in ONNX Runtime: nothing brought it within 0 of FP32; kept is ")


def test_as_it_comes_where_nothing_is_lost(run_copy: Path) -> None:
    record = quantized(*opened(run_copy, ALL, "repair.max_drop=1.0"))
    assert record.repair is not None
    assert (record.repair.kept, record.repair.passed, len(record.repair.tries)) == ("plain", True, 1)
    assert record.float_layers == ()
    assert not (run_copy / "students/small_cnn/int8").exists()


def test_the_timed_copy_leaves_the_same_layers_in_float_and_has_the_same_form(run_copy: Path) -> None:
    run, stages = opened(run_copy, ALL)
    layers = ort.find_layers(run_copy / "artifacts/small_cnn-onnxruntime-fp32/model.onnx")
    manifest = run_copy / f"artifacts/{KEY}/manifest.json"
    content = json.loads(manifest.read_text())
    content["quantizer"]["float_layers"] = [layers[0].model_dump(mode="json")]
    content["quantizer"]["forms"] = [{"form": "plain"}, {"form": "expand", "kept": True}]
    write_json(manifest, with_digest(content))
    record = quantized(run, stages, size=48)
    assert [layer.is_same(layers[0]) for layer in record.float_layers] == [True]
    assert record.float_layers[0].macs > layers[0].macs, "at its own size"
    assert (record.settings["form"], record.forms) == ("expand", ())
    proof = inspect_int8(
        run_copy / f"bench/{KEY}-48/model.onnx",
        fp32_path=run_copy / "bench/small_cnn-onnxruntime-fp32-48/model.onnx",
    )
    assert proof.int8_weight_share < 1
    assert "quantize:small_cnn@32:ort" in stages["quantize:small_cnn@48:ort"].needs


def test_a_training_is_done_once_and_again_when_it_must_be(run_copy: Path) -> None:
    run, stages = opened(run_copy, "repair.epochs=1")
    lesson = stages["quantize:small_cnn@32:ort"].arguments["lesson"]
    steps: list[int] = []

    def train(run: Run, **changes):
        images = list(np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8))
        given = {"lesson": lesson, "images": images, "reduce_range": False, **changes}
        steps.clear()
        return retrain(run, lambda done, total: steps.append(done), **given).weights

    first = train(run)
    assert steps
    assert train(run) == first and not steps
    train(run, reduce_range=True)
    assert steps
    assert train(run) == first, "the same again"
    weights = run_copy / "students/small_cnn/int8/weights.safetensors"
    values = load_file(weights)
    save_file({name: value + 1 for name, value in values.items()}, weights)
    assert train(run) == first and steps, "damaged weights are made anew"


def test_its_schedule_is_short_and_careful(run_copy: Path) -> None:
    run, stages = opened(
        run_copy, "repair.epochs=3", "students.small_cnn.ema=0.9", "students.small_cnn.clip=2.0"
    )
    lesson = stages["quantize:small_cnn@32:ort"].arguments["lesson"]
    found, own = quantization_schedule(run.recipe, lesson.model), run.recipe.students["small_cnn"]
    assert found.learning_rate == pytest.approx(0.05 * own.learning_rate)
    assert (found.epochs, found.ema, found.clip, found.batch_size) == (3, 0.0, 2.0, own.batch_size)


def test_a_tool_that_cannot_leave_layers_out_is_not_asked_to(run_copy: Path, monkeypatch, tmp_path) -> None:
    from deploy.quantizers import QUANTIZERS

    monkeypatch.setitem(QUANTIZERS, "ort", replace(ort.QUANTIZER, find_layers=None))
    run, stages = opened(run_copy, "repair.steps=['layers']", "repair.max_drop=0.0")
    artifact = stages["quantize:small_cnn@32:ort"].arguments["artifact"]
    tries = Tries(run, artifact, folder=tmp_path, progress=lambda done, total: None)
    tries.__dict__["_fp32_score"] = 1.1
    _, record = tries.repaired()
    assert [item.reason for item in record.tries] == ["", "ort cannot leave layers in float"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("repair.steps=['magic']", r"repair\.steps\.0: given 'magic'"),
        ("repair.steps=['layers', 'layers']", "each may stand only once"),
        ("repair.max_drop=-1", r"repair\.max_drop: given -1"),
        ("repair.epoch=1", r"repair\.epoch: unknown key .*did you mean 'epochs'"),
    ],
)
def test_mistakes_in_the_section_are_named(change: str, message: str) -> None:
    with pytest.raises(EdgeproofError, match=message):
        load_recipe("demo", overrides=[change])


def test_a_tool_that_works_on_the_network_gets_it(run_copy: Path) -> None:
    run, stages = opened(run_copy, "quantization.inc.samples=8", "repair.max_drop=1.0")
    for size in (32, 48):
        stages[f"quantize:small_cnn@{size}:inc"].run(run, lambda done, total: None)
    record = verify(run.folder / "artifacts/small_cnn-openvino-int8-inc").quantizer
    assert record is not None and (record.tool, record.samples) == ("inc", 8)
    said = load_arrays(run_copy / "predictions/small_cnn-openvino-int8-inc.npz")["test"]
    exact = load_arrays(run_copy / "predictions/small_cnn-openvino-fp32.npz")["test"]
    assert 0 < np.abs(said - exact).max() < 0.1
    timed = verify(run.folder / "bench/small_cnn-openvino-int8-inc-48")
    assert timed.input.shape == (1, 48, 48, 3)
