import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import openvino as ov
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from bench.contestants.artifact import NO_BF16, artifact_contestants
from bench.contestants.reference import references_for
from bench.contestants.source import sample_jpeg
from bench.contestants.torch import count_macs, count_params, reference_contestant, torch_contestants
from bench.latency import measure
from deploy.artifact import write_artifact
from distill.errors import EdgeproofError
from distill.evaluation.calibration import Calibration
from distill.preprocess import PreprocessSpec
from students.output import ModelOutput

SIZE = 16


def tiny_onnx(path, *, size=SIZE):
    """uint8 image in; its mean in 0..1 minus a half as the logit, and the sigmoid of that."""
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "scale"], ["unit"]),
        helper.make_node("Sub", ["unit", "half"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["probability"]),
    ]
    constants = {"axes": np.array([1, 2, 3]), "scale": np.float32([255]), "half": np.float32([0.5])}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, size, size, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("probability", "logit")],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tiny_onnx(folder / "model.onnx")
    ov.save_model(ov.convert_model(folder / "model.onnx"), folder / "model.xml", compress_to_fp16=False)
    return folder


@pytest.fixture(scope="module")
def artifact(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifacts") / "tiny"
    write_artifact(
        folder,
        name="tiny",
        files={name: models / name for name in ("model.onnx", "model.xml", "model.bin")},
        preprocess=PreprocessSpec(size=SIZE),
        threshold=0.5,
        calibration=Calibration(),
        precision="fp32",
    )
    return folder


def identity(contestant):
    return contestant.runtime, contestant.precision, contestant.scope, contestant.skip_reason


def test_an_artifact_gives_every_runtime_in_both_scopes(artifact):
    found = artifact_contestants(artifact, model="tiny", threads=1, params=3, macs=4, bf16=False)
    assert {identity(contestant) for contestant in found} == {
        ("openvino", "fp32", "model", None),
        ("openvino", "fp32", "end_to_end", None),
        ("openvino", "bf16", "model", NO_BF16),
        ("onnxruntime", "fp32", "model", None),
        ("onnxruntime", "fp32", "end_to_end", None),
    }
    assert {(c.model, c.input_size, c.params, c.macs, c.threads) for c in found} == {("tiny", SIZE, 3, 4, 1)}
    files = {c.runtime: c.bytes for c in found}
    assert files["onnxruntime"] == (artifact / "model.onnx").stat().st_size
    assert files["openvino"] == sum((artifact / f"model.{s}").stat().st_size for s in ("xml", "bin"))


def test_the_way_to_int8_may_be_named_by_who_asks(artifact):
    found = artifact_contestants(artifact, model="tiny", threads=1, quantizer="mine", bf16=False)
    assert {contestant.quantizer for contestant in found} == {"mine"}
    assert {c.quantizer for c in artifact_contestants(artifact, model="tiny", threads=1, bf16=False)} == {
        None
    }


def test_where_the_cpu_has_bf16_it_is_timed_in_both_scopes(artifact):
    found = [identity(c) for c in artifact_contestants(artifact, model="tiny", threads=1, bf16=True)]
    assert ("openvino", "bf16", "model", None) in found
    assert ("openvino", "bf16", "end_to_end", None) in found


def test_an_artifact_runs(artifact):
    found = artifact_contestants(artifact, model="tiny", threads=1, bf16=False, images=[sample_jpeg(size=64)])
    result = measure(found, rounds=1, iterations=2, warmup=1)
    assert [(row.status, row.reason) for row in result.rows if row.precision != "bf16"] == [("ok", None)] * 4
    assert all(row.samples > 0 for row in result.rows if row.status == "ok")
    assert result.isolated


def test_end_to_end_takes_the_photos_in_turn(artifact):
    photos = [sample_jpeg(size=32, seed=seed) for seed in (0, 1)]
    found = artifact_contestants(artifact, model="tiny", threads=1, bf16=False, images=photos)
    run = next(c for c in found if c.scope == "end_to_end").make()
    first, second, third = run(), run(), run()
    assert first == third != second
    assert 0 < first.probability < 1


def test_bf16_that_the_runtime_did_not_use_is_a_failed_row(artifact, monkeypatch):
    from bench.contestants import source

    found = artifact_contestants(artifact, model="tiny", threads=1, bf16=True)
    wanted = [c for c in found if c.precision == "bf16" and c.scope == "model"]
    open_session = source.open_session

    def open_in_fp32(*args, options, **others):
        return open_session(*args, options=replace(options, precision="fp32"), **others)

    monkeypatch.setattr(source, "open_session", open_in_fp32)
    row = measure(wanted, rounds=1).rows[0]
    assert (row.status, row.reason) == ("failed", "the runtime computes in fp32, although bf16 was asked for")


def test_a_tampered_artifact_fails_its_rows_with_the_reason(artifact, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(artifact, copy)
    found = artifact_contestants(copy, model="tiny", threads=1, bf16=False)
    (copy / "model.onnx").write_bytes(b"changed")
    rows = [row for row in measure(found, rounds=1).rows if row.status != "skipped"]
    assert {row.status for row in rows} == {"failed"}
    assert all("sha256" in row.reason for row in rows)


class OneConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        assert not self.training
        return ModelOutput(self.head(self.conv(x).mean((2, 3))).squeeze(1), {})


def test_params_and_macs_by_hand():
    module = OneConv()
    assert count_params(module) == 3 * 8 * 9 + 8 + 8 + 1
    assert count_macs(module, SIZE) == 3 * 8 * 9 * SIZE * SIZE + 8
    assert module.training  # left as it was found


def test_torch_rows_run_in_both_scopes():
    threads = torch.get_num_threads()
    try:
        found = torch_contestants(
            OneConv(), model="teacher", preprocess=PreprocessSpec(size=SIZE), threads=1, reference=True
        )
        assert [(c.scope, c.reference) for c in found] == [("model", True), ("end_to_end", True)]
        assert isinstance(found[0].make()(), ModelOutput)
        probability = found[1].make()()
        assert len(probability) == 1 and 0 < probability[0] < 1
        rows = measure(found, rounds=1, iterations=1, warmup=1).rows
        assert [row.status for row in rows] == ["ok", "ok"]
        assert rows[0].bytes == 4 * count_params(OneConv())
    finally:
        torch.set_num_threads(threads)


def test_a_module_that_cannot_run_is_a_failed_row():
    found = torch_contestants(
        nn.Linear(2, 1), model="bad", preprocess=PreprocessSpec(size=SIZE), threads=1, end_to_end=False
    )
    row = measure(found, rounds=1).rows[0]
    assert row.status == "failed" and row.macs is None
    assert row.reason.startswith("RuntimeError")


def test_the_reference_is_resnet18_at_224():
    found = reference_contestant(threads=1)
    assert [c.scope for c in found] == ["model", "end_to_end"]
    model = found[0]
    assert (model.model, model.input_size, model.reference) == ("resnet18 (reference)", 224, True)
    # torchvision's 11.69 M and 1.814 G with the 1000-class head, here with one logit
    assert model.params == 11_689_512 - 1000 * 513 + 513
    assert model.macs == pytest.approx(1.8136e9, rel=1e-3)


def test_a_reference_for_every_size_threads_and_batch(artifact):
    found = artifact_contestants(artifact, model="tiny", threads=1, bf16=False)
    batched = artifact_contestants(artifact, model="tiny", threads=1, batch=4, bf16=False)
    references = references_for([*found, *batched])
    assert [(c.input_size, c.threads, c.batch, c.scope) for c in references] == [
        (SIZE, 1, 1, "model"), (SIZE, 1, 1, "end_to_end"), (SIZE, 1, 4, "model"),
    ]  # fmt: skip
    assert all(c.reference for c in references)


def test_a_batch_is_timed_model_only_in_both_runtimes(artifact):
    found = artifact_contestants(artifact, model="tiny", threads=1, batch=4, bf16=False)
    rows = measure(found, rounds=1, iterations=1, warmup=1, isolated=False).rows
    assert {(row.runtime, row.precision, row.scope, row.status) for row in rows} == {
        ("openvino", "fp32", "model", "ok"),
        ("openvino", "bf16", "model", "skipped"),
        ("onnxruntime", "fp32", "model", "ok"),
    }


def test_more_threads_than_can_run_is_a_skipped_row(artifact):
    found = artifact_contestants(artifact, model="tiny", threads=1000, bf16=False)
    rows = measure(found).rows
    assert {row.status for row in rows} == {"skipped"}
    assert "1000 threads were asked for" in rows[0].reason
    module = torch_contestants(OneConv(), model="a", preprocess=PreprocessSpec(size=SIZE), threads=1000)
    assert [c.skip_reason for c in module] == [rows[0].reason]


def test_a_missing_runtime_is_a_skipped_row(artifact, monkeypatch):
    from bench.contestants import artifact as contestants

    monkeypatch.setattr(contestants, "installed_runtimes", lambda: ("openvino",))
    found = artifact_contestants(artifact, model="tiny", threads=1, bf16=False)
    reasons = {c.skip_reason for c in found if c.runtime == "onnxruntime"}
    assert reasons == {"onnxruntime is not installed; pip install 'edgeproof[onnx]'"}


def test_a_source_survives_the_way_to_another_process(artifact):
    found = artifact_contestants(artifact, model="tiny", threads=1, bf16=False, images=[b"\xff\xd8\x00"])
    for contestant in found:
        if contestant.source:
            again = type(contestant.source).model_validate_json(contestant.source.model_dump_json())
            assert again == contestant.source


def test_a_process_that_dies_fails_one_row_and_the_others_go_on(artifact):
    from bench.pace import Pace
    from bench.workers import Worker

    found = artifact_contestants(artifact, model="tiny", threads=1, bf16=False)
    model = next(c for c in found if c.runtime == "onnxruntime" and c.scope == "model")
    worker = Worker("onnxruntime", pace=Pace())
    try:
        seat = worker.seat(model.source)
        assert seat.prepare(window=1, limit_s=1.0) > 0
        assert calls_of(seat.visit(calls=2, repeats=0)) == 2
        os.kill(worker._process.pid, 9)
        with pytest.raises(EdgeproofError, match=r"the process that ran onnxruntime ended \(SIGKILL\)"):
            seat.visit(calls=2, repeats=0)
        assert calls_of(seat.visit(calls=2, repeats=0)) == 2  # made again in a new one
    finally:
        worker.close()


def calls_of(visit):
    return len(visit.clean) + len(visit.slowed) + len(visit.spoiled)


def test_the_bench_needs_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import distill.machine, bench.records.latency, bench.latency, bench.contestants.artifact, bench.worker\n"
        "import distill.evaluation.metrics, distill.evaluation.statistics, distill.evaluation.calibration\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
