"""The page of ``edgeproof app``, run by Streamlit's own test driver and once as a real server."""

import csv
import io
import socket
import subprocess
import sys
import time
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
from cli import edgeproof, one_line_error
from PIL import Image
from report_fixture import Records
from streamlit.testing.v1 import AppTest

from bench.app import shared
from bench.app.judge_page import _csv
from bench.app.pictures import MOST, pictures_in
from deploy import Detector
from deploy.service.settings import Settings
from distill.errors import EdgeproofError

SCRIPT = Path(shared.__file__).with_name("script.py")
PATIENCE_S = 60


@pytest.fixture(autouse=True)
def _started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPROOF_SERVICE", Settings(state=tmp_path / "state").model_dump_json())
    shared.settings.cache_clear()
    # Streamlit puts a module of its own there, which processes that a later test starts would look for
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


def png(seed: int = 0) -> bytes:
    small = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize((160, 120)).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def page(name: str) -> AppTest:
    return AppTest.from_string(f"from bench.app import {name}\n{name}.show()", default_timeout=PATIENCE_S)


# --- images -------------------------------------------------------------------------------------------------


def test_a_zip_gives_its_images_and_nothing_else() -> None:
    archive = zipped(
        {"a.png": b"1", "deep/b.JPG": b"2", "notes.txt": b"3", "__MACOSX/a.png": b"4", ".hidden.png": b"5"}
    )
    assert list(pictures_in("all.zip", archive)) == [("a.png", b"1"), ("deep/b.JPG", b"2")]
    assert list(pictures_in("photo.jpg", b"x")) == [("photo.jpg", b"x")]


def deflated(content: bytes, *, way: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", way) as archive:
        archive.writestr("a.png", content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no zip", "a.zip: cannot be read as a zip"),
        (zipped({"notes.txt": b"3"}), "a.zip: holds no image"),
        (zipped({f"{n}.png": b"" for n in range(MOST + 1)}), f"expected at most {MOST}"),
        (zipped({"a.png": b"x" * 100})[:-30], "a.zip: cannot be read as a zip"),
    ],
)
def test_a_bad_zip_is_one_line(content: bytes, message: str) -> None:
    with pytest.raises(EdgeproofError, match=message):
        list(pictures_in("a.zip", content))


def test_a_zip_that_swells_is_refused_before_it_is_unpacked() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(65 * 2**20))
    assert len(buffer.getvalue()) < 2**20
    with pytest.raises(EdgeproofError, match=r"a\.png: takes 68,157,440 bytes unpacked"):
        list(pictures_in("a.zip", buffer.getvalue()))


def test_a_zip_whose_list_lies_is_not_unpacked_first_and_cut_then() -> None:
    archive = bytearray(deflated(bytes(60 * 2**20)))
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = archive.find(signature) + place
        archive[start : start + 4] = (1000).to_bytes(4, "little")
    tracemalloc.start()
    with pytest.raises(EdgeproofError, match=r"a\.zip: cannot be read as a zip"):
        list(pictures_in("a.zip", bytes(archive)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20


@pytest.mark.parametrize("way", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_packed_in_other_ways_is_refused(way: int) -> None:
    with pytest.raises(EdgeproofError, match=r"a\.png: is packed in another way"):
        list(pictures_in("a.zip", deflated(b"x", way=way)))


def test_a_zip_damaged_anywhere_is_one_line() -> None:
    whole = deflated(bytes(range(256)) * 40)
    for place in range(len(whole)):
        damaged = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        with suppress(EdgeproofError):
            list(pictures_in("a.zip", damaged))


# --- judging ------------------------------------------------------------------------------------------------


def test_dropped_images_are_judged_by_both_models_and_remembered() -> None:
    app = page("judge_page").run()
    assert not app.exception and "Nothing was judged yet" in app.info[0].value
    app.selectbox(key="second").set_value("simulated-64")
    app.file_uploader(key="dropped").set_value(
        [("a.png", png(), "image/png"), ("b.zip", zipped({"c.png": png(1)}), "application/zip")]
    )
    app.run()
    assert not app.exception and not app.error
    assert [header.value for header in app.subheader] == ["a.png", "c.png", "So far"]
    said = [text.value for text in app.markdown if "probability of generated" in text.value]
    expected = [
        Detector.load(model, threads=1).predict(content).probability
        for content in (png(), png(1))
        for model in ("photos-128", "simulated-64")
    ]
    assert len(said) == 4
    for text, probability in zip(said, expected, strict=True):
        assert f"probability of generated {probability:.0%}" in text and "no evidence" in text
    assert len(app.dataframe[0].value) == 4


def test_what_is_no_image_is_an_error_and_the_rest_goes_on() -> None:
    app = page("judge_page").run()
    app.file_uploader(key="dropped").set_value(
        [
            ("notes.png", b"no image", "image/png"),
            ("bad.zip", b"x", "application/zip"),
            ("a.png", png(), "image/png"),
        ]
    ).run()
    assert not app.exception
    assert [error.value.split(":")[0] for error in app.error] == ["notes.png", "bad.zip"]
    assert len(app.dataframe[0].value) == 1


def test_the_history_as_csv_holds_no_formula() -> None:
    row = {"path": "=1+1.png", "model": "m", "label": "real", "answer": "real", "probability": 0.25, "logit": -1.0,
           "threshold": 0.5, "caution": None}  # fmt: skip
    [told] = csv.DictReader(io.StringIO(_csv([row])))
    assert told["path"] == "'=1+1.png" and float(told["probability"]) == 0.25


# --- a run --------------------------------------------------------------------------------------------------


def test_a_run_shows_its_trade_off_and_another_threshold(finished_run: Path, records: Records) -> None:
    app = page("run_page").run()
    app.text_input(key="run").set_value(str(finished_run)).run()
    assert not app.exception and not app.error
    timed = {row.p50_ms for row in records.bench.rows if row.measured and row.scope == "model"}
    shown = app.dataframe[0].value
    assert set(shown["ms"]) <= timed and shown["AUC or accuracy"].notna().any()
    before = [metric.value for metric in app.metric]
    app.slider(key="threshold").set_value(0.0).run()
    assert [metric.value for metric in app.metric][:2] == ["1.000", "1.000"] != before[:2]
    assert list(app.table[0].value["called real"]) == [0, 0]


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    app = page("run_page").run()
    app.text_input(key="run").set_value(str(tmp_path)).run()
    assert "is no run folder, expected one with recipe.toml" in app.error[0].value


# --- training -----------------------------------------------------------------------------------------------


def test_without_a_data_folder_nothing_is_trained() -> None:
    app = page("fit_page").run()
    assert "--data FOLDER" in app.info[0].value and not app.button


def test_mistakes_of_a_recipe_are_all_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(state=tmp_path / "state", data=tmp_path)
    monkeypatch.setenv("EDGEPROOF_SERVICE", settings.model_dump_json())
    app = page("fit_page").run()
    app.selectbox(key="recipe").set_value("demo")
    app.text_area(key="overrides").set_value("teacher.epoch=3\nstudents.rep_cnn.name=big")
    app.button[0].click().run()
    assert not app.exception and not app.success
    told = "\n".join(error.value for error in app.error)
    assert "did you mean 'epochs'" in told and "choose one of" in told


# --- the command --------------------------------------------------------------------------------------------


def test_the_command_serves_the_page(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "distill", "app", "--port", str(port), "--state", str(tmp_path / "state")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        assert _answers(f"http://127.0.0.1:{port}/_stcore/health", process) == "ok"
        assert "<title>" in httpx.get(f"http://127.0.0.1:{port}/").text
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def _answers(address: str, process: "subprocess.Popen[bytes]") -> str:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return httpx.get(address).text
        except httpx.TransportError:
            time.sleep(0.1)
    return ""


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    assert "--models" in one_line_error(edgeproof("app", "--models", tmp_path / "none"))
