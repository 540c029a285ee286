"""How an ONNX file is used, inside the file: its ``metadata_props``, so that the file alone tells. Torch-free.

Any ONNX tool shows them: names that begin with ``edgeproof.``, plain text or JSON. ``manifest.json`` stays what counts: it
holds the file's hash, and a ``Detector`` reads no other.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ValidationError

from deploy.artifact import Manifest, write_artifact
from distill.errors import EdgeproofError
from distill.evaluation.calibration import Calibration
from distill.files import parse_json, write_bytes
from distill.optional import require
from distill.preprocess import PreprocessSpec
from distill.record import Frozen
from distill.task import Task

PREFIX = "edgeproof."


class OnnxMetadata(Frozen):
    """What an ONNX file says of itself. Every fact is the manifest's; see :class:`deploy.artifact.Manifest`.

    Attributes:
        input: what the graph's one input holds.
        preprocess: how an image becomes that; its mean and deviation are part of the graph.
        calibration: of the logits; part of the graph, too.
        parent: SHA-256 of the checkpoint; None if it was not told.
    """

    schema_version: Literal[1] = 1
    name: str
    task: Literal["binary", "multiclass"]
    labels: tuple[str, ...]
    threshold: float | None
    precision: str
    input: str
    preprocess: PreprocessSpec
    calibration: Calibration
    data: str
    parent: str | None = None

    texts: ClassVar = ("name", "task", "precision", "input", "data", "parent")


def write_metadata(path: Path, metadata: OnnxMetadata) -> None:
    """Put ``metadata`` into an ONNX file, in the place of all that it holds: tools leave notes of their own."""
    onnx = require("onnx")
    model = onnx.load(path)
    found = metadata.model_dump(mode="json", exclude_none=True)
    texts = {
        key: value if key in OnnxMetadata.texts else json.dumps(value, allow_nan=False)
        for key, value in found.items()
    }
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {f"{PREFIX}{key}": text for key, text in texts.items()})
    write_bytes(path, model.SerializeToString())


def read_metadata(path: Path) -> OnnxMetadata:
    """What :func:`write_metadata` wrote.

    Raises:
        EdgeproofError: no such file, no ONNX, or one that says nothing or something else.
    """
    onnx = require("onnx")
    try:
        properties = onnx.load(path, load_external_data=False).metadata_props
    except Exception as error:  # protobuf raises types of its own
        reason = " ".join(str(error).split())[:200]
        raise EdgeproofError(f"{path}: not readable as ONNX ({reason})") from None
    own = {item.key.removeprefix(PREFIX): item.value for item in properties if item.key.startswith(PREFIX)}
    try:
        values = {key: text if key in OnnxMetadata.texts else parse_json(text) for key, text in own.items()}
        return OnnxMetadata.model_validate({"threshold": None, **values})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise EdgeproofError(f"{path}: metadata {PREFIX}{key}: {first['msg']}") from None
    except ValueError as error:
        raise EdgeproofError(f"{path}: metadata is no JSON ({error})") from None


def write_described(
    folder: Path,
    *,
    files: Mapping[str, Path],
    name: str,
    preprocess: PreprocessSpec,
    threshold: float | None,
    calibration: Calibration,
    precision: str,
    task: Task,
    parent: str | None,
    data: str,
    **others: Any,
) -> Manifest:
    """:func:`deploy.artifact.write_artifact`, with ONNX files that say what the manifest says.

    Args:
        folder: the artifact's.
        files: name in the artifact → source; an ONNX source is changed.
        name: as the manifest has it, and so are the rest.
        preprocess: how images become its input.
        threshold: on the probability of *generated*; None for K classes.
        calibration: of its logits.
        precision: of its weights.
        task: what it answers.
        parent: SHA-256 of the checkpoint.
        data: what it was trained on.
        others: what only the manifest holds.
    """
    size = preprocess.size
    metadata = OnnxMetadata(
        name=name, task=task.kind, labels=task.labels, threshold=threshold, precision=precision,
        input=f"image: uint8 RGB [1, {size}, {size}, 3]", preprocess=preprocess, calibration=calibration,
        data=data, parent=parent,
    )  # fmt: skip
    for source in files.values():
        if source.suffix == ".onnx":
            write_metadata(source, metadata)
    return write_artifact(
        folder, files=files, name=name, preprocess=preprocess, threshold=threshold, calibration=calibration,
        precision=precision, task=task, parent=parent, data=data, **others,
    )  # fmt: skip
