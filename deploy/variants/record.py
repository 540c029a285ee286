"""``variant.json``: what a variant takes and answers, what it was made from, and how nearly it says the same."""

from typing import Annotated, Literal

from pydantic import Field

from deploy.artifact import FileName, FileRecord, Sha256
from deploy.variants.changes import Format
from distill.evaluation.calibration import Calibration
from distill.forms import Precision, Runtime
from distill.preprocess import PreprocessSpec
from distill.record import Frozen, Record

VARIANT = "variant.json"  # and no manifest.json: a variant is no artifact, and Detector does not load it


class VariantInput(Frozen):
    """The graph's one input; ``"N"`` in ``shape`` is open until the call. Values are pixels from 0 to 255."""

    name: Literal["image"] = "image"
    dtype: Literal["uint8", "float32"]
    layout: Literal["NHWC", "NCHW"]
    shape: tuple[int | Literal["N"], ...]
    color: Literal["RGB", "RGBX"]
    values: Literal["0 to 255"] = "0 to 255"


class Origin(Frozen):
    """The artifact that it was made from; ``manifest_sha256`` is of the whole ``manifest.json``."""

    name: str
    precision: Precision
    manifest_sha256: Sha256
    checkpoint: str | None


class Agreement(Frozen):
    """The largest difference of a logit from the artifact's, relative above 1, over random images; and its limit."""

    images: Annotated[int, Field(ge=1)]
    largest_difference: Annotated[float, Field(ge=0)]
    limit: float


class VariantRecord(Record):
    """One variant; ``files`` are beside it."""

    parent: Origin
    changes: Annotated[tuple[str, ...], Field(min_length=1)]
    runtime: Runtime
    format: Format
    task: Literal["binary", "multiclass"]
    labels: tuple[str, ...]
    input: VariantInput
    outputs: tuple[str, str]
    preprocess: PreprocessSpec
    threshold: float | None
    calibration: Calibration
    data: str
    files: dict[FileName, FileRecord]
    agreement: Agreement
    versions: dict[str, str]
