"""``edgeproof attribute``: which generator made an image, by the networks of a run and by fingerprints."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distill.cli.options import JsonOption
from distill.errors import EdgeproofError

if TYPE_CHECKING:
    from bench.attribution.record import AttributionRecord
    from distill.roster import Model


def attribute(
    run: Annotated[
        Path, typer.Argument(help="A run folder of a recipe with task families, such as attribution.")
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Folder (default: the run's own).")] = None,
    fingerprints: Annotated[
        bool, typer.Option(help="The nearest fingerprint beside the networks: reads the training images.")
    ] = True,
    artifact: Annotated[
        Path | None, typer.Option(help="Folder: the first student as an artifact that names the generator.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell which generator made each test image, or that it is unknown, and how often that is right."""
    from bench.attribution.collect import attribution_of
    from distill.cli.progress import bar
    from distill.cli.run import roster_for
    from distill.recipe import load_recipe

    if not (run / "recipe.toml").is_file():
        raise EdgeproofError(f"{run}: holds no recipe.toml, expected a run folder")
    recipe = load_recipe(str(run / "recipe.toml"))
    roster = roster_for(recipe)
    with bar("fingerprints") as progress:
        record = attribution_of(run, recipe, roster, progress=progress, fingerprints=fingerprints)
    if artifact:
        _export(run, roster.distilled[0], record, out=artifact)
    page = _write(record, out or run)
    if as_json:
        typer.echo(record.model_dump_json(indent=2))
    else:
        _print(record)
    typer.echo(f"written: {page}", err=True)


def _export(run: Path, student: "Model", record: "AttributionRecord", *, out: Path) -> None:
    """The network of the run as a K-class artifact; the run's own artifacts sum the generators up."""
    from bench.attribution.collect import temperature_of
    from deploy.interface import export
    from deploy.reference import read_checkpoint
    from distill.pipeline.runfolder import WEIGHTS
    from distill.task import MultiClass

    found = read_checkpoint(run / student.folder / WEIGHTS)
    export(
        found.network, found.spec, out=out, calibration=temperature_of(run, student, record.classes),
        task=MultiClass(record.classes), name=f"{record.recipe}-{student.name}", data=found.data or "unknown",
        parent=found.digest,
    )  # fmt: skip


def _write(record: "AttributionRecord", folder: Path) -> Path:
    from bench.attribution.page import page_of
    from bench.attribution.record import ATTRIBUTION
    from distill.files import write_text
    from distill.page import html

    record.write(folder / ATTRIBUTION)
    write_text(folder / "attribution.html", html.render(page_of(record)))
    return (folder / "attribution.html").resolve()


def _print(record: "AttributionRecord") -> None:
    from bench.attribution.page import headline, matrices, table
    from distill.page.terminal import console, drawn

    out = console()
    out.print(drawn(table(record)))
    best = max(record.models, key=lambda found: found.accuracy)
    for block in matrices(record, best):
        out.print(drawn(block))
    out.print(headline(record), highlight=False, markup=False, soft_wrap=True)
