"""A detector in a process of its own, which is ended where it takes too long: a hostile model can loop for ever, or crash.

Torch-free. It answers as :class:`deploy.runtime.Detector` does, for some 0.1 ms more an image and half a second more at the
start; whoever trusts the artifact does without.
"""

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deploy.artifact import read_manifest
from deploy.cautions import caution_of
from deploy.prediction import Prediction
from deploy.shipped import find_artifact
from distill.errors import EdgeproofError
from distill.pool import end_with, holding_interrupts
from distill.preprocess import Policy, PreprocessSpec

START_S = 30.0  # a process needs at least so long to be given up before it has loaded the model
_EXIT_S = 2.0


class BoundedDetector:
    """Judges images with ``workers`` processes; one that takes longer than its time is ended and replaced.

    Use it as a context, or :meth:`close` it: the processes end with it, and with this process however that ends.

    Attributes:
        manifest: the artifact's verified manifest.
        workers: images that are judged side by side.
        caution: what to bear in mind with every answer, None if nothing.
    """

    def __init__(
        self, folder: Path | str, *, timeout_s: float, workers: int | None = None, **options: Any
    ) -> None:
        """Load an artifact.

        Args:
            folder: an artifact, or the name of a shipped one.
            timeout_s: seconds for one image; loading may take :data:`START_S` if that is more.
            workers: processes; 1 unless given.
            options: of :meth:`deploy.runtime.Detector.load`.

        Raises:
            EdgeproofError: the artifact cannot be loaded, or not in time, or a number is out of range.
        """
        if not 0 < timeout_s < threading.TIMEOUT_MAX:
            raise EdgeproofError(f"timeout: found {timeout_s:g}, expected a number of seconds above 0")
        if workers is not None and workers < 1:
            raise EdgeproofError(f"workers: found {workers}, expected at least 1")
        self._folder, self._options, self._timeout_s = Path(folder), options, timeout_s
        self.workers = workers or 1
        self._idle: deque[_Process] = deque()
        self._all: set[_Process] = set()
        self._idle.append(self._start())
        self.manifest = read_manifest(find_artifact(folder, runtime=options.get("runtime")))
        self.caution = caution_of(self.manifest.data)

    def preprocessing(self, policy: Policy | None = None) -> PreprocessSpec:
        """See :meth:`deploy.runtime.Detector.preprocessing`."""
        return self.manifest.preprocess.under(policy)

    def predict(self, image: Path | str | bytes, *, policy: Policy | None = None) -> Prediction:
        """Judge one image, a path or its content.

        Raises:
            EdgeproofError: what :meth:`deploy.runtime.Detector.predict` raises, or no answer in time, or the process ended.
        """
        with self._lent() as process:
            return process.ask(image, policy, timeout_s=self._timeout_s)

    def close(self) -> None:
        """End the processes."""
        for process in list(self._all):
            self._end(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _lent(self) -> "Iterator[_Process]":
        """A process that nobody else asks meanwhile; one that did not answer is not used again."""
        try:
            process = self._idle.pop()
        except IndexError:
            process = self._start()
        try:
            yield process
        finally:
            if process.sound:
                self._idle.append(process)
            else:
                self._end(process)

    def _start(self) -> "_Process":
        process = _Process(self._folder, self._options)
        self._all.add(process)
        try:
            process.wait_until_loaded(max(START_S, self._timeout_s))
        except BaseException:
            self._end(process)
            raise
        return process

    def _end(self, process: "_Process") -> None:
        self._all.discard(process)
        process.end()


class _Process:
    """One process, asked one thing at a time."""

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self._folder = folder
        self._pipe, theirs = context.Pipe()
        lifeline, self._held = context.Pipe(duplex=False)
        self._process = context.Process(target=_serve, args=(theirs, lifeline, folder, options), daemon=True)
        with holding_interrupts():
            self._process.start()
        theirs.close()
        lifeline.close()
        self.sound = True

    def wait_until_loaded(self, seconds: float) -> None:
        self._receive(seconds, doing="load")

    def ask(self, image: Path | str | bytes, policy: Policy | None, *, timeout_s: float) -> Prediction:
        self.sound = False  # until it has answered
        try:
            self._pipe.send((image, policy))
        except OSError:
            raise self._ended() from None
        found: Prediction = self._receive(timeout_s, doing="judge the image")
        return found

    def _receive(self, seconds: float, *, doing: str) -> Any:
        self.sound = False
        try:
            if not self._pipe.poll(seconds):
                raise EdgeproofError(
                    f"{self._folder}: did not {doing} within {seconds:g} s, its process was ended"
                )
            answer = self._pipe.recv()
        except (EOFError, OSError):
            raise self._ended() from None
        self.sound = True
        if isinstance(answer, EdgeproofError):
            raise answer
        return answer

    def _ended(self) -> EdgeproofError:
        self._process.join(_EXIT_S)
        code = self._process.exitcode
        how = f"exit code {code}" if code is None or code >= 0 else _signal_name(-code)
        return EdgeproofError(f"{self._folder}: the process that ran the model ended ({how})")

    def end(self) -> None:
        for pipe in (self._pipe, self._held):
            pipe.close()
        self._process.join(0.0 if not self.sound else _EXIT_S)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _serve(pipe: Connection, lifeline: Connection, folder: Path, options: dict[str, Any]) -> None:
    """Load the artifact, say so, and judge what comes until there is no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent has heard Ctrl-C too, and closes the pipe
    threading.Thread(target=end_with, args=(lifeline,), daemon=True).start()
    from deploy.runtime import Detector

    try:
        detector = Detector.load(folder, **options)
    except EdgeproofError as error:
        pipe.send(EdgeproofError(str(error)))
        return
    pipe.send(None)
    with suppress(EOFError, OSError):
        while True:
            image, policy = pipe.recv()
            try:
                pipe.send(detector.predict(image, policy=policy))
            except EdgeproofError as error:
                pipe.send(EdgeproofError(str(error)))
