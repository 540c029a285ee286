"""``edgeproof export``: another form of an artifact, or a hub folder; a network as an artifact; or a recipe up to there."""

from pathlib import Path
from typing import Annotated, Any

import typer

from distill.cli.dispatch import (
    given,
    is_artifact,
    is_module,
    refuse_as_module,
    refuse_for_artifact,
    refuse_for_module,
    refuse_for_recipe,
    require_options,
)
from distill.cli.options import JsonOption, SetOption
from distill.cli.sign import SecretKeyOption, check_key, sign_with
from distill.errors import EdgeproofError, unknown_name

SourceArgument = Annotated[
    str,
    typer.Argument(
        help="An artifact's folder; a network: timm:NAME, torchvision:NAME or package.module:factory; "
        "or a recipe, or a run folder.",
        metavar="ARTIFACT|MODULE|RECIPE",
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder of the variant, of the artifact, or of the run.")
]
SizeOption = Annotated[int | None, typer.Option(help="Of a network: side of its input in pixels.")]
WeightsOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Of a network: .safetensors file with all its tensors.")
]
LabelsOption = Annotated[
    str | None, typer.Option(metavar="A,B,C", help="Of a network with K logits: its classes.")
]
MeanOption = Annotated[
    str | None,
    typer.Option(metavar="R,G,B", help="Of a network's input (default: ImageNet's); one or three."),
]
StdOption = Annotated[str | None, typer.Option(metavar="R,G,B", help="The same.")]
NameOption = Annotated[str | None, typer.Option(help="Of a network: what the artifact calls it.")]
BatchOption = Annotated[int | None, typer.Option(help="Images of one call.", min=2)]
DynamicOption = Annotated[bool, typer.Option("--dynamic-batch", help="Any number of images a call.")]
InputOption = Annotated[
    str | None, typer.Option("--input", metavar="FORM", help="float-nchw (values 0 to 255) or rgbx.")
]
OrtOption = Annotated[
    bool, typer.Option("--ort-format", help="For ONNX Runtime's minimal builds, with the operators needed.")
]
HalfOption = Annotated[
    bool, typer.Option("--fp16-weights", help="OpenVINO files with float weights stored in FP16.")
]
HubOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Lay the artifact out for the Hugging Face hub.")
]
LicenseOption = Annotated[
    str | None, typer.Option("--license", metavar="ID", help="Of the hub folder, such as apache-2.0.")
]


def export(
    source: SourceArgument,
    out: OutOption = None,
    size: SizeOption = None,
    weights: WeightsOption = None,
    labels: LabelsOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    name: NameOption = None,
    batch: BatchOption = None,
    dynamic_batch: DynamicOption = False,
    input_form: InputOption = None,
    ort_format: OrtOption = False,
    fp16_weights: HalfOption = False,
    hub: HubOption = None,
    license_id: LicenseOption = None,
    sign: SecretKeyOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write another form of an artifact, or its hub folder; a network as an artifact; or a recipe up to its FP32 artifacts."""
    about = {
        "--size": size, "--weights": weights, "--labels": labels, "--mean": mean, "--std": std, "--name": name,
    }  # fmt: skip
    variant = {
        "--batch": batch, "--dynamic-batch": dynamic_batch, "--input": input_form, "--ort-format": ort_format,
        "--fp16-weights": fp16_weights, "--json": as_json,
    }  # fmt: skip
    hub_folder = {"--hub": hub, "--license": license_id}
    if sign is not None:
        check_key(sign)  # before what takes its time
    if is_module(source):
        refuse_for_module(source, {**variant, **hub_folder, "--set": overrides})
        _export_module(source, about, out=out)
    elif is_artifact(source):
        refuse_for_artifact(source, {"--set": overrides})
        refuse_as_module(source, about)
        if sign is not None and hub is None:
            raise EdgeproofError("--sign: signs artifacts and hub folders, and a variant is neither")
        _export_artifact(source, variant, out=out, hub=hub, license_id=license_id)
    else:
        refuse_as_module(source, about)
        refuse_for_recipe(source, {**variant, **hub_folder, "--sign": sign})
        _export_recipe(source, out=out, overrides=overrides or [])
    if sign is not None:
        sign_with(sign, Path(hub or out or ""))


def _export_recipe(source: str, *, out: Path | None, overrides: list[str]) -> None:
    from distill.cli.run import run_verb

    run_verb(source, out=out, overrides=overrides, verb="export")


def _export_module(source: str, about: dict[str, Any], *, out: Path | None) -> None:
    from distill.cli.export_module import export_module

    require_options(source, {"--size": about["--size"], "--out": out}, kind="the name of a network")
    export_module(
        source, out=Path(out or ""), **{key.removeprefix("--"): value for key, value in about.items()}
    )


def _export_artifact(
    source: str, variant: dict[str, Any], *, out: Path | None, hub: Path | None, license_id: str | None
) -> None:
    if hub is not None:
        _refuse(given({**variant, "--out": out}), beside="--hub")
        _export_hub(Path(source), hub=hub, license_id=license_id)
        return
    require_options(source, {"--out or --hub": out})
    _refuse(given({"--license": license_id}), beside="--out")
    batch, dynamic, form = (variant[name] for name in ("--batch", "--dynamic-batch", "--input"))
    _refuse(given({"--dynamic-batch": dynamic}) if batch else [], beside="--batch")
    asked = {"ort_format": variant["--ort-format"], "fp16_weights": variant["--fp16-weights"]}
    asked |= {"batch": batch} if batch or dynamic else {}
    asked |= {"input": form} if form else {}
    _export_variant(Path(source), asked, out=Path(out or ""), as_json=variant["--json"])


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
