"""Does an artifact answer here as it did where it was made? Torch-free.

The same INT8 file can answer differently on another processor: without VNNI the 16-bit sums of two products saturate, and
a runtime's kernel for one instruction set may be wrong. The digest of the file cannot tell; eight images can, in
milliseconds. They are patterns, bright ones above all: these fill the sums more than photographs do, and a file that is
given away holds nobody's picture.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from deploy.artifact import SCHEMA_VERSION, FileRecord, Manifest, read_manifest, write_manifest
from deploy.runtime import Detector
from deploy.selftest_record import SELFTEST_NAME, SelfTestRecord
from deploy.sessions import Logits, installed_runtimes
from distill.errors import EdgeproofError, GateFailedError
from distill.files import sha256, write_bytes
from distill.forms import RUNTIMES, Runtime
from distill.machine import cpu_identity
from distill.preprocess import Pixels
from distill.record import Frozen, Record

TILE = 32
# Of the range of the expected logits. Threads and instruction sets move them by 1e-7 of it, saturation by 1e-2 and
# more; 0.05 in a logit is at most 0.0125 in a probability.
_SHARE, _LEAST, _MOST = 0.002, 0.001, 0.05


class SelfTestAnswer(Frozen):
    """One image: its logits here and where the artifact was made. None where a logit is no finite number."""

    found: tuple[float | None, ...]
    expected: tuple[float, ...]
    difference: float | None


class SelfTestReport(Record):
    """What a self-test found.

    Attributes:
        artifact: its folder.
        runtime: that answered.
        status: ``not checked`` where the artifact holds no expectation for this runtime; that is no pass.
        reason: in words, where it did not pass.
        cpu_model: the processor here.
        isa_flags: what it can do.
        expected_cpu_model: the processor of the expectation.
        expected_isa_flags: what that could do.
        tolerance: largest difference that passes.
        worst: index of the image that differs most.
        answers: of every image.
    """

    artifact: str
    runtime: str
    status: Literal["ok", "failed", "not checked"]
    reason: str = ""
    cpu_model: str
    isa_flags: tuple[str, ...]
    expected_cpu_model: str | None = None
    expected_isa_flags: tuple[str, ...] = ()
    tolerance: float | None = None
    worst: Annotated[int, Field(ge=0)] | None = None
    answers: tuple[SelfTestAnswer, ...] = ()


def tiles() -> Pixels:
    """The eight images ``uint8 [8, 32, 32, 3]``: seven of high contrast, and noise at every scale as in a photograph."""
    y, x = np.mgrid[:TILE, :TILE]
    rng = np.random.default_rng(0)
    gray = [np.full((TILE, TILE), 255), (x + y) % 2 * 255, y // 4 % 2 * 255, x * 8, (x >= y) * 255]
    colours = np.stack([x // 8 % 2, y // 8 % 2, (x // 4 + y // 4) % 2], axis=2) * 255
    scales = [rng.integers(-8, 9, (TILE // step, TILE // step, 3)) * step for step in (1, 2, 4, 8)]
    octaves = np.sum(
        [values.repeat(TILE // len(values), 0).repeat(TILE // len(values), 1) for values in scales], axis=0
    )
    return np.stack(
        [
            *(np.repeat(image[..., None], 3, axis=2) for image in gray),
            colours,
            rng.integers(192, 256, (TILE, TILE, 3)),
            (octaves + 128).clip(0, 255),
        ]
    ).astype(np.uint8)


def unfold(small: Pixels, *, size: int) -> Pixels:
    """``[N, T, T, 3]`` → ``[N, size, size, 3]``: tiles, every other one mirrored (see :class:`SelfTestRecord`)."""
    side = small.shape[1]
    place = np.arange(size) % (2 * side)
    place = np.where(place < side, place, 2 * side - 1 - place)
    return np.ascontiguousarray(small[:, place][:, :, place])


def write_selftest(folder: Path) -> SelfTestRecord | None:
    """Give an artifact the self-test that its models pass here, with every installed runtime.

    Returns:
        What stands in the manifest now; None, and nothing is written, where no runtime of the artifact is installed or
        a logit is no finite number.
    """
    manifest, small = read_manifest(folder), tiles()
    usable: list[Runtime] = [
        name for name in RUNTIMES if name in {*manifest.runtimes} & {*installed_runtimes()}
    ]
    found = {name: _logits(Detector.load(folder, runtime=name, threads=1), small) for name in usable}
    if not found or not all(np.isfinite(logits).all() for logits in found.values()):
        return None
    cpu_model, isa_flags = cpu_identity()
    record = SelfTestRecord(
        shape=small.shape,
        expected={runtime: tuple(map(tuple, logits.tolist())) for runtime, logits in found.items()},
        tolerance=_tolerance(list(found.values())),
        cpu_model=cpu_model,
        isa_flags=isa_flags,
    )
    _add(folder, manifest, record, small)
    return record


def check(detector: Detector, folder: Path | str) -> SelfTestReport:
    """Compare a loaded artifact's answers with those of ``folder``, where it was loaded from.

    Raises:
        EdgeproofError: the file with the images cannot be read.
    """
    cpu_model, isa_flags = cpu_identity()
    report = SelfTestReport(
        artifact=str(folder),
        runtime=detector.runtime,
        status="not checked",
        cpu_model=cpu_model,
        isa_flags=isa_flags,
    )
    record = detector.manifest.selftest
    if record is None:
        return report.model_copy(update={"reason": "the artifact holds no self-test"})
    expected = {str(runtime): rows for runtime, rows in record.expected.items()}.get(detector.runtime)
    if expected is None:
        return report.model_copy(update={"reason": f"its self-test holds no logits of {detector.runtime}"})
    if detector.precision != "fp32":
        return report.model_copy(
            update={"reason": f"floats are {detector.precision}, the self-test has them in fp32"}
        )
    found = _logits(detector, _read(Path(folder), record))
    return _judge(report, record, found=found, expected=np.array(expected))


def check_folder(
    folder: Path | str, *, runtime: str | None = None, threads: int | None = None
) -> SelfTestReport:
    """Load an artifact as :meth:`deploy.runtime.Detector.load` does, and :func:`check` it."""
    return check(Detector.load(folder, runtime=runtime, threads=threads), folder)


def require_ok(report: SelfTestReport) -> None:
    """Raise unless it passed.

    Raises:
        GateFailedError: an answer differs; names processor, image, what was found and expected.
        EdgeproofError: nothing was checked.
    """
    if report.status == "failed":
        raise GateFailedError(f"{report.artifact}: {report.reason}")
    if report.status == "not checked":
        raise EdgeproofError(f"{report.artifact}: self-test not checked: {report.reason}")


def _judge(
    report: SelfTestReport, record: SelfTestRecord, *, found: Logits, expected: npt.NDArray[np.float64]
) -> SelfTestReport:
    apart = np.abs(found.astype(np.float64) - expected).max(axis=1)
    worst = int(np.where(np.isfinite(apart), apart, np.inf).argmax())
    passed = bool(apart[worst] <= record.tolerance)  # never of NaN
    answers = tuple(
        SelfTestAnswer(found=_finite(row), expected=tuple(wanted), difference=_finite([difference])[0])
        for row, wanted, difference in zip(found.tolist(), expected.tolist(), apart.tolist(), strict=True)
    )
    told = {
        "expected_cpu_model": record.cpu_model, "expected_isa_flags": record.isa_flags,
        "tolerance": record.tolerance, "worst": worst, "answers": answers, "status": "ok" if passed else "failed",
    }  # fmt: skip
    judged = report.model_copy(update=told)
    return judged if passed else judged.model_copy(update={"reason": _difference(judged, answers[worst])})


def _difference(report: SelfTestReport, answer: SelfTestAnswer) -> str:
    here, there = set(report.isa_flags), set(report.expected_isa_flags)
    lacks, has = sorted(there - here), sorted(here - there)
    flags = [f"it lacks {', '.join(lacks)}"] * bool(lacks) + [f"it has {', '.join(has)} besides"] * bool(has)
    return (
        f"self-test failed on {report.cpu_model} with {report.runtime}: image {report.worst} gives logit "
        f"{_shown(answer.found)}, expected {_shown(answer.expected)} ± {report.tolerance:.3g} as on "
        f"{report.expected_cpu_model} ({'; '.join(flags) or 'the same instruction sets'})"
    )


def _shown(logits: Sequence[float | None]) -> str:
    shown = ["no number" if value is None else f"{value:.4f}" for value in logits]
    return shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"


def _finite(values: Sequence[float]) -> tuple[float | None, ...]:
    return tuple(value if np.isfinite(value) else None for value in values)


def _logits(detector: Detector, small: Pixels) -> Logits:
    """``[N, 1]`` or ``[N, K]``."""
    pixels = unfold(small, size=detector.manifest.preprocess.size)
    return detector.run(pixels).reshape(len(pixels), -1)


def _tolerance(found: Sequence[Logits]) -> float:
    widest = max(float(np.ptp(logits, axis=0).max()) for logits in found)
    return min(max(_SHARE * widest, _LEAST), _MOST)


def _read(folder: Path, record: SelfTestRecord) -> Pixels:
    path = folder / record.images
    try:
        return np.fromfile(path, dtype=np.uint8).reshape(record.shape)
    except (OSError, ValueError) as error:
        raise EdgeproofError(f"{path}: {error}, expected {record.bytes} bytes") from None


def _add(folder: Path, manifest: Manifest, record: SelfTestRecord, small: Pixels) -> None:
    # the images first: an artifact with a file that its manifest does not name yet is whole
    path = folder / SELFTEST_NAME
    write_bytes(path, small.tobytes())
    files = {**manifest.files, SELFTEST_NAME: FileRecord(sha256=sha256(path), bytes=record.bytes)}
    changes = {"schema_version": SCHEMA_VERSION, "files": files, "selftest": record}
    changed = Manifest.model_validate({**dict(manifest), **changes})
    write_manifest(folder, changed)
