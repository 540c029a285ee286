"""What a run found, as a terminal shows it on standard output, where progress has left no mark."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console


def print_result(folder: Path) -> None:
    """The report's tables, and where it lies."""
    from bench.report.terminal import result_tables

    console = wide_console()
    for block in result_tables(folder):
        console.print(block, highlight=False, markup=False, soft_wrap=isinstance(block, str))
    print_report(folder)


def print_report(folder: Path) -> None:
    """Where the report lies."""
    wide_console().print(f"report: {(folder / 'report.html').resolve()}", highlight=False, soft_wrap=True)


def print_arms(folder: Path, *, as_json: bool) -> None:
    """What distillation gave every student of a run."""
    from bench.report.terminal import arms_tables
    from bench.seeds import compare_all
    from distill.pipeline.stage import Run
    from distill.recipe import load_recipe
    from distill.roster import roster_of

    recipe = load_recipe(str(folder / "recipe.toml"))  # without the students that were left out
    found = compare_all(Run(folder=folder, recipe=recipe), roster_of(recipe))
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    console = wide_console()
    for block in arms_tables(found):
        console.print(block, highlight=False, markup=False)


def wide_console() -> "Console":
    """A console that is wide enough for the tables where there is no terminal."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = 110  # a log has no width, and 80 columns cut names
    return console
