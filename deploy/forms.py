"""The smaller forms that an FP32 artifact may take in a runtime, each an artifact in a folder of its own. Torch-free."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.artifact import MODEL_FILES, Manifest, read_manifest, write_artifact
from deploy.interface import quantize
from deploy.openvino_ir import openvino_core
from deploy.quantizers import QUANTIZERS, Quantizer, find_quantizer
from distill.errors import EdgeproofError
from distill.forms import Precision, Runtime
from distill.machine import processor
from distill.optional import require
from distill.preprocess import Pixels
from distill.task import task_of_labels

NO_BF16 = "this CPU has no bf16 instructions"


@dataclass(frozen=True)
class Form:
    """A form to try.

    Attributes:
        name: of the form, one word.
        precision: what its manifest says.
        quantizer: the tool that makes it; None for none.
        make: writes it to a folder; raises :class:`EdgeproofError` where it cannot.
    """

    name: str
    precision: Precision
    quantizer: str | None
    make: Callable[[Path], None]


def forms_of(artifact: Path, *, runtime: Runtime, quantizer: str, images: Pixels) -> list[Form]:
    """What to try: one quantizer's form, or for ``auto`` all that fit the runtime.

    Args:
        artifact: the FP32 artifact's folder.
        runtime: what the forms are for.
        quantizer: a name that ``edgeproof list quantizers`` shows, or ``auto``.
        images: to calibrate with, uint8 ``[N, S, S, 3]``.

    Raises:
        EdgeproofError: an unknown quantizer, or one that makes models for another runtime.
    """
    if quantizer != "auto":
        tool = find_quantizer(quantizer)
        if tool.runtime != runtime:
            raise EdgeproofError(
                f"--quantizer {quantizer}: makes models for {tool.runtime}, --runtime is {runtime}"
            )
        return [_quantized(artifact, tool, images)]
    fitting = [tool for tool in QUANTIZERS.values() if tool.runtime == runtime]
    return [
        *(_quantized(artifact, tool, images) for tool in fitting),
        *(_floating(artifact) if runtime == "openvino" else ()),
    ]


def _quantized(artifact: Path, tool: Quantizer, images: Pixels) -> Form:
    # some tools look at a part of what they are given, unless they are told to look at all
    settings = {"subset_size": len(images)} if "subset_size" in tool.settings_type.model_fields else {}

    def make(out: Path) -> None:
        quantize(artifact, [*images], out=out, tool=tool.name, settings=settings, samples=len(images))

    return Form(tool.name, "int8", tool.name, make)


def _floating(artifact: Path) -> Iterator[Form]:
    """OpenVINO's two forms without integers."""

    def bf16(out: Path) -> None:
        if not processor().has_bf16:
            raise EdgeproofError(NO_BF16)
        with_models(artifact, out, runtime="openvino", precision="bf16")

    def fp16(out: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="edgeproof-") as temporary:
            model = openvino_core().read_model(artifact / MODEL_FILES["openvino"][0])
            halved = Path(temporary, MODEL_FILES["openvino"][0])
            require("openvino").save_model(model, halved, compress_to_fp16=True)
            files = {name: Path(temporary, name) for name in MODEL_FILES["openvino"]}
            with_models(artifact, out, runtime="openvino", precision="fp16", files=files)

    yield Form("bf16", "bf16", None, bf16)
    yield Form("fp16", "fp16", None, fp16)


def with_models(
    source: Path,
    out: Path,
    *,
    runtime: Runtime,
    precision: Precision | None = None,
    files: Mapping[str, Path] | None = None,
    also: Mapping[str, Path] | None = None,
    threshold: float | None = None,
) -> Manifest:
    """Write an artifact with one runtime's models; what is not given is taken from ``source``.

    Args:
        source: an artifact.
        out: the new one's folder.
        runtime: whose models it holds.
        precision: of the new one.
        files: its models, by name.
        also: further files that it holds.
        threshold: on the probability of *generated*.

    Raises:
        EdgeproofError: ``out`` holds something else.
    """
    found = read_manifest(source)
    return write_artifact(
        out,
        name=found.name,
        files={**(files or {name: source / name for name in MODEL_FILES[runtime]}), **(also or {})},
        preprocess=found.preprocess,
        threshold=found.threshold if threshold is None else threshold,
        calibration=found.calibration,
        precision=precision or found.precision,
        task=task_of_labels(found.task, found.labels),
        metrics=found.metrics,
        parent=found.parent,
        quantizer=found.quantizer,
        versions=found.versions,
        data=found.data,
    )
