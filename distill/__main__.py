"""The command line: the only place that knows every package. Imports are lazy, so that ``--help`` is fast."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distill.data_commands import JsonOption, SetOption, data_app
from distill.errors import EdgeproofError

if TYPE_CHECKING:
    from distill.recipe import Recipe
    from distill.stage import Stage

app = typer.Typer(
    name="edgeproof",
    help="Distil a large real-vs-generated image detector into a small INT8 one, and prove what it cost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data")

RecipeArgument = Annotated[
    str, typer.Argument(help="A shipped recipe's name, a .toml file, or a run folder.")
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Run folder (default: runs/<recipe's name>).")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on in a folder that already holds a run.")]


@app.command()
def run(
    recipe: RecipeArgument,
    out: OutOption = None,
    overrides: SetOption = None,
    resume: ResumeOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the recipe, list the stages, do nothing.")
    ] = False,
) -> None:
    """Do the whole job: data, teacher, students, INT8, proof, report."""
    _run(recipe, out=out, overrides=overrides, resume=resume, dry_run=dry_run, verb="report")


def _verb(name: str, text: str) -> None:
    def command(recipe: RecipeArgument, out: OutOption = None, overrides: SetOption = None) -> None:
        _run(recipe, out=out, overrides=overrides, resume=True, dry_run=False, verb=name)

    command.__doc__ = f"{text} Stages that are whole are kept."
    app.command(name=name)(command)


_verb("teach", "Make the data and train the teacher.")
_verb("distill", "Everything up to the trained students.")
_verb("export", "Everything up to the FP32 artifacts.")
_verb("quantize", "Everything up to the INT8 artifacts.")
_verb("verify", "Everything up to the parity gate.")
_verb("evaluate", "Everything up to the accuracy gate.")
_verb("bench", "Everything up to the latency bench.")
_verb("report", "Everything up to the report, which is written anew.")


@app.command()
def predict(
    artifact: Annotated[Path, typer.Argument(help="An artifact folder.")],
    images: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")],
    as_json: JsonOption = False,
    csv: Annotated[Path | None, typer.Option(help="Write the answers to this CSV file.")] = None,
    runtime: Annotated[
        str | None, typer.Option(help="onnxruntime or openvino (default: what is there).")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads (default: the runtime's).")] = None,
) -> None:
    """Say of each photo whether it is real or generated. Needs no torch."""
    from deploy.predict import predict_files, print_answers

    answers = predict_files(artifact, images, runtime=runtime, threads=threads)
    print_answers(answers, as_json=as_json, csv=csv)
    if any(answer["error"] for answer in answers):
        raise typer.Exit(2)


@app.command(name="list")
def list_names(
    what: Annotated[
        str | None,
        typer.Argument(help="teachers, students, methods, recipes, layouts, quantizers, runtimes."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the names that recipes may use, from the tables that the code uses."""
    from distill.errors import unknown_name

    if what is not None and what not in TABLES:
        raise unknown_name(kind="list", given=what, choices=TABLES)
    names: dict[str, list[str]] = {}
    for key, table in TABLES.items():
        try:
            names.update({key: sorted(table())} if what in (None, key) else {})
        except ImportError:  # a torch-free installation still lists the rest
            if what == key:
                raise
            typer.echo(f"edgeproof: {key} are left out, they need pip install 'edgeproof[train]'", err=True)
    if as_json:
        typer.echo(json.dumps(names))
        return
    for key, values in names.items():
        typer.echo("\n".join(values) if what else f"{key}: {', '.join(values)}")


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Check this machine and installation, and say what to do about each problem."""
    from bench.doctor import examine, print_findings

    findings = examine()
    print_findings(findings, as_json=as_json)
    if any(finding["status"] == "problem" for finding in findings):
        raise typer.Exit(2)


def _teachers() -> list[str]:
    from teachers import TEACHERS

    return [*TEACHERS, "timm:<name>"]


def _students() -> list[str]:
    from students import STUDENTS

    return list(STUDENTS)


def _methods() -> list[str]:
    from distill.methods import METHODS

    return list(METHODS)


def _recipes() -> list[str]:
    from distill.recipe import shipped_recipes

    return list(shipped_recipes())


def _layouts() -> list[str]:
    from distill.data.layouts import LAYOUTS

    return list(LAYOUTS)


def _quantizers() -> list[str]:
    from deploy.quantizers import QUANTIZERS

    return list(QUANTIZERS)


def _runtimes() -> list[str]:
    from deploy.artifact import MODEL_FILES

    return list(MODEL_FILES)


TABLES: dict[str, Callable[[], list[str]]] = {
    "teachers": _teachers,
    "students": _students,
    "methods": _methods,
    "recipes": _recipes,
    "layouts": _layouts,
    "quantizers": _quantizers,
    "runtimes": _runtimes,
}


def _run(
    source: str, *, out: Path | None, overrides: list[str] | None, resume: bool, dry_run: bool, verb: str
) -> None:
    from rich.console import Console

    from distill.console import ConsoleReporter
    from distill.precision import process_count
    from distill.stage import Run, run_stages

    resolved, folder = _resolve(source, out=out, overrides=overrides or [])
    _require_training()
    stages = _stages(resolved, verb=verb)
    if resolved.data.path:
        _check_data(resolved)
    if dry_run:
        for stage in stages:
            typer.echo(stage.name)
        return
    console = Console(stderr=True)
    console.print(f"edgeproof: {resolved.name} → {folder}", highlight=False)
    try:
        with ConsoleReporter(console) as reporter:
            run_stages(
                Run(folder=folder, recipe=resolved),
                stages,
                resume=resume,
                reporter=reporter,
                processes=process_count(resolved.training),
            )
    except KeyboardInterrupt:
        raise EdgeproofError(
            f"stopped by Ctrl-C; what was finished in {folder} is whole, --resume goes on there"
        ) from None
    finally:
        if (folder / "report.html").is_file() and verb == "report":
            _print_result(folder)


def _check_data(recipe: "Recipe") -> None:
    """Complain about the data set's place and layout before a run folder is made."""
    from distill.data.layouts import find_layout

    find_layout(Path(recipe.data.path).expanduser(), layout=recipe.data.layout)


def _resolve(source: str, *, out: Path | None, overrides: list[str]) -> tuple["Recipe", Path]:
    from distill.recipe import load_recipe

    folder = Path(source)
    if (folder / "recipe.toml").is_file():
        return load_recipe(str(folder / "recipe.toml"), overrides=overrides), out or folder
    recipe = load_recipe(source, overrides=overrides)
    return recipe, out or Path("runs") / recipe.name


def _require_training() -> None:
    from importlib.util import find_spec

    missing = [
        name
        for name in ("torch", "torchvision", "timm", "lightning", "safetensors", "onnx")
        if find_spec(name) is None
    ]
    if missing:
        raise EdgeproofError(
            f"training needs {', '.join(missing)}, not installed; pip install 'edgeproof[all]'"
        )


def _stages(recipe: "Recipe", *, verb: str) -> list["Stage"]:
    from bench.stages import bench_stages
    from deploy.stages import deploy_stages
    from distill.models import check_names
    from distill.stages import distill_stages

    check_names(recipe)
    stages = [*distill_stages(recipe), *deploy_stages(recipe)]
    stages += bench_stages(recipe, stages)
    last = max(index for index, stage in enumerate(stages) if stage.verb == verb)
    if verb == "report":
        return stages
    return _needed(stages[: last + 1], verb=verb)


def _needed(stages: list["Stage"], *, verb: str) -> list["Stage"]:
    """The verb's own stages and what they need, in order."""
    wanted = {stage.name for stage in stages if stage.verb == verb}
    for stage in reversed(stages):
        if stage.name in wanted:
            wanted.update(stage.needs)
    return [stage for stage in stages if stage.name in wanted]


def _print_result(folder: Path) -> None:
    from rich.console import Console

    from bench.report import headline_table

    console = Console()
    if not console.is_terminal:
        console.width = 110  # a log has no width, and 80 columns cut names
    console.print(headline_table(folder))
    console.print(f"report: {(folder / 'report.html').resolve()}", highlight=False, soft_wrap=True)


def main() -> None:
    """Entry point: errors a user can mend are one line on standard error, never a traceback."""
    try:
        app()
    except EdgeproofError as error:
        typer.echo(f"edgeproof: error: {error}", err=True)
        sys.exit(error.exit_code)
    except ImportError as error:
        typer.echo(f"edgeproof: error: {error}; pip install 'edgeproof[all]'", err=True)
        sys.exit(2)
    except OSError as error:  # a full disk behind standard output, for one
        typer.echo(f"edgeproof: error: {error.filename or 'output'}: {error.strerror or error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
