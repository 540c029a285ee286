"""Damaged HTTP requests to a real service, several at once: each is answered in words, or its connection closed.

A request survived where the answer is no 500 and no traceback, and came in time; the service where it still answers afterwards,
its log has no traceback, and its memory stayed within bounds.
"""

import json
import re
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from distill.optional import require
from perf.attack.case import MOST_BYTES
from perf.attack.mutate import damage_bytes, damage_json
from perf.attack.odd_photos import photo
from perf.attack.table import Table
from perf.service_process import service_process

AREA = "HTTP"
AT_ONCE = 12
OPTIONS = ("--timeout", "2")  # what never arrives is given up then
_LONGEST_S = 15.0  # the protocol waits 10 s for headers
_FINE = frozenset({501, 503, 504, 507})  # refusals of 5xx that say why
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_BOUNDARY = b"edge"
_WORDS = (
    "..", "%2e%2e%2f", "%00", "%0d%0aX:y", "%ff", "a" * 5000, "*", "'", "{}", "~root", "/etc/passwd", "\\", "?", "#", "%", ";",
)  # fmt: skip
_HEADERS = (
    b"Content-Length: " + b"9" * 5000, b"Content-Length: -1", b"Content-Length: 7", b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip", b"Expect: 100-continue", b"Upgrade: h2c", b"X: " + b"y" * 70_000, b"X-Request-ID: \xff\x1b[31m",
    b"Content-Type: multipart/form-data", b"Content-Type: multipart/form-data; boundary=" + b"b" * 300, b"Content-Type: \xff",
    b"Content-Encoding: gzip", b"Inference-Header-Content-Length: " + b"9" * 5000, b"Inference-Header-Content-Length: 3",
    b"Host: a, b", b"Authorization: Bearer \xff", b"Range: bytes=0-", b"Accept: text/html", b"no colon",
)  # fmt: skip
_PATHS = (
    "/models", "/models/photos-128", "/jobs", "/jobs/fit-1", "/report/fit-1", "/eda?data=.", "/metrics", "/openapi.json", "/v2",
    "/v2/health/ready", "/v2/models/photos-128", "/v2/models/photos-128/ready",
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A request in parts that are damaged each in their own way."""

    method: str
    path: str
    headers: tuple[bytes, ...] = ()
    body: bytes = b""

    def raw(self) -> bytes:
        """Its bytes; the length is that of the body unless a header says otherwise."""
        lines = [
            f"{self.method} {self.path} HTTP/1.1".encode(errors="replace"),
            b"Host: a",
            b"Connection: close",
        ]
        told = any(
            line.lower().startswith((b"content-length", b"transfer-encoding")) for line in self.headers
        )
        if self.body and not told:
            lines.append(b"Content-Length: %d" % len(self.body))
        return b"\r\n".join((*lines, *self.headers)) + b"\r\n\r\n" + self.body


def requests(rng: Random) -> Iterator[bytes]:
    """Damaged ones, without an end."""
    while True:
        asked = rng.choice((_photo, _form, _choice, _fit, _infer, _raw_infer, _get))(rng)
        raw = _damaged(asked, rng).raw()
        yield damage_bytes(raw, rng, most=3) if rng.random() < 0.2 else raw


def answer_of(address: tuple[str, int], raw: bytes) -> tuple[bytes, float]:
    """What comes back until the connection is closed, and how many seconds that took."""
    started, found = time.monotonic(), bytearray()
    try:
        with socket.create_connection(address, timeout=_LONGEST_S) as connection:
            connection.sendall(raw)
            while part := connection.recv(2**16):
                found += part
    except OSError:  # closed before all was sent, or reset, or never answered: the time tells
        pass
    return bytes(found), time.monotonic() - started


def finding_in(answer: bytes, seconds: float) -> str:
    """What is wrong with an answer, "" if nothing; none at all is what one gets for half a request."""
    status = _STATUS.match(answer)
    if status and int(status[1]) >= 500 and int(status[1]) not in _FINE:
        return f"status {int(status[1])}: {answer[-300:]!r}"
    if b"Traceback" in answer:
        return f"traceback: {answer[-300:]!r}"
    return f"took {seconds:.1f} s" if seconds >= _LONGEST_S else ""


def attack_service(
    table: Table,
    *,
    count: int,
    rng: Random,
    root: Path,
    keep: Path | None = None,
    options: Sequence[str] = (),
) -> None:
    """Send so many to a service of its own, and see how it is afterwards."""
    (root / "data").mkdir()
    with service_process(root, (*OPTIONS, "--data", str(root / "data"), "--jobs", "1", *options)) as service:
        place = urlsplit(service.url)
        send_all(table, (str(place.hostname), int(place.port or 0)), count=count, rng=rng, keep=keep)
        resident = require("psutil").Process(service.process.pid).memory_info().rss
        table.row(AREA).peak_mb = resident / 1e6
        if resident > MOST_BYTES:
            table.find(AREA, f"{resident / 1e9:.2f} GB afterwards")
        log = service.log.read_text(errors="replace")
    for line in [line for line in log.splitlines() if '"traceback"' in line or line.startswith("Traceback")][
        :20
    ]:
        told = str(json.loads(line)["traceback"]).splitlines()[-1] if line.startswith("{") else line
        table.find(AREA, f"in the log: {told}")
    if service.process.returncode != 0:
        table.find(AREA, f"the service ended with exit code {service.process.returncode}")


def send_all(
    table: Table, address: tuple[str, int], *, count: int, rng: Random, keep: Path | None = None
) -> None:
    """Send them, several at once, and count what survived; afterwards the service must answer a photo as ever."""
    row = table.row(AREA)
    sent = list(islice(requests(rng), count))
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for raw, (answer, seconds) in zip(
            sent, threads.map(lambda raw: answer_of(address, raw), sent), strict=True
        ):
            found = finding_in(answer, seconds)
            row.tried, row.survived = row.tried + 1, row.survived + (not found)
            row.slowest_s = max(row.slowest_s, seconds)  # of the clock, what it waits for included
            row.told, row.decoded = row.told + 1, row.decoded + answer.startswith(b"HTTP/1.1 2")
            if found:
                table.find(AREA, f"{found} to {raw[:300]!r}")
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"request-{len(table.findings):04}").write_bytes(raw)
    row.commands += 1
    answer, _ = answer_of(address, Asked("POST", "/predict", body=photo(Random(0))[1]).raw())
    if not answer.startswith(b"HTTP/1.1 200"):
        table.find(AREA, f"afterwards a photo gets {answer[:200]!r}")


def _damaged(asked: Asked, rng: Random) -> Asked:
    path, headers, body = asked.path, list(asked.headers), asked.body
    if rng.random() < 0.25:
        parts = path.split("/")
        parts[rng.randrange(len(parts))] = rng.choice(_WORDS)
        path = "/".join(parts) or "/"
    if rng.random() < 0.35:
        headers[rng.randint(0, len(headers)) :] = [rng.choice(_HEADERS)]
    if body and rng.random() < 0.5:
        body = damage_bytes(body, rng)
    method = (
        rng.choice(("GET", "PUT", "HEAD", "OPTIONS", "TRACE", "G" * 99))
        if rng.random() < 0.05
        else asked.method
    )
    return Asked(method, path, tuple(headers), body)


def _photo(rng: Random) -> Asked:
    query = rng.choice(
        ("", "?explain=1", "?policy=tiles", "?policy=nix", "?model=nix", "?model=photos-128&explain=x")
    )
    return Asked("POST", f"/predict{query}", body=_some_photo(rng))


def _form(rng: Random) -> Asked:
    parts = []
    for _ in range(rng.choice((1, 2, 33))):
        name = rng.choice(("file", "file", "file", "x", "", "\xff", "a" * 3000))
        file = rng.choice(
            ('; filename="a.jpg"', '; filename="../../a"', '; filename="\x00"', "; filename*=UTF-8''%ff", "")
        )
        head = f'Content-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode("latin1")
        parts.append(b"--" + _BOUNDARY + b"\r\n" + head + _some_photo(rng) + b"\r\n")
    body = b"".join(parts) + b"--" + _BOUNDARY + b"--\r\n"
    return Asked("POST", "/predict", (b"Content-Type: multipart/form-data; boundary=" + _BOUNDARY,), body)


def _choice(rng: Random) -> Asked:
    return _json("/set", {"model": "photos-128"}, rng)


def _fit(rng: Random) -> Asked:
    return _json("/fit", {"recipe": "own", "data": ".", "overrides": ["seed=1", "data.path=.."]}, rng)


def _infer(rng: Random) -> Asked:
    inputs = [{"name": "image", "shape": [1, 2, 2, 3], "datatype": "UINT8", "data": [0] * 12}]
    return _json(
        "/v2/models/photos-128/infer", {"inputs": inputs, "outputs": [{"name": "logit"}], "id": "1"}, rng
    )


def _raw_infer(rng: Random) -> Asked:
    image = _some_photo(rng)
    tail = struct.pack("<I", rng.choice((len(image), len(image), 0, 2**32 - 1))) + image
    size = {"binary_data_size": rng.choice((len(tail), len(tail), -1, "9", 2**70))}
    inputs = [{"name": "encoded", "shape": [1], "datatype": "BYTES", "parameters": size}]
    head = json.dumps({"inputs": inputs}).encode()
    length = b"Inference-Header-Content-Length: %d" % len(head)
    return Asked("POST", "/v2/models/photos-128/infer", (length,), head + tail)


def _get(rng: Random) -> Asked:
    return Asked(rng.choice(("GET", "GET", "GET", "DELETE")), rng.choice(_PATHS))


def _json(path: str, value: object, rng: Random) -> Asked:
    changed = damage_json(value, rng) if rng.random() < 0.8 else value
    body = json.dumps(changed, ensure_ascii=False).encode(errors="backslashreplace")
    return Asked("POST", path, (b"Content-Type: application/json",), body)


def _some_photo(rng: Random) -> bytes:
    return rng.choice(_photos())


@cache
def _photos() -> tuple[bytes, ...]:
    dice = Random(0)
    return tuple(photo(dice)[1][:20_000] for _ in range(40))
