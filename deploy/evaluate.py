"""How good is a finished artifact on these labelled images? Every metric, by generator and by degradation. Torch-free.

From Python: :func:`evaluate_artifact`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deploy.evaluate_images import Answers, answers_on, degraded_answers
from deploy.evaluate_measures import OF_A_GENERATOR, Scores, Truth, judge
from deploy.evaluate_record import DegradedJudgement, EvaluationRecord, Judgement, Measure
from deploy.photos import Progress
from deploy.runtime import Detector
from deploy.stages.degradations import sample_groups
from distill.data.columns import ManifestColumns
from distill.data.layouts import NoLayoutError, load_dataset
from distill.data.samples import GENERATED, Dataset, Sample
from distill.data.stratify import stratified
from distill.data.transforms.degradations import CLEAN, DEGRADATIONS
from distill.errors import EdgeproofError, unknown_name
from distill.evaluation.band import answered
from distill.evaluation.metrics import verdicts
from distill.evaluation.statistics import (
    MIN_GROUPS,
    MIN_GROUPS_OF_AN_INTERVAL,
    bootstrap_mean,
    paired_bootstrap,
)
from distill.optional import require
from distill.task import Task, task_of_labels

SWEPT = 1000  # images of the sweep, drawn by group: each is judged once for every degradation
RESAMPLES, FEWER_RESAMPLES = 1000, 200  # fewer for the many intervals of which none decides alone
_LARGE = 20_000  # images from which an interval is narrow, and a draw slow
_DEFAULT_SPLIT, _ALL = "test", "all"


def evaluate_artifact(
    artifact: Path,
    data: Path,
    *,
    layout: str = "auto",
    columns: ManifestColumns | None = None,
    split: str | None = None,
    samples: int | None = None,
    degradations: bool = True,
    runtime: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> EvaluationRecord:
    """Judge an artifact on labelled images, at its own frozen threshold.

    Args:
        artifact: its folder.
        data: a data set of any layout; of K classes folders named after the artifact's labels, or a manifest.
        layout: recognised unless given.
        columns: of a manifest that names them otherwise.
        split: the data set's; its ``test`` if it has one, otherwise every labelled image. ``all`` takes every one.
        samples: so many images at most, drawn evenly from classes and generators; all of them unless given.
        degradations: whether up to :data:`SWEPT` of them are judged again as JPEG, blurred, resized, noisy and WebP.
        runtime: what runs it; as in :meth:`deploy.runtime.Detector.load`.
        threads: CPU threads; as there.
        progress: is told how many answers of how many are there.

    Raises:
        EdgeproofError: no artifact; no images, none with a label, of one class only, or of other classes than its own.
    """
    if degradations:
        require("scipy")  # before an hour of answers; blur needs it
    detector = Detector.load(artifact, runtime=runtime, threads=threads)
    manifest = detector.manifest
    task = task_of_labels(manifest.task, manifest.labels)
    dataset = _labelled(data, layout=layout, columns=columns, task=task)
    chosen, of = _choose(dataset, split=split, samples=samples, task=task)
    names = [name for name, kind in DEGRADATIONS.items() if task.kind == "binary" or not kind.generated_only]
    swept = min(SWEPT, len(chosen)) if degradations else 0
    work = _Work(progress, images=len(chosen), swept=swept, each=len(names))
    answers = answers_on(detector, dataset.root, chosen, progress=work.judged)
    degraded = (
        _degraded(detector, dataset, answers, task=task, names=names, work=work) if degradations else ()
    )
    what = f"{len(chosen)} images of {data.resolve().name}{of}"
    return _record(detector, dataset, answers, task=task, data=what, degraded=degraded)


def _record(
    detector: Detector,
    dataset: Dataset,
    answers: Answers,
    *,
    task: Task,
    data: str,
    degraded: tuple[DegradedJudgement, ...],
) -> EvaluationRecord:
    manifest, truth, scores = detector.manifest, Truth.of(answers.samples), answers.probabilities
    grouped = len(set(truth.groups)) < len(truth.groups)
    resamples = RESAMPLES if len(truth.labels) < _LARGE else FEWER_RESAMPLES
    return EvaluationRecord(
        artifact=manifest.name, precision=manifest.precision, runtime=detector.runtime, task=manifest.task,
        labels=manifest.labels, threshold=manifest.threshold, data=data, layout=dataset.layout, grouped=grouped,
        overall=judge(task, truth, scores, threshold=manifest.threshold, resamples=resamples),
        generators=_generators(task, answers, truth, threshold=manifest.threshold),
        degraded=degraded,
        answered=answered(truth.labels > 0, scores, band=manifest.band) if manifest.band else None,
        skipped=answers.skipped,
        cautions=_cautions(detector, dataset, answers, truth, grouped=grouped),
    )  # fmt: skip


class _Work:
    """One progress of two kinds of work: an image judged as it is, and one judged under every degradation."""

    def __init__(self, progress: Progress | None, *, images: int, swept: int, each: int) -> None:
        self._tell = progress or (lambda done, total: None)
        self._images, self._each, self._total = images, each, images + swept * each

    def judged(self, done: int, _: int) -> None:
        self._tell(done, self._total)

    def swept(self, done: int, _: int) -> None:
        self._tell(min(self._images + done * self._each, self._total), self._total)


def _labelled(data: Path, *, layout: str, columns: ManifestColumns | None, task: Task) -> Dataset:
    try:
        return load_dataset(data, layout=layout, columns=columns, labels=task.classes)
    except NoLayoutError as error:
        raise EdgeproofError(
            f"{error}; evaluate needs labels ({', '.join(task.labels)}), 'edgeproof predict' needs none"
        ) from None


def _choose(
    dataset: Dataset, *, split: str | None, samples: int | None, task: Task
) -> tuple[list[Sample], str]:
    """The images to judge, and which they are in words.

    Raises:
        EdgeproofError: no such split, or images of fewer than two classes.
    """
    present = sorted({sample.split for sample in dataset.samples if sample.split})
    if split not in (None, _ALL, *present):
        raise unknown_name(kind=f"split of {dataset.root.name}", given=str(split), choices=[_ALL, *present])
    wanted = split or (_DEFAULT_SPLIT if _DEFAULT_SPLIT in present else _ALL)
    known = [s for s in dataset.samples if s.label >= 0 and wanted in (_ALL, s.split)]
    found = sorted({task.labels[sample.label] for sample in known})
    if len(found) < 2:
        raise EdgeproofError(
            f"{dataset.root}: {len(known)} of {len(dataset.samples)} images have a label"
            f"{f', all of them {found[0]}' if found else ''}; expected images of {' and '.join(task.labels)}"
        )
    drawn = known if samples is None else stratified(known, wanted=samples, seed=0)
    return list(drawn), "" if wanted == _ALL else f", split {wanted}"


def _generators(
    task: Task, answers: Answers, truth: Truth, *, threshold: float | None
) -> dict[str, Judgement]:
    """Each generator's images beside all real ones; none where generators have no names."""
    names = {sample.generator for sample in answers.samples if sample.label == GENERATED}
    if task.kind != "binary" or not any(names):
        return {}
    by = np.array([sample.generator for sample in answers.samples])
    found = {}
    for name in sorted(names):
        rows = np.flatnonzero((truth.labels != GENERATED) | (by == name))
        found[name or "(not named)"] = judge(
            task, truth.only(rows), answers.probabilities[rows], threshold=threshold,
            resamples=FEWER_RESAMPLES, names=OF_A_GENERATOR,
        )  # fmt: skip
    return found


def _degraded(
    detector: Detector,
    dataset: Dataset,
    answers: Answers,
    *,
    task: Task,
    names: Sequence[str],
    work: _Work,
) -> tuple[DegradedJudgement, ...]:
    rows = sample_groups(answers.samples, at_most=SWEPT, seed=0)
    samples = [answers.samples[row] for row in rows]
    said = degraded_answers(detector, dataset.root, samples, names=names, progress=work.swept)
    clean, truth, threshold = said[names.index(CLEAN)], Truth.of(samples), detector.manifest.threshold
    return tuple(
        DegradedJudgement(
            name=name, family=DEGRADATIONS[name].family, strength=DEGRADATIONS[name].strength,
            generated_only=DEGRADATIONS[name].generated_only,
            judged=judge(task, truth, scores, threshold=threshold, resamples=FEWER_RESAMPLES),
            change=_change(task, truth, scores, clean),
            flips=float(np.mean(verdicts(scores, threshold) != verdicts(clean, threshold))),
        )
        for name, scores in zip(names, said, strict=True)
    )  # fmt: skip


def _change(task: Task, truth: Truth, scores: Scores, clean: Scores) -> Measure:
    """Of the score, against the same images as they are: each draw of groups is given to both."""
    n = FEWER_RESAMPLES if len(set(truth.groups)) >= MIN_GROUPS_OF_AN_INTERVAL else 0
    if task.kind == "binary":
        found = paired_bootstrap(truth.labels, scores, clean, truth.groups, n=n)
        return Measure(value=found.difference, interval=found.ci)
    right = (np.asarray(said.argmax(axis=1) == truth.labels, dtype=np.float64) for said in (scores, clean))
    gain = np.subtract(*right)
    return Measure(value=float(gain.mean()), interval=bootstrap_mean(gain, truth.groups, n=n) if n else None)


def _cautions(
    detector: Detector, dataset: Dataset, answers: Answers, truth: Truth, *, grouped: bool
) -> tuple[str, ...]:
    found = [detector.caution] if detector.caution else []
    if dataset.layout == "simulated":
        found.append("these are simulated images, and say nothing of real photographs")
    splits = {sample.split for sample in answers.samples}
    if "train" in splits:
        found.append("images of a training split were judged: the model may have learned from them")
    groups = len(set(truth.groups))
    if groups < MIN_GROUPS_OF_AN_INTERVAL:
        found.append(f"{groups} groups, fewer than {MIN_GROUPS_OF_AN_INTERVAL}: there is no interval")
    elif groups < MIN_GROUPS:
        found.append(
            f"{groups} groups stand behind every interval, fewer than {MIN_GROUPS}: no difference is shown"
        )
    if not grouped:
        found.append(
            "nothing tells which images belong together, so each counts by itself: of several from one photograph the "
            "intervals are too narrow"
        )
    if answers.far:
        path, text = next(iter(answers.far.items()))
        found.append(
            f"{len(answers.far)} of {len(answers.samples)} images are far from the model's input, the first {path}: {text}"
        )
    if answers.skipped:
        found.append(f"{len(answers.skipped)} images cannot be decoded, the first: {answers.skipped[0]}")
    return tuple(found)
