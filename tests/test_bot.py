"""The Telegram bot against a server on loopback that speaks the Bot API over HTTP."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cli import one_line_error
from service_fixture import jpeg

from deploy.bot.bot import build
from deploy.bot.patience import Patience
from deploy.runtime import Detector
from deploy.service.settings import Settings
from distill.cli.bot import bot
from distill.errors import EdgeproofError

TOKEN = "123456:secret-token"
MODEL = "simulated-64"
FILES = {"photo": jpeg(), "text": b"no picture"}


class FakeTelegram(ThreadingHTTPServer):
    """Gives updates, hands out files, and keeps what it is told to send."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.updates: deque[dict[str, Any]] = deque()
        self.sent: list[tuple[str, dict[str, str]]] = []
        self.number = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def write(self, user: int = 7, **content: Any) -> None:
        """A user writes a message."""
        self.number += 1
        person = {"id": user, "is_bot": False, "first_name": "A"}
        chat = {"id": user, "type": "private", "first_name": "A"}
        if text := content.get("text"):
            content["entities"] = [{"type": "bot_command", "offset": 0, "length": len(text.split()[0])}]
        message = {"message_id": self.number, "date": 1_700_000_000, "chat": chat, "from": person, **content}
        self.updates.append({"update_id": self.number, "message": message})


class Handler(BaseHTTPRequestHandler):
    server: FakeTelegram

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(FILES[self.path.rpartition("/")[2]], kind="application/octet-stream")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token, _, method = self.path.removeprefix("/bot").partition("/")
        if token != TOKEN:
            refused = {"ok": False, "error_code": 401, "description": "Unauthorized"}
            self._answer(json.dumps(refused).encode(), status=401)
            return
        result = self._result(method, body)
        self._answer(json.dumps({"ok": True, "result": result}).encode())

    def _result(self, method: str, body: bytes) -> Any:
        if method == "getMe":
            return {"id": 1, "is_bot": True, "first_name": "B", "username": "b_bot"}
        if method == "getUpdates":
            return [self.server.updates.popleft()] if self.server.updates else []
        if method == "getFile":
            name = parse_qs(body.decode())["file_id"][0]
            return {"file_id": name, "file_unique_id": name, "file_path": f"photos/{name}"}
        if method.startswith("send"):
            form = body.split(b'name="caption"\r\n\r\n')
            given = {key: value[0] for key, value in parse_qs(body.decode(errors="replace")).items()}
            if len(form) == 2:
                given = {"caption": form[1].split(b"\r\n--")[0].decode(), "png": str(b"\x89PNG" in body)}
            self.server.sent.append((method, given))
            chat = {"id": 7, "type": "private"}
            return {"message_id": 1000, "date": 1_700_000_000, "chat": chat}
        return True

    def _answer(self, content: bytes, *, status: int = 200, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def telegram() -> Iterator[FakeTelegram]:
    with FakeTelegram() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def picture(name: str = "photo", *, size: int = 20_000) -> dict[str, Any]:
    one = {"file_id": name, "file_unique_id": name, "width": 160, "height": 140, "file_size": size}
    return {"photo": [one]}


def document(name: str, *, mime: str, size: int = 100) -> dict[str, Any]:
    return {"document": {"file_id": name, "file_unique_id": name, "mime_type": mime, "file_size": size}}


def answers(
    telegram: FakeTelegram, folder: Path, *, count: int = 0, most: int = 20, texts: tuple[str, ...] = ()
) -> list[tuple[str, dict[str, str]]]:
    """Run the bot until it has said so much; each of ``texts`` is written once the one before is answered."""
    settings = Settings(state=folder, model=MODEL, runtime="onnxruntime", max_bytes=2**20)
    waiting, wanted = deque(texts), count or len(texts)

    async def run() -> None:
        application = build(settings, token=TOKEN, most=most, api=telegram.address)
        async with application:
            assert application.updater is not None
            await application.start()
            await application.updater.start_polling(poll_interval=0.01, timeout=0)
            for _ in range(3000):
                if len(telegram.sent) >= wanted:
                    break
                if waiting and len(telegram.sent) == len(texts) - len(waiting):
                    telegram.write(text=waiting.popleft())
                await asyncio.sleep(0.02)
            await application.updater.stop()
            await application.stop()

    asyncio.run(run())
    return telegram.sent


def test_a_photo_and_a_file_are_answered_with_a_verdict_and_a_map(
    telegram: FakeTelegram, tmp_path: Path
) -> None:
    telegram.write(**picture())
    telegram.write(**document("photo", mime="image/jpeg"))
    expected = Detector.load(MODEL, runtime="onnxruntime").predict(FILES["photo"])
    for method, said in answers(telegram, tmp_path, count=2):
        assert method == "sendPhoto" and said["png"] == "True"
        assert said["caption"].startswith(f"{str(expected.answer).capitalize()} (probability of generated")
        assert f"{expected.probability:.0%}" in said["caption"] and "simulated" in said["caption"]


def test_the_pictures_of_an_album_are_answered_one_by_one(telegram: FakeTelegram, tmp_path: Path) -> None:
    for _ in range(3):
        telegram.write(media_group_id="5", **picture())
    assert [method for method, _ in answers(telegram, tmp_path, count=3)] == ["sendPhoto"] * 3


def test_commands_say_what_there_is_and_choose_a_model(telegram: FakeTelegram, tmp_path: Path) -> None:
    texts = ("/start", "/help", "/about", "/models", "/model", "/model nix", "/model photos-128")
    sent = [given["text"] for _, given in answers(telegram, tmp_path, texts=texts)]
    start, helped, about, models, model, unknown, chosen = sent
    assert "photograph" in start and "/models" in helped and "it errs" in about
    assert "photos-128: rep_cnn, int8, 128x128 pixels" in models and MODEL in models
    assert model.startswith(MODEL) and "unknown model 'nix'" in unknown and chosen.startswith("photos-128")


def test_a_damaged_model_is_left_out_of_the_list(telegram: FakeTelegram, tmp_path: Path) -> None:
    damaged = tmp_path / "runs/a/artifacts/b"
    damaged.mkdir(parents=True)
    (damaged / "manifest.json").write_text("{")
    [(_, said)] = answers(telegram, tmp_path, texts=("/models",))
    assert MODEL in said["text"] and "a.b" not in said["text"]


def test_updates_that_are_none_stop_nothing(telegram: FakeTelegram, tmp_path: Path) -> None:
    nonsense: list[Any] = [
        {}, {"message": None}, {"message": "text"}, {"message": []}, {"inline_query": {}}, {"poll": 5},
        {"callback_query": {"id": 1}}, {"message": {"message_id": "x"}}, {"x": "y" * 100_000},
    ]  # fmt: skip
    for number, update in enumerate(nonsense):
        telegram.updates.append({"update_id": number, **update})
    telegram.number = len(nonsense)
    telegram.write(**picture())
    [(method, _)] = answers(telegram, tmp_path, count=1)
    assert method == "sendPhoto"


def test_what_is_no_still_photograph_gets_a_polite_answer(telegram: FakeTelegram, tmp_path: Path) -> None:
    sticker = {"file_id": "s", "file_unique_id": "s", "type": "regular", "width": 9, "height": 9}
    telegram.write(sticker={**sticker, "is_animated": False, "is_video": False})
    telegram.write(**document("video", mime="video/mp4"))
    telegram.write(**picture(size=2**21))
    telegram.write(**document("text", mime="image/png"))
    said = sorted(given["text"] for _, given in answers(telegram, tmp_path, count=4))
    assert [text[:17] for text in said] == [
        "I judge still pho",
        "I judge still pho",
        "That file is too ",
        "picture: cannot b",
    ]


def test_who_sends_too_much_is_told_to_wait_and_others_are_not(
    telegram: FakeTelegram, tmp_path: Path
) -> None:
    for user in (7, 7, 8):
        telegram.write(user=user, **picture())
    sent = answers(telegram, tmp_path, count=3, most=1)
    assert sorted(method for method, _ in sent) == ["sendMessage", "sendPhoto", "sendPhoto"]
    assert any("at most 1 pictures a minute" in given.get("text", "") for _, given in sent)


def test_patience_comes_back_evenly() -> None:
    now = 0.0
    patience = Patience(most=2, clock=lambda: now)
    assert [patience.wait_of(1) for _ in range(3)] == [0, 0, 30] and patience.wait_of(2) == 0
    now = 30.0
    assert [patience.wait_of(1) for _ in range(2)] == [0, 30]
    now = 1000.0
    assert [patience.wait_of(1) for _ in range(3)] == [0, 0, 30]


def test_the_token_is_never_logged(
    telegram: FakeTelegram, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    telegram.write(**picture("missing"))  # its download fails
    with caplog.at_level(logging.DEBUG):
        [(method, said)] = answers(telegram, tmp_path, count=1)
    assert method == "sendMessage" and "failed" in said["text"]
    assert "an update failed" in caplog.text and "secret-token" not in caplog.text


def test_a_missing_token_and_a_wrong_one_are_one_line(
    telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEPROOF_BOT_TOKEN", raising=False)
    with pytest.raises(EdgeproofError, match="EDGEPROOF_BOT_TOKEN: not set"):
        bot()
    told = subprocess.run(
        [sys.executable, "-m", "distill", "bot", "--model", MODEL, "--api", telegram.address],
        capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "EDGEPROOF_BOT_TOKEN": "123456:wrong-secret"},
    )  # fmt: skip
    assert "refused by" in one_line_error(told) and "secret" not in told.stderr
