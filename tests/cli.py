"""Run the command line as a user does: in a process of its own (see ``launcher.py``)."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from launcher import Launcher


def edgeproof(
    *arguments: object, cwd: Path | None = None, timeout: float = 600, root: bool = False, fresh: bool = False
) -> subprocess.CompletedProcess[str]:
    """``edgeproof ARGUMENTS``; standard output and error as text.

    ``root`` finds this checkout from any ``cwd``; ``fresh`` takes a new interpreter, where the launcher's fork will not do.
    """
    path = {"PYTHONPATH": str(Path(__file__).parents[1])} if root else {}
    env = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **path}
    told, place = list(map(str, arguments)), str(cwd or Path.cwd())
    if not fresh and (launcher := _launcher(os.getpid())).usable:
        return launcher.run(told, cwd=place, env=env, timeout=timeout)
    return subprocess.run(
        [sys.executable, "-m", "distill", *told], capture_output=True, text=True, cwd=place, timeout=timeout, check=False,
        env=env,
    )  # fmt: skip


@cache
def _launcher(pid: int) -> Launcher:
    return Launcher()


def one_line_error(result: subprocess.CompletedProcess[str], *, code: int = 2) -> str:
    """The error a user sees: asserts on the exit code, and that there is no traceback."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("edgeproof: error: ")]
    assert len(lines) == 1, result.stderr
    return lines[0]
