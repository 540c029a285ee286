"""What a hostile client may send to the service, and a hostile hand may leave in its folder."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cli import edgeproof, one_line_error
from service_fixture import jpeg, problem, running, settings_in

from deploy.service.fits import fit_command
from deploy.service.forms import FitRequest
from deploy.service.settings import Settings
from deploy.service.store import Store
from deploy.shipped import shipped_artifacts
from distill.errors import EdgeproofError
from perf.attack.requests import answer_of

INFER = "/v2/models/photos-128/infer"
DIGITS = "9" * 5000


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("attacked")
    (folder / "data").mkdir()
    shipped = shipped_artifacts()["simulated-64"]["onnxruntime"]
    shutil.copytree(shipped, folder / "state/runs/r/artifacts/mine")
    return settings_in(folder, data=folder / "data")


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[httpx.Client]:
    with running(settings) as client:
        yield client


def tensor(**given: object) -> dict[str, object]:
    return {"name": "image", "shape": [1, 2, 2, 3], "datatype": "UINT8", "data": [0] * 12, **given}


@pytest.mark.parametrize(
    "inputs",
    [tensor(shape=[1, 10**30, 1, 1]), tensor(shape=[1] * 100_000), tensor(data=[10**30] * 12), tensor(data=[[0], [0, 1]])],
    ids=["shape beyond any", "shape of many", "numbers beyond any", "ragged"],
)  # fmt: skip
def test_tensors_that_are_none_are_the_clients_mistake(
    client: httpx.Client, inputs: dict[str, object]
) -> None:
    problem(client.post(INFER, json={"inputs": [inputs]}), 422)


@pytest.mark.parametrize("length", [DIGITS, "-1", "99999"], ids=["digits", "negative", "long"])
def test_a_length_that_is_none_is_the_clients_mistake(client: httpx.Client, length: str) -> None:
    headers = {"Inference-Header-Content-Length": length}
    told = problem(client.post(INFER, json={"inputs": [tensor()]}, headers=headers), 422)
    assert "expected at most the body's" in told


def test_an_answer_is_not_multiplied(client: httpx.Client) -> None:
    """Of 300,000 outputs the event loop would write as many answers, and answer nobody else meanwhile."""
    asked = {"inputs": [tensor()], "outputs": [{"name": "logit"}] * 300_000}
    assert "outputs" in problem(client.post(INFER, json=asked), 422)
    unknown = {"inputs": [tensor()], "outputs": [{"name": "x" * 10_000}]}
    assert len(problem(client.post(INFER, json=unknown), 422)) < 300


def test_json_of_nothing_but_brackets_is_refused(client: httpx.Client) -> None:
    """It takes two gigabytes where a body is of 30 megabytes; as raw tensors the same pixels take their own size."""
    body = (
        b'{"inputs": [{"name": "image", "shape": [1], "datatype": "UINT8", "data": ['
        + b"[]," * 2**20
        + b"0]}]}"
    )
    assert "lists and objects" in problem(client.post(INFER, content=body), 422)


def test_an_answer_does_not_repeat_what_was_asked(client: httpx.Client) -> None:
    long = client.post(INFER, json={"inputs": [tensor(name="x" * 100_000)]})
    many = client.post("/fit", json={"recipe": "own", "overrides": [1] * 100_000})
    for answer in (long, many):
        problem(answer, 422)
        assert len(answer.content) < 30_000


def test_bodies_that_arrive_together_do_not_fill_the_memory(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.service.guard._BODIES_AT_ONCE", 0)
    told = client.post("/predict", content=jpeg())
    assert "bytes are being worked on" in problem(told, 503) and told.headers["retry-after"]
    monkeypatch.undo()
    assert client.post("/predict", content=jpeg()).status_code == 200


def test_a_form_of_json_is_short(client: httpx.Client) -> None:
    """A body of 30 MB of JSON takes a gigabyte while it is read."""
    for path in ("/fit", "/set", "/nowhere"):
        told = problem(client.post(path, content=b" " * (2**20 + 1)), 413)
        assert f"at most {2**20} are read" in told
    problem(client.post("/fit", json={"toml": "#" * (2**18 + 1)}), 422)
    problem(client.post("/fit", json={"recipe": "own", "overrides": ["seed=1"] * 1000}), 422)


def test_methods_that_nobody_knows_make_one_series(client: httpx.Client) -> None:
    for number in range(5):
        client.request(f"ODD{number}", "/models")
    text = client.get("/metrics").text
    assert "ODD" not in text and 'method="other"' in text


def test_paths_longer_than_any_are_the_clients_mistake(client: httpx.Client) -> None:
    assert "below the data folder" in problem(client.get("/eda", params={"data": "a" * 5000}), 422)
    asked = {"recipe": "own", "data": ".", "overrides": [f"data.unlabelled={'a' * 5000}"]}
    assert client.post("/fit", json=asked).status_code in (202, 422)


def test_jobs_do_not_pile_up(
    client: httpx.Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.service.job_routes._MOST_WAITING", 0)
    told = client.get("/eda", params={"again": True})
    assert "jobs are waiting" in problem(told, 503) and told.headers["retry-after"]


@pytest.mark.parametrize(
    "override",
    [
        "students.rep_cnn.options={backbone='openclip:local-dir:/etc'}",
        "students.rep_cnn.options={backbone='openclip:hf-hub:a/b'}",
        "students.rep_cnn.options={x='http://a.example/w.pth'}",
        "teacher.name=timm:hf-hub:a/b",
    ],
)
def test_a_recipe_reaches_for_no_address(settings: Settings, override: str) -> None:
    asked = FitRequest(recipe="own", data=".", overrides=(override,))
    with pytest.raises(
        EdgeproofError, match=r"a module's name, which the service does not import, or an address"
    ):
        fit_command(asked, settings=settings, job="job")


def test_nothing_elsewhere_is_read_before_a_recipe_is_refused(settings: Settings, tmp_path: Path) -> None:
    """A teacher's sidecar is read while a recipe is resolved: whether there is one would be told otherwise."""
    (tmp_path / "secret.json").write_text("no JSON")
    given = ("teacher.name=timm:resnet18", f"teacher.weights={tmp_path / 'secret.pt'}")
    with pytest.raises(EdgeproofError) as told:
        fit_command(FitRequest(recipe="own", data=".", overrides=given), settings=settings, job="job")
    assert "secret.json" not in str(told.value) and "expected a path below the data folder" in str(told.value)


@pytest.mark.parametrize("content", ["[", "[]", '{"rows": 1}', '{"rows": [1]}', "[" * 100_000])
def test_a_damaged_bench_says_nothing_against_a_model(
    client: httpx.Client, settings: Settings, content: str
) -> None:
    run = settings.runs / "r"
    (run / "bench.json").write_text(content)
    (run / "artifacts/mine/README.md").write_bytes(b"\xff\xfe card")
    assert client.get("/models/r.mine").json()["bench"] == []


def test_an_exploration_whose_answer_is_gone_is_made_anew(client: httpx.Client, settings: Settings) -> None:
    store = Store(settings.database)
    store.add("eda-x", kind="eda", command=("data", "inspect", str((settings.data or Path()).resolve())))
    store.end("eda-x", state="done", code=0, message="")
    assert "again=1" in problem(client.get("/eda"), 404)


def test_a_file_that_others_hold_is_a_matter_of_patience(
    client: httpx.Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(Store, "set_active", locked)
    told = client.post("/set", json={"model": "photos-128"})
    assert "in use" in problem(told, 503) and told.headers["retry-after"]
    assert client.post("/predict", content=jpeg()).status_code == 200


@pytest.mark.parametrize("host", ["a" * 300, "a..b", "\udcff"], ids=["long", "empty label", "no text"])
def test_a_host_that_is_none_is_one_line(tmp_path: Path, host: str) -> None:
    assert "cannot listen there" in one_line_error(
        edgeproof("serve", "--state", tmp_path / "s", "--host", host)
    )


def test_a_damaged_state_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "service.sqlite"
    with sqlite3.connect(file) as connection:
        connection.executescript("CREATE TABLE setting (x TEXT); PRAGMA user_version = 1;")
    connection.close()
    assert "service.sqlite: is damaged" in one_line_error(
        edgeproof("serve", "--state", tmp_path, "--port", 0)
    )


@pytest.mark.parametrize("option", ["--timeout", "--image-timeout"])
def test_a_time_without_an_end_is_one_line(tmp_path: Path, option: str) -> None:
    told = one_line_error(edgeproof("serve", "--state", tmp_path / "s", option, "inf", "--port", 0))
    assert "found inf, Input should be a finite number" in told


def test_a_body_that_is_no_http_leaves_no_traceback(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """The application would answer on a connection that was closed under it."""
    raw = b"POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    with caplog.at_level("INFO"):
        answer, _ = answer_of((client.base_url.host, int(client.base_url.port or 0)), raw)
        assert client.get("/v2/health/live").status_code == 200
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert not [record for record in caplog.records if record.exc_info]


def test_requests_are_json_in_the_log(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="edgeproof.service"):
        client.get("/models/%0a%1b[31mforged")
    from deploy.service.journal import JsonLines

    lines = [JsonLines().format(record) for record in caplog.records]
    assert lines and all(line.isascii() and line.isprintable() and json.loads(line) for line in lines)
