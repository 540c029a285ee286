"""A process that has imported the heavy libraries once, and forks for every ``edgeproof`` that a test starts.

Importing torch, timm and Lightning takes longer than most of what the tests ask the command line for. The fork is a process of
its own in every other respect: files, working directory, environment, signals, exit code. None of the project's own modules
is imported before the fork, nor anything that starts threads.

    python launcher.py SOCKET    # serves until the socket's other end is gone
"""

import array
import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

HEAVY = (
    "torch", "torchvision", "timm", "lightning", "safetensors.torch", "scipy.stats", "sklearn.linear_model", "pyarrow",
    "matplotlib.figure", "pydantic", "typer",
)  # fmt: skip
MODULE = "distill"


class Launcher:
    """The test process's end of it."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        self._lines = self._ours.makefile("r", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        )  # fmt: skip
        theirs.close()
        self._owner = os.getpid()
        atexit.register(self.close)

    @property
    def usable(self) -> bool:
        """Whether this process started it, and it still runs."""
        return self._owner == os.getpid() and self._process.poll() is None

    def run(
        self, arguments: list[str], *, cwd: str, env: dict[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """As ``subprocess.run`` of ``python -m distill ARGUMENTS`` with captured text.

        Raises:
            subprocess.TimeoutExpired: it was killed.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            request = json.dumps({"arguments": arguments, "cwd": cwd, "env": env}).encode()
            socket.send_fds(self._ours, [len(request).to_bytes(8, "big")], [out.fileno(), err.fileno()])
            self._ours.sendall(request)
            pid = int(self._lines.readline())
            late = threading.Timer(timeout, _kill, [pid])
            late.start()
            code = int(self._lines.readline())
            late.cancel()
            if late.finished.is_set() and code == -9:
                raise subprocess.TimeoutExpired(arguments, timeout)
            return subprocess.CompletedProcess(
                [sys.executable, "-m", MODULE, *arguments], code, _text(out), _text(err)
            )

    def close(self) -> None:
        """End it."""
        if self._owner == os.getpid():
            self._ours.close()
            self._lines.close()
            self._process.wait(timeout=10)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 9)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


def serve(connection: socket.socket) -> None:
    """Fork for every request; answers the child's pid, and then its exit code, negative for a signal."""
    for name in HEAVY:
        importlib.import_module(name)
    gc.freeze()
    while True:
        head, files, _, _ = socket.recv_fds(connection, 8, 2)
        if not head:
            return
        request = json.loads(_exactly(connection, int.from_bytes(head, "big")))
        pid = os.fork()
        if pid == 0:
            connection.close()
            _become(request, files)
        for file in files:
            os.close(file)
        connection.sendall(f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _exactly(connection: socket.socket, length: int) -> bytes:
    found = bytearray()
    while len(found) < length:
        found += connection.recv(length - len(found))
    return bytes(found)


def _become(request: dict[str, Any], files: "list[int] | array.array[int]") -> None:
    """``python -m distill ARGUMENTS``, in this process; never returns."""
    for file, standard in zip(files, (1, 2), strict=True):
        os.dup2(file, standard)
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    extra = [path for path in request["env"].get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [request["cwd"], *extra, *sys.path[1:]]
    sys.argv[1:] = request["arguments"]
    os._exit(_run())


def _run() -> int:
    code: Any = 0
    try:
        runpy.run_module(MODULE, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return int(code or 0)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    serve(socket.socket(fileno=int(sys.argv[1])))
