"""``edgeproof sensitivity``: which layers of an artifact suffer from INT8."""

from pathlib import Path
from typing import Annotated

import typer

from distill.cli.options import JsonOption


def sensitivity(
    artifact: Annotated[Path, typer.Argument(help="An FP32 artifact's folder.")],
    calibration: Annotated[
        Path, typer.Option(help="Training images: a data set of any layout, or a folder of photos.")
    ],
    validation: Annotated[
        Path | None, typer.Option(help="Images to judge on (default: those that no quantizer sees).")
    ] = None,
    quantizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="A tool of edgeproof list quantizers (default: the first that fits)."
        ),
    ] = None,
    samples: Annotated[int, typer.Option(help="Images to calibrate with, at most.", min=1)] = 64,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for sensitivity.json and sensitivity.png.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Quantize each layer of an artifact alone, and say what leaving the worst out would buy."""
    from deploy.sensitivity import measure_sensitivity
    from deploy.sensitivity_text import print_sensitivity, write_sensitivity
    from distill.cli.progress import bar

    with bar("quantizing layers") as progress:
        found = measure_sensitivity(
            artifact, calibration=calibration, validation=validation, quantizer=quantizer, samples=samples,
            progress=progress,
        )  # fmt: skip
    print_sensitivity(found, as_json=as_json)
    if out:
        for path in write_sensitivity(found, out):
            typer.echo(f"written: {path}", err=True)
