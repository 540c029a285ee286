"""What a fresh Python process takes to do something: seconds, processor time, and the most memory that it held. Torch-free."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from distill.errors import EdgeproofError

_TELL = """
import json as _json, time as _time
_told = [_time.monotonic(), _time.process_time(), 0]
try:
    # Not getrusage: what it tells starts at the size of the process that this one was forked from.
    with open("/proc/self/status") as _file:
        _told[2] = next(int(line.split()[1]) * 1024 for line in _file if line.startswith("VmHWM"))
except (OSError, StopIteration):
    try:
        import resource as _resource, sys as _sys
        _most = _resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss
        _told[2] = _most if _sys.platform == "darwin" else _most * 1024
    except ImportError:
        pass
print(_json.dumps(_told))
"""


@dataclass(frozen=True)
class Cost:
    """Of one process, from its start until it has done its work.

    Attributes:
        wall_s: seconds from before it was started, interpreter and imports included.
        cpu_s: seconds of processor time, all threads together.
        peak_bytes: resident memory at its largest; None where the OS does not tell.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int | None


def fresh_process(code: str, *arguments: str, feed: bytes = b"", timeout_s: float = 60.0) -> Cost:
    """Run Python ``code`` in an interpreter of its own.

    Args:
        code: Python; ``sys.argv[1:]`` are the arguments.
        arguments: passed on.
        feed: its standard input.
        timeout_s: it is killed after so many seconds.

    Raises:
        EdgeproofError: it failed, was killed, or took too long.
    """
    command = [sys.executable, "-c", code + _TELL, *arguments]
    began = time.monotonic()
    try:
        done = subprocess.run(command, input=feed, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise EdgeproofError(f"a fresh process gave no answer within {timeout_s:g} s") from None
    except OSError as error:
        raise EdgeproofError(f"a fresh process cannot be started ({error.strerror or error})") from None
    if done.returncode:
        raise EdgeproofError(f"a fresh process ended {_ending(done.returncode, done.stderr)}")
    ended, cpu, peak = json.loads(done.stdout.splitlines()[-1])
    return Cost(ended - began, cpu, peak or None)


def _ending(code: int, stderr: bytes) -> str:
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"with signal {name}"
    lines = stderr.decode(errors="replace").strip().splitlines()
    return f"with exit code {code}" + (f": {lines[-1][:200]}" if lines else "")
