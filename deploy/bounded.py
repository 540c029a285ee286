"""A model in processes of its own, which are ended where they take too long: a hostile graph can loop for ever, or crash.

Torch-free. It stands where a session stands (:mod:`deploy.sessions`), so that whatever asks a model can be bounded:
``Detector.load(..., timeout_s=2)``. It costs some 0.1 ms more an image, and half a second and 80 MB a process. What comes back
over the pipe is text or numbers, never a pickle: who has taken over such a process has not taken over this one.
"""

import json
import multiprocessing
import signal
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from deploy.sessions import EngineOptions, Request, Session, open_session, share
from distill.errors import EdgeproofError
from distill.pool import end_with, holding_interrupts

START_S = 30.0  # a process needs at least so long to be given up before it has loaded the model
_EXIT_S = 2.0
_ANSWER, _REFUSAL, _FAILURE = b"a", b"r", b"f"  # how what a process sends begins
_MOST_BYTES = 2**20  # of what it sends


class NoAnswerError(EdgeproofError):
    """The process that ran the model ended instead of answering."""


class LateError(NoAnswerError):
    """It took longer than it may, and was ended."""


class BoundedSession:
    """A session whose every request is a process that loads the model.

    The processes end when nobody holds the session any more, and with this process however that ends.

    Attributes:
        pixels_shape: as the model says; so are ``logits_shape`` and ``precision``.
    """

    def __init__(
        self, folder: Path, *, runtime: str, output: str, options: EngineOptions, timeout_s: float
    ) -> None:
        """Start a process and wait until it has loaded the model.

        Args:
            folder: the artifact.
            runtime: as for :func:`deploy.sessions.open_session`, as are ``output`` and ``options``.
            output: name of the logits.
            options: of each process, with its share of the threads.
            timeout_s: seconds for one image, all its crops; loading may take :data:`START_S` if that is more.

        Raises:
            EdgeproofError: the model cannot be loaded, or not in time, or the time is none.
        """
        if not 0 < timeout_s < threading.TIMEOUT_MAX:
            raise EdgeproofError(f"timeout: found {timeout_s:g}, expected a number of seconds above 0")
        each = replace(options, threads=share(options) or None, streams=1)
        self._arguments = (folder, runtime, output, each)
        self.timeout_s = timeout_s
        self.processes: set[Process] = set()
        weakref.finalize(self, _end_all, self.processes)
        first = self._start()
        self._spare = deque([first])
        self.pixels_shape, self.logits_shape, self.precision = first.told

    def request(self) -> Request:
        """One process, asked one image at a time."""
        return _BoundedRequest(self)

    def lend(self) -> "Process":
        """A process that has loaded the model and that nobody else asks."""
        try:
            return self._spare.pop()
        except IndexError:
            return self._start()

    def end(self, process: "Process") -> None:
        """End one that did not answer."""
        self.processes.discard(process)
        process.end()

    def _start(self) -> "Process":
        process = Process(*self._arguments)
        self.processes.add(process)
        try:
            process.load(max(START_S, self.timeout_s))
        except BaseException:
            self.end(process)
            raise
        return process


class _BoundedRequest:
    """Has a process until that does not answer; then another."""

    def __init__(self, session: BoundedSession) -> None:
        self.pixels = np.zeros(session.pixels_shape, dtype=np.uint8)
        self.logits = np.zeros(session.logits_shape, dtype=np.float32)
        self._session, self._left_s = session, session.timeout_s
        self._process: Process | None = None

    def begin(self) -> None:
        self._left_s = self._session.timeout_s

    def infer(self) -> None:
        process = self._process = self._process or self._session.lend()  # its start takes none of the time
        started = time.monotonic()
        try:
            answer = process.ask(
                self.pixels.data.cast("B"), seconds=self._left_s, given_s=self._session.timeout_s
            )
        except NoAnswerError:
            self._process = None
            self._session.end(process)
            raise
        self._left_s -= time.monotonic() - started
        self.logits[:] = np.frombuffer(answer, dtype=np.float32).reshape(self.logits.shape)


class Process:
    """One process, asked one thing at a time.

    Attributes:
        told: shapes of pixels and logits, and the precision, as the model has them.
    """

    told: tuple[tuple[int, ...], tuple[int, ...], str]

    def __init__(self, folder: Path, *model: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._folder = folder
        self._pipe, theirs = context.Pipe()
        lifeline, self._held = context.Pipe(duplex=False)
        self.process = context.Process(target=_serve, args=(theirs, lifeline, folder, *model), daemon=True)
        with holding_interrupts():
            self.process.start()
        theirs.close()
        lifeline.close()

    def load(self, seconds: float) -> None:
        """Wait until it has loaded the model; raises :class:`EdgeproofError`."""
        pixels, logits, precision = json.loads(self._receive(seconds, f"load within {seconds:g} s"))
        self.told = tuple(pixels), tuple(logits), str(precision)

    def ask(self, pixels: memoryview, *, seconds: float, given_s: float) -> bytes:
        """The bytes of the logits.

        Args:
            pixels: of one crop.
            seconds: that are left.
            given_s: that there were, for the message.

        Raises:
            NoAnswerError: too late, or it ended; it must not be asked again.
            RuntimeError: the engine failed.
        """
        try:
            self._pipe.send_bytes(pixels)
        except OSError:
            raise self._ended() from None
        return self._receive(seconds, f"judge the image within {given_s:g} s")

    def end(self) -> None:
        """End it, whatever it does."""
        for pipe in (self._pipe, self._held):
            pipe.close()
        self.process.kill()
        self.process.join()

    def _receive(self, seconds: float, doing: str) -> bytes:
        try:
            if not self._pipe.poll(max(0.0, seconds)):
                raise LateError(f"{self._folder}: did not {doing}, its process was ended")
            answer = self._pipe.recv_bytes(_MOST_BYTES)
        except (EOFError, OSError):
            raise self._ended() from None
        kind, content = answer[:1], answer[1:]
        if kind == _REFUSAL:
            raise EdgeproofError(content.decode(errors="replace"))
        if kind == _FAILURE:
            raise RuntimeError(content.decode(errors="replace"))
        return content

    def _ended(self) -> NoAnswerError:
        self.process.join(_EXIT_S)
        code = self.process.exitcode
        how = f"exit code {code}" if code is None or code >= 0 else _signal_name(-code)
        return NoAnswerError(f"{self._folder}: the process that ran the model ended ({how})")


def _end_all(processes: set[Process]) -> None:
    while processes:
        processes.pop().end()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _serve(
    pipe: Connection, lifeline: Connection, folder: Path, runtime: str, output: str, options: EngineOptions
) -> None:
    """Load the model, say what it is, and run it on what comes until there is no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent has heard Ctrl-C too, and closes the pipe
    threading.Thread(target=end_with, args=(lifeline,), daemon=True).start()
    try:
        session = open_session(folder, runtime=runtime, output=output, options=options)
    except EdgeproofError as error:
        pipe.send_bytes(_REFUSAL + str(error).encode(errors="backslashreplace"))
        return
    told = (session.pixels_shape, session.logits_shape, session.precision)
    pipe.send_bytes(_ANSWER + json.dumps(told, default=str).encode())
    with suppress(EOFError, OSError):
        _answer(pipe, session)


def _answer(pipe: Connection, session: Session) -> None:
    request: Request | None = None
    while True:
        pixels = pipe.recv_bytes()
        try:
            request = request or session.request()
            request.pixels[:] = np.frombuffer(pixels, dtype=np.uint8).reshape(request.pixels.shape)
            request.infer()
            answer = _ANSWER + request.logits.tobytes()
        except Exception as error:  # both engines raise types of their own C++ layers
            answer = _FAILURE + str(error)[:1000].encode(errors="backslashreplace")
        pipe.send_bytes(answer)
