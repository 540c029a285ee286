"""How an INT8 model was made, and what was needed so that it keeps its score: part of a manifest. Torch-free."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from distill.record import Frozen

Step = Literal["plain", "layers", "training"]


class FloatLayer(Frozen):
    """A convolution or matrix product that was left in float.

    Attributes:
        position: among all of them in the FP32 file, from 0, in the order in which they compute.
        kind: the file's own word for it, such as ``Conv``.
        shape: of its weights; empty for a product of two activations.
        macs: its multiply-accumulates at the file's input size; 0 where they are not known.
    """

    position: Annotated[int, Field(ge=0)]
    kind: str
    shape: tuple[int, ...]
    macs: Annotated[int, Field(ge=0)] = 0

    def is_same(self, other: "FloatLayer | None") -> bool:
        """Whether this is the same layer, be it at another input size."""
        own = (self.position, self.kind, self.shape)
        return other is not None and own == (other.position, other.kind, other.shape)


class FormRecord(Frozen):
    """One form that an INT8 model may take in its runtime: how fast it was where it was made, and what it costs.

    Attributes:
        form: its name among the settings of the tool.
        ratio: median latency over FP32's, one thread, in interleaved rounds; None where it was not built.
        ratio_range: the 10th and 90th percentile over the rounds.
        drift: largest difference of a logit from FP32's on calibration images; None if it is not finite, or not built.
        bytes: of the file.
        kept: whether the artifact holds it.
        reason: why it was refused or not built, otherwise empty.
    """

    form: str
    ratio: float | None = None
    ratio_range: tuple[float, float] | None = None
    drift: float | None = None
    bytes: Annotated[int, Field(ge=0)] | None = None
    kept: bool = False
    reason: str = ""


class QuantizationTry(Frozen):
    """One try at an INT8 form, and its score on the validation images.

    Attributes:
        step: ``plain`` post-training quantization; ``layers``, the same with some layers in float; ``training``, the same
            of a student that was trained again with quantization in the loop.
        score: of the INT8 form.
        drop: how much less that is than the FP32 form's.
        float_layers: how many layers were left in float.
        seconds: the search or training included.
        reason: why the step was not possible, otherwise empty; then nothing was measured.
    """

    step: Step
    score: float | None = None
    drop: float | None = None
    float_layers: Annotated[int, Field(ge=0)] = 0
    seconds: Annotated[float, Field(ge=0)] = 0.0
    reason: str = ""


class RepairRecord(Frozen):
    """What was needed so that INT8 keeps what FP32 scores on the validation images.

    Attributes:
        metric: name of the score: ``AUC`` or ``accuracy``.
        fp32: score of the FP32 form.
        limit: the largest drop that passes.
        tries: in the order in which they were made; each but the first because those before it failed.
        kept: step of the try that the artifact holds: the first that passed, otherwise the best.
        passed: whether its drop is within the limit.
    """

    metric: str
    fp32: float
    limit: Annotated[float, Field(ge=0)]
    tries: Annotated[tuple[QuantizationTry, ...], Field(min_length=1)]
    kept: Step
    passed: bool


class QuantizationRecord(Frozen):
    """How the INT8 model was made: versions, effective settings, calibration images and seconds.

    ``images_sha256`` is the SHA-256 of the sorted SHA-256 of every calibration image (its uint8 pixels as the quantizer got
    them), whatever their order; ``strata`` says how many there were of each generator, and of each class without one.
    ``name`` is what the recipe calls it, ``tool`` what did it. ``float_layers`` were left in float because INT8 lost too
    much with them; ``repair`` is None where nothing was judged. ``forms`` are those that were timed against each other.
    """

    name: str
    tool: str
    runtime: str
    samples: Annotated[int, Field(ge=1)]
    seconds: Annotated[float, Field(ge=0)]
    reduce_range: bool
    settings: dict[str, JsonValue]
    versions: dict[str, str]
    images_sha256: str = ""
    strata: dict[str, int] = {}
    float_layers: tuple[FloatLayer, ...] = ()
    repair: RepairRecord | None = None
    forms: tuple[FormRecord, ...] = ()

    @property
    def kept_form(self) -> dict[str, JsonValue]:
        """The setting that makes this form again, whatever another measurement would say; none where there is one form."""
        return next(({"form": row.form} for row in self.forms if row.kept), {})
