import hashlib
import json
import stat
import tempfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from distill.files import (
    atomic_path,
    read_json,
    remove_leftovers,
    sha256,
    write_bytes,
    write_json,
    write_tensors,
    write_text,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_whole_files_are_written_into_new_folders(tmp_path):
    path = tmp_path / "a" / "b" / "c.txt"
    write_text(path, "grüße\n")
    assert path.read_bytes() == "grüße\n".encode()
    assert names(path.parent) == ["c.txt"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_an_exception_leaves_the_old_content_and_no_temporary_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="half way"), atomic_path(path) as temporary:
        temporary.write_text("new, but")
        raise RuntimeError("half way")
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, OSError])
def test_an_interruption_leaves_nothing(tmp_path, interruption):
    with pytest.raises(interruption), atomic_path(tmp_path / "a.txt"):
        raise interruption
    assert names(tmp_path) == []


def test_the_old_content_stays_until_the_end(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent and temporary.suffix == ".txt"
    assert path.read_text() == "new"


def test_json_is_strict(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"ü": [1, 2.5, None, True]})
    assert read_json(path) == {"ü": [1, 2.5, None, True]}
    assert "ü" in path.read_text() and path.read_text().endswith("}\n")
    for value in (float("nan"), float("inf"), {1, 2}):
        with pytest.raises((ValueError, TypeError)):
            write_json(path, value)
    assert json.loads(path.read_text()) == {"ü": [1, 2.5, None, True]} and names(tmp_path) == ["a.json"]


def test_what_a_killed_process_was_writing_is_removed(tmp_path):
    kept = [".lock", ".hidden", "a-12345678.txt", ".git/config", "b/.x-short.txt", ".x-ABCDEFGH"]
    for name in kept:
        write_text(tmp_path / name, "kept")
    with atomic_path(tmp_path / "b" / "a.json") as one, atomic_path(tmp_path / "deep" / "name") as other:
        folder = tempfile.mkdtemp(dir=tmp_path, prefix=".student-int8-")
        Path(folder, "model.onnx").touch()
        assert one.exists() and other.exists()
        remove_leftovers(tmp_path)
        found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
        assert found == sorted(kept) and not Path(folder).exists()
        one.touch()
        other.touch()


def test_the_hash_is_that_of_the_content(tmp_path):
    write_bytes(tmp_path / "a", b"abc" * 100_000)
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_tensors_are_written_whole(tmp_path):
    write_tensors(tmp_path / "a.safetensors", {"x": torch.ones(2)}, metadata={"key": "k"})
    assert load_file(tmp_path / "a.safetensors")["x"].tolist() == [1, 1]
    with pytest.raises(OSError):
        write_tensors(tmp_path / "a.safetensors" / "b", {"x": torch.ones(2)})
    assert names(tmp_path) == ["a.safetensors"]
