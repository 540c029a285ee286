"""A service in a process of its own, for whoever loads or attacks it from outside."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_START_S, _END_S = 60.0, 60.0


@dataclass(frozen=True)
class ServiceProcess:
    """It listens.

    Attributes:
        url: where.
        process: its first process, which ends the others.
        log: a file with what it told on standard error.
    """

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path


@contextmanager
def service_process(folder: Path, options: Sequence[str] = ()) -> Iterator[ServiceProcess]:
    """``edgeproof serve`` on a free port until the block ends.

    Args:
        folder: where it keeps its state and its log.
        options: more of ``edgeproof serve``.

    Raises:
        TimeoutError: it did not begin to listen.
    """
    options = ["--state", str(folder / "state"), "--port", "0", *options]
    log = folder / "log"
    with log.open("w") as written:  # a file never fills up, as a pipe would
        process = subprocess.Popen(
            [sys.executable, "-m", "distill", "serve", *options],
            stderr=written, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    try:
        yield ServiceProcess(_address(log), process, log)
    finally:
        process.terminate()
        process.wait(timeout=_END_S)


def _address(log: Path) -> str:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            if line.startswith("{") and line.endswith("}"):
                message = str(json.loads(line)["message"])
                if message.startswith("listening on "):
                    return message.removeprefix("listening on ")
        time.sleep(0.1)
    raise TimeoutError(f"the service did not start: {log.read_text()[-500:]}")
