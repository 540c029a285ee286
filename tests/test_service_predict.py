"""Judging over HTTP, and the models that judge."""

import base64
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from service_fixture import jpeg, problem, running, settings_in

from deploy.explain.answer import explain_answer
from deploy.runtime import Detector
from deploy.sessions import Logits
from deploy.shipped import DEFAULT, shipped_artifacts
from distill.files import sha256
from distill.preprocess import Pixels
from perf import service_load

ARTIFACT = shipped_artifacts()["simulated-64"]["onnxruntime"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(ARTIFACT, folder / "mine")
    return folder


@pytest.fixture(scope="module")
def client(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = settings_in(tmp_path_factory.mktemp("service"), models=models, max_images=3, max_bytes=200_000)
    with running(settings) as client:
        yield client


def test_a_photo_is_judged_as_the_detector_judges_it(client: httpx.Client) -> None:
    photo = jpeg()
    answer = client.post("/predict", files={"file": ("photo.jpg", photo)}).json()
    expected = Detector.load(DEFAULT, runtime="onnxruntime").predict(photo)
    [image] = answer["images"]
    assert image["name"] == "photo.jpg" and image["error"] is None
    assert image["verdict"] == expected.answer
    assert image["probability"] == pytest.approx(expected.probability, abs=1e-6)
    assert image["threshold"] == expected.threshold
    assert "simulated" in image["cautions"][0]
    assert answer["model"]["name"] == DEFAULT and answer["seconds"] > 0
    manifest = shipped_artifacts()[DEFAULT]["onnxruntime"] / "manifest.json"
    assert answer["model"]["sha256"] == sha256(manifest)


def test_raw_bytes_and_several_files_are_judged_alike(client: httpx.Client) -> None:
    photos = [jpeg(seed=seed) for seed in range(3)]
    raw = [client.post("/predict", content=photo).json()["images"][0]["probability"] for photo in photos]
    files = [("file", (f"{number}.jpg", photo)) for number, photo in enumerate(photos)]
    together = client.post("/predict", files=files).json()["images"]
    assert [image["probability"] for image in together] == raw and len({*raw}) == 3
    assert [image["name"] for image in together] == ["0.jpg", "1.jpg", "2.jpg"]


def test_what_the_load_is_measured_with_is_what_curl_sends(client: httpx.Client) -> None:
    headers = {"content-type": f"multipart/form-data; boundary={service_load.BOUNDARY}"}
    answer = client.post(
        "/predict", content=service_load.form_of(service_load.photo()), headers=headers
    ).json()
    assert [image["name"] for image in answer["images"]] == ["photo.jpg"] and answer["images"][0]["verdict"]


def test_a_policy_and_a_model_may_be_chosen_for_one_request(client: httpx.Client) -> None:
    photo = jpeg(size=(300, 300))
    plain, tiled, other = (
        client.post("/predict", content=photo, params=params).json()
        for params in ({}, {"policy": "tiles"}, {"model": "mine"})
    )
    expected = Detector.load(DEFAULT, runtime="onnxruntime").predict(photo, policy="tiles")
    assert tiled["images"][0]["probability"] == pytest.approx(expected.probability, abs=1e-6)
    assert tiled["images"] != plain["images"] and other["model"]["name"] == "mine"
    assert "policy" in problem(client.post("/predict", content=photo, params={"policy": "nix"}), 422)


def test_an_explanation_is_a_picture_and_a_place(client: httpx.Client) -> None:
    answer = client.post("/predict", content=jpeg(), params={"explain": 1, "model": "mine"}).json()
    found = answer["images"][0]["explanation"]
    assert found["method"] == "occlusion" and all(0 <= place < 64 for place in found["peak"])
    with Image.open(io.BytesIO(base64.b64decode(found["png"]))) as picture:
        assert picture.format == "PNG" and picture.width > picture.height >= 320


def test_of_several_crops_the_one_that_speaks_most_for_the_answer_is_explained() -> None:
    class Crops:
        def run(self, pixels: Pixels) -> Logits:
            return pixels[:, 0, 0, :1].astype(np.float32).repeat(2, axis=1) * [1, -1]

    pixels = np.zeros((3, 64, 64, 3), np.uint8) + np.array([5, 200, 90], np.uint8)[:, None, None, None]
    binary = np.array([1.0, 9.0, 2.0], np.float32)
    classes = np.array([[95, 0], [-100, 0], [10, 0]], np.float32)  # of which the first is the likeliest
    for logits, expected in ((binary, 200), (classes, 5)):
        _, picture = explain_answer(Crops(), pixels, logits)  # type: ignore[arg-type]
        with Image.open(io.BytesIO(picture)) as shown:
            assert shown.getpixel((10, 60)) == (expected,) * 3


def test_one_bad_file_does_not_cost_the_others_their_answer(client: httpx.Client) -> None:
    files = [("file", ("notes.txt", b"no image")), ("file", ("a.jpg", jpeg()))]
    bad, good = client.post("/predict", files=files).json()["images"]
    assert bad["verdict"] is None and bad["error"] == "cannot be decoded as an image (no known format)"
    assert good["error"] is None and good["verdict"]


def test_what_is_no_image_is_refused_in_words(client: httpx.Client) -> None:
    assert "the body is empty" in problem(client.post("/predict", content=b""), 422)
    assert "no known format" in problem(client.post("/predict", content=b"GIF?"), 422)
    assert "0 bytes" in problem(client.post("/predict", files={"file": ("a.jpg", b"")}), 422)
    assert "a file in 'photo'" in problem(client.post("/predict", files={"photo": jpeg()}), 422)
    assert "text in 'file'" in problem(client.post("/predict", files={"file": (None, "text")}), 422)
    both = problem(client.post("/predict", files=[("file", b"1"), ("file", b"2")]), 422)
    assert both == "none of 2 images can be read"
    cut = {"content-type": "multipart/form-data; boundary=x"}
    problem(client.post("/predict", content=b"--y\r\n", headers=cut), 400)
    assert "unknown model 'nix'" in problem(
        client.post("/predict", content=jpeg(), params={"model": "nix"}), 404
    )


def test_a_picture_of_too_many_pixels_is_refused(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPROOF_MAX_PIXELS", "1000")
    assert "160x140 pixels, at most 1000" in problem(client.post("/predict", content=jpeg()), 422)


def test_too_many_images_and_too_many_bytes_are_413(client: httpx.Client) -> None:
    many = [("file", ("a.jpg", b"x"))] * 4
    assert "at most 3" in problem(client.post("/predict", files=many), 413)
    assert "200001 bytes" in problem(client.post("/predict", content=b"x" * 200_001), 413)
    chunks = (b"x" * 50_000 for _ in range(5))  # no length is told beforehand
    assert "at most 200000" in problem(client.post("/predict", content=chunks), 413)


def test_models_are_listed_and_shown(client: httpx.Client, models: Path) -> None:
    found = client.get("/models").json()
    assert {row["name"] for row in found["models"]} == {*shipped_artifacts(), "mine"}
    assert [row["name"] for row in found["models"] if row["active"]] == [found["active"]]
    page = client.get("/models/mine").json()
    assert page["manifest"] == json.loads((models / "mine/manifest.json").read_text())
    assert "simulated" in page["card"] and page["sha256"] == sha256(models / "mine/manifest.json")


@pytest.mark.parametrize("name", ["nix", "..", "%2e%2e%2fmodels%2fmine", "/etc", "mine/"])
def test_a_name_is_never_a_path(client: httpx.Client, name: str) -> None:
    problem(client.get(f"/models/{name}", follow_redirects=True), 404) if name != "mine/" else None
    problem(client.post("/set", json={"model": f"../{name}"}), 404)


def test_the_active_model_is_set_for_good(client: httpx.Client, models: Path, tmp_path: Path) -> None:
    shutil.copytree(ARTIFACT, models / "damaged")
    (models / "damaged/model.onnx").write_bytes(b"no model")
    try:
        assert "damaged" in problem(client.post("/set", json={"model": "damaged"}), 500)
        assert client.get("/models").json()["active"] == DEFAULT
        assert client.post("/set", json={"model": "mine"}).json()["name"] == "mine"
        assert client.post("/predict", content=jpeg()).json()["model"]["name"] == "mine"
    finally:
        client.post("/set", json={"model": DEFAULT})
        shutil.rmtree(models / "damaged")
    first = settings_in(tmp_path)
    with running(first) as one, running(first) as other:  # two processes share the file as these do
        one.post("/set", json={"model": "simulated-64"})
        assert other.post("/predict", content=jpeg()).json()["model"]["name"] == "simulated-64"


def test_a_model_that_was_replaced_is_loaded_anew(client: httpx.Client, models: Path) -> None:
    shutil.copytree(ARTIFACT, models / "fresh")
    before = client.post("/predict", content=jpeg(), params={"model": "fresh"}).json()["model"]
    shutil.rmtree(models / "fresh")
    gone = client.post("/predict", content=jpeg(), params={"model": "fresh"}).json()["model"]
    shutil.copytree(shipped_artifacts()[DEFAULT]["onnxruntime"], models / "fresh")
    after = client.post("/predict", content=jpeg(), params={"model": "fresh"}).json()["model"]
    shutil.rmtree(models / "fresh")
    assert before == gone and before["sha256"] != after["sha256"]


def test_the_interface_is_described_with_examples(client: httpx.Client) -> None:
    found = client.get("/openapi.json").json()
    assert {"/predict", "/set", "/models", "/models/{name}", "/metrics"} <= {*found["paths"]}
    assert "multipart/form-data" in found["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert found["components"]["schemas"]["Answer"]["example"]["images"][0]["verdict"] == "not sure"
    assert "application/problem+json" in found["paths"]["/set"]["post"]["responses"]["default"]["content"]
