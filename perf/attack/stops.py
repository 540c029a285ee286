"""A tiny run that is killed, stopped or out of space at random moments, gone on with, and compared with one nobody touched.

Its processes are real: the run itself is a fork of this warm one, its workers are started as ever. What is checked after each
stop: exit code, how soon it ended, no traceback, no process left; at each end: equal files, no temporary one, no work done twice.
"""

import os
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from perf.attack.equal import differences, redone, temporary_files
from perf.attack.table import Table
from perf.attack.warm import as_child, command, warm_up

RECIPE = Path(__file__).parents[2] / "tests" / "tiny.toml"
_SETTINGS = (
    "training.seeds=[0]", "data.simulate.scenes={train = 24, valid = 24, test = 24, heldout = 6, control = 6}",
    "degradations.samples=8", "training.threads=1",  # else a sum has another order where there are fewer processes
)  # fmt: skip
_MARK = "EDGEPROOF_ATTACK"
_END_S = 5.0  # a stop must have ended the run, and all its processes, by then
_LONGEST_S = 900.0
_MOST_IN_ONE = 14  # stops of one run before it may go on to its end
_LATEST_S = 12.0  # after which a run is stopped
_KINDS = {"kill -9": 5, "SIGTERM": 1, "SIGINT": 1, "full disk": 1}
_CODES = {"SIGTERM": 128 + signal.SIGTERM, "SIGINT": 128 + signal.SIGINT}


def stop_runs(table: Table, *, count: int, rng: Random, root: Path) -> None:
    """Stop runs ``count`` times in all."""
    warm_up(training=True)
    whole = root / "whole"
    code, error = _finish(_Run(whole, processes=2, root=root))
    if code != 0:
        table.find("stops", f"the run that nobody touched ended with {code}: {error[-500:]}")
        return
    lineage, stops = 0, 0
    while stops < count:
        lineage += 1
        stops += _lineage(
            table, root / f"run{lineage}", whole, most=min(_MOST_IN_ONE, count - stops), rng=rng
        )


def _lineage(table: Table, folder: Path, whole: Path, *, most: int, rng: Random) -> int:
    """One run folder: stopped until it is whole; how many stops there were."""
    stops = 0
    processes = rng.choice((1, 2))
    while stops < most:
        kind = rng.choices(list(_KINDS), weights=list(_KINDS.values()))[0]
        run = _Run(
            folder,
            processes=processes,
            root=folder.parent,
            most_bytes=_room(rng) if kind == "full disk" else None,
        )
        after_s = _LONGEST_S if kind == "full disk" else rng.uniform(0.2, _LATEST_S)
        ended = _wait(run, seconds=after_s)
        if ended is not None and kind != "full disk":
            if ended != 0:
                table.find("stops", f"went on with code {ended}: {run.error()[-500:]}")
            break
        if ended == 0:
            break
        stops += 1
        finding = _stop(run, kind, ended)
        _count(table, kind, finding)
    else:
        code, error = _finish(_Run(folder, processes=processes, root=folder.parent))
        if code != 0:
            table.find("stops", f"did not go on to its end: {code}: {error[-500:]}")
    _count(table, "equal results after resume", "; ".join(_compare(folder, whole))[:2000])
    shutil.rmtree(folder, ignore_errors=True)
    return stops


def _compare(folder: Path, whole: Path) -> list[str]:
    problems = [f"differs: {name}" for name in differences(folder, whole)]
    problems += [f"temporary file: {name}" for name in temporary_files(folder)]
    return problems + [f"done twice: {name}" for name in redone(folder)]


def _count(table: Table, area: str, finding: str) -> None:
    row = table.row(area)
    row.tried += 1
    row.survived += not finding
    if finding:
        table.find(area, finding)
        print(f"{area}: {finding}", flush=True)


class _Run:
    """The command, begun."""

    def __init__(self, folder: Path, *, processes: int, root: Path, most_bytes: int | None = None) -> None:
        self.folder = folder
        self.mark = f"{folder.name}-{time.monotonic_ns()}"
        self._log = root / f"{self.mark}.log"
        options = [
            word for value in (*_SETTINGS, f"training.processes={processes}") for word in ("--set", value)
        ]
        arguments = ["evaluate", str(RECIPE), "--out", str(folder), *options]
        self.process = os.fork()
        if self.process == 0:
            as_child(self._begin(arguments, most_bytes))

    def _begin(self, arguments: list[str], most_bytes: int | None) -> Callable[[], int]:
        def work() -> int:
            os.environ[_MARK] = self.mark
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if most_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
            return command(arguments, self._log)

        return work

    def error(self) -> str:
        """Standard error so far."""
        return self._log.read_text(errors="backslashreplace") if self._log.exists() else ""

    def poll(self) -> int | None:
        """The exit code, None while it lives."""
        try:
            done, status = os.waitpid(self.process, os.WNOHANG)
        except ChildProcessError:
            return 0
        return os.waitstatus_to_exitcode(status) if done else None


def _room(rng: Random) -> int:
    return int(10 ** rng.uniform(2.5, 5.5))


def _wait(run: _Run, *, seconds: float) -> int | None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (code := run.poll()) is not None:
            return code
        time.sleep(0.01)
    return None


def _finish(run: _Run) -> tuple[int, str]:
    code = _wait(run, seconds=_LONGEST_S)
    if code is None:
        os.kill(run.process, signal.SIGKILL)
        os.waitpid(run.process, 0)
        return -signal.SIGKILL, "took too long"
    return code, run.error()


def _stop(run: _Run, kind: str, ended: int | None) -> str:
    """End it, and say what was wrong about how it ended."""
    problems = []
    if kind == "full disk":
        if ended != 2:
            problems.append(f"exit code {ended}, expected 2")
    else:
        number = {"kill -9": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}[kind]
        os.kill(run.process, number)
        started = time.monotonic()
        ended = _wait(run, seconds=4 * _END_S)
        taken = time.monotonic() - started
        if ended is None:
            os.kill(run.process, signal.SIGKILL)
            os.waitpid(run.process, 0)
            problems.append(f"did not end within {4 * _END_S:.0f} s")
        elif taken > _END_S:
            problems.append(f"took {taken:.1f} s to end")
        if kind in _CODES and ended not in (None, 0, _CODES[kind]):
            problems.append(f"exit code {ended}, expected {_CODES[kind]}: {run.error()[-300:]}")
    if "Traceback" in run.error():
        problems.append(f"traceback: {run.error()[-1500:]}")
    orphans = _orphans(run.mark)
    if orphans:
        problems.append(f"processes left: {', '.join(orphans)}")
    return "; ".join(problems)


def _orphans(mark: str) -> list[str]:
    """Processes that carry the mark and do not end by themselves."""
    end = time.monotonic() + _END_S
    while found := [
        path.name for path in Path("/proc").glob("[0-9]*") if _has(path, f"{_MARK}={mark}".encode())
    ]:
        if time.monotonic() > end:
            names = [
                Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]
                for number in found
            ]
            for number in found:
                os.kill(int(number), signal.SIGKILL)
            return names
        time.sleep(0.05)
    return []


def _has(process: Path, word: bytes) -> bool:
    try:
        return word in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
