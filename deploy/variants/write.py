"""Make a variant, check it, and only then write it."""

from pathlib import Path
from typing import Any, Literal

from deploy.artifact import MANIFEST_NAME, FileRecord, Manifest, package_versions, verify
from deploy.variants.changes import Changes
from deploy.variants.check import agreement
from deploy.variants.files import FILES, make_files
from deploy.variants.record import VARIANT, Agreement, Origin, VariantInput, VariantRecord
from distill.files import atomic_folder, sha256
from distill.forms import Runtime


def write_variant(artifact: Path, changes: Changes, *, out: Path) -> VariantRecord:
    """Write another form of an artifact, after it answered as the artifact does.

    Args:
        artifact: its folder, FP32 or INT8.
        changes: what is to be different.
        out: a new or empty folder, for the model and ``variant.json``.

    Returns:
        What ``variant.json`` holds.

    Raises:
        EdgeproofError: a damaged artifact, a graph that cannot be changed so, answers that differ by more than the
            limit (:mod:`deploy.variants.check`), or ``out`` holds something.
    """
    manifest = verify(artifact)
    runtime: Runtime = "openvino" if changes.format == "openvino" else "onnxruntime"
    with atomic_folder(out) as fresh:
        make_files(artifact, manifest, changes, out=fresh)
        found = agreement(artifact, fresh, changes, runtime=runtime)
        record = _record(artifact, manifest, changes, folder=fresh, runtime=runtime, agreement=found)
        record.write(fresh / VARIANT)
    return record


def _record(
    artifact: Path,
    manifest: Manifest,
    changes: Changes,
    *,
    folder: Path,
    runtime: Runtime,
    agreement: Agreement,
) -> VariantRecord:
    paths = [folder / name for name in FILES[changes.format]]
    kept: dict[str, Any] = {
        name: getattr(manifest, name)
        for name in ("task", "labels", "outputs", "preprocess", "threshold", "calibration", "data")
    }
    return VariantRecord(
        parent=Origin(
            name=manifest.name,
            precision=manifest.precision,
            manifest_sha256=sha256(artifact / MANIFEST_NAME),
            checkpoint=manifest.parent,
        ),
        changes=changes.described,
        runtime=runtime,
        format=changes.format,
        input=_input(changes, size=manifest.preprocess.size),
        files={path.name: FileRecord(sha256=sha256(path), bytes=path.stat().st_size) for path in paths},
        agreement=agreement,
        versions=package_versions(*(["onnx"] if changes.of_the_graph else []), runtime),
        **kept,
    )


def _input(changes: Changes, *, size: int) -> VariantInput:
    batch: int | Literal["N"] = "N" if changes.batch is None else changes.batch
    if changes.input == "float-nchw":
        return VariantInput(dtype="float32", layout="NCHW", shape=(batch, 3, size, size), color="RGB")
    if changes.input == "rgbx":
        return VariantInput(dtype="uint8", layout="NHWC", shape=(batch, size, size, 4), color="RGBX")
    return VariantInput(dtype="uint8", layout="NHWC", shape=(batch, size, size, 3), color="RGB")
