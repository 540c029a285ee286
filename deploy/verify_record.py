"""What verifying an artifact found. Torch-free."""

from typing import Annotated, Literal

from pydantic import Field

from distill.record import Frozen, Record

Status = Literal["ok", "failed", "not checked"]


class VerifyCheck(Frozen):
    """One question, its answer, and the figures or the cause in words."""

    name: str
    status: Status
    reason: str


class Flip(Frozen):
    """An image whose verdict is not the reference's.

    Attributes:
        image: its path below the data set's folder.
        runtime: what gave the new verdict.
        before: the reference's probability of *generated*; of K classes that of its own verdict.
        after: the artifact's.
        was: the reference's label.
        now: the artifact's.
    """

    image: str
    runtime: str
    before: Annotated[float, Field(ge=0, le=1)]
    after: Annotated[float, Field(ge=0, le=1)]
    was: str
    now: str


class VerifyReport(Record):
    """``verify.json``.

    Attributes:
        artifact: the name that its manifest gives.
        precision: the manifest's.
        against: what it was compared with, in words; None for nothing.
        data: which images were judged; None for none.
        checks: every one, also those that looked at nothing.
        flips: on ``data``.
        ratios: runtime → its time as a multiple of the reference's, interleaved.
        warnings: what to know before this is shipped; none of them fails.
    """

    artifact: str
    precision: str
    against: str | None
    data: str | None
    checks: tuple[VerifyCheck, ...]
    flips: tuple[Flip, ...] = ()
    ratios: dict[str, float] = {}
    warnings: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether any check failed."""
        return any(check.status == "failed" for check in self.checks)
