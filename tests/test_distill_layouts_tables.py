import csv
import io
import sys
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data.columns import ManifestColumns
from distill.data.layouts import (
    artifact,
    grip,
    load_dataset,
    manifest,
    table,
    unbiased_genimage,
)
from distill.data.layouts.table_samples import clean_path
from distill.data.samples import Dataset
from distill.errors import EdgeproofError


def write(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def parquet(file, /, **columns):
    pq.write_table(pa.table(columns), file)
    return file


def listed(root, **options):
    return [(s.path, s.label, s.split, s.generator, s.group) for s in load_dataset(root, **options).samples]


def failure(root, **options):
    with pytest.raises(EdgeproofError) as caught:
        load_dataset(root, **options)
    assert str(caught.value).isprintable()
    return str(caught.value)


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


# --- ArtiFact -------------------------------------------------------------------------------------------------------

ARTIFACT = "filename,image_path,target,category\n"


def test_artifact(tmp_path):
    write(
        tmp_path / "big_gan/metadata.csv", ARTIFACT + "1.jpg,img/1.jpg,6,cat\n2.jpg,big_gan\\2.jpg,1.0,dog\n"
    )
    write(tmp_path / "cycle_gan/metadata.csv", ARTIFACT + "1.jpg,1.jpg,0,horse\n2.jpg,2.jpg,5,horse\n")
    write(tmp_path / "coco/metadata.csv", ARTIFACT + "1.jpg,1.jpg,0,car\n")
    (tmp_path / "notes").mkdir()
    dataset = load_dataset(tmp_path)
    assert dataset.layout == "artifact"
    assert listed(tmp_path) == [
        ("big_gan/img/1.jpg", 1, "", "big_gan", "big_gan/img/1.jpg"),
        ("big_gan/2.jpg", 1, "", "big_gan", "big_gan/2.jpg"),
        ("coco/1.jpg", 0, "", "", "coco/1.jpg"),
        ("cycle_gan/1.jpg", 0, "", "", "cycle_gan/1.jpg"),
        ("cycle_gan/2.jpg", 1, "", "cycle_gan", "cycle_gan/2.jpg"),
    ]
    assert [(item.path, item.reason) for item in dataset.skipped] == [
        ("notes", "a folder without metadata.csv")
    ]


def test_artifact_with_a_folder_called_like_its_source(tmp_path):
    write(tmp_path / "lsun/lsun/1.jpg", b"")
    write(
        tmp_path / "lsun/metadata.csv",
        ARTIFACT + "1.jpg,lsun/1.jpg,0,x\n2.jpg,lsun/2.jpg,0,x\n3.jpg,3.jpg,0,x\n",
    )
    assert [path for path, *_ in listed(tmp_path)] == ["lsun/lsun/1.jpg", "lsun/lsun/2.jpg", "lsun/3.jpg"]


@pytest.mark.parametrize("target", ["real", "", "-1", "1.5", "one", "٣"])
def test_artifact_target_that_is_no_integer(tmp_path, target):
    path = write(tmp_path / "gan/metadata.csv", ARTIFACT + f"1.jpg,1.jpg,0,x\n2.jpg,2.jpg,{target},x\n")
    assert failure(tmp_path).startswith(f"{path}: line 3: target {target!r}, expected 0 (real)")


def test_artifact_traps(tmp_path):
    write(tmp_path / "gan/metadata.csv", ARTIFACT + "1.jpg,,0,x\n")
    assert "line 2: no image_path" in failure(tmp_path)
    write(tmp_path / "gan/metadata.csv", ARTIFACT + "1.jpg,1.jpg,0,x\n1.jpg,1.jpg,3,x\n")
    assert "line 2 and 3: 'gan/1.jpg' is real in the one" in failure(tmp_path)
    write(tmp_path / "gan/metadata.csv", ARTIFACT)
    assert "has no rows" in failure(tmp_path)
    write(tmp_path / "gan/metadata.csv", "image_path,category\n1.jpg,x\n")
    assert not artifact.matches(tmp_path)
    assert "no column 'target'" in failure(tmp_path, layout="artifact")


# --- UnbiasedGenImage -----------------------------------------------------------------------------------------------

UNBIASED = "path,generator,class,mode,width,height,compression_rate\n"


def test_unbiased_genimage(tmp_path):
    text = (
        UNBIASED
        + "ADM/x/train/ai/1.PNG,ADM,1,train,256,256,\n"  # ImageNet's class 1, and 0 below, are no labels
        + "ADM/x/train/nature/2.JPEG,nature,0,train,500,375,96\n"
        + "ADM/x/val/nature/3.JPEG,nature,1,val,500,375,75\n"
    )
    write(tmp_path / "metadata.csv", text)
    assert (
        load_dataset(tmp_path).layout == load_dataset(tmp_path / "metadata.csv").layout == "unbiased_genimage"
    )
    assert listed(tmp_path) == [
        ("ADM/x/train/ai/1.PNG", 1, "train", "ADM", "ADM/x/train/ai/1.PNG"),
        ("ADM/x/train/nature/2.JPEG", 0, "train", "", "ADM/x/train/nature/2.JPEG"),
        ("ADM/x/val/nature/3.JPEG", 0, "valid", "", "ADM/x/val/nature/3.JPEG"),
    ]


@pytest.mark.parametrize(
    ("names", "real", "fake"),
    [
        ("label", "nature", "ai"), ("class", "real", "fake"), ("target", "Real", "Fake"), ("is_generated", "0", "1"),
        ("is_fake", "False", "True"),
    ],
)  # fmt: skip
def test_unbiased_genimage_with_a_column_for_the_class(tmp_path, names, real, fake):
    header = f"image_path,generator,width,height,compression,{names}\n"
    write(
        tmp_path / "metadata.csv",
        header + f"1.png,ADM,1,1,,{real}\n2.png,ADM,1,1,,{fake}\n3.png,,1,1,,{fake}\n",
    )
    assert [(label, generator) for _, label, _, generator, _ in listed(tmp_path)] == [
        (0, ""), (1, "ADM"), (1, "generated"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "path,generator,label,width,height,compression\n1,ADM,0,1,1,\n2,glide,1,1,1,\n",
            "found 'ADM', 'glide'",
        ),
        (UNBIASED + "1,nature,0,train,1,1,\n2,,0,train,1,1,\n", "line 3: no generator"),
        (UNBIASED + "1,nature,0,dev,1,1,\n", "line 2: split 'dev'"),
        (UNBIASED + ",nature,0,train,1,1,\n", "line 2: no path"),
        (UNBIASED + "1,nature,real,train,1,1,\n2,ADM,7,train,1,1,\n", "line 3: class '7', expected a word"),
        (UNBIASED + "1,nature,fake,train,1,1,\n", "line 2: class 'fake' contradicts the generator 'nature'"),
        (UNBIASED + "1,nature,0,train,1,1,\n1,ADM,0,train,1,1,\n", "line 2 and 3: '1' is real in the one"),
        (UNBIASED.replace("path", "img") + "1,nature,0,train,1,1,\n", "no column 'path', found 'img'"),
        (UNBIASED, "has no rows"),
    ],
)
def test_unbiased_genimage_never_guesses(tmp_path, text, message):
    write(tmp_path / "metadata.csv", text)
    assert message in failure(tmp_path)


def test_unbiased_genimage_is_told_from_the_tree_that_it_lists(tmp_path):
    write(tmp_path / "metadata.csv", UNBIASED + "ADM/x/train/nature/2.JPEG,nature,0,train,500,375,96\n")
    for name in ("train/nature/2.JPEG", "train/ai/1.PNG"):
        write(tmp_path / "ADM/x" / name, b"")
    assert load_dataset(tmp_path).layout == "unbiased_genimage"
    assert load_dataset(tmp_path, layout="genimage").layout == "genimage"


def test_another_metadata_csv_is_not_unbiased_genimage(tmp_path):
    write(tmp_path / "metadata.csv", "path,generator\n1,ADM\n")
    assert not unbiased_genimage.matches(tmp_path)


# --- grip -----------------------------------------------------------------------------------------------------------


def test_grip(tmp_path):
    write(
        tmp_path / "list.csv",
        "url,filename,typ\nu,dalle3/1.jpg,dalle3\nu,real/2.jpg,Real\nu,x/3.jpg, firefly \n",
    )
    expected = [
        ("dalle3/1.jpg", 1, "", "dalle3", "dalle3/1.jpg"),
        ("real/2.jpg", 0, "", "", "real/2.jpg"),
        ("x/3.jpg", 1, "", "firefly", "x/3.jpg"),
    ]
    assert listed(tmp_path) == listed(tmp_path / "list.csv") == expected
    assert load_dataset(tmp_path).layout == "grip" and load_dataset(tmp_path / "list.csv").root == tmp_path


def test_grip_beside_other_tables(tmp_path):
    write(tmp_path / "list.CSV", "filename,typ\n1.jpg,real\n")
    write(tmp_path / "results.csv", "filename,score\n1.jpg,0.1\n")
    assert len(listed(tmp_path)) == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1.jpg,", "line 2: no typ"),
        (",real", "line 2: no filename"),
        ("1.jpg,real\n1.jpg,gan", "line 2 and 3: '1.jpg'"),
    ],
)
def test_grip_traps(tmp_path, row, message):
    assert message in failure(write(tmp_path / "list.csv", f"filename,typ\n{row}\n"))


def test_grip_is_told_from_the_folders_that_it_lists(tmp_path):
    write(tmp_path / "list.csv", "filename,typ\nreal/1.jpg,real\nfirefly/1.jpg,firefly\n")
    for name in ("real/1.jpg", "firefly/1.jpg"):
        write(tmp_path / name, b"")
    assert load_dataset(tmp_path).layout == "grip"
    write(tmp_path / "manifest.csv", "path,label\nreal/1.jpg,real\n")
    assert "several layouts match (grip, manifest)" in failure(tmp_path)


def test_two_grip_lists(tmp_path):
    for name in ("a.csv", "b.csv"):
        write(tmp_path / name, "filename,typ\n1.jpg,real\n")
    assert grip.matches(tmp_path)
    assert "found a.csv, b.csv; name the file itself" in failure(tmp_path)
    assert "found none" in failure(write(tmp_path / "c.csv", "path,label\n"), layout="grip")


# --- cut anywhere ---------------------------------------------------------------------------------------------------

WHOLE = {
    "manifest.csv": '\ufeffpath,label,split\r\n"ä, b.jpg",real,train\n"two\nlines",fake,\r\n\'c\',1,test\n'.encode(),
    "metadata.csv": (UNBIASED + '"1,\nß",nature,0,train,1,1,\n2,ADM,0,val,1,1,\n').encode(),
    "gan/metadata.csv": (ARTIFACT + "1.jpg,1.jpg,0,x\n2.jpg,2.jpg,3,漢\n").encode(),
    "list.csv": b"filename,typ\n1.jpg,real\n2.jpg,gan\n",
}


@given(data=st.data(), name=st.sampled_from(sorted(WHOLE)))
@settings(max_examples=300, deadline=None)
def test_a_csv_that_is_cut_or_damaged_anywhere(tmp_path_factory, data, name):
    root = tmp_path_factory.mktemp("cut")
    whole = WHOLE[name]
    cut = data.draw(st.integers(0, len(whole)))
    damage = data.draw(st.binary(max_size=3))
    path = write(root / name, whole[:cut] + damage + (whole[cut + 1 :] if data.draw(st.booleans()) else b""))
    for target in (root, path):
        loads_or_says_why(target)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_parquet_file_that_is_cut_or_damaged_anywhere(tmp_path_factory, data):
    path = parquet(
        tmp_path_factory.mktemp("cut") / "manifest.parquet", path=["a", "b"] * 50, label=[1, 1] * 50
    )
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(
        whole[:cut] + data.draw(st.binary(max_size=2)) + (whole[cut:] if data.draw(st.booleans()) else b"")
    )
    loads_or_says_why(path)


def loads_or_says_why(target):
    try:
        assert isinstance(load_dataset(target), Dataset)
    except EdgeproofError as error:
        assert str(error).isprintable() and len(str(error)) < 2000


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
