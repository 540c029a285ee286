import json
import os
import resource
import signal
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from distill.errors import EdgeproofError
from distill.training.tensorfile import create_tensors, open_tensors

SHAPES = {
    "logits": ("float32", (3, 2)),
    "feature.p3": ("float16", (3, 2, 5, 1, 1)),
    "draws": ("int64", (3, 2)),
    "pixels": ("uint8", (3,)),
    "none": ("float32", (0, 4)),
}


def values():
    random = np.random.default_rng(0)
    return {name: (100 * random.random(shape)).astype(dtype) for name, (dtype, shape) in SHAPES.items()}


def write(path, *, metadata=None):
    with create_tensors(path, SHAPES, metadata=metadata or {"key": "ü\n"}) as arrays:
        for name, value in values().items():
            for row in range(len(value)):
                arrays[name][row] = value[row]
    return path


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "deep" / "o.safetensors")


def failure(path):
    with pytest.raises(EdgeproofError) as caught:
        open_tensors(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: not a readable .safetensors file (") and "\n" not in message
    return message


def test_what_is_written_row_by_row_is_read(path):
    metadata, arrays = open_tensors(path)
    assert metadata == {"key": "ü\n"} and list(arrays) == list(SHAPES)
    for name, value in values().items():
        assert arrays[name].dtype == value.dtype and arrays[name].shape == value.shape
        np.testing.assert_array_equal(arrays[name], value)
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_the_library_reads_it_too(path):
    with safe_open(path, framework="np") as file:
        assert file.metadata() == {"key": "ü\n"}
        assert set(file.keys()) == set(SHAPES)
        for name, value in values().items():
            np.testing.assert_array_equal(file.get_tensor(name), value)
    assert int.from_bytes(path.read_bytes()[:8], "little") % 8 == 0, "the tensors' bytes are aligned"


def test_what_the_library_wrote_is_read(tmp_path):
    path = tmp_path / "theirs.safetensors"
    save_file(values(), path, metadata={"key": "k"})
    metadata, arrays = open_tensors(path)
    assert metadata == {"key": "k"} and arrays.keys() == load_file(path).keys()
    for name, value in values().items():
        np.testing.assert_array_equal(arrays[name], value)


def test_arrays_are_read_only_and_mapped(path):
    _, arrays = open_tensors(path)
    assert isinstance(arrays["logits"], np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        arrays["logits"][0] = 1


def test_an_aborted_write_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), create_tensors(tmp_path / "o", SHAPES, metadata={}) as arrays:
        arrays["logits"][:] = 1
        raise KeyboardInterrupt
    assert not any(tmp_path.iterdir())


def test_an_aborted_write_keeps_the_older_file(path):
    before = path.read_bytes()
    with pytest.raises(RuntimeError), create_tensors(path, SHAPES, metadata={}):
        raise RuntimeError
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1


@contextmanager
def full_disk():
    """Files end after 100 bytes: what a full disk looks like to a library."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_an_error_of_the_system_before_anything_is_asked(tmp_path):
    with full_disk(), pytest.raises(OSError), create_tensors(tmp_path / "o", SHAPES, metadata={}):
        pytest.fail("the room was not claimed")
    assert not any(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no call of this system claims room")
def test_the_room_is_claimed_at_once(tmp_path):
    """A hole in the file would be a killed process, not an error, once the disk is full."""
    shapes = {"logits": ("float32", (1000, 1000))}
    with create_tensors(tmp_path / "o", shapes, metadata={}):
        [file] = tmp_path.iterdir()
        assert file.stat().st_blocks * 512 >= 4_000_000


@pytest.mark.parametrize(
    "content", [b"", b"rubbish", b"\x80\x04pickle.", b"\xff" * 40, b"\x02" + bytes(7) + b"[]"]
)
def test_a_file_that_holds_no_tensors(tmp_path, content):
    (tmp_path / "o").write_bytes(content)
    failure(tmp_path / "o")


def test_a_file_that_is_not_there(tmp_path):
    assert "No such file" in failure(tmp_path / "o")


def test_a_file_cut_off_anywhere(path):
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 7), len(whole) - 1]:
        path.write_bytes(whole[:length])
        failure(path)
    path.write_bytes(whole + b"more")
    assert "cut off" in failure(path)


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "BF16"},
        {"dtype": 3},
        {"shape": "many"},
        {"shape": [-1, 2]},
        {"shape": [3, 3]},
        {"shape": [1, 1]},
        {"data_offsets": []},
        {"data_offsets": ["0", "24"]},
        {"data_offsets": [-8, 16]},
        {"data_offsets": None},
    ],
)
def test_a_header_that_does_not_fit_its_tensors(path, change):
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    header["logits"] |= change
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + whole[8 + length :])
    failure(path)


@given(place=st.integers(0, 400), bits=st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_a_garbled_header_is_one_line_or_harmless(tmp_path_factory, place, bits):
    path = tmp_path_factory.getbasetemp() / f"garbled-{os.getpid()}.safetensors"
    data = bytearray(write(path).read_bytes())
    data[place] ^= bits
    path.write_bytes(data)
    try:
        _, arrays = open_tensors(path)
    except EdgeproofError as error:
        assert "\n" not in str(error)
        return
    for array in arrays.values():
        array.sum()
