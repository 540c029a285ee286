"""``edgeproof quantize``: an artifact's fastest form that keeps its accuracy; or a recipe up to its INT8 artifacts."""

from pathlib import Path
from typing import Annotated, Any

import typer

from distill.cli.dispatch import is_artifact, refuse_for_artifact, refuse_for_recipe, require_options
from distill.cli.options import JsonOption, SetOption, ThreadsOption

SourceArgument = Annotated[
    str,
    typer.Argument(
        help="An FP32 artifact's folder; or a recipe, or a run folder.", metavar="ARTIFACT|RECIPE"
    ),
]
CalibrationOption = Annotated[
    Path | None, typer.Option(help="Training images: a data set of any layout, or a folder of photos.")
]

QuantizerOption = Annotated[
    str | None,
    typer.Option(metavar="NAME|auto", help="One tool (edgeproof list quantizers), or all (default: auto)."),
]
CheckpointOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The .safetensors file it was made from; inc needs it, and torch."),
]
MaxDropOption = Annotated[
    list[str] | None,
    typer.Option(metavar="METRIC=VALUE", help="What may be lost, as in auc=0.005 or drift=0.1 (repeatable)."),
]


def quantize(
    source: SourceArgument,
    calibration: CalibrationOption = None,
    runtime: Annotated[str | None, typer.Option(help="openvino or onnxruntime.")] = None,
    quantizer: QuantizerOption = None,
    checkpoint: CheckpointOption = None,
    validation: Annotated[
        Path | None, typer.Option(help="Images to judge on (default: those that no quantizer sees).")
    ] = None,
    max_drop: MaxDropOption = None,
    samples: Annotated[
        int | None,
        typer.Option(help="Images to calibrate with, and to judge on, at most (default: 1000).", min=1),
    ] = None,
    threads: ThreadsOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the new artifact, or of the run.")
    ] = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the fastest form of an artifact that keeps its accuracy; or everything of a recipe up to the INT8 artifacts.

    Exit code 1 if no form keeps what it must.
    """
    if is_artifact(source):
        refuse_for_artifact(source, {"--set": overrides})
        require_options(source, {"--calibration": calibration, "--runtime": runtime, "--out": out})
        given = {
            "quantizer": quantizer, "checkpoint": checkpoint, "validation": validation, "samples": samples,
            "threads": threads,
        }  # fmt: skip
        _quantize_artifact(
            Path(source), as_json=as_json, max_drop=max_drop or [], calibration=calibration, runtime=runtime, out=out,
            **{name: value for name, value in given.items() if value is not None},
        )  # fmt: skip
        return
    from distill.cli.run import run_verb

    refuse_for_recipe(source, {
        "--calibration": calibration, "--runtime": runtime, "--quantizer": quantizer, "--checkpoint": checkpoint,
        "--validation": validation, "--max-drop": max_drop, "--samples": samples, "--threads": threads, "--json": as_json,
    })  # fmt: skip
    run_verb(source, out=out, overrides=overrides or [], verb="quantize")


def _quantize_artifact(
    artifact: Path, *, runtime: str | None, max_drop: list[str], as_json: bool, **options: Any
) -> None:
    from deploy.auto import quantize_best
    from deploy.auto_table import print_record
    from deploy.limits import parse_limits
    from distill.cli.progress import bar
    from distill.errors import unknown_name
    from distill.forms import RUNTIMES

    if runtime not in RUNTIMES:
        raise unknown_name(kind="runtime", given=str(runtime), choices=RUNTIMES)
    limits = parse_limits(max_drop)
    with bar("quantizing") as progress:
        record = quantize_best(artifact, runtime=runtime, limits=limits, progress=progress, **options)
    print_record(record, as_json=as_json)
    if not record.passed:
        raise typer.Exit(1)
