"""What ``accuracy.json`` holds: the numbers of a real run again by other means, and the gate by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_fixture import ALONE, NNCF, ORT, STUDENT, Records, calm, changed
from sklearn.metrics import roc_auc_score

from bench.accuracy import measure_accuracy
from bench.gate import accuracy_gate
from bench.judged import truth_of
from bench.records.accuracy import AccuracyRecord
from bench.records.distillation import Split
from bench.seeds import compare_seeds
from deploy.artifact import read_manifest
from distill.data.samples import Sample
from distill.evaluation.choice import choice_of
from distill.pipeline.runfolder import load_arrays, load_samples
from distill.pipeline.stage import Run
from distill.recipe import GateSettings
from distill.roster import Roster, roster_of
from distill.training.history import History

RUNTIMES = {"ort": "onnxruntime", "nncf": "openvino"}


@pytest.fixture(scope="module")
def records(finished_run: Path) -> Records:
    return Records.read(finished_run)


@pytest.fixture(scope="module")
def record(records: Records) -> AccuracyRecord:
    assert records.accuracy
    return records.accuracy


@pytest.fixture(scope="module")
def roster(records: Records) -> Roster:
    assert records.recipe
    return roster_of(records.recipe, runtimes=RUNTIMES)  # type: ignore[arg-type]


def test_judged_again_the_run_gives_the_same_record(
    finished_run: Path, records: Records, roster: Roster
) -> None:
    assert records.recipe
    told: list[tuple[int, int]] = []
    run = Run(folder=finished_run, recipe=records.recipe)
    again = measure_accuracy(run, lambda done, total: told.append((done, total)), roster=roster)
    assert again == records.accuracy
    assert told == [(done, 11) for done in range(1, 12)]


def test_each_model_has_a_band_of_its_own_and_tells_how_often_it_answers(
    finished_run: Path, record: AccuracyRecord, roster: Roster
) -> None:
    labels = np.array([sample.label for sample in load_samples(finished_run).split("test")])
    for item in (*roster.models, *roster.judged):
        found, scores = record.models[item.key], load_arrays(finished_run / item.predictions)["test"]
        own = (
            read_manifest(finished_run / item.folder)
            if item in roster.judged
            else choice_of(finished_run, item)
        )
        assert found.band == own.band and found.band is not None
        low, high = found.band.low, found.band.high
        test = found.answered["test"]
        assert test.share == pytest.approx(np.mean((scores < low) | (scores >= high)))
        assert test.miss_rate == pytest.approx(np.mean(scores[labels == 1] < low))
        assert test.false_positive_rate == pytest.approx(np.mean(scores[labels == 0] >= high))
        assert set(found.answered) == set(found.splits)
    assert "Verdicts with a band" in (finished_run / "report.md").read_text()


def test_every_judged_model_of_the_roster_is_there_under_its_key(
    record: AccuracyRecord, roster: Roster
) -> None:
    expected = [item.key for item in (*roster.models, *roster.judged)]
    assert list(record.models) == expected and len(expected) == 3 + 8
    assert all(model.identity.key == key for key, model in record.models.items())
    parents = {key: model.identity.parent for key, model in record.models.items()}
    assert parents[NNCF] == "small_cnn-openvino-fp32" and parents["small_cnn-openvino-fp32"] == STUDENT
    assert parents[STUDENT] is parents["teacher"] is None


def test_metrics_are_those_of_the_probabilities_on_disk(
    finished_run: Path, record: AccuracyRecord, roster: Roster
) -> None:
    dataset = load_samples(finished_run)
    for item in (*roster.models, *roster.judged):
        model, probabilities = record.models[item.key], load_arrays(finished_run / item.predictions)
        assert set(model.splits) == {"valid", "test", "heldout", "control"}
        for split, metrics in model.splits.items():
            labels = [sample.label for sample in dataset.split(split)]
            assert metrics.auc == pytest.approx(roc_auc_score(labels, probabilities[split]))
            called = probabilities[split] >= model.threshold
            assert metrics.confusion[1][1] == int((called & (np.array(labels) == 1)).sum())
            assert (metrics.auc_ci is None) == (split == "valid")


def test_generators_know_their_split(record: AccuracyRecord) -> None:
    found = record.models[STUDENT].generators
    assert {name: metrics.split for name, metrics in found.items()} == {
        "transposed": "test", "vae8": "test", "blend": "test", "bilinear": "heldout", "identity": "control",
    }  # fmt: skip
    assert found["bilinear"].held_out and found["identity"].is_control and not found["vae8"].held_out


def test_artifacts_are_judged_at_the_threshold_of_their_network(record: AccuracyRecord) -> None:
    for model in record.models.values():
        network = record.models[ALONE if model.identity.arm == "alone" else model.identity.name]
        assert model.threshold == network.threshold


def test_comparisons_lead_from_what_was_to_what_came_of_it(record: AccuracyRecord) -> None:
    steps = {(found.step, found.a): found for found in record.comparisons}
    assert len(steps) == len(record.comparisons) == 2 + 8
    assert steps["distillation", STUDENT].b == ALONE and steps["size", STUDENT].b == "teacher"
    assert steps["export", "teacher-openvino-fp32"].b == "teacher"
    assert steps["int8", NNCF].b == "small_cnn-openvino-fp32"
    for found in record.comparisons:
        after, before = (record.models[key].splits["test"].auc for key in (found.a, found.b))
        assert after is not None and before is not None
        assert found.auc_difference == pytest.approx(after - before)


def test_flips_of_a_step_are_counted_at_either_threshold(finished_run: Path, record: AccuracyRecord) -> None:
    found = next(found for found in record.comparisons if found.step == "size")
    called = [
        load_arrays(finished_run / f"predictions/{key}.npz")["test"] >= record.models[key].threshold
        for key in (STUDENT, "teacher")
    ]
    assert found.flips.count == int((called[0] != called[1]).sum()) > 0
    assert found.flips.share == found.flips.count / 48


@pytest.mark.parametrize("split", ["test", "heldout"])
def test_every_seed_is_told_by_its_logits(
    finished_run: Path, record: AccuracyRecord, roster: Roster, split: Split
) -> None:
    labels = [sample.label for sample in load_samples(finished_run).split(split)]
    found = record.distillation[STUDENT]
    assert found.seeds == (0, 1) and found.controls == ("alone",)
    best = {}
    for arm in found.arms:
        for scores in arm.seeds:
            (training,) = [t for t in roster.trainings if (t.arm, t.seed) == (arm.arm, scores.seed)]
            logits = load_arrays(finished_run / training.logits)
            history = History.read(finished_run / training.folder / "history.json")
            assert (scores.best_epoch, scores.last_epoch) == (history.best_epoch, 2)
            best[arm.arm, scores.seed] = roc_auc_score(labels, logits[split])
            assert scores.splits[split].best.auc == pytest.approx(best[arm.arm, scores.seed])
            assert scores.splits[split].last.auc == pytest.approx(
                roc_auc_score(labels, logits[f"last_{split}"])
            )
        values = [best[arm.arm, seed] for seed in (0, 1)]
        spread = arm.spread(split, "auc")
        assert spread and spread.mean == pytest.approx(np.mean(values))
        assert spread.sd == pytest.approx(np.std(values, ddof=1))
    difference = found.difference(split)
    assert difference and difference.verdict == "too few seeds" and difference.seeds == 2
    assert difference.mean == pytest.approx(
        np.mean([best["distilled", seed] - best["alone", seed] for seed in (0, 1)])
    )
    assert difference.groups == found.images[split].groups == len(labels) / 2
    assert difference.ci and difference.ci[0] < difference.mean < difference.ci[1]


def test_arms_are_compared_in_every_measure_and_the_last_epoch_by_its_auc(record: AccuracyRecord) -> None:
    found = record.distillation[STUDENT]
    assert {(c.split, c.epoch, c.statistic) for c in found.comparisons} == {
        *((s, "best", m) for s in ("test", "heldout") for m in ("auc", "tpr_at_5fpr", "tpr_at_1fpr")),
        *((s, "last", "auc") for s in ("test", "heldout")),
    }
    assert found.pairs == (("distilled", "alone"),)


def test_every_pair_of_arms_tells_its_part_apart(finished_run: Path, records: Records) -> None:
    """The arms of a run with all controls, whose trainings are copies of two with known differences."""
    assert records.recipe
    distillation = changed(records.recipe.distillation, controls=("pool", "plain"))
    roster = roster_of(changed(records.recipe, distillation=distillation))
    truth = {split: truth_of(load_samples(finished_run).split(split)) for split in ("test", "heldout")}
    arms = {"distilled": "distilled", "alone": "alone", "pool": "distilled", "plain": "alone"}
    copied = [
        replace(training, folder=f"students/small_cnn/seed{training.seed}/{arms[training.arm or 'alone']}")
        for training in roster.trainings
    ]
    run = Run(folder=finished_run, recipe=records.recipe)
    found = compare_seeds(run, replace(roster, trainings=tuple(copied)), roster.distilled[0], truth)
    assert found.pairs == (
        ("distilled", "alone"), ("distilled", "pool"), ("distilled", "plain"), ("pool", "alone"), ("alone", "plain"),
    )  # fmt: skip
    gain = found.difference("test")
    assert gain and found.difference("test", arm="pool", against="alone") == gain
    none = [
        found.difference("test", arm=a, against=b) for a, b in (("distilled", "pool"), ("alone", "plain"))
    ]
    assert all(item and item.mean == 0 and item.ci == (0, 0) for item in none)


def test_a_split_without_one_class_is_left_out(finished_run: Path, records: Records, roster: Roster) -> None:
    assert records.recipe
    samples = {split: load_samples(finished_run).split(split) for split in ("test", "heldout")}
    truth = {
        "test": truth_of(samples["test"]),
        "heldout": truth_of([s for s in samples["heldout"] if s.label]),
    }
    run = Run(folder=finished_run, recipe=records.recipe)
    found = compare_seeds(run, roster, roster.distilled[0], truth)
    assert set(found.images) == {"test"} and {c.split for c in found.comparisons} == {"test"}
    assert found.arms[0].spread("heldout", "auc") is found.difference("heldout") is None


LIMITS = GateSettings(auc_drop=0.02, tpr_at_5fpr_drop=0.1, identity_auc=0.05, teacher_auc=0.9)


def test_the_gate_of_a_good_run_passes(records: Records, roster: Roster) -> None:
    models = calm(records).accuracy.models  # type: ignore[union-attr]
    gate = accuracy_gate(models, teacher=roster.teachers[0], limits=LIMITS)
    found = {(check.model, check.measure): check for check in gate.checks}
    assert gate.passed and all(check.passed and not check.accepted for check in gate.checks)
    assert set(found) == {
        *((key, measure) for key in (ORT, NNCF) for measure in ("auc_drop", "tpr_at_5fpr_drop")),
        *(
            (key, measure)
            for key in (ORT, NNCF)
            for measure in ("heldout_above_chance", "heldout_teacher_gap")
        ),
        *((key, "above_chance") for key in ("teacher", STUDENT, ORT, NNCF)),
        *((key, "teacher_gap") for key in (STUDENT, ORT, NNCF)),
        *((key, "identity_auc") for key in ("teacher", STUDENT, ALONE)),
        ("teacher", "teacher_auc"),
    }
    assert found[ORT, "auc_drop"].value == pytest.approx(0.002)
    assert found["teacher", "teacher_auc"].name == "teacher AUC"
    assert found[ALONE, "identity_auc"].name == "small_cnn/alone identity generator |AUC - 0.5|"


@pytest.mark.parametrize(
    ("key", "split", "update", "measure", "value"),
    [
        (NNCF, "test", {"auc": 0.9}, "auc_drop", 0.031),
        (STUDENT, "control", {"auc": 0.4}, "identity_auc", 0.1),
        (ALONE, "control", {"auc": 0.6}, "identity_auc", 0.1),
        ("teacher", "test", {"auc": 0.89}, "teacher_auc", 0.89),
    ],
)
def test_what_fails_is_named_by_its_model(
    records: Records,
    roster: Roster,
    key: str,
    split: str,
    update: dict[str, float],
    measure: str,
    value: float,
) -> None:
    models = calm(records).with_split(key, split, **update).accuracy.models  # type: ignore[union-attr]
    gate = accuracy_gate(models, teacher=roster.teachers[0], limits=LIMITS)
    (failed,) = [check for check in gate.checks if not check.passed]
    assert not gate.passed and (failed.model, failed.measure) == (key, measure)
    assert failed.value == pytest.approx(value)
    accepting = changed(LIMITS, accept=(failed.name,))
    gate = accuracy_gate(models, teacher=roster.teachers[0], limits=accepting)
    assert gate.passed and [check.model for check in gate.checks if check.accepted] == [key]


def test_a_worse_teacher_artifact_and_a_further_teacher_are_held_to_nothing(
    records: Records, roster: Roster
) -> None:
    good = calm(records).with_split("teacher-openvino-int8-nncf", "test", auc=0.5)
    assert good.accuracy
    teacher = good.accuracy.models["teacher"]
    leaking = {split: replace(metrics, auc=0.7) for split, metrics in teacher.splits.items()}
    other = changed(teacher, identity=changed(teacher.identity, key="big", name="big"), splits=leaking)
    models = {**good.accuracy.models, "big": other}
    assert accuracy_gate(models, teacher=roster.teachers[0], limits=LIMITS).passed


def test_without_reals_or_fakes_on_the_identity_generator_nothing_is_checked(
    records: Records, roster: Roster
) -> None:
    blind = calm(records).with_split("teacher", "control", auc=None)
    gate = accuracy_gate(blind.accuracy.models, teacher=roster.teachers[0], limits=LIMITS)  # type: ignore[union-attr]
    assert ("teacher", "identity_auc") not in {(check.model, check.measure) for check in gate.checks}


def test_a_sample_without_a_group_is_its_own() -> None:
    truth = truth_of([Sample(path="a.png", label=1), Sample(path="b.png", label=0, group="scene")])
    assert truth.groups == ("a.png", "scene") and truth.labels.tolist() == [1, 0]
    assert truth.only([1]).groups == ("scene",)
