"""Models that loop for ever: judged in a process that can be ended."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from cli import edgeproof
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from bench.contestants.artifact import artifact_contestants
from bench.pace import Pace
from bench.workers import Worker
from deploy.artifact import write_artifact
from deploy.bounded import BoundedDetector
from deploy.runtime import Detector
from distill.errors import EdgeproofError
from distill.evaluation.calibration import Calibration
from distill.preprocess import PreprocessSpec

SIZE = 16
SHIPPED = "simulated-64"


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact that is whole in every way, and whose loop never ends where a pixel is white."""
    folder = tmp_path_factory.mktemp("endless")
    value, boolean = TensorProto.FLOAT, TensorProto.BOOL
    step = helper.make_graph(
        [
            helper.make_node("Identity", ["goes_on"], ["still"]),
            helper.make_node("Add", ["value", "value"], ["twice"]),
        ],
        "step",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("goes_on", boolean, []),
            helper.make_tensor_value_info("value", value, [1]),
        ],
        [
            helper.make_tensor_value_info("still", boolean, []),
            helper.make_tensor_value_info("twice", value, [1]),
        ],
    )
    nodes = [
        helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["numbers"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "nearly_white"], ["white"]),
        helper.make_node("Loop", ["", "white", "zero"], ["logit"], body=step),
        helper.make_node("Sigmoid", ["logit"], ["probability"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([0], np.float32), "zero"),
        numpy_helper.from_array(np.array(254, np.float32), "nearly_white"),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIZE, SIZE, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("probability", "logit")], constants,
    )  # fmt: skip
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
        folder / "source.onnx",
    )
    write_artifact(
        folder / "artifact", name="endless", files={"model.onnx": folder / "source.onnx"},
        preprocess=PreprocessSpec(size=SIZE), threshold=0.5, calibration=Calibration(), precision="fp32", data="own",
    )  # fmt: skip
    return folder / "artifact"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One that ends, and one that does not."""
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / "black.png", folder / "white.png"]
    for path, value in zip(paths, (0, 255), strict=True):
        Image.new("RGB", (SIZE, SIZE), (value,) * 3).save(path)
    return paths


@pytest.fixture
def bounded(endless: Path) -> Iterator[BoundedDetector]:
    with BoundedDetector(endless, timeout_s=1.0, runtime="onnxruntime", threads=1) as detector:
        yield detector


def test_what_takes_too_long_is_ended_and_the_next_is_judged(
    bounded: BoundedDetector, photos: list[Path]
) -> None:
    black, white = photos
    assert bounded.predict(black).probability == 0.5
    started = time.monotonic()
    with pytest.raises(
        EdgeproofError, match=r"/artifact: did not judge the image within 1 s, its process was ended"
    ):
        bounded.predict(white)
    assert time.monotonic() - started < 30
    assert bounded.predict(black).logit == 0.0
    assert len(bounded._all) == 1


def test_it_answers_as_a_detector_does(photos: list[Path]) -> None:
    plain = Detector.load(SHIPPED, runtime="onnxruntime", threads=1)
    with BoundedDetector(SHIPPED, timeout_s=20.0, runtime="onnxruntime", threads=1) as bounded:
        assert bounded.predict(photos[0]) == plain.predict(photos[0])
        assert bounded.predict(photos[0].read_bytes(), policy="tiles") == plain.predict(
            photos[0], policy="tiles"
        )
        with pytest.raises(EdgeproofError, match="nowhere: no such image file"):
            bounded.predict(Path("nowhere"))
        with pytest.raises(EdgeproofError, match="unknown policy 'crop'"):
            bounded.preprocessing("crop")  # type: ignore[arg-type]
        processes = list(bounded._all)
        os.kill(processes[0]._process.pid, signal.SIGKILL)
        with pytest.raises(EdgeproofError, match=r"the process that ran the model ended \(SIGKILL\)"):
            bounded.predict(photos[0])
        assert bounded.predict(photos[0]) == plain.predict(photos[0]), "by another process"
        processes += bounded._all
    assert not any(one._process.is_alive() for one in processes)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(endless: Path, seconds: float) -> None:
    with pytest.raises(EdgeproofError, match="timeout: found .*, expected a number of seconds above 0"):
        BoundedDetector(endless, timeout_s=seconds)


def test_what_cannot_be_loaded_is_said_as_ever(tmp_path: Path) -> None:
    with pytest.raises(EdgeproofError, match=r"manifest\.json: no such file"):
        BoundedDetector(tmp_path, timeout_s=5.0)


def test_the_command_goes_on_behind_a_photo_that_takes_too_long(endless: Path, photos: list[Path]) -> None:
    black, white = photos
    done = edgeproof(
        "predict", endless, black, white, black, "--timeout", "1", "--runtime", "onnxruntime", timeout=60
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(": ")[1].split(" ")[0] for line in lines] == ["generated", "error", "generated"]
    assert "did not judge the image within 1 s" in lines[1]


def test_a_bench_ends_a_model_that_does_not_answer(endless: Path, photos: list[Path]) -> None:
    found = artifact_contestants(
        endless, model="endless", threads=1, bf16=False, images=[photos[1].read_bytes()]
    )
    model = next(one for one in found if one.source is not None and one.scope == "end_to_end")
    worker = Worker("onnxruntime", pace=Pace(), longest_s=3.0)
    try:
        with pytest.raises(
            EdgeproofError, match=r"onnxruntime did not answer within 3 s, its process was ended"
        ):
            worker.seat(model.source).prepare(window=1, limit_s=1.0)
        assert worker.generation == 1
    finally:
        worker.close()
