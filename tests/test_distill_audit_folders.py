"""Folders audited from the command line, on the splits of a run or by its recipe, and what is advised."""

from dataclasses import replace

import numpy as np
import pytest
from audit_fixture import picture, report_of, write
from PIL import Image

from distill.data.audit.audit import CHECKS, require_passed
from distill.data.audit.folder import audit_folder, print_audit
from distill.data.audit.report import AuditReport, Check
from distill.data.summary import DataSummary
from distill.errors import GateFailedError


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return write(tmp_path_factory.mktemp("clean"))


# --- what was not checked, and what to do -------------------------------------------------------------------


def paired_folder(root, *, count=12, repeat=""):
    """Class folders in which each generated picture has the name of the real one that it was made of."""
    for name in ("real", "fake"):
        (root / name).mkdir(parents=True)
    for index in range(count):
        image = picture(index, side=32)
        image.save(root / "real" / f"scene{index}.bmp")
        again = np.asarray(image).astype(int) + 1 if repeat else np.asarray(picture(500 + index, side=32))
        Image.fromarray(again.clip(0, 255).astype(np.uint8)).save(root / "fake" / f"scene{index}.bmp")
    return root


def test_what_was_not_asked_is_not_called_ok(tmp_path, capsys):
    """Without known groups nothing can straddle; "ok groups_across_splits: 0" would be a lie."""
    report, seen = audit_folder(paired_folder(tmp_path / "a"))
    found = {check.name: check for check in report.checks}
    assert not found["groups_across_splits"].checked
    assert "12 file names stand in more than one class" in found["groups_across_splits"].note
    assert "--set data.groups=stem" in found["groups_across_splits"].note
    print_audit(report, seen, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("--   groups_across_splits: not checked; nothing tells") for line in lines)
    assert not any("(0)" in line and "evaluated" in line for line in lines if not line.startswith("ok"))


def test_one_split_and_flat_pictures_are_not_checked(clean, tmp_path):
    alone = replace(clean, samples=tuple(replace(sample, split="train") for sample in clean.samples))
    found = report_of(alone)[1]
    unasked = {name for name, check in found.items() if not check.checked}
    assert unasked == {"duplicates_across_splits", "near_duplicates_across_splits"}
    for number, sample in enumerate(clean.samples):
        Image.new("RGB", (16, 16), (number, 0, 0)).save(tmp_path / sample.path)
    found = report_of(replace(clean, root=tmp_path))[1]
    assert {name for name, check in found.items() if not check.checked} == {
        "near_duplicates_across_splits", "near_duplicates_across_classes",
    }  # fmt: skip


def test_below_five_groups_no_classifier_is_asked(clean):
    few = [sample for sample in clean.samples if sample.group in ("scene0", "scene1", "scene2", "scene3")]
    report, found = report_of(replace(clean, samples=tuple(few)))
    assert report.metadata_auc is None and report.passed
    assert not any(found[name].checked for name in CHECKS[:6])
    assert found["metadata"].note == "4 groups, 5 are needed"


def test_a_folder_is_audited_on_the_splits_of_its_run(tmp_path, monkeypatch):
    from distill.data.audit.folder import audit_folder
    from distill.pipeline.runfolder import AUDIT
    from distill.pipeline.stage import Run
    from distill.recipe import DataSettings, parse_recipe
    from distill.stages.data import audit_data, make_data

    told = []
    monkeypatch.setattr("distill.stages.data._LOG.warning", lambda form, *values: told.append(form % values))
    root = paired_folder(tmp_path / "photos", count=24)
    (root / "fake" / "copy.bmp").write_bytes((root / "fake" / "scene3.bmp").read_bytes())
    values = {
        "name": "x", "seed": 3, "students": {"s": {"name": "small_cnn"}},
        "data": {"path": str(root), "test_share": 0.3}, "gates": {"accept": list(CHECKS)},
    }  # fmt: skip
    run = Run(tmp_path / "run", parse_recipe(values, origin="x"))
    make_data(run, lambda done, total: None)
    audit_data(run, lambda done, total: None)
    data = DataSettings(path=str(root), test_share=0.3)
    report, seen = audit_folder(root, data=data, gates=run.recipe.gates, seed=3)
    assert report == AuditReport.read(run.folder / AUDIT)
    assert any("split 'test' has" in problem for problem in seen["problems"])
    summary = DataSummary.read(run.folder / "data" / "summary.json")
    assert any("fewer than 20 (data.min_groups)" in problem for problem in summary.problems)
    assert told == list(summary.problems), "told before anything trains"


def test_pairs_leak_across_splits_until_they_are_grouped_by_name(tmp_path):
    """The advice of the failed check, followed."""
    from distill.recipe import DataSettings

    root = paired_folder(tmp_path, count=30, repeat="yes")
    report, _ = audit_folder(root)
    found = {check.name: check for check in report.checks}
    leak = found["near_duplicates_across_splits"]
    assert not leak.passed and "--set data.groups=stem" in leak.advice
    report, _ = audit_folder(root, data=DataSettings(path=str(root), groups="stem"))
    found = {check.name: check for check in report.checks}
    for name in ("near_duplicates_across_splits", "near_duplicates_across_classes", "groups_across_splits"):
        assert found[name].passed and found[name].checked, name


def test_every_failed_check_says_what_to_do(tmp_path):
    from distill.data.audit.advice import advice

    said = {name: advice(name, ()) for name in CHECKS}
    assert all(len(text) > 60 for text in said.values())
    report, checks = report_of(write(tmp_path, kind=("bmp", "png")))
    assert all(bool(check.advice) is not check.passed for check in checks.values())


def test_there_is_one_figure_for_metadata(tmp_path):
    """The header once told the AUC of a classifier that also saw bytes, the table that of two others."""
    dataset = write(tmp_path, kind=("jpg", "jpg"), quality=(96, 95))
    for number, sample in enumerate(dataset.samples):
        if sample.label:
            picture(1000 + number, side=15).save(tmp_path / sample.path, quality=95)
    report, checks = report_of(dataset)
    assert checks["metadata"].value == pytest.approx(report.metadata_auc - 0.5)


def test_data_audit_takes_the_recipe_of_the_run(tmp_path):
    from cli import edgeproof

    root = paired_folder(tmp_path / "p", count=30, repeat="yes")
    refused = edgeproof("data", "audit", root)
    assert refused.returncode == 1 and "--set data.groups=stem" in refused.stdout
    good = edgeproof("data", "audit", root, "--groups", "stem")
    assert good.returncode == 0, good.stdout + good.stderr
    same = edgeproof("data", "audit", root, "--set", "data.groups=stem", "--recipe", "cifake")
    assert same.stdout == good.stdout
    assert "expected 'layout' or 'stem'" in edgeproof("data", "audit", root, "--groups", "name").stderr


def test_a_folder_of_named_classes_is_audited_by_its_recipe(tmp_path):
    labels = ("cat", "dog", "cow")
    for number, name in enumerate(labels):
        (tmp_path / name).mkdir()
        for index in range(8):
            picture(100 * number + index, side=32).save(tmp_path / name / f"{index}.bmp")
    report, seen = audit_folder(tmp_path, labels=labels)
    assert report.passed and "not_asked" in {check.name for check in report.checks}
    assert any("split 'test' has 3 groups" in problem for problem in seen["problems"])


def test_of_several_advices_the_one_with_a_setting_to_try_is_told(tmp_path):
    checks = [
        Check(name=name, value=1.0, limit=0.0, passed=False, accepted=False, note="", advice=advice)
        for name, advice in (("file_bytes", "Save alike."), ("near_duplicates_across_splits", "Try --set data.groups=stem."))
    ]  # fmt: skip
    report = AuditReport(passed=False, metadata_auc=None, metadata_ci=None, checks=tuple(checks))
    with pytest.raises(GateFailedError, match=r"json\. Try --set data.groups=stem\. Save alike\. To accept"):
        require_passed(report, where=tmp_path / "audit.json")
