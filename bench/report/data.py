"""What a run left, joined: its models as the report's entries, each with its rows of the bench."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.records.accuracy import AccuracyRecord, ModelAccuracy
from bench.records.degradations import DegradationsRecord
from bench.records.environment import EnvironmentRecord
from bench.records.identity import Identity, Runtime
from bench.records.latency import BenchRecord, Row, Scope
from bench.report.entry import CONTROLS, PRECISIONS, RUNTIMES, Entry, precision_title
from bench.report.files import RunFiles, Training, history_file
from bench.report.measures import BINARY, CLASSES, Measures
from deploy.parity import ParityRecord
from distill.data.audit.report import AuditReport
from distill.data.summary import DataSummary
from distill.errors import EdgeproofError
from distill.forms import Precision
from distill.recipe import DISTILLED, Recipe
from distill.roster import Arm, Roster, artifact_key, roster_of
from distill.task import find_task
from distill.training.cost import DistillationCost

REFERENCE_SIZE = 224
_SIMULATED = "simulated"


@dataclass(frozen=True)
class RunData:
    """Everything read from one run folder; a record that could not be read is None, and ``problems`` says why.

    ``roster`` lists the recipe's models, none where the recipe could not be read.
    """

    path: Path
    recipe: Recipe | None
    environment: EnvironmentRecord | None
    summary: DataSummary | None
    audit: AuditReport | None
    accuracy: AccuracyRecord | None
    parity: ParityRecord | None
    bench: BenchRecord | None
    degradations: DegradationsRecord | None
    cost: DistillationCost | None
    recipe_text: str
    roster: Roster
    trainings: tuple[Training, ...]
    problems: dict[str, str]

    @property
    def name(self) -> str:
        """The run's name: the recipe's, else the folder's."""
        return self.recipe.name if self.recipe else self.path.resolve().name

    @property
    def simulated(self) -> bool:
        """Whether any file says that the images were simulated."""
        said = (self.accuracy and self.accuracy.simulated, self.summary and self.summary.simulated)
        layouts = (self.summary and self.summary.layout, self.recipe and self.recipe.data.layout)
        return any(said) or _SIMULATED in layouts

    @property
    def measures(self) -> Measures:
        """How its models are told apart: by AUC, or by accuracy where there are K classes."""
        if self.accuracy:
            return BINARY if self.accuracy.positive else CLASSES
        return CLASSES if self.recipe and find_task(self.recipe.task).classes else BINARY

    @property
    def histories(self) -> tuple[str, ...]:
        """The files in which the recipe's trainings leave their epochs."""
        return tuple(history_file(model) for model in (*self.roster.teachers, *self.roster.trainings))

    @property
    def large(self) -> int:
        """The size at which every architecture is timed, like for like with ResNet18."""
        return self.recipe.bench.like_for_like_size if self.recipe else REFERENCE_SIZE

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows of the bench."""
        return self.bench.rows if self.bench else ()

    @cached_property
    def teachers(self) -> tuple[str, ...]:
        """Names of the teachers, the main one first."""
        return tuple(self.recipe.all_teachers) if self.recipe else self._names(role="teacher")

    @cached_property
    def students(self) -> tuple[str, ...]:
        """Names of the students, in the recipe's order."""
        return tuple(self.recipe.students) if self.recipe else self._names(role="student")

    def _names(self, *, role: str) -> tuple[str, ...]:
        models = self.accuracy.models.values() if self.accuracy else ()
        return tuple(dict.fromkeys(m.identity.name for m in models if m.identity.role == role))

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Models whose accuracy was measured, then those that were only timed; teachers first."""
        models = self.accuracy.models.values() if self.accuracy else ()
        known = {_form(model.identity) for model in models}
        timed = dict.fromkeys(who for who in self._timed() if _form(who) not in known)
        found = [*((model.identity, model) for model in models), *((who, None) for who in timed)]
        return tuple(sorted((self._entry(who, model) for who, model in found), key=self._order))

    def _entry(self, who: Identity, model: ModelAccuracy | None) -> Entry:
        given = any(known.black_box and known.name == who.name for known in self.roster.models)
        return Entry(who, model, several=self._several(who.name, who.runtime), given=given)

    def _timed(self) -> Iterator[Identity]:
        for row in self.rows:
            if row.measured and row.scope == "model" and row.model in (*self.teachers, *self.students):
                student, network = row.model in self.students, row.runtime == "torch"
                key = artifact_key(row.model, row.runtime, row.precision, row.quantizer)
                yield Identity(
                    key=row.model if network else key,
                    name=row.model,
                    role="student" if student else "teacher",
                    arm="distilled" if student else None,
                    runtime=row.runtime,
                    precision=row.precision,
                    quantizer=row.quantizer,
                    parent=None if network else row.model,
                )

    def _order(self, item: Entry) -> tuple[int, int, int, int]:
        who, names = item.identity, (*self.teachers, *self.students)
        place = names.index(who.name) if who.name in names else len(names)
        arms = [*CONTROLS, DISTILLED]
        arm = (
            arms.index(who.arm) if who.arm in arms else len(arms) - 1
        )  # variants among the distilled, as they come
        return place, arm, list(RUNTIMES).index(who.runtime), PRECISIONS.index(who.precision)

    @cached_property
    def _quantizers(self) -> dict[tuple[str, Runtime], set[str | None]]:
        """Network and runtime → the quantizers that made INT8 forms of it."""
        found: dict[tuple[str, Runtime], set[str | None]] = defaultdict(set)
        for model in self.accuracy.models.values() if self.accuracy else ():
            if model.identity.precision == "int8":
                found[model.identity.name, model.identity.runtime].add(model.identity.quantizer)
        for row in self.rows:
            if row.precision == "int8":
                found[row.model, row.runtime].add(row.quantizer)
        return found

    def _several(self, model: str, runtime: Runtime) -> bool:
        return len(self._quantizers.get((model, runtime), ())) > 1

    def precision(self, row: Row) -> str:
        """A row's precision as people write it, with the quantizer where several were used."""
        several = self._several(row.model, row.runtime)
        return precision_title(row.precision, row.quantizer if several else None)

    def trained_size(self, model: str) -> int | None:
        """The input size a network was trained at; without a recipe, the one size that is not the large one."""
        for known in self.roster.models:
            if known.name == model:
                return known.preprocess.size
        sizes = {row.input_size for row in self.rows if row.model == model}
        return min(sizes - {self.large} or sizes, default=None)

    def row(
        self,
        *,
        model: str,
        runtime: Runtime,
        precision: Precision,
        quantizer: str | None = None,
        size: int | None,
        scope: Scope = "model",
    ) -> Row | None:
        """The bench row of a form of a network at one size and scope, if there is one: the smallest batch, most threads."""
        wanted = (model, runtime, precision, quantizer, size, scope)
        fits = [
            row
            for row in self.rows
            if (row.model, row.runtime, row.precision, row.quantizer, row.input_size, row.scope) == wanted
        ]
        return _plainest(fits)

    def timing(self, item: Entry, *, size: int | None = None, scope: Scope = "model") -> Row | None:
        """The bench row of an entry; ``size`` is the trained size unless given."""
        who = item.identity
        return self.row(
            model=who.name,
            runtime=who.runtime,
            precision=who.precision,
            quantizer=who.quantizer,
            size=size or self.trained_size(who.name),
            scope=scope,
        )

    def reference(self, *, size: int | None, scope: Scope = "model") -> Row | None:
        """ResNet18 in eager PyTorch FP32 at one size and scope, if it was timed in this run."""
        return _plainest(
            [row for row in self._references if (row.input_size, row.scope) == (size, scope)]
        )  # fmt: skip

    def reference_of(self, row: Row) -> Row | None:
        """The row that a row's ratio is taken to: of the same size, scope, threads and batch."""
        return next((found for found in self._references if _setting(found) == _setting(row)), None)

    @cached_property
    def _references(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.reference and row.measured)

    def entry(self, key: str | None) -> Entry | None:
        """The evaluated model with that key."""
        return next((item for item in self.entries if item.accuracy and item.key == key), None)

    @property
    def teacher(self) -> Entry | None:
        """The main teacher, if it was evaluated."""
        return next((e for e in self._networks() if e.is_teacher and e.name in self.teachers[:1]), None)

    def student(self, name: str, *, arm: Arm = "distilled") -> Entry | None:
        """A student in one arm, if it was evaluated."""
        students = (item for item in self._networks() if not item.is_teacher)
        return next((item for item in students if (item.name, item.identity.arm) == (name, arm)), None)

    def controls(self, name: str) -> tuple[Entry, ...]:
        """A student's arms without a teacher, as far as they were evaluated."""
        return tuple(item for item in self._networks() if item.name == name and item.is_control)

    def _networks(self) -> Iterator[Entry]:
        return (item for item in self.entries if item.accuracy and not item.is_artifact)


def _setting(row: Row) -> tuple[int, str, int, int]:
    """What has to be the same in two rows that are compared."""
    return row.input_size, row.scope, row.threads, row.batch


def _plainest(rows: Sequence[Row]) -> Row | None:
    """The row of the smallest batch, of those the one with most threads."""
    return min(rows, key=lambda row: (row.batch, -row.threads), default=None)


def _form(who: Identity) -> tuple[str, Runtime, Precision, str | None]:
    """What a bench row tells of a model; all arms of a student are one network."""
    return who.name, who.runtime, who.precision, who.quantizer


def load_run(path: Path) -> RunData:
    """Read what a run folder holds.

    Raises:
        EdgeproofError: the folder does not exist.
    """
    if not path.is_dir():
        raise EdgeproofError(f"{path}: no such run folder; expected a folder that `edgeproof run` wrote")
    files = RunFiles(path)
    recipe = files.recipe()
    roster = roster_of(recipe) if recipe else Roster((), (), (), ())
    return RunData(
        path=path,
        recipe=recipe,
        recipe_text=files.recipe_text(),
        environment=files.record("environment.json", EnvironmentRecord),
        summary=files.record("data/summary.json", DataSummary),
        audit=files.record("data/audit.json", AuditReport),
        accuracy=files.record("accuracy.json", AccuracyRecord),
        parity=files.record("parity.json", ParityRecord),
        bench=files.record("bench.json", BenchRecord),
        degradations=files.record("degradations.json", DegradationsRecord),
        cost=files.record("distillation-cost.json", DistillationCost),
        roster=roster,
        trainings=tuple(files.trainings(roster)),
        problems=files.problems,
    )
