"""How many images a second all cores manage: inferences side by side, one thread each. Torch-free."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.contestants.source import sample_pixels
from bench.details.form import Form
from deploy.artifact import read_manifest
from deploy.sessions import EngineOptions, Session, open_session
from deploy.timing import Runner
from distill.forms import Precision

Clock = Callable[[], float]


def throughput(folder: Path, form: Form, *, cores: int, seconds: float = 0.3) -> float:
    """Images a second of ``cores`` requests that run at once: OpenVINO's streams, ONNX Runtime's one-thread sessions.

    Raises:
        EdgeproofError: the model cannot be loaded.
    """
    session = open_form(folder, form, threads=cores, streams=cores)
    return rate([request_of(session, form.input_size) for _ in range(cores)], seconds=seconds)


def open_form(folder: Path, form: Form, *, threads: int, streams: int = 1) -> Session:
    """The artifact's model in the form's runtime and precision.

    Raises:
        EdgeproofError: it cannot be loaded.
    """
    precision: Precision = "bf16" if form.precision == "bf16" else "fp32"
    options = EngineOptions(threads=threads, streams=streams, precision=precision)
    return open_session(
        folder, runtime=form.runtime, output=read_manifest(folder).outputs[1], options=options
    )


def request_of(session: Session, size: int) -> Runner:
    """One inference of noise, in buffers of its own."""
    request = session.request()
    request.pixels[:] = sample_pixels(size)
    return request.infer


def rate(runs: Sequence[Runner], *, seconds: float, clock: Clock = time.perf_counter) -> float:
    """Calls a second of all ``runs`` together, each again and again in a thread of its own."""
    for run in runs:
        run()
    started = clock()

    def work(run: Runner) -> int:
        count = 0
        while clock() - started < seconds:
            run()
            count += 1
        return count

    with ThreadPoolExecutor(len(runs)) as pool:
        done = sum(pool.map(work, runs))
    return done / (clock() - started)
