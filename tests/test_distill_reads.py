"""A stage reads what it declares: otherwise a changed recipe would keep what no longer fits."""

import inspect
import os
from dataclasses import replace
from pathlib import Path
from types import MethodType
from typing import Any

import pytest
from pydantic import BaseModel

from distill.cli.run import all_stages
from distill.data.samples import UNLABELLED
from distill.pipeline.runfolder import load_samples, save_samples
from distill.pipeline.stage import Run, Stage
from distill.pipeline.state import is_inert
from distill.recipe import load_recipe
from distill.section import Section

TABLES = ("students", "teachers", "quantization", "distillation.variants")


class Recording:
    """A recipe, or a section of it, that notes the dotted path of every value that is read from it."""

    def __init__(self, value: Any, path: str, touched: set[str]) -> None:
        self._value, self._path, self._touched = value, path, touched

    def __getattr__(self, name: str) -> Any:
        kind = type(self._value)
        if name in kind.model_fields:
            return record(getattr(self._value, name), f"{self._path}.{name}".lstrip("."), self._touched)
        found = inspect.getattr_static(kind, name)
        ours = name in {key for base in kind.__mro__ if base is not BaseModel for key in vars(base)}
        if ours and not hasattr(
            BaseModel, name
        ):  # our own property or method: what it reads counts, not its name
            return found.fget(self) if isinstance(found, property) else MethodType(found, self)
        self._touched.add(self._path)  # pydantic's own, such as model_dump: the whole section
        return getattr(self._value, name)


class RecordingTable(dict):
    """Sections by name; to know the names is to know the roster, which the stage's arguments hold."""

    def __init__(self, values: dict[str, Any], path: str, touched: set[str]) -> None:
        super().__init__({key: Recording(item, f"{path}.{key}", touched) for key, item in values.items()})


def record(value: Any, path: str, touched: set[str]) -> Any:
    if isinstance(value, Section):
        return Recording(value, path, touched)
    if path in TABLES:
        return RecordingTable(value, path, touched)
    touched.add(path)
    return value


def undeclared(stage: Stage, stages: dict[str, Stage], touched: set[str]) -> set[str]:
    """What a stage touched and neither it nor what it needs declares (their keys are part of its own)."""
    declared, open_ = set(), [stage]
    while open_:
        one = open_.pop()
        declared.update(one.reads)
        open_ += [stages[name] for name in one.needs]
    covered = {
        path for path in touched
        if is_inert(path) or any(path == read or path.startswith(f"{read}.") for read in declared)
    }  # fmt: skip
    return touched - covered


def recipe_of(folder: Path) -> Any:
    return load_recipe(str(folder / "recipe.toml"))


def test_every_stage_reads_what_it_declares(run_copy: Path) -> None:
    recipe = recipe_of(run_copy)
    listed = all_stages(recipe)
    stages = {stage.name: stage for stage in listed}
    small = {"rounds": 1, "iterations": 1, "max_seconds": 1.0}
    recipe = recipe.model_copy(update={"bench": recipe.bench.model_copy(update=small)})
    seen = {}
    for stage in listed:
        if stage.always or stage.name.endswith("@48"):  # the report reads records; @48 does what @32 does
            continue
        touched: set[str] = set()
        stage.run(Run(folder=run_copy, recipe=Recording(recipe, "", touched)), lambda done, total: None)
        if missing := undeclared(stage, stages, touched):
            seen[stage.name] = missing
    assert not seen


def test_the_control_arms_read_what_they_declare(run_copy: Path) -> None:
    controls = ["distillation.controls=['pool', 'plain']", "augmentation.jpeg={probability=0.5}"]
    recipe = load_recipe(str(run_copy / "recipe.toml"), overrides=controls)
    dataset = load_samples(run_copy)
    shown = [  # some training images once more, without the label that they have
        replace(sample, label=UNLABELLED, split="unlabelled", truth=sample.label)
        for sample in dataset.split("train")[:8]
    ]
    save_samples(replace(dataset, samples=(*dataset.samples, *shown)), run_copy)
    listed = all_stages(recipe)
    stages, seen = {stage.name: stage for stage in listed}, {}
    arms = [
        name for name in stages if name == "pool" or name.endswith((":pool", ":plain", "/pool", "/plain"))
    ]
    assert len(arms) == 1 + 2 * 3
    for name in arms:
        touched: set[str] = set()
        stages[name].run(
            Run(folder=run_copy, recipe=Recording(recipe, "", touched)), lambda done, total: None
        )
        if missing := undeclared(stages[name], stages, touched):
            seen[name] = missing
    assert not seen
    for arm in ("pool", "plain"):
        assert (run_copy / f"students/small_cnn/{arm}/choice.json").is_file()
        assert (run_copy / f"predictions/small_cnn/{arm}.npz").is_file()


def test_a_stage_that_reads_more_is_found(run_copy: Path) -> None:
    def sneaky(run: Run, progress: Any) -> None:
        assert run.recipe.gates.auc_drop is not None
        assert run.recipe.all_teachers["teacher"].epochs and run.recipe.students["small_cnn"].options
        run.recipe.bench.model_dump()

    touched: set[str] = set()
    stage = Stage("sneaky", "teach", sneaky, reads=("teacher", "gates.tpr_at_5fpr_drop"))
    stage.run(Run(folder=run_copy, recipe=Recording(recipe_of(run_copy), "", touched)), print)
    assert undeclared(stage, {}, touched) == {"gates.auc_drop", "students.small_cnn.options", "bench"}


@pytest.mark.parametrize(
    ("change", "redone", "kept"),
    [
        ("students.small_cnn.epochs=3", {"student:small_cnn:seed0:alone"}, {"teacher", "teacher:outputs"}),
        ("quantization.nncf.preset=performance", {"quantize:small_cnn@32:nncf"}, {"quantize:small_cnn@32:ort"}),
        ("data.workers=3", set(), {"data", "teacher"}),
        ("data.min_groups=3", set(), {"data", "audit"}),
        ("data.groups=layout", set(), {"data"}),
        ("data.groups=stem", {"data", "teacher"}, set()),
        ("gates.auc_drop=0.5", {"accuracy"}, {"audit", "bench"}),
        ("distillation.label_weight=0.5", {"student:small_cnn:seed0:distilled"}, {"student:small_cnn:seed0:alone"}),
        ("distillation.controls=['pool']", {"accuracy"}, {"teacher:outputs", "student:small_cnn:seed0:distilled"}),
    ],
)  # fmt: skip
def test_a_changed_value_changes_the_keys_that_depend_on_it(change: str, redone: set, kept: set) -> None:
    from distill.pipeline.state import stage_keys

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    tiny = str(Path(__file__).parent / "tiny.toml")
    before, after = (load_recipe(tiny, overrides=o) for o in ([], [change]))
    old, new = (stage_keys(all_stages(recipe), recipe) for recipe in (before, after))
    changed = {name for name in old if old[name] != new.get(name)}
    assert redone <= changed and not kept & changed
    assert bool(changed) == bool(redone)
