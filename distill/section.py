"""What every section of a recipe is made of. Torch-free."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]  # what NumPy's and torch's generators both take
Workers = Annotated[int, Field(ge=0, le=1024)]  # threads or processes; 0 chooses
BelowOne = Annotated[float, Field(ge=0.0, lt=1.0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class Section(BaseModel):
    """Frozen, without unknown keys, infinities or NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def each_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values; raises :class:`ValueError` where one stands twice."""
    if len(set(values)) != len(values):
        raise ValueError("each may stand only once")
    return values
