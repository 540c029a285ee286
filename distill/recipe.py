"""A recipe: TOML in, one frozen object out. Torch-free.

Every mistake is reported at once, each with its key, the value given and what was expected. Shipped recipes
are package data in ``distill/recipes/``.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from distill.data.transforms.settings import AugmentationSettings
from distill.data_settings import DataSettings as DataSettings
from distill.distillation_settings import DISTILLED as DISTILLED
from distill.distillation_settings import DistillationSettings as DistillationSettings
from distill.distillation_settings import Lesson as Lesson
from distill.distillation_settings import MethodSettings as MethodSettings
from distill.errors import EdgeproofError, MistakesError, unknown_name
from distill.files import parse_toml
from distill.gate_settings import GateSettings as GateSettings
from distill.network_settings import ModelSettings as ModelSettings
from distill.network_settings import StudentSettings as StudentSettings
from distill.network_settings import TeacherSettings as TeacherSettings
from distill.optional import require
from distill.overrides import apply_overrides
from distill.preprocess import PreprocessSpec
from distill.pretrained import resolve_timm
from distill.section import Count, Name, NonNegative, Positive, Section, Workers, each_once
from distill.task_settings import TaskSettings as TaskSettings
from distill.task_settings import with_families
from distill.training.settings import LossSettings as LossSettings
from distill.training.settings import Schedule as Schedule
from distill.training.settings import TrainingSettings as TrainingSettings

Remedy = Literal["layers", "training"]


class QuantizationSettings(Section):
    """One way to INT8 (``edgeproof list quantizers``); any other key is a setting of the tool.

    ``tool`` is the section's own name if it names none; ``samples`` counts the calibration images: with 256 of them one test
    image drifted by 0.39 in probability, with 1,000 by 0.08.
    """

    model_config = ConfigDict(extra="allow")

    tool: str = ""
    samples: Count = 1000

    @property
    def settings(self) -> dict[str, Any]:
        """What the tool itself declares."""
        return dict(self.model_extra or {})


class RepairSettings(Section):
    """What is done for a student whose INT8 form loses too much on validation images, each step if the one before failed.

    Attributes:
        max_drop: of the task's score (AUC, or accuracy of K classes), against the FP32 form.
        steps: ``layers`` leaves a few layers in float; ``training`` trains the student again with quantization in the
            loop, on its labels and teachers. The order is always this one; none: INT8 is taken as it comes.
        epochs: of that training.
        learning_rate: of that training, as a share of the student's own.
    """

    max_drop: NonNegative = 0.005
    steps: Annotated[tuple[Remedy, ...], AfterValidator(each_once)] = ("layers", "training")
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 4
    learning_rate: Positive = 0.05


class DegradationSettings(Section):
    """The sweep over degraded test images: how many of them, drawn by group; 0 leaves the sweep out."""

    samples: Annotated[int, Field(ge=0)] = 1000


class BenchSettings(Section):
    """Interleaved latency rounds.

    ``rounds`` and ``iterations`` are the most visits of each model and calls of a visit, ``warmup`` the calls of a window of
    the warm-up, which ends when two windows agree. ``isolated`` gives each runtime a process of its own; unset it does where
    there are several.
    """

    rounds: Count = 40
    iterations: Count = 5
    warmup: Count = 5
    isolated: bool | None = None
    threads: Workers = 0
    like_for_like_size: Annotated[int, Field(ge=32, le=4096)] = 224
    max_seconds: Positive = 90.0


class ReportSettings(Section):
    """The report; ``images`` puts the most wrong test images into it, which photographs of people may forbid."""

    images: bool = True


class Recipe(Section):
    """The whole job, resolved.

    ``left_out`` and ``forms_left_out`` are filled while it runs: optional student, or folder of an artifact → why it could not
    be made.
    """

    name: Name
    description: str = ""
    seed: Annotated[int, Field(ge=0)] = 0
    data: DataSettings
    preprocess: PreprocessSpec = PreprocessSpec()
    task: TaskSettings = TaskSettings()
    teacher: TeacherSettings = TeacherSettings()
    teachers: dict[Name, TeacherSettings] = {}
    students: Annotated[dict[Name, StudentSettings], Field(min_length=1)]
    distillation: DistillationSettings = DistillationSettings()
    loss: LossSettings = LossSettings()
    training: TrainingSettings = TrainingSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    quantization: dict[Name, QuantizationSettings] = {
        "ort": QuantizationSettings(),
        "nncf": QuantizationSettings(),
    }
    repair: RepairSettings = RepairSettings()
    degradations: DegradationSettings = DegradationSettings()
    gates: GateSettings = GateSettings()
    bench: BenchSettings = BenchSettings()
    report: ReportSettings = ReportSettings()
    left_out: dict[Name, str] = {}
    forms_left_out: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _from_elsewhere(cls, values: Any) -> Any:
        return resolve_timm(dict(with_families(values))) if isinstance(values, Mapping) else values

    def seeds_of(self, student: str) -> tuple[int, ...]:
        """The seeds that a student is trained with, in every arm."""
        return self.students[student].seeds or self.training.seeds

    def without(self, student: str, *, reason: str) -> "Recipe":
        """The same without a student, and why."""
        rest = {name: settings for name, settings in self.students.items() if name != student}
        return self.model_copy(update={"students": rest, "left_out": {**self.left_out, student: reason}})

    def without_form(self, folder: str, *, reason: str) -> "Recipe":
        """The same without an artifact, by its folder, and why; what is made of it is left out with it."""
        return self.model_copy(update={"forms_left_out": {**self.forms_left_out, folder: reason}})

    def loss_of(self, network: str) -> LossSettings:
        """The ground-truth loss of a student that has one of its own, and of every other network that of all."""
        student = self.students.get(network)
        return student.loss if student and student.loss else self.loss

    @property
    def every_loss(self) -> dict[str, LossSettings]:
        """Section → loss: that of all, and the students' own."""
        own = {f"students.{name}.loss": s.loss for name, s in self.students.items() if s.loss}
        return {"loss": self.loss, **own}

    @property
    def all_teachers(self) -> dict[str, TeacherSettings]:
        """Every teacher by its name, the main one first; it alone is deployed and judged by the gates."""
        return {"teacher": self.teacher, **self.teachers}

    @model_validator(mode="after")
    def _one_name_one_model(self) -> "Recipe":
        for name in ("teacher", *self.teachers):
            if name in self.students:
                raise ValueError(
                    f"students.{name}: expected no student named {name!r}, which is a teacher's name"
                )
        if "teacher" in self.teachers:
            raise ValueError(
                "teachers.teacher: expected another name; the main teacher's section is [teacher]"
            )
        for method in self.distillation.every_method:
            for teacher in method.teachers or ():
                if teacher not in self.all_teachers:
                    raise ValueError(
                        f"distillation.methods: {method.name} listens to {teacher!r}; "
                        f"choose among: {', '.join(self.all_teachers)}"
                    )
        return self

    @model_validator(mode="after")
    def _assistants_learn_from_teachers(self) -> "Recipe":
        teachers = self.all_teachers
        for name, settings in teachers.items():
            key = "teacher" if name == "teacher" else f"teachers.{name}"
            chain = [name]
            while other := teachers[chain[-1]].learns_from:
                if other not in teachers or other in chain:
                    choices = ", ".join(each for each in teachers if each not in chain) or "no other teacher"
                    raise ValueError(
                        f"{key}.learns_from: given {teachers[chain[-1]].learns_from!r} after {' from '.join(chain)}, expected "
                        f"a teacher that does not learn from this one; choose among: {choices}"
                    )
                chain.append(other)
            if settings.learns_from and (settings.weights or settings.data):
                raise ValueError(
                    f"{key}.learns_from: given {settings.learns_from!r} beside {'weights' if settings.weights else 'data'}; an "
                    "assistant is trained, and on the images that its teacher is asked about: expected one of them"
                )
        return self

    @model_validator(mode="after")
    def _degraded_where_there_is_a_sweep(self) -> "Recipe":
        for name in ("degraded_auc", "degraded_accuracy"):
            if getattr(self.gates, name) and not self.degradations.samples:
                raise ValueError(
                    f"gates.{name}: given {getattr(self.gates, name):g} with degradations.samples = 0, expected images to "
                    "degrade"
                )
        return self

    @model_validator(mode="after")
    def _one_remedy_for_imbalance(self) -> "Recipe":
        for section, loss in self.every_loss.items():
            if self.training.balanced and loss.remedies:
                raise ValueError(
                    f"training.balanced: given true beside {section}.{loss.remedies[0]}, expected one remedy for imbalanced "
                    "classes"
                )
        return self


def shipped_recipes() -> dict[str, Path]:
    """Name → file of every recipe that comes with the package."""
    folder = Path(str(resources.files("distill") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_recipe(source: str, *, overrides: Sequence[str] = ()) -> Recipe:
    """Read a shipped recipe by name, or a TOML file by path, with ``a.b=value`` overrides on top.

    Raises:
        EdgeproofError: no such recipe, no valid TOML, or mistakes in it (all of them, a line each).
    """
    path = _find(source)
    try:
        values = parse_toml(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EdgeproofError(f"{path}: not a valid TOML file ({error})") from None
    apply_overrides(values, overrides)
    return parse_recipe(values, origin=str(path))


def parse_recipe(values: Mapping[str, Any], *, origin: str) -> Recipe:
    """Validate the values of a recipe; ``origin`` names it in every message."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        lines = [explain(item) for item in error.errors()]
        raise MistakesError(*(f"{origin}: {line}" for line in lines)) from None


def _find(source: str) -> Path:
    shipped = shipped_recipes()
    if source in shipped:
        return shipped[source]
    path = Path(source)
    if path.is_file():
        return path
    if path.suffix == ".toml" or "/" in source:
        raise EdgeproofError(f"{source}: no such recipe file; shipped recipes: {', '.join(shipped)}")
    raise unknown_name(kind="recipe", given=source, choices=shipped)


def explain(item: Any) -> str:
    """One of pydantic's errors in the words of a recipe: the key, the value given, what was expected."""
    key = ".".join(str(part) for part in item["loc"] if part != "[key]")
    if item["type"] == "extra_forbidden":
        choices = _siblings(item["loc"])
        close = difflib.get_close_matches(str(item["loc"][-1]), choices, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return f"{key}: unknown key (given {item['input']!r:.200}); {hint}choose one of: {', '.join(choices)}"
    if not item["loc"]:  # a mistake between sections names its key itself
        return str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "missing":
        return f"{key}: missing, expected a value"
    if item["type"] == "model_type":
        return f"{key}: given {item['input']!r:.200}, expected a section [{key}] with its keys"
    message = re.sub(
        r"^\w+ should (be )?", lambda m: "" if m[1] else "to ", item["msg"].removeprefix("Value error, ")
    )
    return f"{key}: given {item['input']!r:.200}, expected {message}"


def _siblings(loc: tuple[str | int, ...]) -> list[str]:
    """The keys that the section around ``loc`` knows."""
    here: Any = Recipe
    for part in loc[:-1]:
        if _is_section(here):
            here = here.model_fields[str(part)].annotation
        else:  # a table of sections by name, or a list of them
            here = get_args(here)[1 if get_origin(here) is dict else 0]
        if isinstance(here, UnionType):
            here = next(filter(_is_section, get_args(here)))
    return sorted(here.model_fields)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def to_toml(recipe: Recipe) -> str:
    """The resolved recipe as TOML that :func:`load_recipe` reads back to an equal object.

    Raises:
        EdgeproofError: tomli-w is not installed.
    """
    text: str = require("tomli_w").dumps(_without_none(recipe.model_dump(mode="json")))
    return text


def _without_none(value: Any) -> Any:
    """TOML has no null: what is None is left out, at any depth."""
    if isinstance(value, Mapping):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_none(inner) for inner in value]
    return value
