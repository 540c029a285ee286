"""How far a run is, for programs that watch it: ``edgeproof run --progress FILE``. Torch-free."""

from typing import Annotated

from pydantic import Field

from distill.record import Record


class ProgressRecord(Record):
    """The file, written anew about once a second.

    Attributes:
        share: of the work that is done, 0 to 1, by what the stages are reckoned to cost.
        seconds_left: reckoned; None before there is anything to reckon from.
        at_work: the stages at work, with what trainings have learned, in words.
    """

    share: Annotated[float, Field(ge=0, le=1)]
    seconds_left: float | None
    at_work: str
