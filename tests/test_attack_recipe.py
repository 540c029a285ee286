"""Recipes that ask for what cannot be, refused before anything costs time."""

import pickle

import pytest
import torch
from conftest import TINY
from typer.testing import CliRunner

from distill.cli.app import app
from distill.errors import EdgeproofError
from distill.recipe import parse_recipe

STUDENT = {"name": "small_cnn"}


@pytest.mark.parametrize(("section", "values", "words"), [
    ("data", {"path": "x", "valid_share": 1.0, "test_share": 0.0}, "data: .*images are left to train on"),
    ("data", {"path": "x", "valid_share": 0.6, "test_share": 0.4}, "data: .*images are left to train on"),
    ("training", {"seeds": [-1]}, r"training\.seeds\.0: given -1"),
    ("training", {"seeds": [2**32]}, r"training\.seeds\.0: given 4294967296"),
    ("students", {"a": {**STUDENT, "seeds": [-3]}}, r"students\.a\.seeds\.0: given -3"),
    ("bench", {"like_for_like_size": 10**6}, r"bench\.like_for_like_size: given 1000000"),
])  # fmt: skip
def test_what_cannot_be_is_refused(section: str, values: object, words: str) -> None:
    whole = {"name": "a", "data": {"path": "x"}, "students": {"a": STUDENT}}
    parse_recipe(whole, origin="own")
    with pytest.raises(EdgeproofError, match=f"^own: {words}"):
        parse_recipe({**whole, section: values}, origin="own")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("training.accelerator=gpu", "training.accelerator: given 'gpu', but torch finds no CUDA device"),
        ("training.devices=1000", "training.devices: given 1000, but here are "),
        (
            "students.small_cnn.epochs=1000000000",
            "students.small_cnn.epochs: given 1000000000, expected less than or equal",
        ),
        ("data.simulate.scenes.train=0", "data.simulate.scenes.train: given 0, expected at least 1 scene"),
        ("data.simulate.scenes.test=0", "data.simulate.scenes.test: given 0, expected at least 1 scene"),
        ("gates.accept=['nonsense']", "gates.accept: no check is called 'nonsense'"),
        ("seed=-1", "seed: given -1, expected greater than or equal to 0"),
        ("data.valid_share=1.0", "data.valid_share + data.test_share to be below 1"),
        ("bench.like_for_like_size=1000000", "bench.like_for_like_size: given 1000000"),
        ("training.seeds=[0,-1]", "training.seeds.1: given -1"),
        ("teacher.weights=/nowhere.pt", "teacher.weights: /nowhere.pt: no such file, expected a checkpoint"),
        ("teacher.weights=PICKLE.pt", "PICKLE.pt: holds Python objects beside tensors"),
        ("teacher.weights=PICKLE.safetensors", "PICKLE.safetensors: not a readable .safetensors file"),
        ("students.small_cnn.name=[{name = 'kl'}]", "students.small_cnn.name: given [{'name': 'kl'}]"),
        ("data.path=~nobody-here/photos", "~nobody-here/photos: no such file or folder"),
        ("teacher.weights=~nobody-here/a.pt", "~nobody-here/a.pt: no such file"),
        ("data.workers=100000", "data.workers: given 100000, expected less than or equal to 1024"),
        (
            "training.processes=100000",
            "training.processes: given 100000, expected less than or equal to 1024",
        ),
        ("bench.threads=100000", "bench.threads: given 100000, expected less than or equal to 1024"),
        ("repair.epochs=1000000000", "repair.epochs: given 1000000000, expected less than or equal"),
    ],
)
def test_a_dry_run_refuses_what_this_machine_or_any_cannot_do(given, said, tmp_path):
    if "gpu" in given and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    for suffix in (".pt", ".safetensors"):
        (tmp_path / f"PICKLE{suffix}").write_bytes(pickle.dumps({"weight": [1.0]}))
    given = given.replace("PICKLE", str(tmp_path / "PICKLE"))
    result = CliRunner().invoke(
        app, ["run", str(TINY), "--set", given, "--dry-run", "--out", str(tmp_path / "run")]
    )
    assert isinstance(result.exception, EdgeproofError), result.output
    assert said in "\n".join(result.exception.args) and not (tmp_path / "run").exists()


def test_a_tag_that_timm_does_not_know_is_told_where_the_network_is_built() -> None:
    teacher = {"name": "timm:resnet18.nonsense", "weights": "x.pt"}
    whole = {"name": "a", "data": {"path": "x"}, "students": {"a": STUDENT}, "teacher": teacher}
    assert parse_recipe(whole, origin="own").teacher.name == "timm:resnet18.nonsense"


def test_without_a_quantizer_nothing_is_quantized_and_that_is_said(tmp_path):
    options = [str(TINY), "--set", "quantization={}", "--out", str(tmp_path / "run")]
    said = CliRunner().invoke(app, ["run", *options, "--dry-run"])
    assert (
        said.exit_code == 0
        and "quantization: found no quantizer, so that nothing becomes INT8" in said.stderr
    )
    refused = CliRunner().invoke(app, ["quantize", *options])
    assert "quantization: found no quantizer" in str(refused.exception) and not (tmp_path / "run").exists()
