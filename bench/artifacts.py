"""The bench of finished artifacts: what ``edgeproof bench ARTIFACT...`` does, without a recipe. Torch-free by import."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.contestant import Contestant, Progress
from bench.contestants.reference import absent
from bench.details import add_details, folders_of
from bench.details.add import SECONDS
from bench.journal import Journal, plan_of
from bench.latency import measure
from bench.outputs import write_outputs
from bench.records.latency import BenchRecord, Rules
from distill.machine import cpu_identity, versions

JOURNAL = "bench.journal"
WORK = "resized"
ROUNDS = 600  # so many only where little is undisturbed
_FOR_DETAILS = 0.3  # of the seconds, where there is an end
_RUNTIMES = ("torch", "onnxruntime", "openvino", "edgeproof")


@dataclass(frozen=True, kw_only=True)
class How:
    """How a bench is done: see :func:`bench.latency.measure`; ``seconds`` None has no end."""

    seconds: float | None = None
    rules: Rules = "edgeproof"
    isolated: bool | None = None


def bench_artifacts(
    contestants: Sequence[Contestant],
    how: How,
    *,
    out: Path | None = None,
    spent_s: float = 0.0,
    note: Callable[[str], None] = lambda text: None,
    progress: Progress | None = None,
) -> BenchRecord:
    """Time contestants, and go on where the same bench into ``out`` was stopped.

    Args:
        contestants: of :func:`bench.contestants.selection.select`.
        how: it is done.
        out: folder for the journal; without one, a bench that is stopped is lost.
        spent_s: how many of its seconds are gone already, choosing contestants.
        note: is told what there is to say about an earlier bench.
        progress: is told of every step.

    Raises:
        OSError: the journal cannot be written, for another reason than a full disk.
    """
    plan = plan_of(contestants, how, cpu_identity(), versions(_RUNTIMES))
    journal = Journal(out / JOURNAL if out else None, plan=plan)
    _tell(journal, note)
    kept_s = _FOR_DETAILS * how.seconds if how.seconds else None
    measurement = measure(
        contestants,
        rounds=ROUNDS,
        budget_s=how.seconds - kept_s if how.seconds and kept_s else None,
        spent_s=spent_s,
        rules=how.rules,
        isolated=how.isolated,
        journal=journal,
        progress=progress,
    )
    _tell(journal, note)
    record = measurement.record(absent=absent())
    if how.rules == "mlperf":  # its rule is about latency alone
        return record
    tell = progress or (lambda what, done, total, /: None)
    return add_details(record, folders_of(contestants), seconds=kept_s or SECONDS, progress=tell)


@contextmanager
def work_folder(out: Path | None) -> Iterator[Path]:
    """A folder for what is timed and not kept; within ``out`` a bench that was stopped finds the same one again."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="edgeproof-") as temporary:
            yield Path(temporary)
        return
    yield out / WORK
    shutil.rmtree(out / WORK, ignore_errors=True)


def finish(record: BenchRecord, out: Path, *, regressed: Mapping[str, str]) -> list[Path]:
    """Write what a program may want to read, and remove the journal; raises :class:`OSError`."""
    written = write_outputs(record, out, regressed=regressed)
    (out / JOURNAL).unlink(missing_ok=True)
    return written


def _tell(journal: Journal, note: Callable[[str], None]) -> None:
    if journal.note:
        note(journal.note)
        journal.note = None
