"""A model that never answers, behind the service: it is ended, and the service goes on."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cli import edgeproof, one_line_error
from endless_fixture import SIZE, write_endless
from PIL import Image
from service_fixture import jpeg, problem, running, settings_in

from deploy.bounded import BoundedSession, Process


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (SIZE, SIZE), (value,) * 3).save(file, "PNG")
    return file.getvalue()


BLACK, WHITE = png(0), png(255)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("bounded")
    (folder / "models").mkdir()
    write_endless(folder / "models")
    with running(settings_in(folder, models=folder / "models", image_s=1.0)) as client:
        yield client


def test_a_model_that_loops_is_ended_and_the_service_answers_on(client: httpx.Client) -> None:
    black = client.post("/predict?model=endless", content=BLACK)
    assert black.json()["images"][0]["probability"] == 0.5
    late = problem(client.post("/predict?model=endless", content=WHITE), 504)
    assert late.endswith("endless: did not judge the image within 1 s, its process was ended")
    assert client.post("/predict?model=endless", content=BLACK).json() | {"seconds": 0} == black.json() | {
        "seconds": 0
    }
    assert client.post("/predict", content=jpeg()).status_code == 200


def test_one_image_that_takes_too_long_ends_its_request(client: httpx.Client) -> None:
    files = [("file", (f"{number}.png", WHITE if number % 2 else BLACK)) for number in range(32)]
    problem(
        client.post("/predict?model=endless", files=files), 504
    )  # in far less than 16 seconds: the client gives up after 20


def test_the_other_protocol_is_bounded_too(client: httpx.Client) -> None:
    def asked(photo: bytes) -> httpx.Response:
        tensor = {
            "name": "encoded",
            "datatype": "BYTES",
            "shape": [1],
            "data": [base64.b64encode(photo).decode()],
        }
        return client.post("/v2/models/endless/infer", json={"inputs": [tensor]})

    assert "within 1 s" in problem(asked(WHITE), 504)
    assert asked(BLACK).json()["outputs"][0]["data"] == [0.5]


def test_a_map_is_drawn_of_what_is_bounded(client: httpx.Client) -> None:
    answer = client.post("/predict?explain=1", content=jpeg()).json()["images"][0]
    assert base64.b64decode(answer["explanation"]["png"]).startswith(b"\x89PNG")


def test_a_process_that_ended_is_a_bad_gateway(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Process.ask

    def crash(self: Process, *given: object, **named: object) -> bytes:
        self.process.kill()
        self.process.join()
        return whole(self, *given, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Process, "ask", crash)
        assert "ended (SIGKILL)" in problem(client.post("/predict", content=jpeg()), 502)
    assert client.post("/predict", content=jpeg()).status_code == 200


def test_without_the_option_no_process_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedSession, "__init__", lambda *_, **__: pytest.fail("a process was started"))
    with running(settings_in(tmp_path)) as client:
        assert client.post("/predict", content=jpeg()).status_code == 200


def test_its_processes_end_with_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Process] = []
    whole = Process.load
    monkeypatch.setattr(Process, "load", lambda self, seconds: (begun.append(self), whole(self, seconds))[1])
    with running(settings_in(tmp_path, image_s=5.0)) as client:
        assert client.post("/predict", content=jpeg()).status_code == 200
        assert begun[-1].process.is_alive()
    assert not any(one.process.is_alive() for one in begun)


def test_unsigned_models_are_not_served(tmp_path: Path) -> None:
    told = edgeproof("serve", "--state", tmp_path / "state", "--public-key", tmp_path / "no.pub", "--port", 0)
    assert "no.pub: no such file, expected a key" in one_line_error(told)
