"""What an artifact should answer on eight small images: part of a manifest. Torch-free."""

from typing import Annotated, Final, Literal

from pydantic import Field, FiniteFloat, model_validator

from distill.forms import Runtime
from distill.record import Frozen

SELFTEST_NAME: Final = "selftest.bin"

Row = tuple[FiniteFloat, ...]  # the logits of one image: one, or one a class


class SelfTestRecord(Frozen):
    """Eight raw images, and what they score where they were made.

    Attributes:
        images: the file of the artifact that holds them: bytes ``[N, T, T, 3]``, RGB, without a header.
        shape: ``[N, T, T, 3]``. A pixel ``(y, x)`` of the model's input is ``(fold(y), fold(x))`` of the small image, where
            ``fold(i)`` is ``i % (2 * T)``, and ``2 * T - 1`` less that where it is ``T`` or more: tiles, every other
            one mirrored.
        expected: runtime → logits of each image, ``[N, 1]`` or ``[N, K]``, with floats in FP32.
        tolerance: largest difference of any logit that passes.
        cpu_model: the processor that these were computed on.
        isa_flags: what it could do.
    """

    images: Literal["selftest.bin"] = SELFTEST_NAME
    shape: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)], int, Literal[3]]
    expected: Annotated[dict[Runtime, tuple[Row, ...]], Field(min_length=1)]
    tolerance: Annotated[float, Field(gt=0.0)]
    cpu_model: str
    isa_flags: tuple[str, ...]

    @model_validator(mode="after")
    def _consistent(self) -> "SelfTestRecord":
        count, height, width, _ = self.shape
        if height != width:
            raise ValueError(f"shape is {list(self.shape)}, expected square images")
        for runtime, rows in self.expected.items():
            if len(rows) != count:
                raise ValueError(f"expected.{runtime} holds {len(rows)} images, expected {count}")
        return self

    @property
    def bytes(self) -> int:
        """Size of the file with the images."""
        count, height, width, channels = self.shape
        return count * height * width * channels
