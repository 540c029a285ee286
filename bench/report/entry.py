"""One row of the report: a model in one runtime and precision, with what was measured of it."""

from dataclasses import dataclass, field

from bench.records.accuracy import ModelAccuracy
from bench.records.identity import Identity, Runtime
from distill.evaluation.metrics import Metrics
from distill.forms import Precision
from distill.page.formats import NONE
from distill.recipe import DISTILLED
from distill.roster import Arm

RUNTIMES: dict[Runtime, str] = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
CONTROLS: dict[Arm, str] = {
    "alone": "no teacher",
    "plain": "no teacher, no augmentation",
    "pool": "no teacher, all labels",
}
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16", "int8")
GIVEN = "given probabilities"


@dataclass(frozen=True)
class Entry:
    """A model that was evaluated, or only timed.

    Attributes:
        identity: which model, in which runtime and precision.
        accuracy: None if it was only timed.
        several: whether its network has more than one INT8 form for the runtime, so that the quantizer is named.
        given: whether it is a table of probabilities that somebody else's model gave, and no network.
    """

    identity: Identity
    accuracy: ModelAccuracy | None = field(compare=False)
    several: bool = field(compare=False)
    given: bool = field(default=False, compare=False)

    @property
    def key(self) -> str:
        """Its name in the records."""
        return self.identity.key

    @property
    def name(self) -> str:
        """What the recipe calls the network; it stands in the bench's rows."""
        return self.identity.name

    @property
    def is_teacher(self) -> bool:
        """Whether it is a teacher, in whatever form."""
        return self.identity.role == "teacher"

    @property
    def is_control(self) -> bool:
        """Whether it is a student that had no teacher, in whatever arm."""
        return self.identity.arm in CONTROLS

    @property
    def is_artifact(self) -> bool:
        """Whether it was exported."""
        return self.identity.runtime != "torch"

    @property
    def is_int8(self) -> bool:
        """Whether it was quantized."""
        return self.identity.precision == "int8"

    @property
    def label(self) -> str:
        """Short name for people."""
        arm = self.identity.arm
        return self.name if arm in (None, DISTILLED) else f"{self.name}, {CONTROLS.get(arm, arm)}"

    @property
    def precision(self) -> str:
        """Its precision as people write it, with the quantizer where several were used."""
        return precision_title(self.identity.precision, self.identity.quantizer if self.several else None)

    @property
    def place(self) -> tuple[str, str]:
        """Runtime and precision as people write them; of a table of probabilities only that it is one."""
        return (GIVEN, NONE) if self.given else (RUNTIMES[self.identity.runtime], self.precision)

    @property
    def form(self) -> str:
        """Precision and, for exported models, runtime: ``INT8 in OpenVINO``."""
        if self.given:
            return GIVEN
        where = f" in {RUNTIMES[self.identity.runtime]}" if self.is_artifact else ""
        return self.precision + where

    @property
    def short(self) -> str:
        """Name and form; teachers and students without one go by their name where they run in PyTorch."""
        known = (self.is_teacher or self.is_control) and not self.is_artifact
        return self.label if known else f"{self.label} {self.form}"

    @property
    def test(self) -> Metrics | None:
        """What it does on the test split."""
        return self.split("test")

    @property
    def score(self) -> float | None:
        """Its AUC, or of K classes its accuracy, on the test split."""
        return self.test.score if self.test else None

    def split(self, name: str) -> Metrics | None:
        """What it does on a split."""
        return self.accuracy.splits.get(name) if self.accuracy else None


def precision_title(precision: Precision, quantizer: str | None) -> str:
    """``INT8``, or ``INT8 (nncf)``."""
    return precision.upper() + (f" ({quantizer})" if quantizer else "")
