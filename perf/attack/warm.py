"""Runs commands in forks of this process, which has read all modules: milliseconds each, and a crash ends one of them alone."""

import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from perf.attack.case import Case, Outcome, judge

_LOOK_S = 0.005
_MOST_MEMORY = 4_000_000_000  # resident; more is stopped, for the sake of who else works here
_PAGE = resource.getpagesize()


def warm_up() -> None:
    """Read what the commands read, and start nothing: a fork has one thread alone."""
    import lightning  # noqa: F401
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
    import openvino  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import timm  # noqa: F401
    import torch

    import distill.check
    import distill.cli.app
    import distill.cli.outlook
    import distill.stages  # noqa: F401

    torch.set_num_threads(1)


def run_case(case: Case, *, root: Path) -> Outcome:
    """Write the inputs, run the command in a fork, and judge."""
    folder = Path(tempfile.mkdtemp(dir=root))
    try:
        arguments = [str(item) for item in case.write(folder)]
        outcome = run_command(arguments, folder=folder, seconds=case.seconds)
        outcome.finding = judge(outcome, seconds=case.seconds)
        return outcome
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_command(arguments: Sequence[str], *, folder: Path, seconds: float) -> Outcome:
    """The command line in a fork, its output in files; what it leaves is looked for in ``folder``."""
    before = {path.name for path in folder.rglob(".*")}
    log = folder.parent / f"{folder.name}.log"
    outcome = watched(lambda: command(arguments, log), seconds=seconds)
    outcome.error = log.read_text(errors="backslashreplace") if log.exists() else ""
    log.unlink(missing_ok=True)
    outcome.left = sorted({path.name for path in folder.rglob(".*")} - before - {".lock", ".matplotlib"})
    return outcome


def watched(work: Callable[[], int], *, seconds: float) -> Outcome:
    """``work`` in a fork, ended well after its time or where it takes too much memory."""
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        as_child(work)
    peak = 0
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        taken = time.monotonic() - started
        if done:
            own = usage.ru_maxrss * 1024
            return Outcome(code=os.waitstatus_to_exitcode(status), seconds=taken, peak_bytes=max(own, peak))
        peak = max(peak, resident(child))
        if taken > 3 * seconds or peak > _MOST_MEMORY:
            os.killpg(child, signal.SIGKILL)
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
            try:
                stream.flush()
            except OSError:
                code = code or 2
        os._exit(code)


def command(arguments: Sequence[str], log: Path) -> int:
    """The command line in this process, with standard error in ``log``; its exit code."""
    with log.open("wb") as errors:
        os.dup2(errors.fileno(), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["edgeproof", *arguments]
    from distill.__main__ import main

    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1 if end.code else 0
    return 0


def resident(process: int) -> int:
    """Bytes of memory that a process has now."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
