"""The report's sections, in the order that people ask: what each shows, and what it says where files are missing."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bench.report import arms, dataset, figures_quality, limits, proof, repair
from bench.report import degradations as degraded
from bench.report.answers import answers
from bench.report.costs import costs
from bench.report.data import RunData
from bench.report.distillation import sentence
from bench.report.entry import Entry
from bench.report.environment import command, machine, stages
from bench.report.examples import most_wrong, turned
from bench.report.families import families, shown
from bench.report.figures_arms import paired_seeds
from bench.report.figures_confusion import confusion
from bench.report.figures_degradations import sweep
from bench.report.figures_front import students_front
from bench.report.figures_generators import generators
from bench.report.figures_methods import methods_forest
from bench.report.figures_quality import team
from bench.report.figures_roofline import roofline
from bench.report.figures_training import teacher_training, training
from bench.report.files import RECIPE
from bench.report.forms import timed_forms
from bench.report.gallery import gallery
from bench.report.lessons import lessons
from bench.report.methods import methods
from bench.report.opening import opening
from bench.report.published import published
from bench.report.stopped import stopped_by_audit
from bench.report.students import left_out, students
from bench.report.style import colour_of
from bench.report.teacher_cost import teacher_cost
from bench.report.thresholds import rates, verdicts
from bench.report.timing import not_timed, resources, timed
from bench.report.verdict import Verdict
from distill.page.blocks import Block, Code, Picture, Points, Section, Table, Terms, Text
from distill.page.formats import listing
from distill.roster import Arm

_Draw = Callable[[RunData, str, Entry | None], Picture | None]
_TIME_TERMS = (("p50, p90, p99", "half, 90 and 99 of 100 of the timed calls took at most this long"),)
_TERMS = (
    ("95 % CI", "range that holds the value in 95 of 100 resamplings of the test scenes"),
    ("ECE", "expected calibration error: mean gap between the stated probability and the observed frequency"),
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


def all_sections(run: RunData, verdict: Verdict) -> list[Section]:
    """The opening, and folded under it every section; of a run that its data stopped, those that have something to show."""
    if stopped_by_audit(run):
        return [opening(run, verdict), *(part(run, verdict) for part in (_data, _machine, _reproduce))]
    detection = (_families, _degradations) if run.measures.detects else ()
    choice = (_students,) if len(run.students) > 1 else ()
    parts = (
        _speed, *choice, _quality, _curves, _costs, *detection, _proofs, _data, _machine, _reproduce, _published
    )  # fmt: skip
    return [opening(run, verdict), *(part(run, verdict) for part in parts)]


def _folded(title: str, teaser: str, blocks: Sequence[Block]) -> Section:
    return Section(title, blocks, folded=True, teaser=teaser)


def _filled(run: RunData, *blocks: Block, files: tuple[str, ...]) -> list[Block]:
    """The blocks that hold something, and a plain line about files that are missing."""
    kept = [b for b in blocks if not isinstance(b, Table) or b.rows]
    lost = [f"{name} {run.problems[name]}" for name in files if name in run.problems]
    if lost:
        kept.append(Text(f"Missing: {listing(lost)}.", muted=True))
    return kept or [Text("Nothing was recorded for this part of the run.", muted=True)]


def _per_student(run: RunData, verdict: Verdict, *draw: _Draw) -> list[Block]:
    def maker(name: str, one: Callable[..., Picture | None]) -> Callable[[], Picture | None]:
        return lambda: one(run, name, _int8_of(run, name, verdict.chosen))

    return gallery(*(maker(name, one) for one in draw for name in run.students))


def _int8_of(run: RunData, student: str, chosen: Entry | None) -> Entry | None:
    """The INT8 artifact shown for a student: the verdict's, else OpenVINO's, else the first."""
    found = [item for item in run.entries if item.name == student and item.is_int8 and item.accuracy]
    return min(found, key=lambda item: (item != chosen, item.identity.runtime != "openvino"), default=None)


def _compared(run: RunData, verdict: Verdict) -> list[Entry]:
    """The models of every student's pictures, each once, led by the teachers."""
    teams = (team(run, name, _int8_of(run, name, verdict.chosen)) for name in run.students)
    controls = (run.controls(name) for name in run.students)
    return shown(run, [[*team, *others] for team, others in zip(teams, controls, strict=True)])


def _roofline(run: RunData, verdict: Verdict) -> Picture | None:
    if run.bench is None:
        return None
    colours = {name: colour_of(run, name) for name in run.students}
    return roofline(run.bench, chosen=verdict.chosen.name if verdict.chosen else None, colours=colours)


def _speed(run: RunData, verdict: Verdict) -> Section:
    """How fast everything is."""
    blocks = _filled(
        run,
        timed(run, "model"),
        timed(run, "end_to_end"),
        *gallery(lambda: _roofline(run, verdict)),
        limits.layers(run, verdict.chosen),
        resources(run),
        limits.peaks(run),
        not_timed(run),
        Terms(_TIME_TERMS),
        files=("bench.json",),
    )
    return _folded(
        "How fast is it?", "every form at every size, percentiles, memory, what was not timed", blocks
    )


def _students(run: RunData, verdict: Verdict) -> Section:
    found = students(run)
    told = left_out(run)
    blocks = _filled(
        run,
        *([found] if found else []),
        *gallery(lambda: students_front(run)),
        *told,
        files=("accuracy.json",),
    )
    return _folded("Which student?", "all of them beside each other, and which none beats", blocks)


def _curves(run: RunData, verdict: Verdict) -> Section:
    students = [partial(training, run, name) for name in run.students]
    pictures = gallery(*students, *(partial(teacher_training, run, name) for name in run.teachers))
    blocks = [*_arms(run), *pictures, arms.seeds(run), teacher_cost(run)]
    files = (*run.histories, "distillation-cost.json")
    kept = _filled(run, *(block for block in blocks if block), files=files)
    return _folded("What did distillation give?", "every arm and seed, with and without a teacher", kept)


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
        yield from gallery(partial(paired_seeds, run, name))
        yield arms.differences(name, student)
        if compared := methods(name, student):
            yield compared
        yield from gallery(partial(methods_forest, run, name))


def _quality(run: RunData, verdict: Verdict) -> Section:
    galleries: list[tuple[_Draw, ...]]
    if run.measures.detects:
        galleries = [(figures_quality.roc, confusion, figures_quality.reliability)]
    else:  # a matrix of many classes is only read where it is large
        galleries = [(confusion,), (figures_quality.reliability,)]
    pictures = (block for draw in galleries for block in _per_student(run, verdict, *draw))
    terms = Terms((*run.measures.terms, *_TERMS))
    known = [table for table in (rates(run),) if table]
    wrong = most_wrong(run, verdict.chosen)
    blocks = _filled(
        run, verdicts(run), *known, terms, *wrong, *pictures, answers(run), files=("accuracy.json",)
    )  # fmt: skip
    teaser = "every rate with its interval, the most wrong images, confusion, calibration"
    return _folded("How good is it, and how sure?", teaser, blocks)


def _families(run: RunData, verdict: Verdict) -> Section:
    intro = Text(
        "A detector that knows one generator may fail on another, so trained and held-out families "
        "stand apart. The identity control changes nothing in the image: 0.5 is the right answer there."
    )
    pictures = _per_student(run, verdict, generators)
    models = [item for item in _compared(run, verdict) if not item.is_control]
    blocks = _filled(run, *pictures, families(models), files=("accuracy.json",))
    teaser = "generators it was trained on, and those it never saw"
    return _folded("Generator by generator", teaser, [intro, *blocks])


def _degradations(run: RunData, verdict: Verdict) -> Section:
    title, teaser = "Degraded images", "what compression, blur, resizing and noise do to the verdict"
    if degraded.left_out(run):
        return _folded(title, "left out", [Text(degraded.LEFT_OUT, muted=True)])
    models = _compared(run, verdict)
    blocks = [
        degraded.introduction(run),
        *_per_student(run, verdict, sweep),
        degraded.overview(run, models),
        degraded.flip_test(run, models),
        degraded.detail(run, verdict.chosen),
        degraded.steps(run),
    ]
    return _folded(title, teaser, _filled(run, *(b for b in blocks if b), files=("degradations.json",)))


def _costs(run: RunData, verdict: Verdict) -> Section:
    blocks = _filled(run, costs(run), *turned(run, verdict.chosen), files=("accuracy.json",))
    teaser = "distillation, export and INT8, and the images whose verdict INT8 turned"
    return _folded("What did each step cost?", teaser, blocks)


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
    blocks = _filled(run, *found, files=("accuracy.json", "parity.json"))
    return _folded(
        "Gates and proof", "every check with its limit, INT8 in the files, parity between runtimes", blocks
    )


def _data(run: RunData, verdict: Verdict) -> Section:
    found = (dataset.audit(run), dataset.images(run), dataset.generator_counts(run), dataset.skipped(run))
    told = [block] if (block := dataset.problems(run)) else []
    blocks = _filled(run, *told, *found, files=("data/audit.json", "data/summary.json"))
    return _folded("Data", "the audit, images and where they come from, what was left out", blocks)


def _machine(run: RunData, verdict: Verdict) -> Section:
    found = (machine(run), stages(run))
    blocks = _filled(run, *found, files=("environment.json", "bench.json"))
    return _folded("Machine and time", "processor, versions, seconds of every stage", blocks)


def _reproduce(run: RunData, verdict: Verdict) -> Section:
    blocks: list[Block] = [Code(command(run))]
    if run.recipe_text and RECIPE in run.problems:
        blocks.append(Text(f"The recipe in this folder {run.problems[RECIPE]}.", muted=True))
    if run.recipe_text:
        blocks.append(Text("Or, from the recipe in this folder: edgeproof run recipe.toml"))
        blocks.append(Code(run.recipe_text, summary="The recipe, resolved (recipe.toml)"))
    else:
        blocks.append(Text("The resolved recipe (recipe.toml) is not in the run folder.", muted=True))
    return _folded("How to reproduce this", "the command and the recipe", blocks)


def _published(run: RunData, verdict: Verdict) -> Section:
    return _folded(
        "Figures from earlier reports", "other data and hardware, and a contradiction in them", [*published()]
    )
