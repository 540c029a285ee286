"""What ``auto.json`` holds: every smaller form of an artifact that was tried, and which was kept. Torch-free."""

from typing import Annotated, Literal

from pydantic import Field

from distill.forms import Precision, Runtime
from distill.record import Frozen, Record

Outcome = Literal["kept", "passed", "refused", "not possible"]


class FormTry(Frozen):
    """One form of the artifact.

    Attributes:
        name: of the form: ``fp32``, ``bf16``, ``fp16``, or what the quantizer is called.
        precision: of its weights, or of its arithmetic where that is BF16.
        quantizer: what made it; None where none did.
        outcome: ``kept``: the fastest that passed; ``refused``: it is no INT8, or lost more than it may; ``not possible``: it
            could not be made.
        reason: why it was refused or not possible, otherwise empty.
        metrics: on the validation images, by name; empty without labels.
        drops: how much less than FP32's they are.
        drift: the largest change of one image's probability from FP32's; None if one was not finite.
        drift_image: the path of that image.
        flips: images whose verdict at FP32's threshold is another than FP32's.
        threshold: on the probability of *generated*, fitted anew where there are labels.
        p50_ms: the median of one inference.
        ratio: of its time to FP32's, the median over interleaved rounds; below 1 is faster.
        ratio_range: 10th and 90th percentile of that ratio.
        bytes: of its model files.
        seconds: to make and to judge it.
    """

    name: str
    precision: Precision
    quantizer: str | None = None
    outcome: Outcome
    reason: str = ""
    metrics: dict[str, float] = {}
    drops: dict[str, float] = {}
    drift: float | None = None
    drift_image: str = ""
    flips: Annotated[int, Field(ge=0)] | None = None
    threshold: float | None = None
    p50_ms: float | None = None
    ratio: float | None = None
    ratio_range: tuple[float, float] | None = None
    bytes: Annotated[int, Field(ge=0)] | None = None
    seconds: Annotated[float, Field(ge=0)] = 0.0


class AutoRecord(Record):
    """``auto.json``.

    Attributes:
        artifact: the name that the FP32 artifact's manifest gives.
        runtime: what the forms are for.
        cpu: the machine's processor, whose times these are.
        threads: CPU threads of one inference.
        calibration: which images the quantizers saw, in words.
        validation: which images the forms were judged on.
        labelled: whether those have labels.
        limits: what a form may lose, by metric.
        tries: FP32 first.
        kept: name of the form that the artifact holds.
        passed: whether a form other than FP32 is within the limits.
        warnings: what to know before this is shipped.
    """

    artifact: str
    runtime: Runtime
    cpu: str
    threads: Annotated[int, Field(ge=1)]
    calibration: str
    validation: str
    labelled: bool
    limits: dict[str, float]
    tries: Annotated[tuple[FormTry, ...], Field(min_length=1)]
    kept: str
    passed: bool
    warnings: tuple[str, ...] = ()

    def form(self, name: str) -> FormTry:
        """The form of that name; raises :class:`KeyError`."""
        return {tried.name: tried for tried in self.tries}[name]
