"""The parent's side of a process that runs one runtime's contestants under its command. Torch-free.

Two runtimes in one process share its heap, and keep thread pools that disturb each other. Requests and answers are lines of
JSON; see ``bench.worker`` for the other side.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from itertools import count
from threading import Event, Timer
from typing import Any

from bench.contestant import Source
from bench.pace import Pace
from bench.visits import Visit
from distill.errors import EdgeproofError

_PATIENCE_S = 5.0  # until a process that was told to end is made to
LONGEST_S = 300.0  # of one request; a model that takes longer never ends


class Worker:
    """Such a process, begun when it is first asked for something. One that dies is replaced: other contestants go on.

    Attributes:
        pace: the best that a core was seen to have, by any process of the bench.
        generation: how many died.
        longest_s: after so many seconds a process that does not answer is ended.
    """

    def __init__(self, runtime: str, *, pace: Pace, longest_s: float = LONGEST_S) -> None:
        self.runtime = runtime
        self.pace = pace
        self.generation = 0
        self.longest_s = longest_s
        self._process: subprocess.Popen[str] | None = None
        self._numbers = count()

    def seat(self, source: Source) -> "WorkerSeat":
        """For one contestant."""
        return WorkerSeat(self, source, number=next(self._numbers))

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send one request and wait for its answer.

        Raises:
            EdgeproofError: what went wrong there, or how the process ended, which it is made to after ``longest_s``.
        """
        process = self._process or self._begin()
        late = Event()
        limit = Timer(self.longest_s, _end_late, args=(process, late))
        limit.daemon = True
        limit.start()
        try:
            assert process.stdin and process.stdout  # both are pipes  # noqa: S101
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            limit.cancel()
        if not line:
            self._process = None
            self.generation += 1
            how = _ending(_end(process))
            if late.is_set():
                raise EdgeproofError(
                    f"{self.runtime} did not answer within {self.longest_s:g} s, its process was ended"
                )
            raise EdgeproofError(f"the process that ran {self.runtime} ended ({how})")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise EdgeproofError(answer["error"])
        return answer

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            _end(self._process)
            self._process = None

    def _begin(self) -> "subprocess.Popen[str]":
        paths = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bench.worker"],  # -P: no folder here called bench is meant
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": paths},
        )
        return self._process


class WorkerSeat:
    """One contestant in another process; made there again if that one had to be replaced."""

    def __init__(self, worker: Worker, source: Source, *, number: int) -> None:
        self._worker, self._source, self._number = worker, source, number
        self._generation = -1  # made in none yet
        self._window = 1

    def prepare(self, *, window: int, limit_s: float) -> float:
        """See :class:`bench.seats.Seat`."""
        answer = self._worker.ask(
            {
                "do": "prepare", "number": self._number, "kind": type(self._source).__name__,
                "source": json.loads(self._source.model_dump_json()), "window": window,
                "limit_s": min(limit_s, 1e6),  # JSON has no infinity
            }
        )  # fmt: skip
        self._generation, self._window = self._worker.generation, window
        return float(answer["typical_ms"])

    def visit(self, *, calls: int, repeats: int) -> Visit:
        """The same."""
        if self._generation != self._worker.generation:
            self.prepare(window=self._window, limit_s=1.0)
        pace = self._worker.pace
        answer = self._worker.ask(
            {
                "do": "visit", "number": self._number, "calls": calls, "repeats": repeats,
                "best_s": min(pace.best_s, 1e6),  # JSON has no infinity
            }
        )  # fmt: skip
        pace.best_s = min(pace.best_s, answer["best_s"])
        return Visit(**{part: tuple(times) for part, times in answer["visit"].items()})

    def free(self) -> None:
        """The same."""
        if self._generation == self._worker.generation:
            with contextlib.suppress(EdgeproofError):
                self._worker.ask({"do": "free", "number": self._number})


def _end_late(process: "subprocess.Popen[str]", late: Event) -> None:
    late.set()
    process.kill()


def _end(process: "subprocess.Popen[str]") -> int:
    """Close both pipes, which ends it, and give its exit code."""
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if pipe:
                pipe.close()
    try:
        return process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
