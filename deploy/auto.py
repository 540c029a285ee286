"""The fastest form of an artifact that keeps what FP32 says: all that fit the runtime are made, judged, and timed together.

From Python: :func:`quantize_best`. Torch-free, unless a checkpoint is given, or a quantizer of the user's own is not.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from deploy.artifact import MODEL_FILES, Manifest, verify
from deploy.auto_record import AutoRecord, FormTry
from deploy.int8_check import inspect_int8
from deploy.interface import rewrite
from deploy.limits import Probabilities, drift_of, exceeded, limits_of, metrics_of
from deploy.photos import Photos, Progress, list_photos, read_photos
from deploy.reference import read_checkpoint
from deploy.runtime import Detector
from deploy.slow import slow_warning
from deploy.smaller_forms import Form, forms_of, tools_of, with_models
from deploy.timing import Runner, Timing, race
from distill.errors import EdgeproofError
from distill.evaluation.metrics import verdicts
from distill.forms import Runtime
from distill.machine import processor
from distill.task import Task, task_of_labels

AUTO = "auto.json"
FP32 = "fp32"
SAMPLES = 1000
_AS_FAST = 1.03  # nothing that interleaved rounds could tell apart
_ITSELF = "the calibration images themselves, since there are no others: what is lost on new ones may be more"

Race = Callable[[Mapping[str, Runner]], Mapping[str, Timing]]
"""Times callables together, relative to the one called :data:`FP32`."""


@dataclass(frozen=True)
class Judged:
    """A form that was made: what it is, what it says of the validation images, and where it lies."""

    tried: FormTry
    folder: Path
    probabilities: Probabilities


@dataclass(frozen=True)
class Jury:
    """What every form is held to.

    Attributes:
        task: what the models answer.
        runtime: whose models they are.
        threads: of one inference.
        photos: validation images.
        limits: what may be lost.
        fp32: the form that the others are compared with; None while that one is judged.
    """

    task: Task
    runtime: Runtime
    threads: int
    photos: Photos
    limits: Mapping[str, float]
    fp32: Judged | None = None

    def judge(self, form: Form, folder: Path) -> Judged:
        """Make a form in ``folder`` and judge it; one that cannot be made raises :class:`EdgeproofError`."""
        started = time.perf_counter()
        form.make(folder)
        detector = self.detector(folder)
        manifest, labels = detector.manifest, self.photos.labels
        said = detector.probabilities(detector.run(self.photos.pixels))
        threshold, metrics = manifest.threshold, {}
        if labels is not None and np.isfinite(said).all():
            threshold = self.task.threshold(labels, said) if self.fp32 else threshold
            metrics = metrics_of(self.task, labels, said, threshold=threshold)
        tried = FormTry(
            name=form.name, precision=form.precision, quantizer=form.quantizer, outcome="passed",
            metrics=metrics, threshold=threshold,
            bytes=sum(manifest.files[name].bytes for name in MODEL_FILES[self.runtime]),
        )  # fmt: skip
        if self.fp32:
            tried = self._compared(tried, said, folder, beside=self.fp32)
        return Judged(
            tried.model_copy(update={"seconds": round(time.perf_counter() - started, 2)}), folder, said
        )

    def detector(self, folder: Path) -> Detector:
        """A form, ready to run."""
        return Detector.load(folder, runtime=self.runtime, threads=self.threads)

    def _compared(self, tried: FormTry, said: Probabilities, folder: Path, *, beside: Judged) -> FormTry:
        """The verdict on a form, beside FP32."""
        before = beside.tried
        drops = {name: before.metrics[name] - value for name, value in tried.metrics.items()}
        drift = drift_of(said, beside.probabilities)
        worst = self.photos.names[_worst(said, beside.probabilities)]
        reasons = exceeded(self.limits, drops=drops, drift=drift, image=worst)
        if tried.precision == "int8":
            name = MODEL_FILES[self.runtime][0]
            proof = inspect_int8(folder / name, fp32_path=beside.folder / name)
            reasons = reasons if proof.passed else [proof.reason, *reasons]
        flips = verdicts(said, before.threshold) != verdicts(beside.probabilities, before.threshold)
        return tried.model_copy(
            update={
                "drops": drops, "drift": drift if np.isfinite(drift) else None, "drift_image": worst,
                "flips": int(flips.sum()),
                "outcome": "refused" if reasons else "passed", "reason": "; ".join(reasons),
            }
        )  # fmt: skip


def quantize_best(
    artifact: Path,
    *,
    calibration: Path,
    out: Path,
    runtime: Runtime,
    quantizer: str = "auto",
    checkpoint: Path | None = None,
    validation: Path | None = None,
    limits: Mapping[str, float] | None = None,
    samples: int = SAMPLES,
    threads: int = 1,
    progress: Progress | None = None,
    timer: Race | None = None,
) -> AutoRecord:
    """Write the fastest form of an FP32 artifact that passes the limits to ``out``, with a table of all as ``auto.json``.

    Args:
        artifact: its folder.
        calibration: training images: a data set of any layout, or a folder of photos without labels.
        out: the new artifact's folder.
        runtime: what it is for.
        quantizer: one tool, or ``auto``: all that fit the runtime; for OpenVINO also BF16 and FP16 weights.
        checkpoint: the ``.safetensors`` file, with its sidecar, that the artifact was made from: for a tool that quantizes
            the network itself (``inc``), which ``auto`` leaves out without it. Needs torch.
        validation: images to judge on, the same way; by default those of ``calibration`` that no quantizer sees.
        limits: what may be lost, by metric (and ``drift``: in the probability of one image); over the defaults.
        samples: images to calibrate with, and to judge on, at most.
        threads: CPU threads of one inference, when timed.
        progress: is told of every step.
        timer: times the forms together; for tests.

    Returns:
        What was tried. Where none passes, ``out`` holds FP32 (``auto``) or the form that was asked for, and ``passed`` is
        False.

    Raises:
        EdgeproofError: bad input, or the one quantizer that was asked for cannot make its form.
    """
    manifest = _checked(artifact, runtime)
    task = task_of_labels(manifest.task, manifest.labels)
    tools = tools_of(runtime=runtime, quantizer=quantizer, has_network=checkpoint is not None)
    network = read_checkpoint(checkpoint, manifest=manifest) if checkpoint else None
    tell = progress or (lambda done, total: None)
    seen, shown, origin = _images(
        manifest, task, calibration=calibration, validation=validation, samples=samples
    )
    held = limits_of(task, limits or {}, labelled=shown.labels is not None)
    jury = Jury(task=task, runtime=runtime, threads=threads, photos=shown, limits=held)
    forms = forms_of(
        artifact, runtime=runtime, tools=tools, images=seen.pixels, checkpoint=network, floats=quantizer == "auto"
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as temporary:
        made, failed = _make(jury, artifact, forms, Path(temporary), tell=tell)
        if quantizer != "auto" and failed:
            raise EdgeproofError(failed[0].reason)
        made = _timed(made, jury, timer=timer or _race)
        tell(len(forms) + 2, len(forms) + 2)
        kept = _fastest(made) if quantizer == "auto" else made[-1]
        record = AutoRecord(
            artifact=manifest.name, runtime=runtime, cpu=processor().cpu_model, threads=threads,
            calibration=seen.origin, validation=origin, labelled=shown.labels is not None, limits=held,
            tries=(*(_marked(item.tried, kept) for item in made), *failed), kept=kept.tried.name,
            passed=any(item.tried.outcome == "passed" for item in made[1:]), warnings=tuple(_slow(made, jury)),
        )  # fmt: skip
        _publish(kept, record, out=out, runtime=runtime, folder=Path(temporary))
    return record


def _checked(artifact: Path, runtime: Runtime) -> Manifest:
    manifest = verify(artifact)
    if manifest.precision != "fp32":
        raise EdgeproofError(
            f"{artifact}: precision is {manifest.precision}, expected an fp32 artifact to quantize"
        )
    if runtime not in manifest.runtimes:
        raise EdgeproofError(
            f"{artifact}: holds models for {', '.join(manifest.runtimes)}, --runtime is {runtime}"
        )
    return manifest


def _images(
    manifest: Manifest, task: Task, *, calibration: Path, validation: Path | None, samples: int
) -> tuple[Photos, Photos, str]:
    """Those to calibrate with, those to judge on, and which the latter are; no image is among both if it can be helped."""
    spec, first = manifest.preprocess, list_photos(calibration, task=task)
    seen = read_photos(first, spec=spec, wanted=samples, split="train")
    second = list_photos(validation, task=task) if validation else first
    try:
        shown = read_photos(second, spec=spec, wanted=samples, split="valid", without=set(seen.paths))
    except EdgeproofError:
        if validation is None or validation.resolve() == calibration.resolve():
            return seen, seen, _ITSELF
        raise
    return seen, shown, shown.origin


def _make(
    jury: Jury, artifact: Path, forms: Sequence[Form], folder: Path, *, tell: Progress
) -> tuple[list[Judged], list[FormTry]]:
    """FP32 and every form that can be made; and those that cannot."""
    total = len(forms) + 2
    plain = Form(FP32, "fp32", None, lambda out: _copy(artifact, out, jury.runtime))
    made, failed = [jury.judge(plain, folder / FP32)], []
    jury = replace(jury, fp32=made[0])
    for number, form in enumerate(forms, start=1):
        tell(number, total)
        started = time.perf_counter()
        try:
            made.append(jury.judge(form, folder / form.name))
        except EdgeproofError as error:
            failed.append(
                FormTry(
                    name=form.name, precision=form.precision, quantizer=form.quantizer,
                    outcome="not possible", reason=str(error), seconds=round(time.perf_counter() - started, 2),
                )
            )  # fmt: skip
    return made, failed


def _copy(artifact: Path, out: Path, runtime: Runtime) -> None:
    with_models(artifact, out, runtime=runtime)


def _timed(made: Sequence[Judged], jury: Jury, *, timer: Race) -> list[Judged]:
    pixels = jury.photos.pixels[:1]
    detectors = {item.tried.name: jury.detector(item.folder) for item in made}
    runners = {name: _runner(detector, pixels) for name, detector in detectors.items()}
    times = timer(runners)
    return [replace(item, tried=_with_time(item.tried, times[item.tried.name])) for item in made]


def _runner(detector: Detector, pixels: Any) -> Runner:
    return lambda: detector.run(pixels)


def _race(contestants: Mapping[str, Runner]) -> Mapping[str, Timing]:
    return race(contestants, reference=FP32, budget_s=1.0 + 0.5 * len(contestants))


def _with_time(tried: FormTry, timing: Timing) -> FormTry:
    return tried.model_copy(
        update={"p50_ms": timing.p50_ms, "ratio": timing.ratio, "ratio_range": timing.ratio_range}
    )


def _slow(made: Sequence[Judged], jury: Jury) -> Iterator[str]:
    """A warning for each INT8 form that is slower than a form in floats, the fastest of those."""
    floats = [item.tried for item in made if item.tried.precision in {FP32, "bf16"}]
    best = min(floats, key=lambda tried: tried.ratio or 1.0)
    for item in made:
        ratio = (item.tried.ratio or 1.0) / (best.ratio or 1.0)
        if item.tried.precision == "int8" and ratio > 1:
            yield slow_warning(
                item.folder, name=item.tried.name, ratio=ratio, beside=best.name, runtime=jury.runtime,
                pixels=jury.photos.pixels[:1], threads=jury.threads,
            )  # fmt: skip


def _fastest(made: Sequence[Judged]) -> Judged:
    """Of those that passed, FP32 among them; of equally fast ones the smallest."""
    passed = [item.tried for item in made if item.tried.outcome == "passed"]
    limit = min(tried.ratio or 1.0 for tried in passed) * _AS_FAST
    chosen = min((t for t in passed if (t.ratio or 1.0) <= limit), key=lambda tried: tried.bytes or 0)
    return next(item for item in made if item.tried is chosen)


def _marked(tried: FormTry, kept: Judged) -> FormTry:
    """The form that is kept, unless it was asked for by name although it was refused, is called so."""
    is_kept = tried.name == kept.tried.name and tried.outcome == "passed"
    return tried.model_copy(update={"outcome": "kept"}) if is_kept else tried


def _publish(kept: Judged, record: AutoRecord, *, out: Path, runtime: Runtime, folder: Path) -> None:
    record.write(folder / AUTO)
    judged = folder / "judged"
    rewrite(kept.folder, judged, threshold=kept.tried.threshold)
    with_models(judged, out, runtime=runtime, also={AUTO: folder / AUTO})


def _worst(a: Probabilities, b: Probabilities) -> int:
    """The image whose probability differs most."""
    gaps = np.abs(a - b)
    return int(np.argmax(gaps if gaps.ndim == 1 else gaps.max(axis=1)))
