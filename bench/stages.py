"""The stages of this package: accuracy and its gate, the sweep's judgement, latency, and the report.

What a stage needs follows from the files that it reads: whichever stages leave them.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.degradations import swept_models
from deploy.artifact import MANIFEST_NAME
from deploy.quantizers import runtimes_of
from deploy.stages import sweeps
from deploy.stages.degradations import OUTPUTS
from distill.errors import GateFailedError
from distill.pipeline.runfolder import WEIGHTS
from distill.pipeline.stage import Progress, Run, Stage, makers
from distill.recipe import Recipe
from distill.roster import Artifact, Roster, left_out_of

if TYPE_CHECKING:
    from bench.records.accuracy import AccuracyGate

_FOR_DETAILS = 0.3  # of the time of the bench: peaks, layers, memory, throughput
ACCURACY, BENCH, REPORT = "accuracy.json", "bench.json", ("report.md", "report.html")
DEGRADATIONS, ENVIRONMENT = "degradations.json", "environment.json"


def bench_stages(recipe: Recipe, roster: Roster, stages: Sequence[Stage]) -> list[Stage]:
    """What follows all of ``stages``.

    Raises:
        ValueError: none of ``stages`` leaves a file that is read here.
    """
    sweep = [_sweep_stage(roster, stages)] if sweeps(recipe) else []
    report = Stage("report", "report", make_report, outputs=REPORT, cost=8, always=True, alone=True)
    return [_accuracy_stage(roster, stages), *sweep, _bench_stage(recipe, roster, stages), report]


def _accuracy_stage(roster: Roster, stages: Sequence[Stage]) -> Stage:
    judged = replace(roster, artifacts=roster.judged)
    files = [
        *(file for model in judged.models for file in (model.predictions, model.choice)),
        *(training.logits for training in judged.trainings),
        *(f for artifact in judged.artifacts for f in (artifact.predictions, _manifest(artifact))),
    ]
    limits = (
        "above_chance",
        "teacher_gap",
        "auc_drop",
        "tpr_at_5fpr_drop",
        "accuracy_drop",
        "identity_auc",
        "teacher_auc",
        "accept",
    )
    return Stage(
        "accuracy",
        "evaluate",
        check_accuracy,
        reads=("task", *(f"gates.{name}" for name in limits)),
        needs=makers(stages, files),
        outputs=(ACCURACY,),
        cost=25,
        arguments={"roster": judged},
    )


def _sweep_stage(roster: Roster, stages: Sequence[Stage]) -> Stage:
    swept = tuple(item for item in swept_models(roster) if isinstance(item, Artifact))
    return Stage(
        "degradations",
        "evaluate",
        judge_degradations,
        reads=("gates.degraded_auc", "gates.degraded_accuracy", "gates.accept"),
        needs=makers(stages, [OUTPUTS, *(model.choice for model in roster.models)]),
        outputs=(DEGRADATIONS,),
        cost=5,
        arguments={"roster": replace(roster, trainings=(), artifacts=swept)},
    )


def _bench_stage(recipe: Recipe, roster: Roster, stages: Sequence[Stage]) -> Stage:
    weights = [f"{model.folder}/{WEIGHTS}" for model in roster.deployed]
    left_out = left_out_of(recipe, runtimes=runtimes_of(recipe))
    settings = ("rounds", "iterations", "warmup", "threads", "max_seconds", "isolated")
    return Stage(
        "bench",
        "bench",
        run_bench,
        reads=tuple(f"bench.{name}" for name in settings),
        needs=makers(stages, [*weights, *map(_manifest, roster.artifacts)]),
        outputs=(BENCH,),
        cost=2 * recipe.bench.max_seconds,  # it has the machine to itself, where two other stages would run
        alone=True,
        arguments={"roster": replace(roster, trainings=()), **({"left_out": left_out} if left_out else {})},
    )


def _manifest(artifact: Artifact) -> str:
    return f"{artifact.folder}/{MANIFEST_NAME}"


def check_accuracy(run: Run, progress: Progress, *, roster: Roster) -> None:
    """Write ``accuracy.json``.

    Raises:
        GateFailedError: a check of the accuracy gate failed.
    """
    from bench.accuracy import measure_accuracy

    record = measure_accuracy(run, progress, roster=roster)
    record.write(run.folder / ACCURACY)
    _require("accuracy", record.gate)


def judge_degradations(run: Run, progress: Progress, *, roster: Roster) -> None:
    """Write ``degradations.json``.

    Raises:
        GateFailedError: a limit on degraded images does not hold.
    """
    from bench.degradations import measure_degradations

    record = measure_degradations(run, progress, roster=roster)
    record.write(run.folder / DEGRADATIONS)
    if record.gate:
        _require("degraded images", record.gate)


def _require(name: str, gate: "AccuracyGate") -> None:
    """Fail the run for what fails the report's verdict, and say what to do about it."""
    from bench.advice import advice

    if gate.failed:
        said = "; ".join(f"{check.name} {check.found} (limit {check.limit:.4g})" for check in gate.failed)
        steps = " ".join(dict.fromkeys(map(advice, gate.failed)))
        raise GateFailedError(f"{name} gate failed: {said}. {steps}")


def run_bench(
    run: Run, progress: Progress, *, roster: Roster, left_out: Sequence[tuple[Artifact, str]] = ()
) -> None:
    """Time every contestant in interleaved rounds, and write ``bench.json``; what was ``left_out`` has a row with the reason."""
    from bench.contestants.lineup import lineup
    from bench.contestants.reference import absent
    from bench.details import add_details, folders_of
    from bench.latency import measure

    settings, started = run.recipe.bench, time.perf_counter()
    contestants, kept_s = lineup(run, roster, left_out=left_out), _FOR_DETAILS * settings.max_seconds
    measurement = measure(
        contestants,
        rounds=settings.rounds,
        iterations=settings.iterations,
        warmup=settings.warmup,
        budget_s=settings.max_seconds - kept_s,
        spent_s=time.perf_counter() - started,
        isolated=settings.isolated,
        progress=lambda what, done, total, /: progress(done, total),
    )
    record = measurement.record(absent=absent())
    left_s = settings.max_seconds - (time.perf_counter() - started)
    add_details(record, folders_of(contestants), seconds=left_s).write(run.folder / BENCH)


def make_report(run: Run, progress: Progress) -> None:
    """Write the report, and every artifact's model card, from whatever the run folder holds."""
    from bench.card import write_cards
    from bench.environment import environment
    from bench.report.write import write_report

    environment(run).write(run.folder / ENVIRONMENT)
    write_report(run.folder)
    write_cards(run.folder)
