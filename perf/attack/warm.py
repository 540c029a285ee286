"""Runs commands in forks of this process, which has read all modules: a crash ends one fork alone, and the culprit is known."""

import contextlib
import csv
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from perf.attack.case import LONGEST_S, Case, Outcome, judge

_LOOK_S = 0.02
_MOST_MEMORY = 4_000_000_000  # resident; more is stopped, for the sake of who else works here
_PAGE = resource.getpagesize()
_OURS = {".lock", ".gitattributes"}  # hidden files that are meant to stay


def warm_up(*, training: bool) -> None:
    """Read what the commands read, and start nothing: a fork has one thread alone.

    Args:
        training: whether recipes are met too, which read PyTorch: a fork of so large a process takes its time.
    """
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
    import openvino  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    import distill.cli.app
    import distill.data.shards.pack  # noqa: F401

    if not training:
        return
    import lightning  # noqa: F401
    import timm  # noqa: F401
    import torch

    import distill.check
    import distill.cli.outlook
    import distill.stages  # noqa: F401

    torch.set_num_threads(1)


@dataclass(frozen=True)
class _Job:
    case: Case
    folder: Path
    arguments: Sequence[str]
    before: frozenset[str]

    @property
    def log(self) -> Path:
        return self.folder.parent / f"{self.folder.name}.log"


def run_cases(cases: Sequence[Case], *, root: Path) -> list[Outcome]:
    """Write the inputs of each case, run their commands one after the other in a fork, and judge.

    A case that ends the fork, or takes too long or too much, is to blame; those behind it go on in another fork.
    """
    jobs = [_prepare(case, Path(tempfile.mkdtemp(dir=root))) for case in cases]
    outcomes: list[Outcome] = []
    try:
        while len(outcomes) < len(jobs):
            outcomes += _run(jobs[len(outcomes) :], root / "results.txt")
        for job, outcome in zip(jobs, outcomes, strict=True):
            outcome.error = job.log.read_text(errors="backslashreplace") if job.log.exists() else ""
            outcome.left = sorted({path.name for path in job.folder.rglob(".*")} - job.before - _OURS)
            outcome.finding = judge(outcome, seconds=job.case.seconds)
            outcome.decoded = _answered(job.folder / job.case.answers) if job.case.answers else None
    finally:
        for job in jobs:
            shutil.rmtree(job.folder, ignore_errors=True)
            job.log.unlink(missing_ok=True)
    return outcomes


def _answered(table: Path) -> int:
    """Rows of a CSV that have no error."""
    try:
        with table.open(newline="", errors="replace") as file:
            return sum(not row.get("error") for row in csv.DictReader(file))
    except OSError:
        return 0


def _prepare(case: Case, folder: Path) -> _Job:
    arguments = [str(item) for item in case.write(folder)]
    return _Job(case, folder, arguments, frozenset(path.name for path in folder.rglob(".*")))


def _run(jobs: Sequence[_Job], results: Path) -> list[Outcome]:
    """One fork; outcomes of the cases that it came to, the one that ended it included."""
    results.write_text("")
    whole = watched(lambda: _serve(jobs, results), seconds=LONGEST_S, progress=lambda: results.stat().st_size)
    lines = [line.split() for line in results.read_text().splitlines()]
    found = [
        Outcome(code=int(code), seconds=float(cpu_s), peak_bytes=int(peak)) for code, cpu_s, peak in lines
    ]
    if len(found) < len(jobs):
        found.append(whole)
    return found


def _serve(jobs: Sequence[_Job], results: Path) -> int:
    for job in jobs:
        started = time.process_time()
        code = command(job.arguments, job.log)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        with results.open("a") as file:
            file.write(f"{code} {time.process_time() - started:.3f} {peak}\n")
    return 0


def watched(work: Callable[[], int], *, seconds: float, progress: Callable[[], int] = lambda: 0) -> Outcome:
    """``work`` in a fork, ended where it takes too much memory, or makes no ``progress`` for ``seconds``."""
    started = since = time.monotonic()
    last, peak = progress(), 0
    child = os.fork()
    if child == 0:
        as_child(work)
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        now = time.monotonic()
        if done:
            own = usage.ru_maxrss * 1024
            return Outcome(
                code=os.waitstatus_to_exitcode(status), seconds=now - started, peak_bytes=max(own, peak)
            )
        if (found := progress()) != last:
            last, since = found, now
        peak = max(peak, resident(child))
        if now - since > seconds or peak > _MOST_MEMORY:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        time.sleep(_LOOK_S)


def as_child(work: Callable[[], int]) -> None:
    """Do the work of a fork, in a process group of its own, and end it there."""
    code = 70
    try:
        os.setpgid(0, 0)
        code = work()
    except BaseException:
        traceback.print_exc()
        code = 71
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)


def command(arguments: Sequence[str], log: Path) -> int:
    """The command line in this process, with standard error in ``log``; its exit code."""
    with log.open("wb") as errors, open(os.devnull, "r+b") as nowhere:  # noqa: PTH123
        for number, file in ((0, nowhere), (1, nowhere), (2, errors)):
            os.dup2(file.fileno(), number)
    sys.argv = ["edgeproof", *arguments]
    from distill.__main__ import main

    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
    except BaseException:
        traceback.print_exc()
        code = 71
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code


def resident(process: int) -> int:
    """Bytes of memory that a process has now."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
