"""``edgeproof export``: an artifact laid out for others; or a recipe up to its FP32 artifacts."""

from pathlib import Path
from typing import Annotated

import typer

from distill.cli.dispatch import is_artifact, refuse_for_artifact, refuse_for_recipe
from distill.cli.options import SetOption
from distill.errors import EdgeproofError

SourceArgument = Annotated[
    str,
    typer.Argument(help="An artifact's folder; or a recipe, or a run folder.", metavar="ARTIFACT|RECIPE"),
]
HubOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Lay the artifact out for the Hugging Face hub.")
]
LicenseOption = Annotated[
    str | None, typer.Option("--license", metavar="ID", help="Of the hub folder, such as apache-2.0.")
]


def export(
    source: SourceArgument,
    hub: HubOption = None,
    license_id: LicenseOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the run.")] = None,
    overrides: SetOption = None,
) -> None:
    """Lay out an artifact for the Hugging Face hub; or everything of a recipe up to the FP32 artifacts."""
    if is_artifact(source):
        refuse_for_artifact(source, {"--set": overrides})
        _export_artifact(Path(source), hub=hub, license_id=license_id)
        return
    from distill.cli.run import run_verb

    refuse_for_recipe(source, {"--hub": hub, "--license": license_id})
    run_verb(source, out=out, overrides=overrides or [], verb="export")


def _export_artifact(artifact: Path, *, hub: Path | None, license_id: str | None) -> None:
    from deploy.hub import write_hub_folder

    if hub is None:
        raise EdgeproofError(f"{artifact} is an artifact: expected --hub too")
    write_hub_folder(artifact, out=hub, license_id=license_id)
    typer.echo(f"{hub}: ready for the Hugging Face hub")
