"""What a run holds: its models, their trainings and their artifacts, listed once. Torch-free.

Every stage, folder, record and report row is about one of these values; nothing is found by taking names apart.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from distill.forms import RUNTIMES, Precision, Runtime
from distill.preprocess import PreprocessSpec
from distill.recipe import DISTILLED, ModelSettings, Recipe

Role = Literal["teacher", "student"]
Arm = str  # ``distilled``, a name in CONTROLS, or the name of a variant in the recipe

TEACHER = "teacher"
CONTROLS: tuple[Arm, ...] = ("alone", "plain", "pool")


@dataclass(frozen=True)
class Model:
    """A network of the run: a teacher, or a student in one arm; with a ``seed`` one training of it.

    Attributes:
        name: what the recipe calls it; a student's arms share it.
        role: ``teacher`` or ``student``.
        arm: None for teachers. ``distilled``, or another arm of the same student, at as many steps and from the same
            initialisation. Controls have no teacher: ``alone`` has the labelled images and the augmentation, ``pool``
            also the unlabelled images with their true labels, ``plain`` no augmentation. Variants have the recipe's
            names, and learn from other methods.
        architecture: name in the table of teachers or students.
        preprocess: how images become its input.
        seed: of one training; None for a student that was chosen among several.
        folder: relative to the run folder.
        own_data: it learns from labelled images of its own instead of the run's.
        black_box: it is a table of answers, and no network.
    """

    name: str
    role: Role
    arm: Arm | None
    architecture: str
    preprocess: PreprocessSpec
    seed: int | None
    folder: str
    own_data: bool = False
    black_box: bool = False

    @property
    def key(self) -> str:
        """Its name in records: ``teacher``, ``small_cnn``, ``small_cnn/alone``, ``small_cnn/pool``."""
        return self.name if self.arm in (None, DISTILLED) else f"{self.name}/{self.arm}"

    @property
    def section(self) -> str:
        """Where the recipe describes it: ``teacher``, ``teachers.large``, ``students.small_cnn``."""
        return self.name if self.name == TEACHER else f"{self.role}s.{self.name}"

    @property
    def common(self) -> str:
        """Folder of all trainings of this network, whatever their arm and seed, relative to the run folder."""
        return self.folder if self.is_teacher else f"students/{self.name}"

    @property
    def choice(self) -> str:
        """File with its calibration and threshold, relative to the run folder."""
        return f"{self.folder}/choice.json"

    @property
    def logits(self) -> str:
        """File with its raw logits on the evaluated splits, relative to the run folder."""
        return f"{self.folder}/logits.npz"

    @property
    def predictions(self) -> str:
        """File with its calibrated probabilities on the evaluated splits, relative to the run folder."""
        return f"predictions/{self.key}.npz"

    @property
    def is_control(self) -> bool:
        """Whether it is a student without a teacher."""
        return self.arm in CONTROLS

    @property
    def is_teacher(self) -> bool:
        """Whether others learn from it."""
        return self.role == "teacher"


@dataclass(frozen=True)
class Artifact:
    """A model's form for one runtime.

    Attributes:
        model: what it was exported from.
        runtime: ``onnxruntime`` or ``openvino``.
        precision: ``fp32`` or ``int8``.
        quantizer: name of the recipe's section that made an INT8 one.
        parent: the FP32 artifact that an INT8 one was made from.
        size: input size in pixels; one that is not the model's own serves the latency bench alone.
        folder: relative to the run folder.
    """

    model: Model
    runtime: Runtime
    precision: Precision
    quantizer: str | None
    parent: "Artifact | None"
    size: int
    folder: str

    @property
    def key(self) -> str:
        """Its name in records: ``small_cnn-openvino-int8-nncf``."""
        return artifact_key(self.model.key, self.runtime, self.precision, self.quantizer)

    @property
    def judged(self) -> bool:
        """Whether it has the input size that its model was trained at, so that accuracy means something."""
        return self.size == self.model.preprocess.size

    @property
    def predictions(self) -> str:
        """File with its probabilities on the evaluated splits, relative to the run folder."""
        return f"predictions/{self.key}.npz"


@dataclass(frozen=True)
class Roster:
    """Everything that a run makes, in the order of the recipe.

    Attributes:
        teachers: the main one first.
        students: those that were chosen among their seeds, every arm of each.
        trainings: every student, arm and seed.
        artifacts: of the main teacher and of every distilled student, FP32 before INT8, at their own size first.
    """

    teachers: tuple[Model, ...]
    students: tuple[Model, ...]
    trainings: tuple[Model, ...]
    artifacts: tuple[Artifact, ...]

    @property
    def models(self) -> tuple[Model, ...]:
        """Every network whose accuracy is judged."""
        return self.teachers + self.students

    @property
    def networks(self) -> tuple[Model, ...]:
        """Those of the models that can be shown new images."""
        return tuple(model for model in self.models if not model.black_box)

    @property
    def deployed(self) -> tuple[Model, ...]:
        """The networks that are exported and timed."""
        return tuple(model for model in self.teachers[:1] if not model.black_box) + self.distilled

    @property
    def distilled(self) -> tuple[Model, ...]:
        """The students that are deployed, each taught by the recipe's own methods."""
        return tuple(model for model in self.students if model.arm == DISTILLED)

    @property
    def judged(self) -> tuple[Artifact, ...]:
        """The artifacts whose accuracy is judged."""
        return tuple(artifact for artifact in self.artifacts if artifact.judged)

    def controls_of(self, student: Model) -> tuple[Model, ...]:
        """The same student in every arm without a teacher, ``alone`` first."""
        return tuple(m for m in self.students if m.name == student.name and m.is_control)

    def variants_of(self, student: Model) -> tuple[Model, ...]:
        """The same student taught by other methods."""
        known = (DISTILLED, *CONTROLS)
        return tuple(m for m in self.students if m.name == student.name and m.arm not in known)

    def trainings_of(self, student: Model) -> tuple[Model, ...]:
        """Every seed of a student in its arm."""
        return tuple(m for m in self.trainings if (m.name, m.arm) == (student.name, student.arm))

    def artifacts_of(self, model: Model) -> tuple[Artifact, ...]:
        """All forms of a model, at every size."""
        return tuple(artifact for artifact in self.artifacts if artifact.model == model)


def roster_of(recipe: Recipe, *, runtimes: Mapping[str, Runtime] | None = None) -> Roster:
    """List what a recipe asks for.

    Args:
        recipe: the recipe.
        runtimes: quantizer's name → the runtime that its tool makes models for; None lists no INT8 artifact.
    """
    teachers = tuple(_teacher(recipe, name) for name in recipe.all_teachers)
    asked = ("alone", *recipe.distillation.controls)
    arms = (*recipe.distillation.taught, *(arm for arm in CONTROLS if arm in asked))
    trainings = tuple(
        _student(recipe, name, arm=arm, seed=seed)
        for name in recipe.students
        for arm in arms
        for seed in recipe.seeds_of(name)
    )
    students = tuple(_student(recipe, name, arm=arm, seed=None) for name in recipe.students for arm in arms)
    models = Roster(teachers, students, trainings, ())
    artifacts = _wanted(recipe, models, runtimes or {})
    return replace(models, artifacts=tuple(item for item in artifacts if not _why_left_out(recipe, item)))


def left_out_of(
    recipe: Recipe, *, runtimes: Mapping[str, Runtime] | None = None
) -> tuple[tuple[Artifact, str], ...]:
    """The artifacts that a recipe asks for and that could not be made, each with the reason; see :func:`roster_of`."""
    if not recipe.forms_left_out:
        return ()
    reasons = (
        (item, _why_left_out(recipe, item)) for item in _wanted(recipe, roster_of(recipe), runtimes or {})
    )
    return tuple((item, reason) for item, reason in reasons if reason)


def _wanted(recipe: Recipe, models: Roster, runtimes: Mapping[str, Runtime]) -> Iterator[Artifact]:
    """All forms of the deployed networks, whether they can be made or not."""
    sizes = dict.fromkeys((None, recipe.bench.like_for_like_size))
    for model in models.deployed:
        for size in dict.fromkeys(size or model.preprocess.size for size in sizes):
            yield from _artifacts(model, size=size, runtimes=_quantized(recipe, model, runtimes))


def _why_left_out(recipe: Recipe, artifact: Artifact) -> str:
    """Why it could not be made, its judged form, or what either is made from; empty where nothing is known against it."""
    lost, judged = recipe.forms_left_out, _folder(artifact.key)
    own = lost.get(artifact.folder) or lost.get(judged, "")
    return own or (_why_left_out(recipe, artifact.parent) if artifact.parent else "")


def settings_of(recipe: Recipe, model: Model) -> ModelSettings:
    """What the recipe says of a model."""
    return recipe.all_teachers[model.name] if model.is_teacher else recipe.students[model.name]


def artifact_key(model: str, runtime: str, precision: str, quantizer: str | None) -> str:
    """The one spelling of an artifact's name."""
    return "-".join([model, runtime, precision, *([quantizer] if quantizer else [])])


def _teacher(recipe: Recipe, name: str) -> Model:
    settings = recipe.all_teachers[name]
    return Model(
        name=name,
        role="teacher",
        arm=None,
        architecture=settings.name,
        preprocess=settings.preprocess or recipe.preprocess,
        seed=recipe.seed,
        folder=TEACHER if name == TEACHER else f"teachers/{name}",
        own_data=settings.data is not None and not settings.finished,
        black_box=bool(settings.predictions),
    )


def _student(recipe: Recipe, name: str, *, arm: Arm, seed: int | None) -> Model:
    chosen = f"students/{name}" if arm == DISTILLED else f"students/{name}/{arm}"
    return Model(
        name=name,
        role="student",
        arm=arm,
        architecture=recipe.students[name].name,
        preprocess=recipe.preprocess,
        seed=seed,
        folder=chosen if seed is None else f"students/{name}/seed{seed}/{arm}",
    )


def _quantized(recipe: Recipe, model: Model, runtimes: Mapping[str, Runtime]) -> Mapping[str, Runtime]:
    """The quantizers that make an INT8 form of a model."""
    return runtimes if model.is_teacher or recipe.students[model.name].int8 else {}


def _folder(key: str) -> str:
    """Of an artifact at its own size."""
    return f"artifacts/{key}"


def _artifacts(model: Model, *, size: int, runtimes: Mapping[str, Runtime]) -> Iterator[Artifact]:
    def make(runtime: Runtime, precision: Precision, quantizer: str | None = None) -> Artifact:
        parent = make(runtime, "fp32") if precision == "int8" else None
        key = artifact_key(model.key, runtime, precision, quantizer)
        folder = _folder(key) if size == model.preprocess.size else f"bench/{key}-{size}"
        return Artifact(model, runtime, precision, quantizer, parent, size, folder)

    for runtime in RUNTIMES:
        yield make(runtime, "fp32")
    for quantizer, runtime in runtimes.items():
        yield make(runtime, "int8", quantizer)
