"""Temperature and bias that turn a model's logit into a calibrated probability. Torch-free."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Calibration(BaseModel):
    """``probability = sigmoid(logit / temperature + bias)`` (Platt scaling with Guo et al. 2017's temperature)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    temperature: Annotated[float, Field(gt=0.0)] = 1.0
    bias: float = 0.0
