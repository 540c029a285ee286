"""Recipes, records and values that are nested without end, or hold numbers of thousands of digits."""

import json
from pathlib import Path

import pytest

from deploy.artifact import MANIFEST_NAME, read_manifest
from distill.errors import EdgeproofError
from distill.overrides import apply_override
from distill.pipeline.state import STATE, State
from distill.pretrained import read_about
from distill.recipe import load_recipe
from distill.training.tensorfile import open_tensors

DEEP = "[" * 100_000
LONG = "9" * 5_000


def failure(call, *arguments: object, **options: object) -> str:
    with pytest.raises(EdgeproofError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 1000
    return message


@pytest.mark.parametrize(
    "text", [DEEP, f'{{"schema_version": {LONG}}}', '{"a":' * 100_000, "\ufeff{}", "nul\0"]
)
def test_json_that_hurts_is_one_line(tmp_path: Path, text: str) -> None:
    for name, read in ((MANIFEST_NAME, lambda path: read_manifest(path.parent)),
                       (STATE, lambda path: State.open(path.parent)),
                       ("side.json", lambda path: read_about(path.with_suffix(".safetensors")))):  # fmt: skip
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        assert str(path) in failure(read, path)


@pytest.mark.parametrize("header", [DEEP, f'{{"a": {LONG}}}'])
def test_the_header_of_a_tensor_file_is_read_alike(tmp_path: Path, header: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode())
    assert str(path) in failure(open_tensors, path)


@pytest.mark.parametrize(
    "text", [f"a = {DEEP}", f"seed = {LONG}", "[" + "a." * 100_000 + "a]", f'a = "{LONG}']
)
def test_toml_that_hurts_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(EdgeproofError) as caught:
        load_recipe(str(path))
    assert all(line.startswith(str(path)) and len(line) < 1000 for line in str(caught.value).splitlines())


@pytest.mark.parametrize("override", [f"seed={DEEP}", f"seed={LONG}", "a." * 5_000 + "b=1"])
def test_values_on_the_command_line_are_bounded(override: str) -> None:
    assert failure(apply_override, {}, override).startswith("--set ")
    assert len(failure(load_recipe, "demo", overrides=[f"seed='{LONG}'"])) < 500


WHOLE = {"key": "0" * 64, "seconds": 1.0, "files": {}, "failure": ""}


@pytest.mark.parametrize("document", [
    [], {}, None, {"stages": []}, {"stages": {"data": None}}, {"stages": {"data": []}},
    {"stages": {"data": {**WHOLE, "files": []}}},
    {"stages": {"data": {**WHOLE, "files": {"a": 1}}}}, {"stages": {"data": {**WHOLE, "key": 3}}},
    {"stages": {"data": {**WHOLE, "seconds": "soon"}}}, {"stages": {"data": {"key": "0"}}},
])  # fmt: skip
def test_a_run_that_remembers_something_else_says_so(tmp_path: Path, document: object) -> None:
    value = {"schema_version": 1, **document} if isinstance(document, dict) else document
    (tmp_path / STATE).write_text(json.dumps(value))
    assert "stages.json" in failure(State.open, tmp_path)
