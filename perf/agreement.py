"""Does the bench say what the runtimes say? It alternates with OpenVINO's benchmark_app and a bare loop of ONNX Runtime.

    python perf/agreement.py [ARTIFACT] [--threads 1] [--input-size 64 224] [--rounds 5]

Prints the ratio of our shortest call and of our p50 to theirs, for each runtime that the artifact has: of p50 the median over the
rounds, since a machine that slows down in one slows both. benchmark_app's times are OpenVINO's own clock, without the way through
Python; so a second pair of ratios is without what that way takes, found by reading both clocks around the same calls. Theirs
count every call, ours leave out interrupted ones: on a busy machine compare the shortest. Last, what our harness adds to a
call that does nothing.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable

import numpy as np

from bench.artifacts import work_folder
from bench.contestant import Contestant
from bench.contestants.selection import Selection, find_artifacts, select
from bench.latency import measure
from deploy.artifact import MODEL_FILES
from distill.errors import EdgeproofError

Times = tuple[float, float]  # the shortest and the median, in milliseconds
_CALLS = 3000
_LOOP = """
import gc, statistics, sys, time
import numpy as np, onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = int(sys.argv[2])
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
binding, given = session.io_binding(), session.get_inputs()[0]
binding.bind_cpu_input(given.name, np.random.default_rng(0).integers(0, 256, given.shape, dtype=np.uint8))
outputs = [np.zeros(output.shape, np.float32) for output in session.get_outputs()]
for output, values in zip(session.get_outputs(), outputs):
    binding.bind_output(output.name, "cpu", 0, np.float32, list(values.shape), values.ctypes.data)
run, bound, now, times = session._sess.run_with_iobinding, binding._iobinding, time.perf_counter_ns, []
gc.disable()
for _ in range(int(sys.argv[3])):
    start = now()
    run(bound, None)
    times.append(now() - start)
print(min(times) / 1e6, statistics.median(times) / 1e6)
"""
_CLOCKS = """
import gc, statistics, sys, time
import numpy as np, openvino
compiled = openvino.Core().compile_model(sys.argv[1], "CPU", {
    "INFERENCE_NUM_THREADS": int(sys.argv[2]), "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"})
request, given = compiled.create_infer_request(), compiled.input(0)
request.set_input_tensor(openvino.Tensor(np.random.default_rng(0).integers(0, 256, given.shape, dtype=np.uint8)))
run, now, added = super(type(request), request).infer, time.perf_counter_ns, []
gc.disable()
for _ in range(int(sys.argv[3])):
    start = now()
    run({}, True, False)
    added.append(now() - start - request.latency * 1e6)
print(statistics.median(added) / 1e6)
"""
_APP_S = 2  # it takes whole seconds


def main() -> None:
    """Read the arguments, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("artifact", nargs="?", default="simulated-64")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--input-size", type=int, nargs="*", default=(), help="pixels; by default the artifact's own"
    )
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    artifacts, problems = find_artifacts([given.artifact])
    if problems:
        raise EdgeproofError(problems[0])
    others = {"openvino": benchmark_app, "onnxruntime": bare_loop}
    selection = Selection(threads=(given.threads,), input_sizes=given.input_size)
    with work_folder(None) as work:
        for contestant in select(artifacts, selection, work=work):
            if contestant.scope == "model" and contestant.precision != "bf16" and not contestant.reference:
                compare(contestant, others[contestant.runtime], rounds=given.rounds)
    empty = measure([nothing()], rounds=40).rows[0]
    print(
        f"harness: {(empty.p50_ms or 0) * 1e3:.2f} µs a call, {(empty.p50_ms or 0) / 0.2:.2%} of a model of 0.2 ms"
    )


def compare(contestant: Contestant, other: Callable[[Contestant], Times], *, rounds: int) -> None:
    """One row of ours against the runtime's own tool, by turns."""
    found, python_ms = [], python_takes(contestant) if other is benchmark_app else 0.0
    for number in range(rounds):
        turns = [ours, other] if number % 2 == 0 else [other, ours]
        times = {turn: turn(contestant) for turn in turns}
        found.append([*times[ours], *times[other]])
    shortest, p50, their_shortest, their_p50 = np.array(found).T
    name = f"{contestant.model} {contestant.runtime} {contestant.precision} {contestant.input_size}²"
    print(
        f"{name}, {contestant.threads} thread(s), {rounds} rounds: ours min {shortest.min():.4f} p50 {np.median(p50):.4f} ms, "
        f"{other.__name__} min {their_shortest.min():.4f} p50 {np.median(their_p50):.4f} ms; ratio of the shortest calls "
        f"{shortest.min() / their_shortest.min():.3f}, of p50 {np.median(p50 / their_p50):.3f}"
    )
    if python_ms:
        print(
            f"    without the {python_ms * 1e3:.1f} µs through Python: {(shortest.min() - python_ms) / their_shortest.min():.3f} "
            f"and {np.median((p50 - python_ms) / their_p50):.3f}"
        )


def ours(contestant: Contestant) -> Times:
    """By the bench, in a process of its own as a bench of several runtimes has it."""
    row = measure([contestant], rounds=60, isolated=True).rows[0]
    if row.min_ms is None or row.p50_ms is None:
        raise EdgeproofError(f"{contestant.title}: {row.status}, {row.reason}")
    return row.min_ms, row.p50_ms


def benchmark_app(contestant: Contestant) -> Times:
    """OpenVINO's, synchronous, one stream."""
    command = [
        sys.executable, "-c", "from openvino.tools.benchmark.main import main; main()",
        "-m", model_of(contestant), "-d", "CPU", "-hint", "none", "-nstreams", "1", "-nthreads", str(contestant.threads),
        "-api", "sync", "-infer_precision", "f32", "-t", str(_APP_S),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    found = {
        what: float(number) / (1e3 if unit == "us" else 1)
        for what, number, unit in re.findall(r"(Median|Min):\s+([\d.]+) (us|ms)", result.stdout)
    }
    if set(found) != {"Median", "Min"}:
        raise EdgeproofError(f"benchmark_app: {(result.stderr or result.stdout).strip()[-300:]}")
    return found["Min"], found["Median"]


def python_takes(contestant: Contestant) -> float:
    """Milliseconds between our clock around a call of the binding and OpenVINO's own within it."""
    command = [sys.executable, "-c", _CLOCKS, model_of(contestant), str(contestant.threads), str(_CALLS)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def bare_loop(contestant: Contestant) -> Times:
    """ONNX Runtime's compiled call in a loop of a process of its own, input and output bound.

    Its profile is no yardstick: writing down every operator makes a call of 0.1 ms twice as long.
    """
    command = [sys.executable, "-c", _LOOP, model_of(contestant), str(contestant.threads), str(_CALLS)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    shortest, median = map(float, result.stdout.split())
    return shortest, median


def model_of(contestant: Contestant) -> str:
    """The file that both run."""
    if contestant.source is None:
        raise EdgeproofError(f"{contestant.title}: has no artifact")
    return str(contestant.source.folder / MODEL_FILES[contestant.runtime][0])


def nothing() -> Contestant:
    """A contestant whose call does nothing: what is left is ours."""
    return Contestant(
        model="nothing", runtime="torch", precision="fp32", input_size=1, threads=1, make=lambda: lambda: None
    )


if __name__ == "__main__":
    main()
