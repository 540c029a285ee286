"""INT8 artifacts of untrained students: what they take on this CPU is known before a minute of training."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.latency import measure
from bench.search.space import Form
from deploy.artifact import read_manifest
from distill.errors import EdgeproofError
from distill.preprocess import PreprocessSpec

_IMAGES = 32  # calibration of a network that knows nothing: its ranges are those of noise anyway


class Size(NamedTuple):
    """Of a network: multiply-accumulates of one image, and parameters."""

    macs: int
    params: int


class Speed(NamedTuple):
    """Milliseconds of one image, model only."""

    min_ms: float
    p50_ms: float
    noisy: bool


def make_int8(form: Form, folder: Path, *, preprocess: PreprocessSpec, tool: str) -> Size:
    """Write the INT8 artifact of ``form`` with weights as they are drawn; one that is there already is kept.

    Raises:
        EdgeproofError: options that do not fit, or a network that cannot be exported or quantized.
    """
    from bench.contestants.torch import count_macs, count_params
    from deploy.interface import export, quantize
    from students import OptionError, build_student

    try:
        network = build_student(form.architecture, options=form.options).eval()
    except OptionError as error:
        raise EdgeproofError(str(error)) from None
    if not (folder / "manifest.json").is_file():
        whole = export(network, preprocess, out=folder.with_name(f"{folder.name}-fp32"), name=form.name)
        pixels = np.random.default_rng(0).integers(
            0, 256, (_IMAGES, preprocess.size, preprocess.size, 3), dtype=np.uint8
        )
        quantize(whole, pixels, out=folder, tool=tool, samples=_IMAGES)
    return Size(macs=count_macs(network, preprocess.size), params=count_params(network))


def speeds(folders: Mapping[str, Path], *, threads: int, seconds: float) -> dict[str, Speed]:
    """Time the artifacts together, in interleaved rounds.

    Raises:
        EdgeproofError: one could not be timed.
    """
    from bench.contestants.artifact import artifact_contestants

    contestants = []
    for name, folder in folders.items():
        runtime = read_manifest(folder).runtimes[0]
        found = artifact_contestants(folder, model=name, threads=threads)
        contestants += [
            c for c in found if c.scope == "model" and c.runtime == runtime and c.precision == "int8"
        ]
    rows = measure(contestants, rounds=200, budget_s=seconds).rows
    for row in rows:
        if row.min_ms is None or row.p50_ms is None:
            raise EdgeproofError(f"search: {row.model} could not be timed: {row.reason}")
    return {row.model: Speed(row.min_ms, row.p50_ms, row.noisy) for row in rows if row.min_ms and row.p50_ms}
