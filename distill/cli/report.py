"""``edgeproof report``: a run up to its report, or several finished runs beside each other."""

from pathlib import Path
from typing import Annotated

import typer

from distill.cli.options import SetOption
from distill.errors import EdgeproofError

COMPARISON = Path("comparison")


def report(
    sources: Annotated[
        list[str],
        typer.Argument(help="A recipe or a run folder; or several run folders.", metavar="RUN..."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Run folder; of several runs the folder for comparison.html (default: comparison)."
        ),
    ] = None,
    overrides: SetOption = None,
) -> None:
    """Write the report of a run anew (stages that are whole are kept), or compare several runs with the first."""
    if len(sources) == 1:
        from distill.cli.run import run_verb

        run_verb(sources[0], out=out, overrides=overrides or [], verb="report")
        return
    if overrides:
        raise EdgeproofError(
            f"--set was given with {len(sources)} runs, expected it with one recipe or run alone"
        )
    from bench.report.terminal import comparison_tables
    from bench.report.write import write_comparison
    from distill.cli.run_tables import wide_console

    folders, console = [Path(source) for source in sources], wide_console()
    for block in comparison_tables(folders):
        console.print(block, highlight=False, markup=False, soft_wrap=isinstance(block, str))
    paths = write_comparison(folders, out or COMPARISON)
    console.print(f"comparison: {paths.html.resolve()}", highlight=False, markup=False, soft_wrap=True)
