"""What the report says of a student's arms: tables, sentences, the picture, and what the teacher knew."""

import json
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from report_fixture import ALONE, STUDENT, Records, changed, distilled, with_arm
from rich.console import Console

from bench.records.distillation import DistillationRecord
from bench.report.arms import arms, differences, seeds
from bench.report.costs import costs
from bench.report.data import RunData, load_run
from bench.report.degradations import steps
from bench.report.distillation import could_have_shown, sentence
from bench.report.figures_arms import paired_seeds
from bench.report.figures_training import training
from bench.report.lessons import lessons
from bench.report.sections import all_sections
from bench.report.terminal import arms_tables
from bench.report.verdict import judge
from distill.page.blocks import Points, Table, Terms


def student_of(run: RunData) -> Any:
    assert run.accuracy
    return run.accuracy.distillation[STUDENT]


def test_arms_stand_in_order_with_mean_and_spread(tmp_path: Path, calm_records: Records) -> None:
    records = with_arm(with_arm(calm_records, "pool", auc=0.9241), "plain", auc=0.8)
    found = student_of(load_run(records.write(tmp_path)))
    table = arms(STUDENT, found)
    assert [row[0] for row in table.rows] == [
        "alone: no teacher", "plain: no teacher, no augmentation", "pool: no teacher, all labels", "distilled",
    ]  # fmt: skip
    assert table.strong == {3} and table.rows[2][1].startswith("0.924 ± ")
    spread = found.arms[0].spread("heldout", "auc", epoch="last")
    assert table.rows[3][6] == f"{spread.mean:.3f} ± {spread.sd:.3f}"
    assert table.rows[3][7].count(",") == 2, "the best epoch of each of three seeds"
    assert "The test split has 24 real images, fewer than 1,000" in table.note


def test_enough_real_images_need_no_note(tmp_path: Path, calm_records: Records) -> None:
    found = student_of(load_run(calm_records.write(tmp_path)))
    images = {**found.images, "test": changed(found.images["test"], n_real=1000)}
    assert "coarse" not in arms(STUDENT, changed(found, images=images)).note


def test_differences_say_both_intervals_and_what_could_have_been_shown(
    tmp_path: Path, calm_records: Records
) -> None:
    found = student_of(load_run(calm_records.write(tmp_path)))
    table = differences(STUDENT, found)
    assert len(table.rows) == 6 and not table.bad
    assert table.rows[0] == (
        "Distillation: distilled − alone", "AUC test", "+0.017", "[+0.012, +0.022]", "[+0.009, +0.025]", "0.007",
        "shown by both",
    )  # fmt: skip


def test_few_scenes_are_marked_and_get_no_verdict(tmp_path: Path, calm_records: Records) -> None:
    few = distilled(calm_records, verdict="too few groups", mean=0.1, ci=None, groups=4)
    table = differences(STUDENT, student_of(load_run(few.write(tmp_path))))
    assert table.bad == set(range(6))
    assert {row[3] for row in table.rows} == {"–"}
    assert {row[6] for row in table.rows} == {"no verdict, 4 scenes where at least 20 are needed"}


def test_every_pair_has_its_sentence_and_unknown_pairs_say_so(tmp_path: Path, calm_records: Records) -> None:
    run = load_run(with_arm(calm_records, "pool", auc=0.92).write(tmp_path))
    found = student_of(run)
    assert sentence(found, pair=("distilled", "pool")).startswith(
        "The teacher instead of true labels gave +0.017 AUC [+0.012, +0.022] over scenes and seeds, "
    )
    assert sentence(found, pair=("alone", "plain")) == "Augmentation was not evaluated on test."
    section = next(s for s in all_sections(run, judge(run)) if s.title == "What did distillation give?")
    points = next(block for block in section.blocks if isinstance(block, Points))
    assert [text.split(" gave")[0] for text in points.items] == [
        "Distillation",
        "The teacher instead of true labels",
    ]
    terms = next(block for block in section.blocks if isinstance(block, Terms))
    assert [name for name, _ in terms.items] == ["Alone", "Pool"]
    titles = [block.title for block in section.blocks if isinstance(block, Table)]
    assert titles == [
        "small_cnn: every arm", "small_cnn: what each arm gave", "Seeds: all of them",
        "small_cnn: what the teacher costs its training",
    ]  # fmt: skip


def test_what_could_have_been_shown_is_left_out_where_it_is_not_known(
    tmp_path: Path, calm_records: Records
) -> None:
    found = student_of(load_run(calm_records.write(tmp_path))).difference("test")
    assert could_have_shown(found) == "This run could have shown 0.007 (0.009 over seeds alone)."
    assert could_have_shown(replace(found, seeds_detectable=None)) == "This run could have shown 0.007."
    assert could_have_shown(replace(found, detectable=None)) == ""


def test_every_seed_of_every_arm_is_a_row_at_its_best_and_last_epoch(
    tmp_path: Path, calm_records: Records
) -> None:
    table = seeds(load_run(with_arm(calm_records, "pool", auc=0.92).write(tmp_path)))
    assert [row[1:4:2] for row in table.rows[:2]] == [("alone", table.rows[0][3]), ("alone", "last, 2")]
    assert len(table.rows) == 3 * 3 * 2 and [row[1] for row in table.rows[6:12]] == ["pool"] * 6


def test_the_picture_joins_the_seeds_and_tells_its_finding(tmp_path: Path, calm_records: Records) -> None:
    run = load_run(with_arm(calm_records, "pool", auc=0.92).write(tmp_path))
    picture = paired_seeds(run, STUDENT)
    assert picture and picture.alt == (
        "small_cnn: distilled − alone, AUC +0.017 on test (shown by both), +0.017 on held-out generators (shown by both)"
    )
    assert paired_seeds(run, "nobody") is None


def test_a_control_arm_stands_wherever_the_student_alone_does(tmp_path: Path, calm_records: Records) -> None:
    records = with_arm(calm_records, "pool", auc=0.92)
    assert records.accuracy and records.degradations
    pool = f"{STUDENT}/pool"
    step = next(c for c in records.accuracy.comparisons if c.b == ALONE)
    comparisons = (*records.accuracy.comparisons, changed(step, b=pool))
    swept = records.degradations
    model = swept.models[ALONE]
    models = {**swept.models, pool: changed(model, identity=changed(model.identity, key=pool, arm="pool"))}
    degraded_step = next(c for c in swept.comparisons if c.b == ALONE)
    swept = changed(swept, models=models, comparisons=(*swept.comparisons, changed(degraded_step, b=pool)))
    records = replace(records.with_accuracy(comparisons=comparisons), degradations=swept)
    run = load_run(records.write(tmp_path))
    assert run.problems == {}
    networks = [item.label for item in run.entries if not item.is_artifact]
    assert networks[1:] == ["small_cnn, no teacher", "small_cnn, no teacher, all labels", "small_cnn"]
    assert ("Distillation, against no teacher, all labels", "small_cnn, no teacher, all labels", "small_cnn FP32") in {
        row[:3] for row in costs(run).rows
    }  # fmt: skip
    assert "small_cnn FP32 against no teacher, all labels" in [column.title for column in steps(run).columns]
    sections = {section.title: section for section in all_sections(run, judge(run))}
    overview = next(b for b in sections["Degraded images"].blocks if isinstance(b, Table))
    assert "small_cnn, no teacher, all labels" in [column.title for column in overview.columns]
    families = next(b for b in sections["Generator by generator"].blocks if isinstance(b, Table))
    assert not any("no teacher" in column.title for column in families.columns)
    assert training(run, STUDENT)


def test_changes_on_degraded_images_of_few_groups_are_not_called_shown(
    tmp_path: Path, calm_records: Records
) -> None:
    swept = calm_records.degradations
    assert swept
    sure = {name: changed(s, ci=(0.1, 0.2)) for name, s in swept.comparisons[0].degradations.items()}
    comparisons = (changed(swept.comparisons[0], degradations=sure), *swept.comparisons[1:])
    for groups, starred in ((20, True), (19, False)):
        images = changed(swept.images, groups=groups)
        records = replace(calm_records, degradations=changed(swept, images=images, comparisons=comparisons))
        table = steps(load_run(records.write(tmp_path)))
        assert all(("*" in row[1]) == starred for row in table.rows)
        assert ("no change is called shown" in table.note) != starred


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (
            {"adopted_from": "t.safetensors", "learned_from": {"labelled": 20000, "scenes": 10000, "data": "simulated"}},
            "The teacher learned from 20,000 labelled simulated images of 10,000 scenes that the student never sees; "
            "the student has 96 labelled and 384 without a label.",
        ),
        (
            {"learned_from": {"labelled": 500}},
            "The teacher learned from 500 labelled images that the student never sees; the student has 96 labelled "
            "and 384 without a label.",
        ),
        (
            {"adopted_from": "t.safetensors", "trained_on": "faces", "learned_from": "no table"},
            "The teacher's weights were trained elsewhere (t.safetensors; data: faces); the student has 96 labelled "
            "and 384 without a label.",
        ),
        (
            {"learned_from": {"labelled": 96, "scenes": 48, "data": "digits", "own": False}},
            "The teacher learned from the same labelled images as the student; the student has 96 labelled and 384 "
            "without a label.",
        ),
        (
            {"seed": 0},
            "The teacher learned from the same labelled images as the student; the student has 96 labelled and 384 "
            "without a label.",
        ),
    ],
)  # fmt: skip
def test_what_the_teacher_learned_from(
    tmp_path: Path, records: Records, about: dict[str, Any], said: str
) -> None:
    assert records.summary
    splits = records.summary.splits
    more = changed(splits["train"], real=0, fake=0, unlabelled=384)
    summary = changed(records.summary, splits={**splits, "unlabelled": more})
    folder = replace(records, summary=summary).write(tmp_path)
    (folder / "teacher/weights.json").write_text(json.dumps(about))
    text = lessons(load_run(folder))
    assert text and text.text == said


@pytest.mark.parametrize("content", [None, "[1]", "{", "{}"])
def test_nothing_is_said_of_a_teacher_of_whom_nothing_is_known(
    tmp_path: Path, records: Records, content: str | None
) -> None:
    folder = records.write(tmp_path)
    if content is not None:
        (folder / "teacher/weights.json").write_text(content)
    assert lessons(load_run(folder)) is None


def test_a_terminal_shows_every_pair_and_the_sentence(calm_records: Records) -> None:
    assert calm_records.accuracy
    record = DistillationRecord(simulated=True, students=dict(calm_records.accuracy.distillation))
    table, text = arms_tables(record)
    console = Console(width=110, file=StringIO())
    console.print(table)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "small_cnn (simulated data)" in shown and "…" not in shown
    for split in ("test", "heldout"):
        assert re.search(rf"{split} +distilled − alone .* \+0\.017  \[\+0\.012, \+0\.022\]", shown)
    assert str(text).startswith("Distillation gave +0.017 AUC [+0.012, +0.022] over scenes and seeds, ")
