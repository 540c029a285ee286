"""The search: draw forms, time them untrained, halve those under the budget, and name the best to train in full.

Optuna draws the forms and keeps what was tried in ``study.log``, which its dashboard reads; ``search.json`` is what this
program goes on from. Torch-free by import.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.records.machine import Machine
from bench.search.halving import Point, front, plan, survivors
from bench.search.record import SEARCH, Found, Rung, SearchRecord
from bench.search.space import Form, draw
from bench.search.untrained import make_int8, speeds
from distill.errors import EdgeproofError
from distill.machine import thread_count
from distill.optional import require
from distill.recipe import Recipe

_SECONDS_EACH = 2.0  # of timing
_MOST_SECONDS = 60.0


class Train(Protocol):
    """Distils students by name, for so many epochs, and gives the score of each on validation images."""

    def __call__(self, forms: Sequence[Found], *, epochs: int) -> Mapping[str, float]:
        """Train."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is looked for.

    Attributes:
        latency_ms: the most that one image may take as INT8, model only (median).
        trials: how many forms are drawn.
        eta: of how many in a rung one stays, and how much longer the next rung trains.
        rungs: how many of them.
        tool: the quantizer.
        students: architectures to draw from.
        seed: of the draw.
    """

    latency_ms: float
    trials: int
    eta: int = 3
    rungs: int = 2
    tool: str = "nncf"
    students: tuple[str, ...]
    seed: int = 0


def search(
    recipe: Recipe, wish: Wish, *, out: Path, train: Train, say: Callable[[str], None], epochs: int
) -> SearchRecord:
    """Find the student; the record's ``chosen`` is to be trained in full. A killed search goes on in ``out``.

    Raises:
        EdgeproofError: Optuna is not installed, no form stays under the budget (the fastest is named), or ``out`` holds
            another search.
    """
    record = _begun(recipe, wish, out=out, epochs=epochs)
    record = _time_all(record, recipe, wish, out=out, say=say)
    for length, count in record.plan:
        if length < record.plan[-1][0] and len(_alive(record)) == 1:
            continue  # nobody to compare with
        record = _rung(record, epochs=length, count=count, train=train, say=say)
        record.write(out / SEARCH)
    record = _decided(record)
    record.write(out / SEARCH)
    _tell_optuna(record, out=out)
    return record


def _begun(recipe: Recipe, wish: Wish, *, out: Path, epochs: int) -> SearchRecord:
    """The record in ``out``, or a new one of forms that are drawn."""
    fresh = SearchRecord(
        recipe=recipe.name,
        simulated=not recipe.data.path,
        machine=Machine.here(),
        budget_ms=wish.latency_ms,
        input_size=recipe.preprocess.size,
        threads=thread_count(recipe.bench.threads),
        quantizer=wish.tool,
        measure="accuracy" if recipe.task.kind == "multiclass" else "AUC",
        plan=plan(candidates=wish.trials, epochs=epochs, eta=wish.eta, rungs=wish.rungs),
        found=tuple(_drawn(wish)),
    )
    if not (out / SEARCH).is_file():
        out.mkdir(parents=True, exist_ok=True)
        return fresh
    there = SearchRecord.read(out / SEARCH)
    for name in ("recipe", "budget_ms", "input_size", "threads", "quantizer", "plan"):
        if getattr(there, name) != getattr(fresh, name):
            raise EdgeproofError(
                f"{out}: holds a search with {name} {getattr(there, name)}, this one has {getattr(fresh, name)}; "
                "expected another --out"
            )
    if [found.name for found in there.found] != [found.name for found in fresh.found]:
        raise EdgeproofError(f"{out}: holds a search among other students; expected another --out")
    return there


def _drawn(wish: Wish) -> list[Found]:
    """Forms at random, each once; fewer than asked for where there are no more."""
    optuna = _optuna()
    found: dict[str, Form] = {}

    def objective(trial: Any) -> float:
        form = draw(trial, wish.students)
        found[form.name] = form
        return 0.0

    study = optuna.create_study(sampler=optuna.samplers.BruteForceSampler(seed=wish.seed))
    study.optimize(objective, n_trials=wish.trials)
    return [
        Found(name=form.name, architecture=form.architecture, options=dict(form.options))
        for form in found.values()
    ]


def _optuna() -> Any:
    """The package, told to be quiet: what it calls experimental has been there for years."""
    optuna = require("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def _time_all(
    record: SearchRecord, recipe: Recipe, wish: Wish, *, out: Path, say: Callable[[str], None]
) -> SearchRecord:
    """INT8 latency of every form; what could not be made says why."""
    if any(found.p50_ms is not None for found in record.found):
        return record
    made: dict[str, Found] = {}
    for number, found in enumerate(record.found, start=1):
        say(f"{number} of {len(record.found)}: {found.name} as INT8")
        form = Form(found.name, found.architecture, found.options)
        try:
            size = make_int8(form, _folder(out, found.name), preprocess=recipe.preprocess, tool=wish.tool)
            made[found.name] = found.model_copy(update={"macs": size.macs, "params": size.params})
        except EdgeproofError as error:
            made[found.name] = found.model_copy(update={"state": "failed", "reason": str(error)})
    sound = [name for name, found in made.items() if found.state != "failed"]
    say(f"timing {len(sound)} students in {record.threads} threads")
    timed = speeds(
        {name: _folder(out, name) for name in sound},
        threads=record.threads,
        seconds=min(_MOST_SECONDS, _SECONDS_EACH * len(sound)),
    )
    for name, speed in timed.items():
        state = "under the budget" if speed.p50_ms <= record.budget_ms else "too slow"
        made[name] = made[name].model_copy(update={**speed._asdict(), "state": state})
    record = record.model_copy(update={"found": tuple(made.values())})
    _require_some(record)
    record.write(out / SEARCH)
    return record


def _require_some(record: SearchRecord) -> None:
    if any(found.state == "under the budget" for found in record.found):
        return
    timed = [found for found in record.found if found.p50_ms is not None]
    if not timed:
        raise EdgeproofError(
            f"search: no student could be made; {record.found[0].name}: {record.found[0].reason}"
        )
    fastest = min(timed, key=lambda found: found.p50_ms or 0.0)
    raise EdgeproofError(
        f"search: no student of {len(timed)} takes {record.budget_ms:g} ms or less at {record.input_size}×{record.input_size} "
        f"in {record.threads} threads; the fastest is {fastest.name} with {fastest.p50_ms:.3g} ms"
    )


def _folder(out: Path, name: str) -> Path:
    return out / "untrained" / name


def _rung(
    record: SearchRecord, *, epochs: int, count: int, train: Train, say: Callable[[str], None]
) -> SearchRecord:
    """Train those still in the search for ``epochs``; all but ``count`` of the rung before are dropped first."""
    alive = _alive(record)
    if any(rung.epochs == epochs for found in record.found for rung in found.rungs):
        return record
    if any(found.rungs for found in alive):
        kept = set(survivors({found.name: _point(found) for found in alive}, keep=min(count, len(alive))))
        dropped = {f.name: f.model_copy(update={"state": "dropped"}) for f in alive if f.name not in kept}
        record = _with(record, dropped)
        alive = [found for found in alive if found.name in kept]
    say(f"{len(alive)} students for {epochs} epochs")
    scores = train(alive, epochs=epochs)
    trained = {
        found.name: found.model_copy(
            update={"rungs": (*found.rungs, Rung(epochs=epochs, score=scores[found.name]))}
        )
        for found in alive
    }
    return _with(record, trained)


def _alive(record: SearchRecord) -> list[Found]:
    return [found for found in record.found if found.state == "under the budget"]


def _decided(record: SearchRecord) -> SearchRecord:
    """The front of those trained longest, and of it the one with the best score."""
    last = {found.name: _point(found) for found in record.found if found.state == "under the budget"}
    last |= {found.name: _point(found) for found in record.found if found.state in ("finalist", "chosen")}
    best = front(last)
    chosen = max(best, key=lambda name: last[name][0])
    states = {
        name: record.named(name).model_copy(update={"state": "chosen" if name == chosen else "finalist"})
        for name in last
    }
    return _with(record, states).model_copy(update={"front": tuple(best), "chosen": chosen})


def _point(found: Found) -> Point:
    if found.score is None or found.p50_ms is None:
        raise ValueError(f"{found.name} was not trained or not timed")
    return found.score, found.p50_ms


def _with(record: SearchRecord, changed: Mapping[str, Found]) -> SearchRecord:
    return record.model_copy(
        update={"found": tuple(changed.get(found.name, found) for found in record.found)}
    )


def _tell_optuna(record: SearchRecord, *, out: Path) -> None:
    """Leave a study that ``optuna-dashboard study.log`` shows: score up, latency down."""
    optuna = _optuna()
    path = out / "study.log"
    path.unlink(missing_ok=True)
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    study = optuna.create_study(
        study_name=record.recipe,
        directions=["maximize", "minimize"],
        storage=optuna.storages.JournalStorage(backend),
    )
    study.set_metric_names([record.measure, "p50_ms"])
    for found in record.found:
        if found.rungs:
            attributes = found.model_dump(mode="json")
            study.add_trial(optuna.trial.create_trial(values=list(_point(found)), user_attrs=attributes))
