"""The measurement of memory over a stream: that it asks the real command, and reads memory while it lives."""

import json

import pytest
from deploy_fixture import build_deployed

from distill.preprocess import read_image
from perf import stream_memory


def test_memory_is_read_after_each_number_of_answers(tmp_path_factory, tmp_path) -> None:
    artifact = build_deployed(tmp_path_factory.getbasetemp()).folder / "fp32"
    found = stream_memory.measure({"onnxruntime": artifact}, marks=(3, 12, 40), photos=5)
    row = found["rows"]["onnxruntime"]
    resident = row["resident_mib"]
    assert list(resident) == ["3", "12", "40"]
    assert all(20 < mib < 4096 for mib in resident.values()), "more than an interpreter has, and MiB"
    assert row["growth_mib"] == round(resident["40"] - resident["3"], 1)
    assert found["machine"]["cpu_model"] and json.dumps(found)


def test_photos_have_many_sizes(tmp_path) -> None:
    paths = list(stream_memory.write_photos(tmp_path, 6))
    sizes = {read_image(path).size for path in paths}
    assert len(sizes) == len(set(paths)) == 6


def test_a_process_that_fails_is_no_result(tmp_path) -> None:
    with pytest.raises(RuntimeError, match=r"onnxruntime: exit code 2 after \{\}"):
        stream_memory.stream(tmp_path, runtime="onnxruntime", photos=[tmp_path / "a.jpg"], marks=(1, 2))
