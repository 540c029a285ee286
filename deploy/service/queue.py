"""Jobs, one after the other, each a process of its own; one of the service's processes sees to them."""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from deploy.service.fits import PYTHON, log_file, output_file, page_file
from deploy.service.forms import State
from deploy.service.journal import log
from deploy.service.settings import Settings
from deploy.service.store import JobRow, Store
from distill.errors import GateFailedError

_POLL_S = 0.3
_PATIENCE_S = 15.0  # between asking a job to end and ending it
_PAUSE_S = 5.0  # after a step that failed
_MOST_STARTS = 5
_POLITENESS = 10  # trainings get the time that answers leave
_TAIL_BYTES, _MOST_ERRORS = 2**16, 100
_ERROR = "edgeproof: error: "
_OWN = ("EDGEPROOF_SERVICE", "PROMETHEUS_MULTIPROC_DIR")


class JobQueue:
    """Starts what waits, ends what is to end, writes down what has ended.

    Every process of a service has one; a lock says which of them works, and another goes on where that one dies.

    Args:
        settings: where things are, and how many jobs may run.
        store: the jobs.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._asked: dict[str, float] = {}  # jobs that were told to end, and when
        self._over = Event()
        self._thread = Thread(target=self._work, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin, or wait until it is this one's turn."""
        self._thread.start()

    def stop(self) -> None:
        """End what runs; it goes on from what is whole when there is a service again."""
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._over.is_set():
            try:
                with _only_one(self._settings.state / "queue.lock") as mine:
                    if mine:
                        self._recover()
                        self._see_to_jobs()
            except Exception:  # a full disk, a locked file: the next time may go better
                log.exception("the queue failed")
                self._over.wait(_PAUSE_S)
            self._over.wait(_POLL_S)

    def _see_to_jobs(self) -> None:
        """Until the service ends; then what runs is ended, and waits for the next."""
        try:
            while not self._over.is_set():
                self._step()
                self._over.wait(_POLL_S)
        finally:
            self._end_all()

    def _end_all(self) -> None:
        for process in self._running.values():
            _tell_group(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + _PATIENCE_S
        while self._running:
            job, process = self._running.popitem()
            _wait(process, until=deadline)
            found = self._store.job(job)
            if found is not None and found.cancel:
                self._store.end(job, state="cancelled", code=process.returncode, message="")
            else:
                self._store.requeue(job)

    def _recover(self) -> None:
        """Jobs whose service was killed: what is left of them ends, and they wait again."""
        for row in self._store.jobs("running"):
            if row.pid is not None and _is_job(row.pid, row.id):
                _end_group(row.pid, job=row.id)
            if row.cancel:
                self._store.end(row.id, state="cancelled", code=None, message="")
            else:
                self._store.requeue(row.id)

    def _step(self) -> None:
        for row in self._store.jobs("running"):
            process = self._running.get(row.id)
            if process is not None and row.cancel:
                self._ask_to_end(row.id, process.pid)
            if process is not None and process.poll() is not None:
                del self._running[row.id]
                self._asked.pop(row.id, None)
                self._write_down(row, process.returncode)
        for row in self._store.jobs("queued")[: max(0, self._settings.jobs - len(self._running))]:
            self._begin(row)

    def _begin(self, row: JobRow) -> None:
        if row.starts >= _MOST_STARTS:
            reason = f"the service ended under it {row.starts} times"
            self._store.end(row.id, state="failed", code=None, message=reason)
            return
        log_path, output_path = log_file(self._settings, row.id), output_file(self._settings, row.id)
        log_path.parent.mkdir(parents=True, exist_ok=True)
        page_file(self._settings, row.id).parent.mkdir(parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if name not in _OWN}
        with log_path.open("ab") as told, output_path.open("wb") as printed:
            process = subprocess.Popen(
                [*PYTHON, *row.command], stdin=subprocess.DEVNULL, stdout=printed, stderr=told,
                cwd=self._settings.data, env=environment, start_new_session=True,
            )  # fmt: skip
        self._running[row.id] = process
        self._store.start(row.id, pid=process.pid)
        with suppress(ProcessLookupError):  # it may be over already
            os.setpriority(os.PRIO_PGRP, process.pid, _POLITENESS)
        log.info("job begun", extra={"job": row.id, "pid": process.pid})

    def _ask_to_end(self, job: str, pid: int) -> None:
        """At first SIGTERM, once, which a run answers by keeping what is whole; then SIGKILL."""
        if job not in self._asked:
            self._asked[job] = time.monotonic()
            _tell_group(pid, signal.SIGTERM)
        elif time.monotonic() - self._asked[job] > _PATIENCE_S:
            _tell_group(pid, signal.SIGKILL)

    def _write_down(self, row: JobRow, code: int) -> None:
        told, message = _last_error(log_file(self._settings, row.id)) if code else (False, "")
        state: State = "failed"
        if code == 0 or (code == GateFailedError.exit_code and told):  # of a crash Python makes the same code
            state = "done"
        elif row.cancel:
            state, message = "cancelled", ""
        self._store.end(row.id, state=state, code=code, message=message)
        log.info("job ended", extra={"job": row.id, "state": state, "code": code})


def last_lines(path: Path, *, most: int) -> tuple[str, ...]:
    """The end of a log, of which no more is read than that."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return tuple(file.read().decode(errors="replace").splitlines()[-most:])
    except OSError:  # not there yet, or no file
        return ()


def _last_error(path: Path) -> tuple[bool, str]:
    """Whether the command itself said why it failed, and what it, or whatever ended it, said last."""
    lines = [line for line in last_lines(path, most=_MOST_ERRORS) if line.strip()]
    for number, line in enumerate(lines):
        if line.startswith(_ERROR):  # several mistakes are told in as many lines
            return True, "\n".join([line.removeprefix(_ERROR), *lines[number + 1 :]])
    return False, lines[-1] if lines else "it was ended from outside"


@contextmanager
def _only_one(path: Path) -> Iterator[bool]:
    """Whether this process holds the lock; the system takes it back from one that dies."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _is_job(pid: int, job: str) -> bool:
    """Whether it is this job's process, and not one that has got its number since."""
    try:
        return job.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _end_group(pid: int, *, job: str) -> None:
    """End a process that is no child of ours, and those that it started."""
    _tell_group(pid, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE_S
    while _is_job(pid, job) and time.monotonic() < deadline:
        time.sleep(0.1)
    _tell_group(pid, signal.SIGKILL)


def _tell_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, number)


def _wait(process: "subprocess.Popen[bytes]", *, until: float) -> None:
    """Until it has ended, which after a while it must."""
    try:
        process.wait(timeout=max(0.1, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        _tell_group(process.pid, signal.SIGKILL)
        process.wait()
