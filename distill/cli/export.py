"""``edgeproof export``: another form of an artifact, or a hub folder; or a recipe up to its FP32 artifacts."""

from pathlib import Path
from typing import Annotated, Any

import typer

from distill.cli.dispatch import given, is_artifact, refuse_for_artifact, refuse_for_recipe, require_options
from distill.cli.options import JsonOption, SetOption
from distill.errors import EdgeproofError, unknown_name

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
InputOption = Annotated[
    str | None, typer.Option("--input", metavar="FORM", help="float-nchw (values 0 to 255) or rgbx.")
]


def export(
    source: SourceArgument,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the variant, or of the run.")] = None,
    batch: Annotated[int | None, typer.Option(help="Images of one call.", min=2)] = None,
    dynamic_batch: Annotated[
        bool, typer.Option("--dynamic-batch", help="Any number of images a call.")
    ] = False,
    input_form: InputOption = None,
    ort_format: Annotated[
        bool,
        typer.Option("--ort-format", help="For ONNX Runtime's minimal builds, with the operators needed."),
    ] = False,
    fp16_weights: Annotated[
        bool, typer.Option("--fp16-weights", help="OpenVINO files with float weights stored in FP16.")
    ] = False,
    hub: HubOption = None,
    license_id: LicenseOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write another form of an artifact, or its hub folder; or everything of a recipe up to the FP32 artifacts."""
    variant = {
        "--batch": batch, "--dynamic-batch": dynamic_batch, "--input": input_form, "--ort-format": ort_format,
        "--fp16-weights": fp16_weights, "--json": as_json,
    }  # fmt: skip
    hub_folder = {"--hub": hub, "--license": license_id}
    if not is_artifact(source):
        from distill.cli.run import run_verb

        refuse_for_recipe(source, {**variant, **hub_folder})
        run_verb(source, out=out, overrides=overrides or [], verb="export")
        return
    refuse_for_artifact(source, {"--set": overrides})
    if hub is not None:
        _refuse(given(variant | {"--out": out}), beside="--hub")
        _export_hub(Path(source), hub=hub, license_id=license_id)
        return
    require_options(source, {"--out or --hub": out})
    _refuse(given({"--license": license_id}), beside="--out")
    _refuse(given({"--dynamic-batch": dynamic_batch}) if batch else [], beside="--batch")
    asked: dict[str, Any] = {"ort_format": ort_format, "fp16_weights": fp16_weights}
    asked |= {"batch": batch} if batch or dynamic_batch else {}
    asked |= {"input": input_form} if input_form else {}
    _export_variant(Path(source), asked, out=Path(out or ""), as_json=as_json)


def _refuse(names: list[str], *, beside: str) -> None:
    for name in names:
        raise EdgeproofError(f"{name}: does not go with {beside}")


def _export_hub(artifact: Path, *, hub: Path, license_id: str | None) -> None:
    from deploy.hub import write_hub_folder

    write_hub_folder(artifact, out=hub, license_id=license_id)
    typer.echo(f"{hub}: ready for the Hugging Face hub")


def _export_variant(artifact: Path, asked: dict[str, Any], *, out: Path, as_json: bool) -> None:
    from deploy.variants import INPUT_FORMS, Changes, write_variant

    if "input" in asked and asked["input"] not in INPUT_FORMS:
        raise unknown_name(kind="input", given=asked["input"], choices=INPUT_FORMS)
    record = write_variant(artifact, Changes(**asked), out=out)
    if as_json:
        typer.echo(record.model_dump_json(indent=2))
        return
    found = record.agreement
    typer.echo(
        f"{out}: {', '.join(record.changes)}; logits within {found.largest_difference:.1g} of the artifact's "
        f"on {found.images} random images (limit {found.limit:g})"
    )
