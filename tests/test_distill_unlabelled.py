import io
import tarfile

import pytest
from PIL import Image

from distill.data.samples import UNLABELLED
from distill.data.storage import open_image
from distill.data.unlabelled import load_unlabelled
from distill.errors import EdgeproofError


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(buffer, "PNG")
    return buffer.getvalue()


def test_files_and_tars_whatever_their_folders_are_called(tmp_path):
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "a.png").write_bytes(png())
    (tmp_path / "notes.txt").write_text("hello")
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        for name in ("1.png", "1.json", "2.png"):
            data = png() if name.endswith("png") else b"{}"
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    found = load_unlabelled(tmp_path)
    assert [sample.path.removeprefix(f"{tmp_path}/") for sample in found.samples] == [
        "fake/a.png", "b.tar/1.png", "b.tar/2.png",
    ]  # fmt: skip
    assert {(sample.label, sample.split) for sample in found.samples} == {(UNLABELLED, "unlabelled")}
    assert [item.path for item in found.skipped] == ["notes.txt"]
    elsewhere = tmp_path / "another root"
    assert {open_image(elsewhere, sample).size for sample in found.samples} == {(4, 4)}


def test_nothing_there(tmp_path):
    with pytest.raises(EdgeproofError, match=r"data\.unlabelled: .*no images"):
        load_unlabelled(tmp_path)
    with pytest.raises(EdgeproofError, match="no such folder"):
        load_unlabelled(tmp_path / "nowhere")
