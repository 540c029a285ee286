"""Contestants from artifact folders, for ONNX Runtime and OpenVINO. Torch-free."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

from bench.contestant import Contestant
from bench.contestants.batched import why_not_batched
from bench.contestants.source import ArtifactSource, sample_jpeg
from bench.records.latency import Scope
from deploy.artifact import MODEL_FILES, Manifest, read_manifest
from deploy.sessions import installed_runtimes
from deploy.timing import Runner
from distill.errors import EdgeproofError
from distill.forms import Precision, Runtime
from distill.machine import processor, usable_threads
from distill.optional import EXTRAS
from distill.roster import Artifact

NO_BF16 = "this CPU has no bf16 instructions"
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")


def artifact_contestants(
    folder: Path,
    *,
    model: str,
    threads: int,
    quantizer: str | None = None,
    images: Sequence[bytes] = (),
    params: int | None = None,
    macs: int | None = None,
    metrics: dict[str, float] | None = None,
    bf16: bool | None = None,
    batch: int = 1,
) -> list[Contestant]:
    """Both scopes of every runtime in an artifact; an FP32 OpenVINO model also in bf16.

    Args:
        folder: the artifact. Its hashes are checked when a contestant is made, so a bad file fails its row.
        model: the network's name, for the row.
        threads: CPU threads of one inference.
        quantizer: what the row calls the way to INT8; by default the tool that the artifact names.
        images: JPEG files' bytes for ``end_to_end``, taken in turn; one made-up photo by default.
        params: parameters of the network.
        macs: multiply-accumulates of one image.
        metrics: accuracy to stand in the rows.
        bf16: whether the CPU has bf16; None asks it. Without it the bf16 row is skipped, with the reason.
        batch: images of one call; several are timed model only, for an end is one image's.

    Raises:
        EdgeproofError: no readable manifest, or a precision that a bench row cannot name.

    """
    manifest, photos = _timeable(folder), tuple(images) or (sample_jpeg(),)
    found: list[Contestant] = []
    for name in manifest.runtimes:
        runtime = cast(Runtime, name)
        base = Contestant(
            model=model,
            runtime=runtime,
            precision=manifest.precision,
            quantizer=quantizer or (manifest.quantizer.name if manifest.quantizer else None),
            input_size=manifest.preprocess.size,
            threads=threads,
            batch=batch,
            bytes=sum(manifest.files[file].bytes for file in MODEL_FILES[runtime]),
            params=params,
            macs=macs,
            metrics=metrics,
            make=_unmade,
            skip_reason=_why_not(runtime, threads=threads, batch=batch),
        )
        for variant in _variants(base, bf16=bf16):
            found += _scopes(variant, folder, photos)
    return found


def left_out_contestant(artifact: Artifact, *, reason: str, threads: int) -> Contestant:
    """The row of an artifact that could not be made, which says why."""
    return Contestant(
        model=artifact.model.name, runtime=artifact.runtime, precision=artifact.precision, quantizer=artifact.quantizer,
        input_size=artifact.size, threads=threads, make=_unmade, skip_reason=reason,
    )  # fmt: skip


def _timeable(folder: Path) -> Manifest:
    manifest = read_manifest(folder)
    if manifest.precision not in PRECISIONS:
        choices = ", ".join(PRECISIONS)
        raise EdgeproofError(f"{folder}: precision is {manifest.precision!r}, the bench times {choices}")
    return manifest


def _why_not(runtime: Runtime, *, threads: int, batch: int) -> str | None:
    if runtime not in installed_runtimes():
        return f"{runtime} is not installed; pip install 'edgeproof[{EXTRAS[runtime]}]'"
    return too_many_threads(threads) or (why_not_batched(runtime) if batch > 1 else None)


def too_many_threads(threads: int) -> str | None:
    """Why nothing can be told of so many threads here; None if something can."""
    usable = usable_threads()
    if threads <= usable:
        return None
    return f"{threads} threads were asked for, {usable} can run at once here"


def _variants(base: Contestant, *, bf16: bool | None) -> Iterator[Contestant]:
    yield base
    if base.runtime == "openvino" and base.precision == "fp32":
        has_bf16 = processor().has_bf16 if bf16 is None else bf16
        yield replace(base, precision="bf16", skip_reason=base.skip_reason or (None if has_bf16 else NO_BF16))


def _scopes(base: Contestant, folder: Path, photos: tuple[bytes, ...]) -> Iterator[Contestant]:
    for scope in get_args(Scope):
        if scope == "end_to_end" and (base.skip_reason or base.batch > 1):
            continue  # one row says it
        source = ArtifactSource(
            folder=folder.resolve(),
            runtime=cast(Runtime, base.runtime),
            precision=base.precision,
            threads=base.threads,
            batch=base.batch,
            scope=scope,
            photos=photos if scope == "end_to_end" else (),
        )
        yield replace(base, scope=scope, make=source.make, source=source)


def _unmade() -> Runner:
    raise NotImplementedError("a contestant's make is set once its identity is complete")
