"""The Open Inference Protocol beside the service's own routes."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from service_fixture import jpeg, problem, running, settings_in

from deploy.runtime import Detector

MODEL = "simulated-64"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running(settings_in(tmp_path_factory.mktemp("oip"), max_images=2)) as client:
        yield client


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load(MODEL, runtime="onnxruntime")


def tensor(**changed: Any) -> dict[str, Any]:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3))
    whole = {"name": "image", "datatype": "UINT8", "shape": [2, 64, 64, 3], "data": pixels.ravel().tolist()}
    return {**whole, **changed}


def infer(client: httpx.Client, found: dict[str, Any], **more: Any) -> httpx.Response:
    return client.post(f"/v2/models/{MODEL}/infer", json={"inputs": [found], **more})


def test_health_and_metadata(client: httpx.Client) -> None:
    assert client.get("/v2").json()["name"] == "edgeproof"
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get(f"/v2/models/{MODEL}/ready").json() == {"name": MODEL, "ready": True}
    found = client.get(f"/v2/models/{MODEL}").json()
    assert found["inputs"][0] == {"name": "image", "datatype": "UINT8", "shape": [-1, 64, 64, 3]}
    assert [output["name"] for output in found["outputs"]] == ["probability", "logit"]
    assert "unknown model" in problem(client.get("/v2/models/nix/ready"), 404)


def test_pixels_flat_or_nested_are_answered_as_the_detector_does(
    client: httpx.Client, detector: Detector
) -> None:
    pixels = np.array(tensor()["data"], dtype=np.uint8).reshape(2, 64, 64, 3)
    expected = detector.run(pixels)
    for data in (pixels.ravel().tolist(), pixels.tolist()):
        answer = infer(client, tensor(data=data), id="7").json()
        assert answer["id"] == "7" and answer["model_name"] == MODEL
        probability, logit = answer["outputs"]
        assert logit["shape"] == [2] and logit["data"] == pytest.approx(expected.tolist(), abs=1e-6)
        assert probability["data"] == pytest.approx(detector.probabilities(expected).tolist(), abs=1e-6)
    only = infer(client, tensor(), outputs=[{"name": "logit"}]).json()["outputs"]
    assert [output["name"] for output in only] == ["logit"]


def test_photographs_in_base64_are_answered_as_predict_does(client: httpx.Client, detector: Detector) -> None:
    photo = jpeg()
    found = {
        "name": "encoded",
        "datatype": "BYTES",
        "shape": [1],
        "data": [base64.b64encode(photo).decode()],
    }
    logit = infer(client, found).json()["outputs"][1]["data"]
    assert logit == pytest.approx([detector.predict(photo).logit], abs=1e-6)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"datatype": "FP32"}, "image of FP32"),
        ({"name": "pixels"}, "pixels of UINT8"),
        ({"data": [1, 2]}, "do not fill"),
        ({"data": [0.5] * 2 * 64 * 64 * 3}, "whole numbers"),
        ({"data": [256] * 2 * 64 * 64 * 3}, "0 to 255"),
        ({"shape": [3, 64, 64, 3]}, "1 to 2 images"),
        ({"shape": [1, 32, 32, 3], "data": [0] * 3072}, "expected uint8"),
        ({"name": "encoded", "datatype": "BYTES", "shape": [1], "data": ["%"]}, "no base64"),
        ({"name": "encoded", "datatype": "BYTES", "shape": [1], "data": ["aGk="]}, "no known format"),
        ({"name": "encoded", "datatype": "BYTES", "shape": [1], "data": 3}, "0 photographs"),
        ({"shapes": [1]}, "shapes"),
        ({"shape": [1, 0], "data": []}, "whole numbers"),
        ({"shape": "x" * 1000}, "found 'xxx"),
    ],
)
def test_what_does_not_fit_is_refused_in_the_protocols_form(
    client: httpx.Client, changed: dict[str, Any], told: str
) -> None:
    answer = infer(client, tensor(**changed))
    assert told in problem(answer, 422) and told in answer.json()["error"]


def test_an_output_or_a_body_that_does_not_fit(client: httpx.Client) -> None:
    assert "nix" in problem(infer(client, tensor(), outputs=[{"name": "nix"}]), 422)
    broken = client.post(
        f"/v2/models/{MODEL}/infer", content=b"{", headers={"content-type": "application/json"}
    )
    problem(broken, 422)


def binary(
    client: httpx.Client, found: dict[str, Any], raw: bytes, *, size: int | None = None
) -> httpx.Response:
    """As Triton's clients send it."""
    found = {key: value for key, value in found.items() if key != "data"}
    parameters = {"binary_data_size": len(raw) if size is None else size}
    head = json.dumps({"inputs": [{**found, "parameters": parameters}]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    return client.post(f"/v2/models/{MODEL}/infer", content=head + raw, headers=headers)


def test_raw_tensors_behind_the_json_are_read_as_well(client: httpx.Client, detector: Detector) -> None:
    whole = tensor()
    expected = infer(client, whole).json()
    raw = np.array(whole["data"], dtype=np.uint8).tobytes()
    assert binary(client, whole, raw).json() == expected
    assert "bytes follow" in problem(binary(client, whole, raw, size=7), 422)
    photo = jpeg()
    encoded = {"name": "encoded", "datatype": "BYTES", "shape": [1]}
    found = binary(client, encoded, len(photo).to_bytes(4, "little") + photo).json()
    assert found["outputs"][1]["data"] == pytest.approx([detector.predict(photo).logit], abs=1e-6)
    assert "longer than" in problem(binary(client, encoded, b"\xff\xff\xff\x7f"), 422)
    headers = {"Inference-Header-Content-Length": "99999"}
    assert "99999" in problem(client.post(f"/v2/models/{MODEL}/infer", content=b"{}", headers=headers), 422)
