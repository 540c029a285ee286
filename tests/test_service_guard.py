"""What a service refuses, what it tells of itself, and how it ends."""

import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cli import edgeproof, one_line_error
from service_fixture import jpeg, problem, running, settings_in

from deploy.runtime import Detector
from deploy.service import catalogue, judge
from deploy.service.protocol import ImpatientProtocol
from deploy.service.server import serve
from deploy.service.settings import Settings
from distill.errors import EdgeproofError
from perf.service_process import service_process

KEY = "correct-horse-battery"


class Hasty(ImpatientProtocol):
    headers_s = 0.3


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("guard")
    (folder / "key").write_text(f"{KEY}\n")
    return settings_in(
        folder,
        api_key_file=folder / "key",
        max_in_flight=1,
        request_s=1.0,
        cors_origins=("https://a.example",),
    )


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[httpx.Client]:
    with running(settings, protocol=Hasty) as client:
        client.headers["X-API-Key"] = KEY
        yield client


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Answers wait until this is set."""
    gate, whole = threading.Event(), Detector.run

    def wait(self: Detector, pixels: object) -> object:
        gate.wait(10)
        return whole(self, pixels)

    monkeypatch.setattr(Detector, "run", wait)
    yield gate
    gate.set()


def test_without_the_key_nothing_but_health_is_told(client: httpx.Client) -> None:
    for path in ("/models", "/metrics", "/openapi.json", "/v2"):
        assert "another key" in problem(client.get(path, headers={"X-API-Key": "wrong"}), 401)
    refused = client.get("/models", headers={"X-API-Key": ""})
    assert "no key" in problem(refused, 401) and refused.headers["www-authenticate"] == "Bearer"
    bearer = {"X-API-Key": "", "Authorization": f"Bearer {KEY}"}
    assert client.get("/models", headers=bearer).status_code == 200


def test_pages_of_other_origins_are_told_nothing(client: httpx.Client) -> None:
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    assert client.options("/set", headers=asked).headers["access-control-allow-origin"] == "https://a.example"
    other = client.options("/set", headers={**asked, "Origin": "https://b.example"})
    assert other.status_code == 400 and "access-control-allow-origin" not in other.headers


def test_beyond_what_can_be_worked_on_a_request_is_told_when_to_come_back(
    client: httpx.Client, held: threading.Event
) -> None:
    answers: list[httpx.Response] = []
    first = threading.Thread(target=lambda: answers.append(client.post("/predict", content=jpeg())))
    first.start()
    while not answers and b"edgeproof_in_flight 1.0" not in client.get("/metrics").content:
        pass
    busy = client.post("/predict", content=jpeg())
    assert "1 requests are being worked on" in problem(busy, 503) and busy.headers["retry-after"] == "1"
    held.set()
    first.join()
    assert answers[0].status_code == 200
    assert client.post("/predict", content=jpeg()).status_code == 200


def test_an_answer_that_takes_too_long_is_given_up(client: httpx.Client, held: threading.Event) -> None:
    late = client.post("/predict", content=jpeg())
    assert "no answer within 1 seconds" in problem(late, 503) and "retry-after" in late.headers
    held.set()
    assert client.post("/predict", content=jpeg()).status_code == 200


def test_slow_clients_and_those_that_hang_up_hold_nothing(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    address = (client.base_url.host, client.base_url.port)
    head = f"POST /predict HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nContent-Length: 100\r\n\r\n".encode()
    with socket.create_connection(address, timeout=10) as silent:
        assert silent.recv(1) == b""  # no headers: closed
    with socket.create_connection(address, timeout=10) as slow:
        slow.sendall(head + b"x")
        found = slow.makefile("rb").read()  # to the end: it is closed
        assert found.startswith(b"HTTP/1.1 408 ") and b"had not arrived" in found
    with socket.create_connection(address, timeout=10) as gone:
        gone.sendall(head + b"x")
    with caplog.at_level(logging.INFO, logger="edgeproof.service"):
        while not (told := [r for r in caplog.records if getattr(r, "path", "") == "/predict"]):
            time.sleep(0.02)
    assert vars(told[0])["status"] == 400 and told[0].levelno == logging.INFO
    assert client.post("/predict", content=jpeg()).status_code == 200


def test_requests_have_a_name_in_answer_and_log(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="edgeproof.service"):
        assert client.get("/models", headers={"X-Request-ID": "mine.1"}).headers["x-request-id"] == "mine.1"
        odd = client.get("/models", headers={"X-Request-ID": "a b\t{}"}).headers["x-request-id"]
    assert len(odd) == 32
    record = next(record for record in caplog.records if getattr(record, "path", "") == "/models")
    assert vars(record)["status"] == 200 and vars(record)["ms"] > 0


def test_the_seconds_of_each_step_are_counted_by_model(client: httpx.Client) -> None:
    client.post("/predict", content=jpeg())
    text = client.get("/metrics").text
    for step in ("preprocess", "predict", "postprocess"):
        assert f'edgeproof_{step}_seconds_bucket{{le="0.001",model="photos-128"}}' in text
    assert 'edgeproof_requests_total{method="POST",route="/predict",status="200"}' in text


def test_what_nobody_foresaw_is_500_and_the_service_stays_up(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    with monkeypatch.context() as patched:
        patched.setattr(catalogue, "artifact_folders", fail)
        failed = client.get("/models")
        assert "RuntimeError" in problem(failed, 500) and "secret" not in failed.text
        patched.setattr(judge, "explain_answer", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "full")))
        assert "disk is full" in problem(client.post("/predict?explain=1", content=jpeg()), 507)
    assert any("secret detail" in str(record.exc_info) for record in caplog.records)
    assert client.get("/models").status_code == 200


def test_what_does_not_fit_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPROOF_SERVICE", "")  # which is set for the processes that answer

    def refused(**given: object) -> str:
        with pytest.raises(EdgeproofError) as told:
            serve(settings_in(tmp_path, **given), host="127.0.0.1", port=0)
        return str(told.value)

    (tmp_path / "key").write_text("short")
    assert "a key of 5 characters" in refused(api_key_file=tmp_path / "key")
    assert "cannot be read" in refused(api_key_file=tmp_path / "none")
    assert "--data" in refused(data=tmp_path / "none")
    assert "unknown model 'nix'" in refused(model="nix")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/service.sqlite").write_text("no database" * 100)
    assert "service.sqlite: cannot be opened" in refused(state=tmp_path / "other")


def test_the_core_does_without_the_webs_packages() -> None:
    code = (
        "import sys; sys.modules['fastapi'] = None; import deploy.runtime, deploy.predict, bench.latency, distill.cli.app;"
        "assert not {'uvicorn', 'starlette', 'prometheus_client'} & {*sys.modules}; sys.argv = ['edgeproof', 'serve'];"
        "from distill.__main__ import main; main()"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "edgeproof[serve]" in one_line_error(told)


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = edgeproof("serve", "--state", tmp_path / "state", "--port", port)
    assert (
        one_line_error(told)
        == f"edgeproof: error: port {port} of 127.0.0.1 is in use; choose another with --port"
    )


def test_two_processes_answer_as_one_until_they_are_told_to_end(tmp_path: Path) -> None:
    with service_process(tmp_path, ("--workers", "2")) as service:
        with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as client:
            for _ in range(4):  # the first waits until one of them is there
                headers = {"Connection": "close"}
                assert client.post("/predict", content=jpeg(), headers=headers).status_code == 200
            counted = client.get("/metrics").text
        service.process.terminate()
        assert service.process.wait(timeout=30) == 0
    [line] = [
        line
        for line in counted.splitlines()
        if "requests_total" in line and 'route="/predict",status="200"' in line
    ]
    assert line.endswith(" 4.0"), line
    log = service.log.read_text()
    assert "Traceback" not in log and all(json.loads(line)["level"] for line in log.splitlines())
