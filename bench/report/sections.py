"""The report's sections, in reading order: what each shows, and what it says where files are missing."""

from collections.abc import Callable

from bench.report import degradations as degraded
from bench.report import figures, proof, tables
from bench.report import figures_degradations as degradation_figures
from bench.report import figures_quality as quality
from bench.report.data import Contestant, RunData
from bench.report.verdict import Verdict
from distill.page.blocks import Block, Code, Gallery, Picture, Section, Table, Terms, Text

_TERMS = Terms(
    (
        ("AUC", "chance that a generated image scores higher than a real one; 1 is perfect, 0.5 is guessing"),
        ("TPR at 5 % FPR", "share of generated images caught when 5 % of real ones are wrongly flagged"),
        ("F1", "balance of precision and recall for generated images at the frozen threshold"),
        ("95 % CI", "range that holds the value in 95 of 100 resamplings of the test scenes"),
        ("p50, p99", "half, and 99 of 100, of the timed calls took at most this long"),
        ("Control", "the same small network trained the same way, without the teacher"),
    )
)
_ECE = Terms(
    (
        (
            "ECE",
            "expected calibration error: mean gap between the stated probability and the observed frequency",
        ),
    )
)


def all_sections(run: RunData, verdict: Verdict) -> list[Section]:
    """Every section of the report."""
    parts = (
        _results, _curves, _quality, _families, _degradations, _costs, _proofs, _data, _machine, _reproduce,
    )  # fmt: skip
    return [part(run, verdict) for part in parts]


def _filled(run: RunData, *blocks: Block, files: tuple[str, ...]) -> list[Block]:
    """The blocks that hold something, and a plain line about files that are missing."""
    kept = [b for b in blocks if not isinstance(b, Table) or b.rows]
    note = tables.missing_note(run, *files)
    if note:
        kept.append(Text(note, muted=True))
    return kept or [Text("Nothing was recorded for this part of the run.", muted=True)]


def _gallery(*makers: Callable[[], Picture | None]) -> list[Block]:
    try:
        pictures = tuple(picture for make in makers if (picture := make()) is not None)
    except ImportError as error:
        return [Text(f"Pictures are left out: {error.name or 'matplotlib'} is not installed.", muted=True)]
    return [Gallery(pictures)] if pictures else []


def _per_student(
    run: RunData, verdict: Verdict, *draw: Callable[[RunData, str, Contestant | None], Picture | None]
) -> list[Block]:
    def maker(name: str, one: Callable[..., Picture | None]) -> Callable[[], Picture | None]:
        return lambda: one(run, name, _int8_of(run, name, verdict.chosen))

    return _gallery(*(maker(name, one) for one in draw for name in run.students))


def _int8_of(run: RunData, student: str, chosen: Contestant | None) -> Contestant | None:
    """The INT8 artifact shown for a student: the verdict's, else OpenVINO's, else the first."""
    found = [c for c in run.contestants if c.student == student and c.precision == "int8" and c.accuracy]
    return min(found, key=lambda c: (c != chosen, c.runtime != "openvino"), default=None)


def _results(run: RunData, verdict: Verdict) -> Section:
    blocks = _filled(
        run,
        tables.headline(run, chosen=verdict.chosen),
        _TERMS,
        *_gallery(lambda: figures.tradeoff(run, verdict.chosen)),
        tables.like_for_like(run),
        tables.not_timed(run),
        tables.published(),
        files=("accuracy.json", "bench.json"),
    )
    return Section("Results", blocks)


def _curves(run: RunData, verdict: Verdict) -> Section:
    makers = [lambda name=name: figures.training(run, name) for name in run.students]
    pictures = _gallery(*makers, lambda: figures.teacher_training(run))
    missing = tuple(name for name in run.problems if name.endswith("history.json"))
    return Section(
        "Training with and without distillation", _filled(run, *pictures, proof.seeds(run), files=missing)
    )


def _quality(run: RunData, verdict: Verdict) -> Section:
    pictures = _per_student(run, verdict, quality.roc, quality.confusion, quality.reliability)
    blocks = _filled(run, *pictures, proof.thresholds(run), _ECE, files=("accuracy.json",))
    return Section("Verdicts and calibration", blocks)


def _families(run: RunData, verdict: Verdict) -> Section:
    intro = Text(
        "A detector that knows one generator may fail on another, so trained and held-out families "
        "stand apart. The identity control changes nothing in the image: 0.5 is the right answer there."
    )
    pictures = _per_student(run, verdict, quality.generators)
    teams = (quality.team(run, name, _int8_of(run, name, verdict.chosen)) for name in run.students)
    shown = [item for team in teams for item in team]
    models = [c for c in dict.fromkeys(shown) if c.kind != "control"]
    blocks = _filled(run, *pictures, tables.families(run, models), files=("accuracy.json",))
    return Section("Generator by generator", [intro, *blocks])


def _degradations(run: RunData, verdict: Verdict) -> Section:
    title = "Degraded images"
    if degraded.left_out(run):
        return Section(title, [Text(degraded.LEFT_OUT, muted=True)])
    int8 = {name: _int8_of(run, name, verdict.chosen) for name in run.students}
    shown = dict.fromkeys(item for name in run.students for item in quality.team(run, name, int8[name]))
    blocks = [
        degraded.introduction(run),
        *_per_student(run, verdict, degradation_figures.sweep),
        degraded.overview(run, list(shown)),
        degraded.flip_test(run, list(shown)),
        degraded.detail(run, verdict.chosen),
        degraded.steps(run),
    ]
    return Section(title, _filled(run, *(b for b in blocks if b), files=("degradations.json",)))


def _costs(run: RunData, verdict: Verdict) -> Section:
    return Section("What each step cost", _filled(run, tables.costs(run), files=("accuracy.json",)))


def _proofs(run: RunData, verdict: Verdict) -> Section:
    found = (proof.checks(run), proof.int8(run), proof.parity(run))
    return Section("Gates and proof", _filled(run, *found, files=("accuracy.json", "parity.json")))


def _data(run: RunData, verdict: Verdict) -> Section:
    found = (proof.audit(run), proof.data(run), proof.generators(run), proof.skipped(run))
    return Section("Data", _filled(run, *found, files=("data/audit.json", "data/summary.json")))


def _machine(run: RunData, verdict: Verdict) -> Section:
    found = (proof.environment(run), proof.stages(run))
    return Section("Machine and time", _filled(run, *found, files=("environment.json", "bench.json")))


def _reproduce(run: RunData, verdict: Verdict) -> Section:
    blocks: list[Block] = [Code(proof.command(run))]
    if run.recipe_text:
        blocks.append(Text("Or, from the recipe in this folder: edgeproof run recipe.toml"))
        blocks.append(Code(run.recipe_text, summary="The recipe, resolved (recipe.toml)"))
    else:
        blocks.append(Text("The resolved recipe (recipe.toml) is not in the run folder.", muted=True))
    return Section("How to reproduce this", blocks)
