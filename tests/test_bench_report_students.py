from dataclasses import replace
from pathlib import Path

import pytest
from report_fixture import LARGE, NNCF, ORT, STUDENT, Records, changed

from bench.report.data import load_run
from bench.report.figures_front import students_front
from bench.report.students import Candidate, candidates, front, students
from bench.report.write import write_report
from distill.page.formats import NONE

RIVAL = "rival"


def _candidate(name: str, *, p50: float, score: float) -> Candidate:
    return Candidate(item=_Named(name), row=None, score=score, p50=p50, drop=None)  # type: ignore[arg-type]


class _Named:
    def __init__(self, name: str) -> None:
        self.name = name


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ({"a": (1, 0.9), "b": (2, 0.95)}, ["a", "b"]),
        ({"a": (1, 0.95), "b": (2, 0.9)}, ["a"]),
        ({"a": (2, 0.9), "b": (2, 0.95), "c": (3, 0.95)}, ["b"]),
        ({"slow": (9, 0.99), "bad": (5, 0.5), "fast": (1, 0.7)}, ["fast", "slow"]),
    ],
)
def test_the_front_holds_those_that_none_beats(
    points: dict[str, tuple[float, float]], expected: list[str]
) -> None:
    found = [_candidate(name, p50=p50, score=score) for name, (p50, score) in points.items()]
    assert [candidate.name for candidate in front(found)] == expected


@pytest.fixture
def two(calm_records: Records) -> Records:
    """The calm run with a second student: as fast as it is, and a little worse as INT8."""
    assert calm_records.recipe and calm_records.accuracy and calm_records.bench
    recipe, accuracy = calm_records.recipe, calm_records.accuracy
    models = dict(accuracy.models)
    for key, model in accuracy.models.items():
        who = model.identity
        if who.name == STUDENT:
            parent = who.parent and who.parent.replace(STUDENT, RIVAL)
            identity = changed(who, key=key.replace(STUDENT, RIVAL), name=RIVAL, parent=parent)
            models[identity.key] = changed(model, identity=identity)
    rows = [changed(row, model=RIVAL) for row in calm_records.bench.rows if row.model == STUDENT]
    found = replace(
        calm_records.with_accuracy(
            models=models, distillation={**accuracy.distillation, RIVAL: accuracy.distillation[STUDENT]}
        ),
        recipe=changed(recipe, students={**recipe.students, RIVAL: recipe.students[STUDENT]}),
        bench=changed(calm_records.bench, rows=(*calm_records.bench.rows, *rows)),
    )
    return found.with_split(NNCF.replace(STUDENT, RIVAL), "test", auc=0.92, auc_ci=(0.9, 0.94))


def test_each_student_stands_in_its_fastest_int8_form(two: Records, tmp_path: Path) -> None:
    run = load_run(two.write(tmp_path))
    found = {candidate.name: candidate for candidate in candidates(run)}
    assert [*found] == [STUDENT, RIVAL]
    best = found[STUDENT]
    assert best.item.key == NNCF and best.row.input_size == LARGE and best.score == 0.930
    assert best.drop == pytest.approx(0.001)
    two = two.with_rows(
        lambda row: {"p50_ms": 0.01}, model=STUDENT, quantizer="ort", input_size=LARGE, scope="model"
    )
    faster = tmp_path / "faster"
    assert candidates(load_run(two.write(faster)))[0].item.key == ORT


def test_the_table_says_who_is_beaten_and_by_whom(two: Records, tmp_path: Path) -> None:
    folder = two.write(tmp_path)
    found = students(load_run(folder))
    assert found and found.strong == {0}
    titles = [column.title for column in found.columns]
    rows = {row[0]: dict(zip(titles, row, strict=True)) for row in found.rows}
    assert rows[STUDENT]["Beaten by"] == NONE and rows[RIVAL]["Beaten by"] == STUDENT
    assert (
        rows[STUDENT]["INT8 cost"] == "−0.001"
        and rows[RIVAL]["AUC deployed [95\u00a0% CI]"] == "0.920 [0.900, 0.940]"
    )
    write_report(folder)
    markdown = (folder / "report.md").read_text()
    assert (
        "Students beside each other" in markdown
        and f"{STUDENT} is as fast as any other and better" in markdown
    )
    assert (folder / "plots/students_front.png").is_file()


def test_one_student_has_nobody_beside_it(calm_records: Records, tmp_path: Path) -> None:
    folder = calm_records.write(tmp_path)
    run = load_run(folder)
    assert students(run) is None and students_front(run) is None
    write_report(folder)
    assert "Students beside" not in (folder / "report.md").read_text()


def test_without_latency_nothing_is_said(two: Records, tmp_path: Path) -> None:
    assert students(load_run(two.without("bench").write(tmp_path))) is None
