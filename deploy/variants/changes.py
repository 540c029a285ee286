"""What a variant changes of its artifact."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from distill.errors import EdgeproofError

InputForm = Literal["uint8-nhwc", "float-nchw", "rgbx"]
INPUT_FORMS: tuple[InputForm, ...] = get_args(InputForm)
Format = Literal["onnx", "ort", "openvino"]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """At least one of them.

    Attributes:
        batch: images of one call; None leaves it open until the call.
        input: ``uint8-nhwc`` is the artifact's own, RGB bytes ``[N, S, S, 3]``; ``float-nchw`` is float32 RGB
            ``[N, 3, S, S]`` with values from 0 to 255, since normalization stays in the graph; ``rgbx`` is bytes
            ``[N, S, S, 4]``, the fourth of each pixel ignored.
        ort_format: ONNX Runtime's own format for its minimal builds, with the list of operators that such a build needs.
        fp16_weights: OpenVINO's files with float weights stored in half precision.

    Raises:
        EdgeproofError: nothing is changed, or changes that exclude each other.
    """

    batch: int | None = 1
    input: InputForm = "uint8-nhwc"
    ort_format: bool = False
    fp16_weights: bool = False

    def __post_init__(self) -> None:
        if self.batch is not None and self.batch < 1:
            raise EdgeproofError(f"batch: found {self.batch}, expected at least 1")
        if self.ort_format and self.fp16_weights:
            raise EdgeproofError(
                "ort-format and fp16-weights: expected one, they are files of different runtimes"
            )
        if not self.described:
            raise EdgeproofError("nothing is changed, expected a batch, an input, ort-format or fp16-weights")

    @property
    def of_the_graph(self) -> bool:
        """Whether the graph is another: only ONNX files are rewritten."""
        return self.batch != 1 or self.input != "uint8-nhwc"

    @property
    def format(self) -> Format:
        """Of the files that are written."""
        if self.fp16_weights:
            return "openvino"
        return "ort" if self.ort_format else "onnx"

    @property
    def described(self) -> tuple[str, ...]:
        """Each change in a few words."""
        return tuple(self._described())

    def _described(self) -> Iterator[str]:
        if self.batch != 1:
            yield "dynamic batch" if self.batch is None else f"batch {self.batch}"
        if self.input != "uint8-nhwc":
            yield f"input {self.input}"
        if self.ort_format:
            yield "ORT format"
        if self.fp16_weights:
            yield "float weights in FP16"
