"""Models that loop for ever: judged in a process that can be ended."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from cli import edgeproof
from endless_fixture import SIZE, write_endless
from PIL import Image

from bench.contestants.artifact import artifact_contestants
from bench.pace import Pace
from bench.workers import Worker
from deploy.bounded import BoundedSession, LateError, NoAnswerError
from deploy.runtime import Detector
from distill.errors import EdgeproofError

SHIPPED = "simulated-64"


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_endless(tmp_path_factory.mktemp("endless"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One that ends, and one that does not."""
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / "black.png", folder / "white.png"]
    for path, value in zip(paths, (0, 255), strict=True):
        Image.new("RGB", (SIZE, SIZE), (value,) * 3).save(path)
    return paths


def processes_of(detector: Detector) -> set[object]:
    session = detector._session
    assert isinstance(session, BoundedSession)
    return {process.process for process in session.processes}


def test_what_takes_too_long_is_ended_and_the_next_is_judged(endless: Path, photos: list[Path]) -> None:
    black, white = photos
    bounded = Detector.load(endless, timeout_s=1.0, runtime="onnxruntime", threads=1)
    assert bounded.predict(black).probability == 0.5
    first = processes_of(bounded)
    with pytest.raises(
        LateError, match=r"/endless: did not judge the image within 1 s, its process was ended"
    ):
        bounded.predict(white)
    assert bounded.predict(black).logit == 0.0
    assert len(processes_of(bounded)) == 1 and processes_of(bounded) != first


def test_it_answers_as_a_detector_does(photos: list[Path]) -> None:
    plain = Detector.load(SHIPPED, runtime="onnxruntime", threads=1)
    bounded = Detector.load(SHIPPED, runtime="onnxruntime", threads=1, timeout_s=20.0)
    assert bounded.predict(photos[0]) == plain.predict(photos[0])
    assert bounded.predict(photos, policy="tiles") == plain.predict(photos, policy="tiles")
    with pytest.raises(EdgeproofError, match="nowhere: no such image file"):
        bounded.predict(Path("nowhere"))
    [process] = processes = list(processes_of(bounded))
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(NoAnswerError, match=r"the process that ran the model ended \(SIGKILL\)"):
        bounded.predict(photos[0])
    assert bounded.predict(photos[0]) == plain.predict(photos[0]), "by another process"
    processes += processes_of(bounded)
    del bounded
    assert not any(one.is_alive() for one in processes)


def test_what_a_process_sends_is_not_unpickled(endless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has taken over the process of the model would run code here otherwise."""
    monkeypatch.setattr(
        "multiprocessing.connection._ForkingPickler.loads", lambda _: pytest.fail("unpickled")
    )
    bounded = Detector.load(endless, timeout_s=5.0, runtime="onnxruntime", threads=1)
    assert bounded.predict(np.zeros((SIZE, SIZE, 3), np.uint8)).logit == 0.0


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(endless: Path, seconds: float) -> None:
    with pytest.raises(EdgeproofError, match="timeout: found .*, expected a number of seconds above 0"):
        Detector.load(endless, timeout_s=seconds)


def test_what_cannot_be_loaded_is_said_as_ever(tmp_path: Path) -> None:
    with pytest.raises(EdgeproofError, match=r"manifest\.json: no such file"):
        Detector.load(tmp_path, timeout_s=5.0)


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
