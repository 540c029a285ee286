"""What a teacher costs a training: none, cached, live."""

from bench.report.data import RunData
from distill.page.blocks import Table, Text, columns
from distill.page.formats import count, fixed, times
from distill.training.cost import DistillationCost, Form

_FORMS: dict[Form, str] = {"none": "no teacher", "cached": "cached teacher", "live": "live teacher"}


def teacher_cost(run: RunData) -> Table | Text | None:
    """One row a form, or the reason why nothing was timed."""
    found = run.cost
    if found is None:
        return None
    if found.reason:
        return Text(f"What a teacher costs a training was not timed: {found.reason}.", muted=True)
    rows = tuple(
        (
            _FORMS[cost.form],
            count(cost.images_per_s),
            fixed(cost.seconds_per_epoch, 1),
            times(cost.ratio),
            times(cost.ratio_of_fastest),
        )
        for cost in found.forms
    )
    titles = ("Images per second", "Seconds per epoch", "Time, median of rounds", "Time, fastest rounds")
    title = f"{found.student}: what the teacher costs its training"
    return Table(title, columns("Training with", *titles), rows, _note(run, found))


def _note(run: RunData, found: DistillationCost) -> str:
    spent = run.environment.seconds if run.environment else {}
    once = sum(
        seconds for name, seconds in spent.items() if name.startswith("teacher") and name.endswith(":outputs")
    )
    cache = (
        f" Asking the teacher for all that is cached took {fixed(once, 1)} s, once for every seed."
        if once
        else ""
    )
    noise = "Other work on the machine disturbs such times: read the ratios, not the seconds."
    if found.noisy:
        noise = "Noisy: the two columns differ by more than a quarter, so read an order of magnitude."
    threads = f"{found.threads} thread{'s' * (found.threads != 1)}"
    return (
        f"{found.rounds} rounds of {found.steps} steps of at most {found.batch_size} images in turn, in one process with "
        f"{threads} ({found.device}); an epoch has {count(found.images)} images. Times are against no teacher in the "
        f"same round. {noise}{cache}"
    )
