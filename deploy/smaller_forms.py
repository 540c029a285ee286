"""The smaller forms that an FP32 artifact may take in a runtime, each an artifact in a folder of its own. Torch-free."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from deploy.reference import Checkpoint

NO_BF16 = "this CPU has no bf16 instructions"
NO_NETWORK = (
    "it quantizes the network and not the file, and so needs --checkpoint FILE.safetensors, the one that the artifact was "
    "made from"
)


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


def tools_of(*, runtime: Runtime, quantizer: str, has_network: bool) -> list[Quantizer]:
    """The quantizers to try: one by its name, or for ``auto`` all that fit the runtime.

    Args:
        runtime: what the forms are for.
        quantizer: a name that ``edgeproof list quantizers`` shows, or ``auto``.
        has_network: whether there is a checkpoint with the network that the artifact was made from.

    Raises:
        EdgeproofError: an unknown quantizer, one that makes models for another runtime, one that needs the network where
            there is none, or a checkpoint that none of them reads.
    """
    tools = [tool for tool in QUANTIZERS.values() if tool.runtime == runtime]
    if quantizer != "auto":
        tools = [find_quantizer(quantizer)]
        if tools[0].runtime != runtime:
            raise EdgeproofError(
                f"--quantizer {quantizer}: makes models for {tools[0].runtime}, --runtime is {runtime}"
            )
        if tools[0].needs_network and not has_network:
            raise EdgeproofError(f"--quantizer {quantizer}: {NO_NETWORK}")
    if has_network and not any(tool.needs_network for tool in tools):
        reader = next(tool for tool in QUANTIZERS.values() if tool.needs_network)
        raise EdgeproofError(
            f"--checkpoint: is for --quantizer {reader.name} and --runtime {reader.runtime}, "
            f"found --quantizer {quantizer} and --runtime {runtime}"
        )
    return tools


def forms_of(
    artifact: Path,
    *,
    runtime: Runtime,
    tools: Sequence[Quantizer],
    images: Pixels,
    checkpoint: "Checkpoint | None" = None,
    floats: bool = True,
) -> list[Form]:
    """What to try: each quantizer's form, and those of the runtime without integers.

    Args:
        artifact: the FP32 artifact's folder.
        runtime: what the forms are for.
        tools: the quantizers, of that runtime.
        images: to calibrate with, uint8 ``[N, S, S, 3]``.
        checkpoint: with the network that the artifact was made from, for a tool that needs it.
        floats: whether to try forms without integers too; OpenVINO alone has any.
    """
    quantized = [_quantized(artifact, tool, images, checkpoint) for tool in tools]
    return [*quantized, *(_floating(artifact) if floats and runtime == "openvino" else ())]


def _quantized(artifact: Path, tool: Quantizer, images: Pixels, checkpoint: "Checkpoint | None") -> Form:
    # some tools look at a part of what they are given, unless they are told to look at all
    settings = {"subset_size": len(images)} if "subset_size" in tool.settings_type.model_fields else {}
    network: dict[str, Any] = {}
    if tool.needs_network and checkpoint:
        network = {"network": checkpoint.network, "task": checkpoint.task}

    def make(out: Path) -> None:
        if tool.needs_network and not checkpoint:
            raise EdgeproofError(NO_NETWORK)
        quantize(
            artifact, [*images], out=out, tool=tool.name, settings=settings, samples=len(images), **network
        )

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
