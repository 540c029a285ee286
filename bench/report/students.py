"""Several students beside each other: what each knows, and what it takes to train and to run where all are timed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean

from bench.records.latency import Row
from bench.report.arms import spread
from bench.report.cells import RATIOS, latency, marks, speedups
from bench.report.data import RunData
from bench.report.entry import RUNTIMES, Entry, precision_title
from deploy.quantizers import runtimes_of
from distill.page.blocks import Points, Table, columns
from distill.page.formats import NONE, count, fixed, signed, size, square, with_interval
from distill.roster import Arm, left_out_of


@dataclass(frozen=True)
class Candidate:
    """A student in its fastest INT8 form, or where it has none in its fastest exported one.

    Attributes:
        item: that form; its score is of the size it was trained at.
        row: its latency at the size where every network is timed.
        score: AUC, or of K classes accuracy, of the form on the test split.
        p50: milliseconds.
        drop: of the score, that INT8 cost; None where the FP32 network was not judged, or there is no INT8 form.
    """

    item: Entry
    row: Row
    score: float
    p50: float
    drop: float | None

    @property
    def name(self) -> str:
        """What the recipe calls the student."""
        return self.item.name


def candidates(run: RunData) -> list[Candidate]:
    """Every student that has an exported form which was judged and timed."""
    found = (_fastest(run, name) for name in run.students)
    return [candidate for candidate in found if candidate]


def front(found: Sequence[Candidate]) -> list[Candidate]:
    """Those that no other beats in score without being slower, fastest first."""
    best: list[Candidate] = []
    for candidate in sorted(found, key=lambda c: (c.p50, -c.score)):
        if not best or candidate.score > best[-1].score:
            best.append(candidate)
    return best


def students(run: RunData) -> Table | None:
    """The table of students; None below two, where there is nothing to choose."""
    found = candidates(run)
    if len(found) < 2:
        return None
    best, name = front(found), run.measures.title
    rows = tuple(_cells(run, candidate, best) for candidate in found)
    strong = frozenset(i for i, candidate in enumerate(found) if candidate in best)
    note = (
        f"As INT8 in the runtime where that is fastest; without an INT8 form, in its fastest exported one. The FP32 network "
        f"alone and distilled: over several seeds mean ± standard deviation, of one its interval; at {_trained(run)}. "
        f"Training: seconds alone / distilled, mean of the seeds, as they ran here, side by side. Latency at "
        f"{run.large}×{run.large}. In bold: the front, where no other student is both as fast and better. {marks(rows)}"
    )
    titles = (
        "Student", f"{name} alone", f"{name} distilled", f"{name} deployed [95\u00a0% CI]", "INT8 cost", "Form",
        "Input", "p50 ms", *RATIOS, "MMAC", "File", "Training s", "Beaten by",
    )  # fmt: skip
    return Table("Students beside each other", columns(*titles), rows, note, strong)


def left_out(run: RunData) -> Iterator[Points]:
    """The optional students, and the forms of others, that could not be made, each with its reason."""
    if run.recipe is None:
        return
    told = [f"Left out: {name}. {reason}" for name, reason in run.recipe.left_out.items()]
    forms: dict[tuple[str, str], list[str]] = {}
    lost = left_out_of(run.recipe, runtimes=runtimes_of(run.recipe)) if run.recipe.forms_left_out else ()
    for item, reason in lost:
        title = f"{RUNTIMES[item.runtime]} {precision_title(item.precision, item.quantizer)}"
        forms.setdefault((item.model.name, reason), []).append(
            title if item.judged else f"{title} at {square(item.size)}"
        )
    told += [f"Left out: {name} in {', '.join(titles)}. {reason}" for (name, reason), titles in forms.items()]
    if told:
        yield Points(told, bad=True)


def _fastest(run: RunData, name: str) -> Candidate | None:
    found = [
        Candidate(item, row, item.score, row.p50_ms, _drop(run, item) if item.is_int8 else None)
        for item in run.entries
        if item.name == name and item.is_artifact and item.score is not None
        if (row := run.timing(item, size=run.large)) and row.p50_ms is not None
    ]
    return min(found, key=lambda candidate: (not candidate.item.is_int8, candidate.p50), default=None)


def _drop(run: RunData, item: Entry) -> float | None:
    whole = run.student(item.name)
    return None if whole is None or whole.score is None or item.score is None else whole.score - item.score


def _cells(run: RunData, candidate: Candidate, best: Sequence[Candidate]) -> tuple[str, ...]:
    item, row, test = candidate.item, candidate.row, candidate.item.test
    return (
        item.name,
        _arm(run, item.name, "alone"),
        _arm(run, item.name, "distilled"),
        with_interval(candidate.score, test.score_ci if test else None),
        NONE if candidate.drop is None else signed(-candidate.drop),
        f"{RUNTIMES[item.identity.runtime]} {item.precision}",
        square(row.input_size),
        latency(row, lambda found: found.p50_ms),
        *speedups(row),
        NONE if row.macs is None else count(row.macs / 1e6),
        size(row.bytes),
        seconds_of(run, item.name),
        _rival(candidate, best),
    )


def _arm(run: RunData, name: str, arm: Arm) -> str:
    """The FP32 network's score: over its seeds, or of one with the interval that the test images leave."""
    arms = run.accuracy.distillation[name].arms if run.accuracy else ()
    found = next((each.spread("test", run.measures.statistic) for each in arms if each.arm == arm), None)
    network = run.student(name, arm=arm)
    if network is None or found is None or found.sd is not None:
        return spread(found)
    return with_interval(network.score, network.test.score_ci if network.test else None)


def seconds_of(run: RunData, name: str) -> str:
    """Seconds of one training, alone and distilled."""
    return " / ".join(_seconds(run, name, arm) for arm in ("alone", "distilled"))


def _seconds(run: RunData, name: str, arm: Arm) -> str:
    found = [t.history.seconds for t in run.trainings if (t.model.name, t.model.arm) == (name, arm)]
    return fixed(mean(found), 0) if found else NONE


def _rival(candidate: Candidate, best: Sequence[Candidate]) -> str:
    """The most accurate student of the front that is as fast; a dash for one of the front."""
    if candidate in best:
        return NONE
    return max((c for c in best if c.p50 <= candidate.p50), key=lambda c: c.score).name


def _trained(run: RunData) -> str:
    sizes = {pixels for name in run.students if (pixels := run.trained_size(name))}
    return ", ".join(f"{pixels}×{pixels}" for pixels in sorted(sizes)) or "the size it was trained at"
