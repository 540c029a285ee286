import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from distill.data.columns import ManifestColumns, parse_columns
from distill.data.explore.inspect import inspection_of, print_inspection, printable, read_folder, reason_kinds
from distill.data.samples import Dataset, Sample, Skipped
from distill.errors import EdgeproofError


def dataset(tmp_path, *samples, **options):
    return Dataset(root=tmp_path, layout="manifest", samples=samples, **options)


def sample(path, label, split="train", **options):
    return Sample(path=path, label=label, split=split, group=path, **options)


def test_what_is_described(tmp_path):
    found = inspection_of(
        dataset(
            tmp_path,
            sample("a", 0),
            sample("b", 1, generator="gan"),
            sample("c", 1, split="", generator="gan"),
            skipped=(Skipped("d", "broken"),),
        )
    )
    assert found == {
        "layout": "manifest",
        "samples": 3,
        "splits": {"train": {"real": 1, "fake": 1}, "all": {"real": 0, "fake": 1}},
        "generators": {"gan": 2},
        "groups": 3,
        "skipped": [{"path": "d", "reason": "broken"}],
        "problems": ["split 'all' has no real images"],
        "advice": [],
    }


def test_files_of_one_name_in_both_classes_are_offered_as_groups(tmp_path, capsys):
    pairs = [Sample(f"{kind}/{n}.png", label) for label, kind in enumerate(("real", "fake")) for n in "abc"]
    found = inspection_of(dataset(tmp_path, *pairs))
    [advice] = found["advice"]
    assert "3 file names stand in more than one class" in advice and "--set data.groups=stem" in advice
    print_inspection(found, as_json=False)
    assert f"advice      {advice}" in capsys.readouterr().out


def test_problems_of_the_layout_come_first(tmp_path):
    found = inspection_of(dataset(tmp_path, sample("a", 1), problems=("two CSV files disagree",)))
    assert found["problems"] == ["two CSV files disagree", "split 'train' has no real images"]


def test_unlabelled_images_are_neither_real_nor_missing_a_class(tmp_path):
    found = inspection_of(
        dataset(tmp_path, sample("a", -1, split="unlabelled"), sample("b", -1, split="unlabelled"))
    )
    assert found["splits"] == {"unlabelled": {"real": 0, "fake": 0, "unlabelled": 2}}
    assert found["problems"] == []


def test_images_of_no_group_are_groups_of_their_own(tmp_path):
    alone = [Sample(path=name, label=0) for name in "ab"]
    assert inspection_of(dataset(tmp_path, *alone))["groups"] == 2


def test_reading_a_folder_leaves_bad_files_out_however_many(tmp_path):
    for name in ("real", "fake"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "empty.png").touch()
        (tmp_path / name / "torn.png").write_bytes(b"\x89PNG no more")
    Image.new("RGB", (8, 8)).save(tmp_path / "real" / "good.png")
    found, columns = read_folder(tmp_path, layout="auto")
    assert [s.path for s in found.samples] == ["real/good.png"] and len(columns) == 1
    assert sorted(item.path for item in found.skipped) == [
        "fake/empty.png", "fake/torn.png", "real/empty.png", "real/torn.png",
    ]  # fmt: skip


def test_kinds_of_reasons_ignore_names_and_numbers():
    reasons = [
        "no image file (.txt)",
        "row 3: the label 'cat' is unknown",
        "no image file (.md)",
        "row 17: the label 'a dog' is unknown",
        "row 18: the label 'x' is unknown",
    ]
    kinds = reason_kinds({"path": str(number), "reason": reason} for number, reason in enumerate(reasons))
    assert {kind: [item["path"] for item in items] for kind, items in kinds.items()} == {
        "row …: the label is unknown": ["1", "3", "4"],
        "no image file": ["0", "2"],
    }
    assert list(kinds)[0].startswith("row")  # the most frequent first


def test_people_see_ten_files_of_a_kind_and_programs_all(tmp_path, capsys):
    skipped = [Skipped(f"{number}.txt", f"no image file ({number})") for number in range(25)]
    found = inspection_of(
        dataset(tmp_path, sample("a", 0), sample("b", 1), skipped=(*skipped, Skipped("c.png", "empty")))
    )
    print_inspection(found, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert "left out    25 files: no image file" in lines
    assert sum(".txt" in line for line in lines) == 10
    assert any(line.strip() == "... and 15 more (--json lists all)" for line in lines)
    assert lines[-2:] == ["left out    1 file: empty", "            c.png: empty"]
    print_inspection(found, as_json=True)
    assert len(json.loads(capsys.readouterr().out)["skipped"]) == 26


def test_many_generators_and_problems_are_cut_short_too(tmp_path, capsys):
    generators = [sample(str(number), 1, generator=f"g{number}") for number in range(30)]
    print_inspection(
        inspection_of(dataset(tmp_path, *generators, problems=tuple(map(str, range(30))))), as_json=False
    )
    assert capsys.readouterr().out.count("more (--json lists all)") == 2


def test_names_cannot_break_the_output(tmp_path, capsys):
    evil = "a\nproblem     none\r\x1b[2Jb\u202egnp.exe"
    found = inspection_of(
        dataset(tmp_path, sample("a", 0), sample("b", 1), skipped=(Skipped(evil, "no image file"),))
    )
    print_inspection(found, as_json=False)
    printed = capsys.readouterr().out
    assert r"a\nproblem     none\r\x1b[2Jb\u202egnp.exe" in printed
    assert len(printed.splitlines()) == 5 and "\x1b" not in printed


@given(st.text())
def test_printable_text_is_one_line_that_can_be_written(text):
    shown = printable(text)
    assert shown.isprintable() and shown.encode().decode() == shown
    assert shown == text or not text.isprintable()


def test_lone_surrogates_are_printable():
    assert printable("caf\udce9") == r"caf\udce9"


def test_columns_from_the_command_line():
    assert parse_columns([]) == ManifestColumns()
    columns = parse_columns(["label=target", "fake=a=b", "path=file name"])
    assert (columns.label, columns.fake, columns.path, columns.group) == (
        "target",
        "a=b",
        "file name",
        "group",
    )


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["labels=x"], "unknown column 'labels'; choose one of: fake, generator, group, label, path, split"),
        (["label"], "--column 'label': expected KEY=NAME, such as label=target"),
        (["label="], "--column 'label=': expected KEY=NAME, such as label=target"),
        (["label=a", "label=b"], "--column 'label' is given twice, as 'a' and as 'b'"),
    ],
)
def test_mistakes_in_columns(pairs, message):
    with pytest.raises(EdgeproofError) as caught:
        parse_columns(pairs)
    assert str(caught.value) == message


def test_columns_reach_the_manifest(tmp_path):
    for name in "ab":
        Image.fromarray(np.full((8, 8, 3), ord(name), np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "list.csv").write_text("file,kind\na.png,photo\nb.png,painted\n")
    columns = parse_columns(["path=file", "label=kind", "fake=painted"])
    found, _ = read_folder(tmp_path / "list.csv", layout="auto", columns=columns)
    assert {s.path: s.label for s in found.samples} == {"a.png": 0, "b.png": 1}


def test_inspecting_needs_neither_pictures_nor_pages():
    import subprocess

    code = (
        "import distill.data.explore.inspect, sys\n"
        "sys.exit(str({'matplotlib', 'torch', 'jinja2'} & sys.modules.keys() or ''))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.stderr.strip() == ""
