"""Is a finished artifact what it claims to be? Digests, signature, graph, INT8, answers, accuracy and time, each told apart.

From Python: :func:`verify_artifact`. Torch-free, unless it is compared with a checkpoint.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from deploy.artifact import MANIFEST_NAME, MODEL_FILES, read_manifest, verify
from deploy.awkward import random_pixels
from deploy.graph_check import graph_problems
from deploy.int8_check import inspect_int8
from deploy.photos import Progress, list_photos, read_photos
from deploy.reference import open_reference
from deploy.runtime import Detector
from deploy.sessions import installed_runtimes
from deploy.signature import signature_file
from deploy.slow import slow_warning
from deploy.timing import Runner, Timing, race
from deploy.verify_answers import judge_accuracy, judge_images, judge_parity
from deploy.verify_record import VerifyReport
from deploy.verify_work import UNTRUSTED, Work
from distill.errors import EdgeproofError
from distill.forms import Runtime
from distill.preprocess import Pixels
from distill.task import task_of_labels

SAMPLES = 1000

Race = Callable[[Mapping[str, Runner], str], Mapping[str, Timing]]
"""Times callables together, relative to the one that is named."""


def verify_artifact(
    artifact: Path,
    *,
    against: Path | None = None,
    data: Path | None = None,
    samples: int = SAMPLES,
    threads: int = 1,
    public_key: Path | str | None = None,
    progress: Progress | None = None,
    timer: Race | None = None,
) -> VerifyReport:
    """Examine an artifact.

    Args:
        artifact: its folder.
        against: the FP32 artifact or the ``.safetensors`` checkpoint that it was made from; without it, two runtimes in one
            artifact are compared with each other, and INT8 is not proved.
        data: images to judge, best those of a test split: a data set of any layout, or a folder of photos.
        samples: so many of them at most.
        threads: CPU threads of one inference.
        public_key: whose owner must have signed it; None leaves a signature unread.
        progress: is told of every step.
        timer: for tests.

    Returns:
        Every check with its outcome; what was not looked at is *not checked*, never *ok*.

    Raises:
        EdgeproofError: no artifact, no images, or a reference that cannot be opened.
    """
    manifest, tell = read_manifest(artifact), progress or (lambda done, total: None)
    task = task_of_labels(manifest.task, manifest.labels)
    photos = None
    if data is not None:
        photos = read_photos(
            list_photos(data, task=task), spec=manifest.preprocess, wanted=samples, split="test"
        )
    other = open_reference(against, manifest=manifest, threads=threads) if against else None
    work = Work(artifact, manifest, threads, against=other, photos=photos, public_key=public_key)
    steps = (_digests, _signature, _graphs, _int8, _parent, _load, judge_parity, judge_images, judge_accuracy)
    for number, step in enumerate(steps):
        tell(number, len(steps) + 1)
        step(work)
    _timing(work, timer=timer or _race)
    tell(len(steps) + 1, len(steps) + 1)
    return VerifyReport(
        artifact=manifest.name, precision=manifest.precision, against=other.name if other else None,
        data=photos.origin if photos else None, checks=tuple(work.checks), flips=tuple(work.flips),
        ratios=work.ratios, warnings=tuple(work.warnings),
    )  # fmt: skip


def _digests(work: Work) -> None:
    try:
        verify(work.folder)
    except EdgeproofError as error:
        work.note("digests", "failed", str(error))
    else:
        work.note("digests", "ok", f"{len(work.manifest.files)} files are those of the manifest")


def _signature(work: Work) -> None:
    """An artifact that nobody has signed and nobody asks about needs no word."""
    signature = signature_file(work.folder / MANIFEST_NAME)
    if work.public_key is None:
        if signature.is_file():
            work.note("signature", "not checked", f"{signature.name} is there, no --public-key was given")
        return
    try:
        read_manifest(work.folder, public_key=work.public_key)
    except EdgeproofError as error:
        work.note("signature", "failed", str(error))
    else:
        work.note("signature", "ok", "the manifest is signed with this key")


def _graphs(work: Work) -> None:
    for runtime in work.manifest.runtimes:
        name = f"graph, {runtime}"
        if not work.trusted:
            work.note(name, "not checked", UNTRUSTED)
            continue
        try:
            problems = graph_problems(work.folder, work.manifest, runtime)
        except EdgeproofError as error:
            work.note(name, "not checked", str(error))
            continue
        fine = "one static model: 8-bit RGB in, probability and logit out, nothing to train"
        work.judge(name, problems, fine)


def _int8(work: Work) -> None:
    if work.manifest.precision != "int8":
        return
    for runtime in work.manifest.runtimes:
        name, file = f"INT8, {runtime}", MODEL_FILES[runtime][0]
        fp32 = work.against and work.against.folder and work.against.folder / file
        if not work.trusted:
            work.note(name, "not checked", UNTRUSTED)
        elif not fp32 or not fp32.is_file() or work.against is None or work.against.precision != "fp32":
            work.note(name, "not checked", "no FP32 artifact of this runtime was given (--against)")
        else:
            try:
                proof = inspect_int8(work.folder / file, fp32_path=fp32)
            except EdgeproofError as error:
                work.note(name, "not checked", str(error))
                continue
            work.note(name, "ok" if proof.passed else "failed", proof.reason)


def _parent(work: Work) -> None:
    """A checkpoint names itself by its digest, which the artifact has kept."""
    if work.against is None or work.against.digest is None:
        return
    if work.manifest.parent is None:
        work.note("parent", "not checked", "the artifact does not say which checkpoint it was made from")
        return
    differs = work.manifest.parent != work.against.digest
    problems = (
        [f"made from {work.manifest.parent}, the checkpoint given is {work.against.digest}"]
        if differs
        else []
    )
    work.judge("parent", problems, "made from this checkpoint")


def _load(work: Work) -> None:
    for runtime in work.manifest.runtimes if work.trusted else ():
        if runtime not in installed_runtimes():
            work.note(f"load, {runtime}", "not checked", "the runtime is not installed")
            continue
        try:
            work.detectors[runtime] = Detector.load(work.folder, runtime=runtime, threads=work.threads)
        except EdgeproofError as error:
            work.note(f"load, {runtime}", "failed", str(error))


def _timing(work: Work, *, timer: Race) -> None:
    """A finite time; and a warning, no failure, where INT8 is slower than the reference here."""
    size = work.manifest.preprocess.size
    pixels = random_pixels(size, count=1)
    for runtime, detector in work.detectors.items():
        contestants = {"artifact": _runner(detector, pixels)}
        other = _same_runtime(work, runtime)
        if other:
            contestants["reference"] = _runner(other, pixels)
        found = timer(contestants, "reference" if other else "artifact")
        own = found["artifact"]
        if not (math.isfinite(own.p50_ms) and own.p50_ms > 0):
            work.note(f"timing, {runtime}", "failed", f"{own.p50_ms} ms, expected a finite time")
            continue
        told = f"{own.p50_ms:.3f} ms, {work.threads} thread{'s' * (work.threads > 1)}"
        if other:
            work.ratios[runtime] = own.ratio
            told += f"; {own.ratio:.2f} of the reference's time ({own.ratio_range[0]:.2f} to {own.ratio_range[1]:.2f})"
        work.note(f"timing, {runtime}", "ok", told)
        if other and work.manifest.precision == "int8" and own.ratio > 1:
            work.warnings.append(
                slow_warning(
                    work.folder, name=f"INT8 in {runtime}", ratio=own.ratio, beside="the reference",
                    runtime=cast(Runtime, runtime), pixels=pixels, threads=work.threads,
                )
            )  # fmt: skip
    if not work.detectors:
        work.note("timing", "not checked", "no model could be loaded")


def _same_runtime(work: Work, runtime: str) -> Detector | None:
    folder = work.against and work.against.folder
    if not folder or runtime not in read_manifest(folder).runtimes:
        return None
    return Detector.load(folder, runtime=runtime, threads=work.threads)


def _runner(detector: Detector, pixels: Pixels) -> Runner:
    return lambda: detector.run(pixels)


def _race(contestants: Mapping[str, Runner], reference: str) -> Mapping[str, Timing]:
    return race(contestants, reference=reference)
