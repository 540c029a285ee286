import csv
import io
import sys
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables_fixture import failure, listed, parquet, write

from distill.data.columns import ManifestColumns
from distill.data.layouts import (
    load_dataset,
    manifest,
    table,
)
from distill.data.layouts.table_samples import clean_path
from distill.errors import EdgeproofError


def rows(path, *columns, optional=()):
    return list(table.read_rows(path, required=columns, optional=optional))


# --- tables ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_line_ends_delimiters_and_bom(tmp_path, end, delimiter, encoding):
    lines = [
        delimiter.join(cells) for cells in (("path", "label"), ("äß/漢字.jpg", "real"), ("b.jpg", "fake"))
    ]
    path = write(tmp_path / "t.csv", end.join(lines) + end, encoding)
    assert rows(path, "label", "path") == [(2, ("real", "äß/漢字.jpg")), (3, ("fake", "b.jpg"))]


def test_mixed_line_ends_and_no_end(tmp_path):
    path = write(tmp_path / "t.csv", "path,label\r\na,1\nb,0\rc,1")
    assert rows(path, "path") == [(2, ("a",)), (3, ("b",)), (4, ("c",))]


def test_the_delimiter_is_sniffed_from_the_header_alone(tmp_path):
    path = write(tmp_path / "t.csv", 'path;label\n"a,b,c,d\te.jpg";real\n')
    assert rows(path, "path", "label") == [(2, ("a,b,c,d\te.jpg", "real"))]


def test_one_column_needs_no_delimiter(tmp_path):
    assert rows(write(tmp_path / "t.csv", "path\na.jpg\n"), "path") == [(2, ("a.jpg",))]


def test_numbers_are_the_lines_of_an_editor(tmp_path):
    text = '\n\npath,label\n"two\nlines.jpg",real\n\n,\nc.jpg,fake\n'
    assert rows(write(tmp_path / "t.csv", text), "path") == [(4, ("two\nlines.jpg",)), (8, ("c.jpg",))]


def test_quotes_and_spaces(tmp_path):
    path = write(tmp_path / "t.csv", ' path , label \n" a ""b"".jpg",real\nc d.jpg, fake\n')
    assert rows(path, "path", "label") == [(2, (' a "b".jpg', "real")), (3, ("c d.jpg", " fake"))]


@given(cells=st.lists(st.tuples(st.text(min_size=1), st.text()), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_whatever_the_csv_module_writes_is_read(tmp_path_factory, cells):
    cells = [tuple(c.replace("\0", "") for c in row) for row in cells]
    cells = [row for row in cells if "".join(row).strip()]
    text = io.StringIO()
    csv.writer(text).writerows([("one", "two"), *cells])
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    try:
        path.write_bytes(text.getvalue().encode())
    except UnicodeEncodeError:
        return  # lone surrogates, which are no text
    assert [row for _, row in rows(path, "one", "two")] == cells


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty, expected a header line with 'path', 'label'"),
        (b"\n \n", "is empty, expected a header line"),
        (b"path,label\na.jpg\n", "line 2: 1 fields, expected 2 as in the header"),
        (b"path,label\na,real\n\nb,real,x\n", "line 4: 3 fields, expected 2 as in the header"),
        (b"path,label\na,real\n\xff\xfeb,real\n", "line 3: no valid UTF-8"),
        ("path,label\na,real\n".encode("utf-16"), "line 1: no valid UTF-8"),
        (b"path,label\na,real\nb\0,real\n", "line 3: has a NUL byte"),
        (b'path,label\na,real\n"b,real\nc,fake\n', "line 3: unexpected end of data"),
        (b'path,label\n"a"b,real\n', "line 2: ',' expected after '\"'"),
        (b"file,label\na,real\n", "no column 'path', found 'file', 'label'"),
        (b"pth,label\na,real\n", "no column 'path', found 'pth', 'label'; did you mean 'pth'?"),
        (b"Path,LABEL\na,real\n", "did you mean 'Path', 'LABEL'?"),
        (b"path,label,path\na,real,b\n", "2 columns are named 'path', expected one"),
        (b"x" * 1_000_001, "line 1: over 1,000,000 characters"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_csv(tmp_path, text, message):
    path = write(tmp_path / "manifest.csv", text)
    found = failure(path)
    assert found.startswith(str(path)) and message in found


def test_a_quote_that_is_never_closed_does_not_swallow_the_file(tmp_path):
    path = write(tmp_path / "t.csv", 'path,label\n"a,real\n' + "b,real\n" * 50_000)
    assert "line 2: field larger than field limit" in failure(path)


def test_a_csv_is_read_row_by_row(tmp_path):
    path = write(tmp_path / "t.csv", "path,label\n" + "a,real\n" * 3 + "broken\n")
    reader = table.read_rows(path, required=["path"])
    assert [next(reader)[0] for _ in range(3)] == [2, 3, 4]
    with pytest.raises(EdgeproofError, match="line 5"):
        next(reader)


def test_an_unreadable_csv(tmp_path):
    with pytest.raises(EdgeproofError, match="cannot be read"):
        rows(tmp_path / "none.csv", "path")


def test_parquet(tmp_path):
    path = parquet(
        tmp_path / "t.parquet", path=["a", "b", None, "d"], label=[1, 0, None, 1], weight=[0.5, None, None, 2.0],
        flag=[True, False, None, None],
    )  # fmt: skip
    assert rows(path, "path", "label", optional=["flag", "weight", "none"]) == [
        (1, ("a", "1", "true", "0.5", "")),
        (2, ("b", "0", "false", "", "")),
        (4, ("d", "1", "", "2.0", "")),
    ]


def test_parquet_in_several_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "_BATCH", 7)
    path = parquet(
        tmp_path / "t.parquet", path=[f"{i}.jpg" for i in range(100)], label=[i % 2 for i in range(100)]
    )
    assert rows(path, "path") == [(i + 1, (f"{i}.jpg",)) for i in range(100)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": [["a"]], "label": [1]}, "row 1: a cell is of the type list"),
        ({"path": ["a", "b"], "label": [1, 2]}, "row 2: label '2'"),
        ({"image": ["a"], "label": [1]}, "no column 'path', found 'image', 'label'"),
        ({"path": ["a\0b"], "label": [1]}, "row 1: no path"),
    ],
)
def test_what_is_wrong_with_a_parquet_file(tmp_path, columns, message):
    assert message in failure(parquet(tmp_path / "t.parquet", **columns))


def test_no_parquet_at_all(tmp_path):
    assert "no whole Parquet file" in failure(write(tmp_path / "t.parquet", b"path,label\n"))
    assert "no whole Parquet file" in failure(write(tmp_path / "t.parquet", b""))


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    path = parquet(tmp_path / "t.parquet", path=["a"], label=[1])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert failure(path).endswith("reading Parquet needs pyarrow: pip install 'edgeproof[train]'")


# --- manifest -------------------------------------------------------------------------------------------------------


def test_a_manifest_with_everything(tmp_path):
    text = (
        "path,label,split,generator,group,note\n"
        "a.jpg,real,train,camera,scene 1,\n"
        "sub\\b.jpg,FAKE,Val,gan,scene 1,x\n"
        "./c.jpg,1,,,,\n"
        "/data/d.jpg,0,heldout,,,\n"
        "../e.jpg,ai,Testing,,7,\n"
    )
    write(tmp_path / "manifest.csv", text)
    dataset = load_dataset(tmp_path)
    assert (dataset.layout, dataset.root, dataset.problems) == ("manifest", tmp_path, ())
    assert listed(tmp_path) == [
        ("a.jpg", 0, "train", "", "scene 1"),
        ("sub/b.jpg", 1, "valid", "gan", "scene 1"),
        ("c.jpg", 1, "", "generated", "c.jpg"),
        ("/data/d.jpg", 0, "heldout", "", "/data/d.jpg"),
        ("../e.jpg", 1, "test", "generated", "7"),
    ]


def test_the_file_itself_under_any_name(tmp_path):
    for name in ("list.csv", "list.TSV", "list.tsv"):
        path = write(tmp_path / name, "path\tlabel\na.jpg\treal\n")
        assert load_dataset(path).root == tmp_path and listed(path) == [("a.jpg", 0, "", "", "a.jpg")]


def test_the_same_rows_as_csv_and_parquet(tmp_path):
    columns = {"path": ["a", "b"], "label": ["0", "1"], "split": ["train", None], "generator": [None, "gan"]}
    one = parquet(tmp_path / "manifest.parquet", **columns)
    two = write(tmp_path / "two.csv", "path,label,split,generator\na,0,train,\nb,1,,gan\n")
    assert (
        listed(tmp_path)
        == listed(one)
        == listed(two)
        == [("a", 0, "train", "", "a"), ("b", 1, "", "gan", "b")]
    )


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("0", 0), ("1", 1), ("0.0", 0), ("1.0", 1), ("1.000", 1), ("false", 0), ("True", 1), ("real", 0), ("Fake", 1),
        (" nature ", 0), ("1_fake", 1), ("0_real", 0),
    ],
)  # fmt: skip
def test_labels(tmp_path, value, label):
    assert listed(write(tmp_path / "t.csv", f"path,label\na.jpg,{value}\n"))[0][1] == label


@pytest.mark.parametrize("value", ["", " ", "2", "-1", "unknown", "10", "0.5", "nan"])
def test_an_unknown_label_is_named_with_its_row(tmp_path, value):
    path = write(tmp_path / "t.csv", f"path,label\na.jpg,real\nb.jpg,{value}\n")
    assert failure(path).startswith(f"{path}: line 3: label {value!r}, expected real, 0_real, nature,")


@pytest.mark.parametrize(
    ("fake", "values", "labels"),
    [
        ("0", "0 1 0", [1, 0, 1]),  # 140k faces and Celeb-DF call the real ones 1
        ("spoof", "spoof live spoof", [1, 0, 1]),
        ("1", "1.0 0.0 1.0", [1, 0, 1]),
        ("real", "real fake", [1, 0]),  # the user's word against ours: that is what the column is for
        ("x", "x x", [1, 1]),
    ],
)
def test_the_value_that_means_generated(tmp_path, fake, values, labels):
    text = "path,label\n" + "".join(f"{i}.jpg,{value}\n" for i, value in enumerate(values.split()))
    path = write(tmp_path / "t.csv", text)
    assert [label for _, label, *_ in listed(path, columns=ManifestColumns(fake=fake))] == labels


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ("a b c", "'a', 'b', 'c'"),
        ("live real", "'live', 'real'"),
        (" ".join("abcdefghijk"), "'a', 'b', 'c', 'd'"),
    ],
)
def test_with_a_value_for_generated_there_is_one_other(tmp_path, values, found):
    text = "path,label\n" + "".join(f"{i}.jpg,{value}\n" for i, value in enumerate(values.split()))
    message = failure(
        write(tmp_path / "t.csv", text), columns=ManifestColumns(fake="a" if "b" in values else "x")
    )
    assert f"labels are {found}" in message and "(data.columns.fake) and one other" in message


def test_an_empty_label_is_no_other_value(tmp_path):
    path = write(tmp_path / "t.csv", "path,label\na,spoof\nb,\n")
    assert "line 3: label ''" in failure(path, columns=ManifestColumns(fake="spoof"))


def test_columns_with_other_names(tmp_path):
    path = write(tmp_path / "t.csv", "img,cls,part,model,person,split\na.jpg,1,test,gan,p1,nonsense\n")
    columns = ManifestColumns(path="img", label="cls", split="part", generator="model", group="person")
    assert listed(path, columns=columns) == [("a.jpg", 1, "test", "gan", "p1")]


def test_a_column_that_somebody_names_must_be_there(tmp_path):
    path = write(tmp_path / "t.csv", "path,label,parts\na.jpg,1,test\n")
    message = failure(path, columns=ManifestColumns(split="part"))
    assert (
        "no column 'part', found 'path', 'label', 'parts'; did you mean 'parts'? (data.columns has" in message
    )


def test_an_unknown_split_is_named_with_its_row(tmp_path):
    path = write(tmp_path / "t.csv", "path,label,split\na,real,train\nb,fake,dev\n")
    assert f"{path}: line 3: split 'dev', expected train, " in failure(path)


def test_a_row_without_path(tmp_path):
    assert "line 3: no path" in failure(write(tmp_path / "t.csv", "path,label\na,real\n ,fake\n"))


def test_one_file_with_both_labels(tmp_path):
    path = write(tmp_path / "t.csv", "path,label\na/b,real\nc,real\na\\b,fake\n")
    assert f"{path}: line 2 and 4: 'a/b' is real in the one and generated in the other" in failure(path)


def test_one_file_twice_is_kept_once(tmp_path):
    text = "path,label,split\na,real,train\nb,fake,train\na,real,train\n./a,0,test\n"
    dataset = load_dataset(write(tmp_path / "t.csv", text))
    assert [(s.path, s.split) for s in dataset.samples] == [("a", "train"), ("b", "train")]
    (problem,) = dataset.problems
    assert "line 4: 2 rows repeat a file of an earlier row" in problem
    assert "1 of them name another split than the first" in problem


def test_no_rows(tmp_path):
    assert "has no rows below its header" in failure(write(tmp_path / "t.csv", "path,label\n"))


def test_two_manifests(tmp_path):
    write(tmp_path / "manifest.csv", "path,label\na,1\n")
    parquet(tmp_path / "manifest.parquet", path=["a"], label=[1])
    assert "holds both manifest.csv and manifest.parquet" in failure(tmp_path)


def test_a_manifest_beside_class_folders_is_a_question(tmp_path):
    write(tmp_path / "manifest.csv", "path,label\nreal/1.jpg,real\n")
    for name in ("real/1.jpg", "fake/1.jpg"):
        write(tmp_path / name, b"")
    assert "several layouts match (class_folders, manifest)" in failure(tmp_path)
    assert len(load_dataset(tmp_path, layout="manifest").samples) == 1


def test_no_manifest(tmp_path):
    assert "holds no manifest" in failure(tmp_path, layout="manifest")


@pytest.mark.parametrize(
    "header",
    ["filename,typ", "url,filename,typ", ",original_path,id,label,label_str,path", "filename,image_path,target,category",
     "path,generator,class,mode,width,height,compression_rate"],
)  # fmt: skip
def test_a_csv_of_another_layout_is_no_manifest(tmp_path, header):
    assert not manifest.matches(write(tmp_path / "t.csv", f"\ufeff{header}\n"))


def test_what_may_be_a_manifest(tmp_path):
    assert manifest.matches(write(tmp_path / "a.csv", "foo,bar\n"))  # to say which columns are missing
    assert manifest.matches(write(tmp_path / "b.csv", b"\xff\xff"))
    assert manifest.matches(write(tmp_path / "c.parquet", b""))
    assert not manifest.matches(write(tmp_path / "d.txt", "path,label\n"))
    assert not manifest.matches(tmp_path) and not manifest.matches(tmp_path / "none.csv")


@given(text=st.text(alphabet="ab .\\/ä\n", min_size=1, max_size=12))
@settings(max_examples=300, deadline=None)
def test_paths_are_clean(text):
    expected = str(PurePosixPath(text.replace("\\", "/"))) if text.strip() else ""
    assert clean_path(text) == expected
    assert clean_path(text + "\0") == ""


def test_files_are_not_looked_for(tmp_path):
    path = write(tmp_path / "t.csv", "path,label\nnowhere/a.jpg,real\n" + "x" * 3000 + ".jpg,fake\n")
    assert len(load_dataset(path).samples) == 2


# --- a table beside images --------------------------------------------------------------------------------------


def images(root, *names):
    for name in names:
        write(root / name, b"")


def test_a_folder_with_one_readable_manifest_is_that_manifest(tmp_path):
    images(tmp_path, "images/a.png", "images/b.png")
    write(tmp_path / "labels.csv", "path,label\nimages/a.png,real\nimages/b.png,fake\n")
    write(tmp_path / "notes.csv", "who,what\nme,nothing\n")
    found = load_dataset(tmp_path)
    assert found.layout == "manifest" and [s.label for s in found.samples] == [0, 1]
    assert "labels.csv was taken as the manifest" in found.problems[0]


def test_named_columns_find_it_too(tmp_path):
    images(tmp_path, "images/a.png", "images/b.png")
    write(tmp_path / "labels.csv", "file,target\nimages/a.png,0\nimages/b.png,1\n")
    message = failure(tmp_path)
    assert "no known layout" in message and "data.columns" in message
    named = ManifestColumns(path="file", label="target")
    assert [s.label for s in load_dataset(tmp_path, columns=named).samples] == [0, 1]


def test_of_two_readable_tables_none_is_guessed(tmp_path):
    for name in ("a.csv", "b.csv"):
        write(tmp_path / name, "path,label\nx.png,real\ny.png,fake\n")
    assert "no known layout" in failure(tmp_path)
    assert "holds a.csv, b.csv" in failure(tmp_path, layout="manifest")


def test_a_table_beside_class_folders_is_named_with_the_way_to_take_it(tmp_path):
    images(tmp_path, "real/a.png", "fake/b.png")
    write(tmp_path / "labels.csv", "path,label\nreal/a.png,fake\nfake/b.png,real\n")
    found = load_dataset(tmp_path)
    assert found.layout == "class_folders"
    (problem,) = found.problems
    assert "'labels.csv' beside them not read" in problem
    assert f"data.path = {tmp_path}/labels.csv" in problem
    assert [s.label for s in load_dataset(tmp_path / "labels.csv").samples] == [1, 0]
