"""The folder that an embedded developer copies: models, manifest and the hash of every file. Torch-free."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from deploy.manifest_digest import KEY as DIGEST
from deploy.manifest_digest import found_digest, true_digest, with_digest
from deploy.quantization_record import FloatLayer, QuantizationRecord, QuantizationTry, RepairRecord
from deploy.selftest_record import SelfTestRecord
from deploy.signature import check_signature
from distill.errors import EdgeproofError
from distill.evaluation.band import Band
from distill.evaluation.calibration import Calibration
from distill.files import parse_json, sha256, write_json
from distill.forms import Precision
from distill.preprocess import PreprocessSpec
from distill.task import BINARY, Task

__all__ = [
    "MANIFEST_NAME",
    "MODEL_FILES",
    "SCHEMA_VERSION",
    "Calibration",
    "FileRecord",
    "FloatLayer",
    "InputSpec",
    "Manifest",
    "QuantizationRecord",
    "QuantizationTry",
    "RepairRecord",
    "SelfTestRecord",
    "package_versions",
    "read_manifest",
    "verify",
    "write_artifact",
    "write_manifest",
]

SCHEMA_VERSION: Final = 4
# Version 2 only adds what became of INT8 (``float_layers``, ``repair``); version 3 the work of those layers, the forms that
# were timed, the calibration images, and what may be missing: ``band``, ``selftest``.
# Version 4 adds the digest of the manifest itself.
READABLE = (1, 2, 3, SCHEMA_VERSION)
_WITH_EVERY_FIELD = 3
MANIFEST_NAME = "manifest.json"
_DECISIVE = ("input", "preprocess", "calibration", "threshold", "labels", "outputs")
# Runtime -> its files; the first is the one to load. The order is the runtime's order of preference.
MODEL_FILES: dict[str, tuple[str, ...]] = {
    "openvino": ("model.xml", "model.bin"),
    "onnxruntime": ("model.onnx",),
}
OUTPUTS = {"binary": ("probability", "logit"), "multiclass": ("probabilities", "logits")}

# One plain file name: no separator, no drive, no leading dot, so it cannot leave the artifact's folder.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$", max_length=128)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class InputSpec(_Frozen):
    """The graph's one input: 8-bit RGB pixels, ``[1, H, W, 3]``."""

    name: Literal["image"] = "image"
    dtype: Literal["uint8"] = "uint8"
    layout: Literal["NHWC"] = "NHWC"
    shape: tuple[Literal[1], int, int, Literal[3]]
    color: Literal["RGB"] = "RGB"


class FileRecord(_Frozen):
    """What a file of the artifact must be."""

    sha256: Sha256
    bytes: Annotated[int, Field(ge=0)]


class Manifest(_Frozen):
    """``manifest.json``: what the model takes, answers and was made from.

    A binary one answers the probability of *generated* (label 1), on which ``threshold`` is; so does a model that learned
    generator families: its graph adds them up. One of K classes answers a probability for each of ``labels``, in their
    order; its verdict is the likeliest, and ``threshold`` and ``band`` are null.
    """

    schema_version: Literal[1, 2, 3, 4] = SCHEMA_VERSION
    name: Annotated[str, Field(min_length=1)]
    task: Literal["binary", "multiclass"]
    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    input: InputSpec
    outputs: tuple[str, str]
    preprocess: PreprocessSpec
    threshold: Annotated[float, Field(ge=0.0, le=1.0)] | None
    band: Band | None = None
    calibration: Calibration
    precision: Precision
    files: Annotated[dict[FileName, FileRecord], Field(min_length=1)]
    metrics: dict[str, JsonValue]
    parent: str | None
    quantizer: QuantizationRecord | None
    versions: dict[str, str]
    data: Annotated[str, Field(min_length=1)]
    selftest: SelfTestRecord | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Manifest":
        outputs = OUTPUTS[self.task]
        size = self.preprocess.size
        if self.outputs != outputs:
            raise ValueError(
                f"outputs are {list(self.outputs)}, expected {list(outputs)} for task {self.task}"
            )
        if self.task == "binary" and len(self.labels) != 2:
            raise ValueError(f"{len(self.labels)} labels, expected 2 for task binary")
        if self.task == "binary" and self.labels != BINARY.labels:
            raise ValueError(
                f"labels are {list(self.labels)}, expected {list(BINARY.labels)} for task binary"
            )
        if (self.threshold is None) == (self.task == "binary"):
            expected = "a number" if self.task == "binary" else "null: the verdict is the likeliest class"
            raise ValueError(f"threshold is {self.threshold}, expected {expected} for task {self.task}")
        if self.band is not None and not self._holds(self.band):
            raise ValueError(
                f"band is {self.band.low:g} to {self.band.high:g}, expected one around the threshold"
            )
        if self.input.shape != (1, size, size, 3):
            raise ValueError(f"input.shape is {list(self.input.shape)}, expected {[1, size, size, 3]}")
        if not self.runtimes:
            raise ValueError(f"files are {sorted(self.files)}, expected {_model_choices()}")
        self._check_selftest()
        return self

    def _holds(self, band: Band) -> bool:
        return self.threshold is not None and band.low <= self.threshold <= band.high

    def _check_selftest(self) -> None:
        if self.selftest is None:
            return
        record, logits = (
            self.files.get(self.selftest.images),
            1 if self.task == "binary" else len(self.labels),
        )
        if record is None or record.bytes != self.selftest.bytes:
            found = "no such file" if record is None else f"{record.bytes} bytes"
            raise ValueError(f"{self.selftest.images}: {found}, expected {self.selftest.bytes} bytes")
        rows = [row for rows in self.selftest.expected.values() for row in rows]
        if any(len(row) != logits for row in rows):
            raise ValueError(
                f"selftest.expected: {sorted({*map(len, rows)})} logits an image, expected {logits}"
            )

    @property
    def runtimes(self) -> tuple[str, ...]:
        """The runtimes whose model is whole in this artifact, preferred first."""
        return tuple(name for name, files in MODEL_FILES.items() if all(file in self.files for file in files))


def write_artifact(
    folder: Path,
    *,
    name: str,
    files: Mapping[str, Path],
    preprocess: PreprocessSpec,
    threshold: float | None,
    calibration: Calibration,
    precision: str,
    task: Task = BINARY,
    band: Band | None = None,
    metrics: Mapping[str, JsonValue] | None = None,
    parent: str | None = None,
    quantizer: QuantizationRecord | None = None,
    versions: Mapping[str, str] | None = None,
    data: str = "simulated",
    selftest: SelfTestRecord | None = None,
) -> Manifest:
    """Copy ``files`` (name in the artifact → source) into ``folder``, with a manifest that names every hash.

    The folder is built beside its place and then renamed, so that a reader sees the old artifact or the new
    one. An existing folder is replaced only if it is empty or holds a manifest.

    Raises:
        EdgeproofError: a source is missing, a field is wrong, or ``folder`` holds something else.
    """
    for file, source in files.items():
        if not source.is_file():
            raise EdgeproofError(f"{source}: no such file, expected the source of {file}")
    _check_replaceable(folder)
    records = {file: {"sha256": sha256(path), "bytes": path.stat().st_size} for file, path in files.items()}
    size = preprocess.size
    manifest = _validate(
        {
            "name": name,
            "task": task.kind,
            "labels": task.labels,
            "input": {"shape": (1, size, size, 3)},
            "outputs": OUTPUTS[task.kind],
            "preprocess": preprocess.model_dump(),
            "threshold": threshold,
            "band": band and band.model_dump(),
            "calibration": calibration.model_dump(),
            "precision": precision,
            "files": records,
            "metrics": dict(metrics or {}),
            "parent": parent,
            "quantizer": quantizer and quantizer.model_dump(),
            "versions": dict(versions or {}),
            "data": data,
            "selftest": selftest and selftest.model_dump(),
        },
        source=folder,
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        fresh = Path(temporary) / "new"
        fresh.mkdir()
        for file, source in files.items():
            shutil.copyfile(source, fresh / file)
        write_manifest(fresh, manifest)
        _swap(fresh, folder, aside=Path(temporary) / "old")
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``folder/manifest.json`` atomically, with the digest of its own content."""
    write_json(folder / MANIFEST_NAME, with_digest(manifest.model_dump(mode="json")))


def package_versions(*packages: str) -> dict[str, str]:
    """Name → installed version, for a manifest."""
    from importlib.metadata import version  # slow to import, and only needed to write an artifact

    return {name: version(name) for name in packages}


def read_manifest(folder: Path, *, public_key: Path | str | None = None) -> Manifest:
    """Read and validate ``folder/manifest.json`` without looking at the other files.

    Args:
        folder: the artifact.
        public_key: whose owner must have signed it (:func:`deploy.signature.check_signature`); None asks for no signature.

    Raises:
        EdgeproofError: no manifest, no valid signature, no JSON, another schema version, a digest that is not that of its
            content, or a field that is wrong or missing.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise EdgeproofError(f"{path}: no such file, expected an artifact folder with {MANIFEST_NAME}")
    try:
        content = path.read_bytes()
        if public_key is not None:
            check_signature(content, signed=path, public_key=public_key)
        raw = parse_json(content.decode())
    except (ValueError, OSError) as error:
        raise EdgeproofError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(raw, dict):
        raise EdgeproofError(f"{path}: found {type(raw).__name__}, expected a JSON object")
    version = raw.get("schema_version")
    if type(version) is not int or version not in READABLE:
        expected = ", ".join(map(str, READABLE[:-1])) + f" or {READABLE[-1]}"
        raise EdgeproofError(f"{path}: schema_version is {version!r:.80}, expected {expected}")
    if version >= SCHEMA_VERSION:
        _check_digest(content, source=path)
        del raw[DIGEST]
    manifest = _validate(raw, source=path)
    missing = sorted(_missing(raw, manifest))
    if missing:
        raise EdgeproofError(f"{path}: {', '.join(missing)}: missing, expected a value")
    return manifest


def _check_digest(content: bytes, *, source: Path) -> None:
    named = found_digest(content)
    if named is None:
        raise EdgeproofError(f"{source}: {DIGEST}: missing, expected the SHA-256 of all before it at its end")
    true = true_digest(content)
    if named != true:
        raise EdgeproofError(
            f"{source}: was changed after it was written: its content has the digest {true}, expected {named}"
        )


def _missing(raw: Mapping[str, Any], manifest: Manifest) -> Iterator[str]:
    """Keys that the file does not hold, for which a default would be taken without a word."""
    whole = manifest.model_dump(mode="json")
    if manifest.schema_version < _WITH_EVERY_FIELD:  # had less in some parts; what decides an answer it had
        whole = {name: whole[name] for name in _DECISIVE}
    yield from _absent(whole, raw)


def _absent(expected: Any, found: Any, *, key: str = "") -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(found, Mapping):
        for name, value in expected.items():
            if name not in found:
                yield f"{key}{name}"
            else:
                yield from _absent(value, found[name], key=f"{key}{name}.")


def verify(folder: Path, *, public_key: Path | str | None = None) -> Manifest:
    """Read the manifest and check every file against it.

    Args:
        folder: the artifact.
        public_key: see :func:`read_manifest`.

    Raises:
        EdgeproofError: what :func:`read_manifest` raises, or a file that is missing, or whose size or SHA-256
            is not the manifest's.
    """
    manifest = read_manifest(folder, public_key=public_key)
    for name, record in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise EdgeproofError(
                f"{path}: missing, expected {record.bytes} bytes with sha256 {record.sha256}"
            )
        size = path.stat().st_size
        digest = sha256(path)
        if size != record.bytes or digest != record.sha256:
            raise EdgeproofError(
                f"{path}: found {size} bytes with sha256 {digest}, "
                f"expected {record.bytes} bytes with sha256 {record.sha256}"
            )
    return manifest


def _validate(raw: Mapping[str, object], *, source: Path) -> Manifest:
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        found = "; ".join(_describe(item["loc"], item["msg"], item["input"]) for item in error.errors())
        raise EdgeproofError(f"{source}: {found}") from None


def _describe(location: tuple[int | str, ...], message: str, given: object) -> str:
    message = message.removeprefix("Value error, ")
    key = ".".join(str(part) for part in location)
    return f"{key}: found {given!r:.80}, {message}" if key else message


def _model_choices() -> str:
    return " or ".join(" and ".join(files) for files in MODEL_FILES.values())


def _check_replaceable(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise EdgeproofError(f"{folder}: is a file, expected a folder to write the artifact to")
    if any(folder.iterdir()) and not (folder / MANIFEST_NAME).is_file():
        raise EdgeproofError(
            f"{folder}: holds files but no {MANIFEST_NAME}, expected an artifact or a new folder"
        )


def _swap(fresh: Path, folder: Path, *, aside: Path) -> None:
    had_one = folder.exists()
    if had_one:
        folder.rename(aside)
    try:
        fresh.rename(folder)
    except OSError:
        if had_one:
            aside.rename(folder)
        raise
