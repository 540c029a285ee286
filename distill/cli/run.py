"""``edgeproof run`` and the verbs that do a part of it; :func:`run` is the same for programs."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distill.cli.cluster import cluster_of
from distill.cli.options import (
    AddressOption,
    EngineOption,
    JsonOption,
    OutOption,
    RecipeArgument,
    SeedsOption,
    SetOption,
)
from distill.cli.run_tables import print_arms, print_report, print_result
from distill.cli.terminate import stopped
from distill.errors import EdgeproofError, GateFailedError, MistakesError, StoppedError
from distill.files import at_home

if TYPE_CHECKING:
    from rich.console import Console

    from distill.pipeline.stage import Reporter, Stage
    from distill.recipe import Recipe
    from distill.roster import Roster

VERBS = {
    "teach": "Make the data and train the teacher.",
    "distill": "Everything up to the trained students.",
    "export": "Everything up to the FP32 artifacts.",
    "quantize": "Everything up to the INT8 artifacts.",
    "verify": "Everything up to the parity gate.",
    "evaluate": "Everything up to the accuracy gate.",
    "bench": "Everything up to the latency bench.",
    "report": "Everything up to the report, which is written anew.",
}
COMPARE = "compare-methods"
_ENDS = {COMPARE: ("evaluate", "report")}  # nothing is timed: the methods leave the same network
_TRAINING = ("torch", "torchvision", "timm", "lightning", "safetensors", "onnx")

ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on in a folder that already holds a run.")]
ProgressOption = Annotated[
    Path | None, typer.Option("--progress", help="Keep a JSON file of how far the run is, for programs.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Check the recipe, list the stages, do nothing.")
]


def add_to(app: typer.Typer, *, own: Mapping[str, Callable[..., None]]) -> None:
    """Add ``run`` and a command for every verb; ``own`` are the commands of those that take an artifact as well."""

    @app.command(name="run")
    def run_command(
        recipe: RecipeArgument,
        out: OutOption = None,
        overrides: SetOption = None,
        seeds: SeedsOption = None,
        resume: ResumeOption = False,
        dry_run: DryRunOption = False,
        progress: ProgressOption = None,
        engine: EngineOption = "local",
        address: AddressOption = "",
    ) -> None:
        """Do the whole job: data, teacher, students, INT8, proof, report."""
        cluster = cluster_of(engine, address)
        resolved = _resolve(recipe, out=out, overrides=overrides or [], seeds=seeds)
        _run(*resolved, resume=resume, dry_run=dry_run, verb="report", progress=progress, cluster=cluster)

    for verb, text in VERBS.items():
        if verb in own:
            app.command(name=verb)(own[verb])
        else:
            (_add_distill if verb == "distill" else _add_verb)(app, verb, text)
    _add_compare(app)


def run(
    recipe: "Recipe | str | Path",
    *,
    out: Path | str | None = None,
    overrides: Sequence[str] = (),
    seeds: int | None = None,
    verb: str = "report",
    resume: bool = False,
    reporter: "Reporter | None" = None,
    engine: str = "local",
    address: str = "",
) -> Path:
    """Do the whole job of a recipe, or the part that ends with ``verb``: what the command line calls.

    Args:
        recipe: an object, a shipped recipe's name, a ``.toml`` file, or a run folder.
        out: the run folder (default: ``runs/<recipe's name>``).
        overrides: ``KEY=VALUE``, as after ``--set``; for a recipe that is read from a file.
        seeds: every student is trained with the seeds 0 to ``seeds`` - 1 instead of the recipe's.
        verb: one of :data:`VERBS`, or ``compare-methods``.
        resume: go on in a folder that already holds a run.
        reporter: is told how far it is.
        engine: ``local``, or ``ray``: the machines of a Ray cluster do the trainings.
        address: ``HOST:PORT`` of a cluster that runs; without one, ``ray`` starts a Ray on this machine.

    Returns:
        The run folder.

    Raises:
        EdgeproofError: bad input.
        GateFailedError: a gate failed; everything was written all the same.
    """
    cluster = cluster_of(engine, address)
    resolved, folder = _resolve(recipe, out=out, overrides=overrides, seeds=seeds)
    resolved, stages = _checked(resolved, verb=verb)
    again = partial(stages_of, verb=verb)
    _execute(resolved, folder, stages, resume=resume, reporter=reporter, again=again, cluster=cluster)
    return folder


def run_verb(
    recipe: "str | Recipe",
    *,
    out: Path | None,
    overrides: Sequence[str],
    verb: str,
    cluster: str | None = None,
) -> None:
    """What the command of a verb does; stages that are whole are kept."""
    resolved = _resolve(recipe, out=out, overrides=overrides)
    _run(*resolved, resume=True, dry_run=False, verb=verb, cluster=cluster)


def _execute(
    recipe: "Recipe",
    folder: Path,
    stages: "list[Stage]",
    *,
    resume: bool,
    reporter: "Reporter | None",
    again: "Callable[[Recipe], list[Stage]] | None" = None,
    cluster: str | None = None,
) -> None:
    """Run the stages; ``again`` lists those of the recipe without a form or an optional student that could not be made."""
    from distill.cli.left_out import after
    from distill.pipeline.runner import run_stages
    from distill.pipeline.stage import Run
    from distill.training.precision import process_count

    processes = process_count(recipe.training)
    while True:
        try:
            run_stages(
                Run(folder, recipe),
                stages,
                resume=resume,
                reporter=reporter,
                processes=processes,
                cluster=cluster,
            )
            return
        except (GateFailedError, StoppedError):
            raise
        except EdgeproofError as error:
            if again is None:
                raise
            recipe = after(recipe, error)
            stages, resume = again(recipe), True


def roster_for(recipe: "Recipe") -> "Roster":
    """Every model and artifact that a recipe asks for; raises :class:`EdgeproofError` for an unknown quantizer."""
    from deploy.quantizers import runtimes_of
    from distill.roster import roster_of

    return roster_of(recipe, runtimes=runtimes_of(recipe))


def all_stages(recipe: "Recipe") -> list["Stage"]:
    """The stages of every package, each after those it needs."""
    from bench.stages import bench_stages
    from deploy.stages import deploy_stages
    from distill.stages import cost_stages, distill_stages

    roster = roster_for(recipe)
    stages = distill_stages(recipe, roster)
    stages += deploy_stages(recipe, roster, stages)
    stages += cost_stages(recipe, roster)
    return [*stages, *bench_stages(recipe, roster, stages)]


def stages_of(recipe: "Recipe", *, verb: str) -> list["Stage"]:
    """The verb's own stages and what they need, in order; ``report`` means all."""
    stages = all_stages(recipe)
    if verb == "report":
        return stages
    wanted = {stage.name for stage in stages if stage.verb in _ENDS.get(verb, (verb,))}
    for stage in reversed(stages):
        if stage.name in wanted:
            wanted.update(stage.needs)
    return [stage for stage in stages if stage.name in wanted]


def stages_leaving(recipe: "Recipe", files: Sequence[str]) -> list["Stage"]:
    """The stages that leave ``files`` of the run folder, and what they need, in order."""
    stages = all_stages(recipe)
    wanted = {stage.name for stage in stages if set(stage.outputs) & set(files)}
    for stage in reversed(stages):
        if stage.name in wanted:
            wanted.update(stage.needs)
    return [stage for stage in stages if stage.name in wanted]


def _add_verb(app: typer.Typer, verb: str, text: str) -> None:
    def command(recipe: RecipeArgument, out: OutOption = None, overrides: SetOption = None) -> None:
        run_verb(recipe, out=out, overrides=overrides or [], verb=verb)

    command.__doc__ = f"{text} Stages that are whole are kept."
    app.command(name=verb)(command)


def _add_distill(app: typer.Typer, verb: str, text: str) -> None:
    def command(
        recipe: RecipeArgument,
        out: OutOption = None,
        overrides: SetOption = None,
        seeds: SeedsOption = None,
        as_json: JsonOption = False,
        engine: EngineOption = "local",
        address: AddressOption = "",
    ) -> None:
        cluster = cluster_of(engine, address)
        resolved, folder = _resolve(recipe, out=out, overrides=overrides or [], seeds=seeds)
        _run(resolved, folder, resume=True, dry_run=False, verb=verb, cluster=cluster)
        print_arms(folder, as_json=as_json)

    command.__doc__ = f"{text} Stages that are whole are kept; what distillation gave is printed."
    app.command(name=verb)(command)


def _add_compare(app: typer.Typer) -> None:
    @app.command(name=COMPARE)
    def command(
        recipe: RecipeArgument = COMPARE,
        out: OutOption = None,
        overrides: SetOption = None,
        seeds: SeedsOption = None,
        as_json: JsonOption = False,
        engine: EngineOption = "local",
        address: AddressOption = "",
    ) -> None:
        """Teach one student by many methods, with several seeds, and show what each gave; whole stages are kept."""
        cluster = cluster_of(engine, address)
        resolved, folder = _resolve(recipe, out=out, overrides=overrides or [], seeds=seeds)
        if not resolved.distillation.variants:
            raise EdgeproofError(
                f"{recipe}: distillation.variants: found none, expected a section [distillation.variants.NAME] with methods "
                "for each lesson to compare"
            )
        _run(resolved, folder, resume=True, dry_run=False, verb=COMPARE, cluster=cluster)
        print_arms(folder, as_json=as_json)
        if not as_json:
            print_report(folder)


def _run(
    resolved: "Recipe",
    folder: Path,
    *,
    resume: bool,
    dry_run: bool,
    verb: str,
    progress: Path | None = None,
    cluster: str | None = None,
) -> None:
    from distill.cli.outlook import listed, reckon, told, warnings_about

    (resolved, stages), console = _checked(resolved, verb=verb), _told_on()
    dataset = listed(resolved)
    for warning in warnings_about(resolved, dataset):
        console.print(f"edgeproof: warning: {warning}", highlight=False, markup=False, soft_wrap=True)
    if dry_run:
        for stage in stages:
            typer.echo(stage.name)
        return
    console.print(f"edgeproof: {resolved.name} → {folder}", highlight=False)
    expected_s = None
    if not (folder / "stages.json").is_file():  # else most of it may be whole
        found = reckon(resolved, roster_for(resolved), stages, dataset)
        stages, expected_s = list(found.stages), found.seconds
        console.print(f"edgeproof: {told(found)}", highlight=False, soft_wrap=True)
    try:
        again = partial(stages_of, verb=verb)
        carry_out(
            resolved, folder, stages, resume=resume, expected_s=expected_s, progress=progress, again=again, cluster=cluster
        )  # fmt: skip
    finally:
        if (folder / "report.html").is_file() and verb == "report":
            print_result(folder)


def carry_out(
    recipe: "Recipe",
    folder: Path,
    stages: "list[Stage]",
    *,
    resume: bool = True,
    expected_s: float | None = None,
    progress: Path | None = None,
    again: "Callable[[Recipe], list[Stage]] | None" = None,
    cluster: str | None = None,
) -> None:
    """Run stages and show how far they are, on standard error, and in the file ``progress`` where one is given."""
    from distill.pipeline.console import ConsoleReporter

    try:
        with ConsoleReporter(
            _told_on(), expected_s=expected_s, folder=folder, progress_file=progress
        ) as reporter:
            _execute(recipe, folder, stages, resume=resume, reporter=reporter, again=again, cluster=cluster)
    except KeyboardInterrupt:
        raise stopped(f"; what was finished in {folder} is whole, --resume goes on there") from None


def _told_on() -> "Console":
    from rich.console import Console

    from distill.cli.verbosity import is_quiet

    return Console(stderr=True, quiet=is_quiet())


def _resolve(
    source: "Recipe | str | Path",
    *,
    out: Path | str | None,
    overrides: Sequence[str],
    seeds: int | None = None,
) -> tuple["Recipe", Path]:
    from distill.overrides import with_seeds
    from distill.recipe import Recipe, load_recipe

    if isinstance(source, Recipe):
        recipe, folder = source, Path("runs") / source.name
    elif (Path(source) / "recipe.toml").is_file():
        recipe, folder = load_recipe(str(Path(source) / "recipe.toml"), overrides=overrides), Path(source)
    else:
        recipe = load_recipe(str(source), overrides=overrides)
        folder = Path("runs") / recipe.name
    return recipe if seeds is None else with_seeds(recipe, seeds), Path(out or folder)


def _checked(recipe: "Recipe", *, verb: str) -> tuple["Recipe", list["Stage"]]:
    """The recipe and the verb's stages, after everything that can be checked before any work."""
    from distill.cli.left_out import without_unfit
    from distill.data.layouts import find_layout
    from distill.task import find_task

    _require_training()
    recipe = without_unfit(recipe, check=_check_names)
    if verb == "quantize" and not recipe.quantization:
        raise EdgeproofError(
            "quantization: found no quantizer, expected one at least (edgeproof list quantizers)"
        )
    stages = stages_of(recipe, verb=verb)
    if recipe.data.path:  # complain about the place and layout before a run folder is made
        labels = find_task(recipe.task).classes
        data = recipe.data
        find_layout(at_home(data.path), layout=data.layout, labels=labels, columns=data.columns)
    return recipe, stages


def _check_names(recipe: "Recipe") -> None:
    """Everything that a recipe names, all mistakes at once."""
    from deploy.quantizers import quantizers_of
    from distill.check import check_names
    from distill.roster import roster_of

    problems: list[str] = []
    for check in (lambda: check_names(recipe, roster_of(recipe)), lambda: quantizers_of(recipe)):
        try:
            check()
        except EdgeproofError as error:
            problems += error.args
    if problems:
        raise MistakesError(*problems)


def _require_training() -> None:
    from importlib.util import find_spec

    missing = [name for name in _TRAINING if find_spec(name) is None]
    if missing:
        raise EdgeproofError(
            f"training needs {', '.join(missing)}, not installed; pip install 'edgeproof[all]'"
        )
