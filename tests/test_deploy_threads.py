"""One detector, many threads, different images: every answer is that of its own image."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from deploy_fixture import Deployed, build_deployed

from deploy.runtime import Detector
from deploy.sessions import RequestPool
from distill.errors import EdgeproofError

THREADS, ROUNDS = 8, 40


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("workers", [None, 2])
def test_no_thread_gets_the_answer_of_another(
    deployed: Deployed, runtime: str, precision: str, workers: int | None
) -> None:
    detector = Detector.load(deployed.folder / precision, runtime=runtime, threads=2, workers=workers)
    expected = detector.run(deployed.pixels)
    assert len(np.unique(expected)) == len(expected), "each image has an answer of its own"
    together = Barrier(THREADS)

    def ask(thread: int) -> int:
        order = np.random.default_rng(thread).permutation(np.tile(np.arange(len(expected)), ROUNDS))
        together.wait()
        answers = np.concatenate([detector.run(deployed.pixels[[index]]) for index in order])
        return int((np.abs(answers - expected[order]) > 1e-5).sum())

    with ThreadPoolExecutor(THREADS) as pool:
        wrong = list(pool.map(ask, range(THREADS)))
    assert wrong == [0] * THREADS


def test_a_request_is_lent_to_one_at_a_time() -> None:
    class Session:
        def request(self) -> object:
            return object()

    pool = RequestPool(Session())
    first, second = pool.take(), pool.take()
    assert first is not second
    pool.give_back(first)
    assert pool.take() is first, "a request that came back is used again"


def test_an_image_that_fails_gives_its_request_back(deployed: Deployed, monkeypatch) -> None:
    detector = Detector.load(deployed.folder / "fp32", runtime="onnxruntime", threads=1)
    detector.run(deployed.pixels[:1])
    request = detector._requests.take()
    detector._requests.give_back(request)
    with monkeypatch.context() as patch:
        patch.setattr(request, "infer", lambda: 1 / 0)
        with pytest.raises(EdgeproofError, match="onnxruntime cannot run the model .division by zero"):
            detector.run(deployed.pixels[:1])
    assert detector._requests.take() is request
