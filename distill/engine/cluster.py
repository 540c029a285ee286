"""Work over parts on a Ray cluster, through Ray Data: a pool of actors, each with its own copy of the work. Torch-free.

A killed worker or a lost node costs the parts that it was at: Ray starts another worker, or waits for a free one, and
gives it those parts again. Ray itself says nothing here: what its workers would print, its progress bars and its
telemetry are off.
"""

import logging
import os
import pickle
import signal
import socket
import sys
import tempfile
import threading
import warnings
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from distill.errors import EdgeproofError
from distill.optional import require

Part = TypeVar("Part")
Result = TypeVar("Result")

_RETRIES = 3  # of one part whose worker was killed: a fourth says that the part itself kills
_CONNECT_S = 5.0
_END = b"."
_STORE_BYTES = 256 * 2**20  # shared memory of a Ray of our own: parts and results are small
_LONGEST_TEMPORARY = 30  # characters: Ray's sockets lie below, and a socket's path has at most 107
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a warning of what a later Ray will do
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # or it would send the working directory to every node
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # what its C++ writes on standard error
}


@contextmanager
def connect(address: str, *, workers: int) -> Iterator["Cluster"]:
    """The cluster at ``HOST:PORT``, or without an address a Ray of our own on this machine, until the block ends.

    Raises:
        EdgeproofError: Ray is not installed, no cluster answers, or Ray cannot be started.
    """
    if address:
        _check_answers(address)
    os.environ.update(_QUIET)
    with nullcontext("") if address else _short_folder() as folder:
        try:
            with _signals_kept(), _no_standard_error():
                _start(address, workers=workers, folder=folder)
            yield Cluster(workers)
        finally:
            require("ray").shutdown(wait_for_processes=True)


@dataclass(frozen=True)
class Cluster:
    """A cluster that this process is connected to.

    Attributes:
        workers: how many at most; 0 is one for every core there is, those of nodes that join later too.
    """

    workers: int = 0

    def map(self, work: Callable[[Part], Result], parts: Iterable[Part]) -> Generator[Result, None, None]:
        """See :meth:`distill.engine.Engine.map`; the parts together must fit into this machine's memory."""
        rows = [{"part": _packed(part)} for part in parts]
        if not rows:
            return
        ray = require("ray")
        data, seen = require("ray.data"), 0
        cores = int(ray.cluster_resources().get("CPU", 1))
        pool = data.ActorPoolStrategy(
            min_size=1, max_size=self.workers or None, initial_size=min(self.workers or cores, len(rows))
        )
        with warnings.catch_warnings():  # Ray 2.64 will have another place for an actor's own options
            warnings.simplefilter("ignore")
            done = data.from_items(rows, override_num_blocks=len(rows)).map_batches(
                _Worker, batch_size=1, compute=pool, num_cpus=1, max_task_retries=_RETRIES, fn_constructor_args=[work]
            )  # fmt: skip
        try:
            for batch in done.iter_batches(batch_size=None, prefetch_batches=0, batch_format="numpy"):
                for text, said in zip(batch["error"], batch["said"], strict=True):
                    if text:
                        raise EdgeproofError(text)
                    seen += 1
                    yield _unpacked(said)
        except ray.exceptions.RayError as error:
            raise _told(error) from error
        if seen != len(rows):
            raise RuntimeError(f"Ray gave {seen} results of {len(rows)} parts")


class _Worker:
    """An actor's: Ray Data makes one in each and gives it one part after the other."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        said, error = b"", ""
        try:
            said = _packed(self._work(_unpacked(batch["part"][0])))
        except (EdgeproofError, OSError) as problem:  # one line at the other end, not Ray's traceback
            error = f"{problem} (on node {require('ray').util.get_node_ip_address()})"
        return {"said": [said], "error": [error]}


def _packed(value: Any) -> bytes:
    """Pickled and compressed: a list of samples is mostly paths that begin alike.

    Bytes that end in zeros lose them on their way through Ray's arrays, hence the mark at the end.
    """
    return zlib.compress(pickle.dumps(value), level=1) + _END


def _unpacked(data: bytes) -> Any:
    return pickle.loads(zlib.decompress(data.removesuffix(_END)))


def _check_answers(address: str) -> None:
    """Say at once what Ray would find out after minutes."""
    expected = "expected HOST:PORT of a cluster that runs (ray start --head --port 6379)"
    host, colon, port = address.rpartition(":")
    if not colon or not host or "/" in host or not port.isdigit():
        raise EdgeproofError(f"--address {address}: {expected}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise EdgeproofError(f"--address {address}: no Ray cluster answers ({error}), {expected}") from None


def _start(address: str, *, workers: int, folder: str) -> None:
    from distill.machine import thread_count

    ray = require("ray")
    own = {
        "num_cpus": thread_count(workers), "object_store_memory": _STORE_BYTES, "include_dashboard": False, "_temp_dir": folder,
    }  # fmt: skip
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    # Ray tells the cluster's mishaps on our standard output, and has no switch for it
    sys.modules["ray._private.worker"].print_to_stdstream = lambda *_, **__: None  # type: ignore[attr-defined]
    try:
        ray.init(
            address or "local",
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            **({} if address else own),
        )
    except Exception as error:  # Ray has no base class for what can go wrong here
        what = f"--address {address}" if address else "--engine ray"
        said = " ".join(str(error).split())
        raise EdgeproofError(f"{what}: Ray cannot be started or reached from this machine: {said}") from None
    context = require("ray.data").DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)


def _told(error: Exception) -> EdgeproofError:
    said = " ".join(str(error).split())
    return EdgeproofError(f"--engine ray: workers were killed or could not start: {said[:500]}")


def _short_folder() -> "tempfile.TemporaryDirectory[str]":
    usual = tempfile.gettempdir()
    place = usual if len(usual) <= _LONGEST_TEMPORARY or not Path("/tmp").is_dir() else "/tmp"
    return tempfile.TemporaryDirectory(prefix="ray-", dir=place, ignore_cleanup_errors=True)


@contextmanager
def _no_standard_error() -> Iterator[None]:
    """Ray's C++ tells there how much it will tell."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray puts a handler of SIGTERM in place of ours."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
