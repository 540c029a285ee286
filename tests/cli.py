"""Run the command line as a user does: in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path


def edgeproof(
    *arguments: object, cwd: Path | None = None, timeout: float = 600, root: bool = False
) -> subprocess.CompletedProcess[str]:
    """``edgeproof ARGUMENTS``; standard output and error as text. ``root`` finds this checkout from any ``cwd``."""
    path = {"PYTHONPATH": str(Path(__file__).parents[1])} if root else {}
    return subprocess.run(
        [sys.executable, "-m", "distill", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=timeout,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **path},
    )


def one_line_error(result: subprocess.CompletedProcess[str], *, code: int = 2) -> str:
    """The error a user sees: asserts on the exit code, and that there is no traceback."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("edgeproof: error: ")]
    assert len(lines) == 1, result.stderr
    return lines[0]
