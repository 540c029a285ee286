"""What every quantizer backend is, and what they share."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from deploy.quantization_record import FloatLayer, FormRecord, QuantizationRecord
from distill.errors import EdgeproofError
from distill.forms import Runtime
from distill.machine import int8_saturates
from distill.preprocess import Pixels

if TYPE_CHECKING:
    from deploy.onnx_graph import DeployGraph

Images = Sequence[Pixels]


class BackendSettings(BaseModel):
    """Settings of every backend.

    ``reduce_range`` keeps weights to 7 bits, which an x86 CPU without VNNI needs; None asks this machine's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reduce_range: bool | None = None

    def effective_reduce_range(self) -> bool:
        """The value asked for, or what this machine's CPU needs."""
        return int8_saturates() if self.reduce_range is None else self.reduce_range


# Writes the INT8 form of ``source`` to ``output``, from ``images`` and ``settings`` (all by keyword). Where the quantizer
# has ``find_layers``, it also takes ``float_layers``, positions in that list, and leaves these in float. Where it needs
# the network, it also takes ``network``. It may return the forms that it timed against each other.
Backend = Callable[..., tuple[FormRecord, ...] | None]


@dataclass(frozen=True)
class Validation:
    """Labelled images that an INT8 form is held to, never those of the test.

    Attributes:
        images: uint8 RGB ``[1, S, S, 3]`` each.
        score: calibrated logits ``[N]`` or ``[N, K]`` of all of them, in their order → what must be kept; higher is better.
        max_drop: the largest drop of the score, against the FP32 form, that passes.
    """

    images: Images
    score: Callable[[npt.NDArray[np.float32]], float]
    max_drop: float


@dataclass(frozen=True)
class Quantizer:
    """One way to make an INT8 model.

    Attributes:
        name: the tool, its key in ``QUANTIZERS``.
        runtime: the runtime it makes models for.
        settings_type: the settings it knows; any other key is an error.
        packages: distributions whose versions go on record.
        find_layers: lists a file's convolutions and matrix products, the same in the same order for the same network at
            every input size; None if the tool cannot leave layers in float.
        trained_settings: defaults for a network that was trained with quantization in the loop.
        control_accuracy: the tool's own search for the layers to leave in float so that a score holds: takes ``source``,
            ``images``, ``settings`` and ``validation`` (by keyword), gives their positions in ``find_layers``. They may be
            more than INT8 allows.
        needs_network: it quantizes the PyTorch network that a file was exported from, not the file.
    """

    name: str
    runtime: Runtime
    settings_type: type[BackendSettings]
    packages: tuple[str, ...]
    backend: Backend
    count_layers: Callable[[Path], int]
    find_layers: Callable[[Path], tuple[FloatLayer, ...]] | None = None
    trained_settings: Mapping[str, object] = field(default_factory=dict)
    control_accuracy: Callable[..., tuple[int, ...]] | None = None
    needs_network: bool = False

    def quantize(
        self,
        *,
        source: Path,
        output: Path,
        images: Images,
        settings: Mapping[str, object] | None = None,
        name: str | None = None,
        float_layers: Sequence[FloatLayer] = (),
        network: "DeployGraph | None" = None,
    ) -> QuantizationRecord:
        """Quantize ``source`` with calibration images of the training split only.

        Args:
            source: FP32 ``.onnx`` (onnxruntime) or ``.xml`` (openvino), as ``deploy.onnx_graph`` writes it.
            output: the INT8 file; OpenVINO's ``.bin`` goes beside it.
            images: uint8 RGB ``[1, S, S, 3]`` each, of both classes.
            settings: fields of ``settings_type``.
            name: what goes on record beside the tool; the tool's own by default.
            float_layers: layers to leave in float, of those that ``find_layers`` finds in ``source``.
            network: what ``source`` was exported from, in evaluation mode; read only if the quantizer needs it.

        Raises:
            EdgeproofError: no file, no or wrong images, an unknown setting, a package that is missing, no layer that
                matched, layers to leave in float that are not there, or no network where one is needed.
        """
        if not source.is_file():
            raise EdgeproofError(f"{source}: no such file, expected the FP32 model to quantize")
        _check_images(images)
        parsed = self.parse(settings or {})
        left = self._found(source, float_layers) if float_layers else ()
        options: dict[str, Any] = {}
        if left:
            options["float_layers"] = tuple(layer.position for layer in left)
        if self.needs_network:
            options["network"] = self._network(network)
        output.parent.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        forms = self.backend(source=source, output=output, images=images, settings=parsed, **options)
        if self.count_layers(output) == 0:
            raise EdgeproofError(
                f"{source}: {self.name} matched no layer, expected a convolution or matrix product"
            )
        return QuantizationRecord(
            name=name or self.name,
            tool=self.name,
            runtime=self.runtime,
            samples=len(images),
            images_sha256=digest(images),
            seconds=round(time.perf_counter() - started, 3),
            reduce_range=parsed.effective_reduce_range(),
            settings=parsed.model_dump(mode="json", exclude={"reduce_range"}),
            versions={package: version(package) for package in self.packages},
            float_layers=left,
            forms=forms or (),
        )

    def _network(self, network: "DeployGraph | None") -> "DeployGraph":
        if network is None:
            raise EdgeproofError(
                f"quantizer {self.name}: found no network, expected the PyTorch module that the artifact was made from"
            )
        return network

    def _found(self, source: Path, wanted: Sequence[FloatLayer]) -> tuple[FloatLayer, ...]:
        """The same layers in ``source``, whatever its input size, in the order in which they compute."""
        if self.find_layers is None:
            raise EdgeproofError(
                f"quantizer {self.name}: cannot leave layers in float, found {len(wanted)} to leave"
            )
        found = self.find_layers(source)
        for layer in wanted:
            here = found[layer.position] if layer.position < len(found) else None
            if not layer.is_same(here):
                raise EdgeproofError(
                    f"{source}: layer {layer.position} is {_named(here)}, expected {_named(layer)} to leave in float"
                )
        return tuple(found[position] for position in sorted({layer.position for layer in wanted}))

    def parse(self, settings: Mapping[str, object]) -> BackendSettings:
        """Check settings; raises :class:`EdgeproofError` that names every wrong one and the choices."""
        try:
            return self.settings_type.model_validate(dict(settings))
        except ValidationError as error:
            choices = ", ".join(sorted(self.settings_type.model_fields))
            found = "; ".join(
                f"{'.'.join(map(str, item['loc']))}: found {item['input']!r:.80}, {item['msg']}"
                for item in error.errors()
            )
            raise EdgeproofError(f"quantizer {self.name}: {found} (settings: {choices})") from None


def digest(images: Images) -> str:
    """One SHA-256 for a set of images, whatever their order: of their own ones in hexadecimal, sorted, a line each."""
    each = sorted(hashlib.sha256(image.tobytes()).hexdigest() for image in images)
    return hashlib.sha256("\n".join(each).encode()).hexdigest()


def _named(layer: FloatLayer | None) -> str:
    return f"{layer.kind} {list(layer.shape)}" if layer else "none"


def _check_images(images: Images) -> None:
    if len(images) == 0:
        raise EdgeproofError("calibration images: found 0, expected at least 1")
    for index, image in enumerate(images):
        if image.dtype.name != "uint8" or image.ndim != 4 or image.shape != images[0].shape:
            raise EdgeproofError(
                f"calibration image {index}: found {image.dtype} {list(image.shape)}, "
                f"expected uint8 {list(images[0].shape)}"
            )
