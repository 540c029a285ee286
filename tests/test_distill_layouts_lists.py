"""Lists that published data sets come with (ArtiFact, Unbiased GenImage, GRIP), and tables that are cut or damaged anywhere."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables_fixture import failure, listed, parquet, write

from distill.data.layouts import (
    artifact,
    grip,
    load_dataset,
    unbiased_genimage,
)
from distill.data.samples import Dataset
from distill.errors import EdgeproofError

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
