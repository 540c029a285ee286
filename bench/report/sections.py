"""The report's sections, in reading order: what each shows, and what it says where files are missing."""

from collections.abc import Callable, Iterator
from functools import partial

from bench.report import arms, dataset, figures_quality, proof, repair
from bench.report import degradations as degraded
from bench.report.answers import answers
from bench.report.costs import costs
from bench.report.data import RunData
from bench.report.distillation import sentence
from bench.report.entry import Entry
from bench.report.environment import command, machine, stages
from bench.report.families import families, shown
from bench.report.figures_arms import paired_seeds
from bench.report.figures_confusion import confusion
from bench.report.figures_degradations import sweep
from bench.report.figures_front import students_front
from bench.report.figures_generators import generators
from bench.report.figures_methods import methods_forest
from bench.report.figures_quality import team
from bench.report.figures_tradeoff import tradeoff
from bench.report.figures_training import teacher_training, training
from bench.report.files import RECIPE
from bench.report.forms import timed_forms
from bench.report.headline import headline
from bench.report.lessons import lessons
from bench.report.methods import methods
from bench.report.stopped import stopped_by_audit
from bench.report.students import students
from bench.report.teacher_cost import teacher_cost
from bench.report.thresholds import thresholds
from bench.report.timing import like_for_like, not_timed, published
from bench.report.verdict import Verdict
from distill.page.blocks import Block, Code, Gallery, Picture, Points, Section, Table, Terms, Text
from distill.page.formats import listing
from distill.roster import Arm

_Draw = Callable[[RunData, str, Entry | None], Picture | None]
_TERMS = (
    ("95 % CI", "range that holds the value in 95 of 100 resamplings of the test scenes"),
    ("p50, p99", "half, and 99 of 100, of the timed calls took at most this long"),
    ("Alone", "the same small network trained the same way, without a teacher"),
)
_CONTROLS: dict[Arm, tuple[str, str]] = {
    "alone": ("Alone", "no teacher: labelled images and augmentation, as many steps, the same first weights"),
    "plain": ("Plain", "alone without augmentation: alone − plain is what augmentation gave"),
    "pool": (
        "Pool",
        "alone with the true labels of the unlabelled images: pool − alone is what more data gave",
    ),
}
_ECE = Terms(
    (
        (
            "ECE",
            "expected calibration error: mean gap between the stated probability and the observed frequency",
        ),
    )
)


def all_sections(run: RunData, verdict: Verdict) -> list[Section]:
    """Every section of the report; of a run that its data stopped, those that have something to show."""
    if stopped_by_audit(run):
        return [part(run, verdict) for part in (_data, _machine, _reproduce)]
    detection = (_families, _degradations) if run.measures.detects else ()
    parts = (_results, _curves, _quality, *detection, _costs, _proofs, _data, _machine, _reproduce)
    return [part(run, verdict) for part in parts]


def _filled(run: RunData, *blocks: Block, files: tuple[str, ...]) -> list[Block]:
    """The blocks that hold something, and a plain line about files that are missing."""
    kept = [b for b in blocks if not isinstance(b, Table) or b.rows]
    lost = [f"{name} {run.problems[name]}" for name in files if name in run.problems]
    if lost:
        kept.append(Text(f"Missing: {listing(lost)}.", muted=True))
    return kept or [Text("Nothing was recorded for this part of the run.", muted=True)]


def _gallery(*makers: Callable[[], Picture | None]) -> list[Block]:
    try:
        pictures = tuple(picture for make in makers if (picture := make()) is not None)
    except ImportError as error:
        return [Text(f"Pictures are left out: {error.name or 'matplotlib'} is not installed.", muted=True)]
    return [Gallery(pictures)] if pictures else []


def _per_student(run: RunData, verdict: Verdict, *draw: _Draw) -> list[Block]:
    def maker(name: str, one: Callable[..., Picture | None]) -> Callable[[], Picture | None]:
        return lambda: one(run, name, _int8_of(run, name, verdict.chosen))

    return _gallery(*(maker(name, one) for one in draw for name in run.students))


def _int8_of(run: RunData, student: str, chosen: Entry | None) -> Entry | None:
    """The INT8 artifact shown for a student: the verdict's, else OpenVINO's, else the first."""
    found = [item for item in run.entries if item.name == student and item.is_int8 and item.accuracy]
    return min(found, key=lambda item: (item != chosen, item.identity.runtime != "openvino"), default=None)


def _compared(run: RunData, verdict: Verdict) -> list[Entry]:
    """The models of every student's pictures, each once, led by the teachers."""
    teams = (team(run, name, _int8_of(run, name, verdict.chosen)) for name in run.students)
    controls = (run.controls(name) for name in run.students)
    return shown(run, [[*team, *others] for team, others in zip(teams, controls, strict=True)])


def _results(run: RunData, verdict: Verdict) -> Section:
    blocks = _filled(
        run,
        headline(run, chosen=verdict.chosen),
        Terms((*run.measures.terms, *_TERMS)),
        *_gallery(lambda: tradeoff(run, verdict.chosen)),
        *([found] if (found := students(run)) else []),
        *_gallery(lambda: students_front(run)),
        like_for_like(run),
        not_timed(run),
        published(),
        files=("accuracy.json", "bench.json"),
    )
    return Section("Results", blocks)


def _curves(run: RunData, verdict: Verdict) -> Section:
    students = [partial(training, run, name) for name in run.students]
    pictures = _gallery(*students, *(partial(teacher_training, run, name) for name in run.teachers))
    blocks = [*_arms(run), *pictures, arms.seeds(run), teacher_cost(run)]
    title, files = "Training with and without distillation", (*run.histories, "distillation-cost.json")
    return Section(title, _filled(run, *(block for block in blocks if block), files=files))


def _arms(run: RunData) -> Iterator[Block]:
    """Per student the arms, what may be said of them, and the differences between them."""
    found = run.accuracy.distillation if run.accuracy else {}
    if known := lessons(run):
        yield known
    terms = dict.fromkeys(_CONTROLS[arm] for student in found.values() for arm in student.controls)
    if terms:
        yield Terms(tuple(terms))
    for name, student in found.items():
        yield arms.arms(name, student)
        yield Points([sentence(student, pair=pair) for pair in student.pairs])
        yield from _gallery(partial(paired_seeds, run, name))
        yield arms.differences(name, student)
        if compared := methods(name, student):
            yield compared
        yield from _gallery(partial(methods_forest, run, name))


def _quality(run: RunData, verdict: Verdict) -> Section:
    galleries: list[tuple[_Draw, ...]]
    if run.measures.detects:
        galleries = [(figures_quality.roc, confusion, figures_quality.reliability)]
    else:  # a matrix of many classes is only read where it is large
        galleries = [(confusion,), (figures_quality.reliability,)]
    pictures = (block for draw in galleries for block in _per_student(run, verdict, *draw))
    blocks = _filled(run, *pictures, thresholds(run), answers(run), _ECE, files=("accuracy.json",))
    return Section("Verdicts and calibration", blocks)


def _families(run: RunData, verdict: Verdict) -> Section:
    intro = Text(
        "A detector that knows one generator may fail on another, so trained and held-out families "
        "stand apart. The identity control changes nothing in the image: 0.5 is the right answer there."
    )
    pictures = _per_student(run, verdict, generators)
    models = [item for item in _compared(run, verdict) if not item.is_control]
    blocks = _filled(run, *pictures, families(models), files=("accuracy.json",))
    return Section("Generator by generator", [intro, *blocks])


def _degradations(run: RunData, verdict: Verdict) -> Section:
    title = "Degraded images"
    if degraded.left_out(run):
        return Section(title, [Text(degraded.LEFT_OUT, muted=True)])
    models = _compared(run, verdict)
    blocks = [
        degraded.introduction(run),
        *_per_student(run, verdict, sweep),
        degraded.overview(run, models),
        degraded.flip_test(run, models),
        degraded.detail(run, verdict.chosen),
        degraded.steps(run),
    ]
    return Section(title, _filled(run, *(b for b in blocks if b), files=("degradations.json",)))


def _costs(run: RunData, verdict: Verdict) -> Section:
    return Section("What each step cost", _filled(run, costs(run), files=("accuracy.json",)))


def _proofs(run: RunData, verdict: Verdict) -> Section:
    said = repair.needed(run)
    told: list[Block] = [Text("What INT8 needed to keep its score:"), Points(said)] if said else []
    found: tuple[Block, ...] = (
        proof.checks(run),
        *told,
        proof.int8(run),
        timed_forms(run),
        proof.drift(run),
        proof.parity(run),
    )
    return Section("Gates and proof", _filled(run, *found, files=("accuracy.json", "parity.json")))


def _data(run: RunData, verdict: Verdict) -> Section:
    found = (dataset.audit(run), dataset.images(run), dataset.generator_counts(run), dataset.skipped(run))
    told = [block] if (block := dataset.problems(run)) else []
    return Section("Data", _filled(run, *told, *found, files=("data/audit.json", "data/summary.json")))


def _machine(run: RunData, verdict: Verdict) -> Section:
    found = (machine(run), stages(run))
    return Section("Machine and time", _filled(run, *found, files=("environment.json", "bench.json")))


def _reproduce(run: RunData, verdict: Verdict) -> Section:
    blocks: list[Block] = [Code(command(run))]
    if run.recipe_text and RECIPE in run.problems:
        blocks.append(Text(f"The recipe in this folder {run.problems[RECIPE]}.", muted=True))
    if run.recipe_text:
        blocks.append(Text("Or, from the recipe in this folder: edgeproof run recipe.toml"))
        blocks.append(Code(run.recipe_text, summary="The recipe, resolved (recipe.toml)"))
    else:
        blocks.append(Text("The resolved recipe (recipe.toml) is not in the run folder.", muted=True))
    return Section("How to reproduce this", blocks)
