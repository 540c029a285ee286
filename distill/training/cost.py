"""What a teacher costs a student's training: ``distillation-cost.json``. Torch-free."""

from statistics import median
from typing import Literal

from distill.record import Frozen, Record

Form = Literal["none", "cached", "live"]
FORMS: tuple[Form, ...] = ("none", "cached", "live")


class FormCost(Frozen):
    """Training steps with no teacher, with what a cached one said, or with one that is asked at every step.

    Attributes:
        form: which of them.
        images_per_s: median over the rounds.
        seconds_per_epoch: of all images of an epoch at that rate.
        ratio: time of a round against that of the same round without a teacher, median over the rounds.
        ratio_of_fastest: the same of the fastest round of each.
    """

    form: Form
    images_per_s: float
    seconds_per_epoch: float
    ratio: float
    ratio_of_fastest: float


NOISY = 0.25


class DistillationCost(Record):
    """Interleaved rounds of training steps of one student; no ``forms`` where it was skipped, and ``reason`` says why.

    Attributes:
        student: its name.
        reason: why nothing was timed.
        device: ``cpu`` or ``cuda``.
        threads: of the CPU, as in the student's training.
        images: of an epoch.
        rounds: how often each form had its turn.
        steps: of one turn.
        batch_size: images of one step at most.
    """

    student: str
    reason: str | None
    device: str
    threads: int
    images: int
    rounds: int
    steps: int
    batch_size: int
    forms: tuple[FormCost, ...]

    @property
    def noisy(self) -> bool:
        """Whether the median and the fastest rounds tell of different costs, by more than a quarter."""
        return any(
            abs(form.ratio - form.ratio_of_fastest) > NOISY * form.ratio_of_fastest for form in self.forms
        )


def costs_of(seconds: dict[Form, list[float]], *, turn: float, images: int) -> tuple[FormCost, ...]:
    """Summarise each form's seconds ``[R]`` of R rounds.

    Args:
        seconds: of every round; those without a teacher are what the others are divided by.
        turn: images of one form in one round, on average.
        images: of an epoch.
    """
    none = seconds["none"]
    found = []
    for form, times in seconds.items():
        rate = turn / median(times)
        ratios = [time / base for time, base in zip(times, none, strict=True)]
        found.append(
            FormCost(
                form=form,
                images_per_s=rate,
                seconds_per_epoch=images / rate,
                ratio=median(ratios),
                ratio_of_fastest=min(times) / min(none),
            )
        )
    return tuple(found)
