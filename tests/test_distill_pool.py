import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from distill.pool import process_pool

# what other processes do must be importable

_seen = []


def remember(value):
    _seen.append(value)


def what_was_seen():
    return os.getpid(), list(_seen)


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.02)


def say_and_sleep(path, seconds=60.0, *, end=None):
    path.write_text(str(os.getpid()))
    time.sleep(seconds)
    if end is not None:
        end.touch()


def sleep_as_first_thing(path):
    """An initializer that takes long, as importing torch does."""
    say_and_sleep(path)


def interruptions():
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    return signal.SIGINT in blocked, signal.getsignal(signal.SIGINT)


def is_gone(pid):
    deadline = time.monotonic() + 20  # it may still be ending
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.02)
        return False
    return True


def test_work_is_done_by_other_processes_that_begin_with_the_initializer():
    with process_pool(2, initializer=remember, initargs=("me",)) as pool:
        futures = [pool.submit(what_was_seen) for _ in range(4)]
    assert all(future.done() for future in futures)  # finished first, since the block ended well
    assert {tuple(future.result()[1]) for future in futures} == {("me",)}
    assert os.getpid() not in {future.result()[0] for future in futures}
    assert not multiprocessing.active_children()


def test_workers_never_see_ctrl_c():
    with process_pool(1) as pool:
        assert pool.submit(interruptions).result() == (True, signal.SIG_IGN)
    assert interruptions() == (False, signal.default_int_handler)  # this one still does


def test_an_error_ends_work_at_once(tmp_path):
    busy = tmp_path / "busy"
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), process_pool(1) as pool:
        running, waiting = pool.submit(say_and_sleep, busy), [pool.submit(os.getpid) for _ in range(9)]
        wait_for(busy)
        raise KeyboardInterrupt
    assert time.monotonic() - started < 50
    assert isinstance(running.exception(), BrokenProcessPool)
    # taken back by us, or by the pool once it saw its process gone, whichever came first: it never ran
    assert waiting[-1].cancelled() or isinstance(waiting[-1].exception(), BrokenProcessPool)
    assert is_gone(int(busy.read_text()))


def test_an_error_ends_a_process_that_is_not_ready_yet(tmp_path):
    busy = tmp_path / "busy"
    with (
        pytest.raises(ValueError),
        process_pool(1, initializer=sleep_as_first_thing, initargs=(busy,)) as pool,
    ):
        pool.submit(os.getpid)
        wait_for(busy)
        raise ValueError
    assert is_gone(int(busy.read_text()))


def test_grace_lets_work_end_by_itself(tmp_path):
    busy, end = tmp_path / "busy", tmp_path / "end"
    with pytest.raises(ValueError), process_pool(1, grace_s=30) as pool:
        pool.submit(partial(say_and_sleep, busy, 0.5, end=end))
        wait_for(busy)
        raise ValueError
    assert end.exists()


def test_grace_has_an_end(tmp_path):
    busy = tmp_path / "busy"
    with pytest.raises(ValueError), process_pool(1, grace_s=0.2) as pool:
        pool.submit(say_and_sleep, busy)
        wait_for(busy)
        raise ValueError
    assert is_gone(int(busy.read_text()))


HELD = """
import os, signal, sys, time
from distill import pool
signal.signal(signal.SIGINT, signal.default_int_handler)
done = []
try:
    with pool.holding_interrupts():
        if sys.argv[1] == "unblocked":
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        done.append("started")
except KeyboardInterrupt:
    done.append("interrupted")
blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
print(done, blocked, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


@pytest.mark.parametrize("mask", ["blocked", "unblocked"])
def test_ctrl_c_while_a_process_starts_is_neither_lost_nor_early(mask):
    """Unblocked: as if another thread of this process got the signal. In a process whose threads are known."""
    told = subprocess.run(
        [sys.executable, "-c", HELD, mask],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        check=True,
    )
    assert told.stdout.strip() == "['started', 'interrupted'] False True"


PARENT = """
import sys
from pathlib import Path
from distill.pool import process_pool
from test_distill_pool import say_and_sleep
if __name__ == "__main__":
    with process_pool(2) as pool:
        for name in sys.argv[1:]:
            pool.submit(say_and_sleep, Path(name))
"""


@pytest.fixture
def parent(tmp_path):
    """A process whose two workers are at work; who they are stands in the files."""
    script, files = tmp_path / "parent.py", [tmp_path / "a", tmp_path / "b"]
    script.write_text(PARENT)
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, script, *files]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    with process:
        yield process, files
        process.kill()


def test_workers_end_with_a_parent_that_is_killed(parent):
    process, files = parent
    for path in files:
        wait_for(path)
    process.kill()
    assert all(is_gone(int(path.read_text())) for path in files)


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.2, 0.4])
def test_ctrl_c_at_any_moment_is_answered_by_the_parent_alone(parent, delay):
    process, files = parent
    wait_for(files[0])
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the children too
    error = process.communicate(timeout=30)[1]
    assert error.count("Traceback") == 1 and error.rstrip().endswith("KeyboardInterrupt")
