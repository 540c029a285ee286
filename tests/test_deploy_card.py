"""The model card of an artifact alone, and the folder for the Hugging Face hub."""

import fnmatch
import json
from pathlib import Path

import numpy as np
import pytest
from deploy_fixture import SPEC, Deployed, build_deployed, tiny_detector
from huggingface_hub import ModelCard
from typer.testing import CliRunner

from deploy import Detector, export
from deploy.artifact import read_manifest, verify
from deploy.card import Evidence, Result, card, write_card
from deploy.card.head import with_license
from deploy.hub import HubConfig, write_hub_folder
from distill.cli.app import app
from distill.errors import EdgeproofError
from distill.page.blocks import Section, Text


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


def test_an_export_has_a_card_that_says_nothing_was_measured(tmp_path: Path) -> None:
    folder = export(tiny_detector(), SPEC, out=tmp_path / "tiny", data="my photos", name="tiny")
    text = (folder / "README.md").read_text()
    assert "Not measured: neither accuracy" in text
    assert "calls “my photos”" in text and "simulated" not in text
    assert "none: the probabilities are the network's own" in text
    assert "README.md" not in verify(folder).files


def test_the_hubs_own_reader_takes_the_head(deployed: Deployed) -> None:
    found = ModelCard(card(read_manifest(deployed.folder / "int8")))
    fields = found.data.to_dict()
    assert fields["license"] == "other" and fields["license_name"] == "not-stated"
    assert fields["pipeline_tag"] == "image-classification"
    assert {"openvino", "onnx", "int8", "simulated-data"} <= set(fields["tags"])
    assert "model-index" not in fields
    assert found.text.strip().startswith("# tiny, INT8 for OpenVINO and ONNX Runtime")


def test_results_stand_in_the_hubs_index_by_split(deployed: Deployed) -> None:
    results = [
        Result(split="test", metric="roc_auc", name="AUC", value=0.93004),
        Result(split="test", metric="f1", name="F1", value=0.8),
        Result(split="heldout", metric="roc_auc", name="AUC", value=0.75),
    ]
    evidence = Evidence(sections=[Section("Accuracy", [Text("0.930")])], results=results)
    found = ModelCard(card(read_manifest(deployed.folder / "fp32"), evidence))
    assert [(r.dataset_split, r.metric_type, r.metric_value) for r in found.data.eval_results] == [
        ("test", "roc_auc", 0.93), ("test", "f1", 0.8), ("heldout", "roc_auc", 0.75),
    ]  # fmt: skip
    assert found.data.eval_results[0].dataset_name == "simulated images, made by edgeproof"
    assert "Not measured" not in found.text


def test_hub_folder(deployed: Deployed, tmp_path: Path) -> None:
    out = tmp_path / "hub"
    write_hub_folder(deployed.folder / "int8", out=out, license_id="apache-2.0")
    assert list(tmp_path.iterdir()) == [out]
    assert ModelCard.load(out / "README.md").data.license == "apache-2.0"
    assert "license_name" not in ModelCard.load(out / "README.md").data.to_dict()
    config = HubConfig.read(out / "config.json")
    assert config.id2label == {"0": "real", "1": "generated"} and config.threshold == 0.37
    patterns = [line.split()[0] for line in (out / ".gitattributes").read_text().splitlines()]
    large = {name for name in verify(out).files if any(fnmatch.fnmatch(name, p) for p in patterns)}
    assert large == {"model.onnx", "model.bin"}
    pixels = deployed.pixels[:3]
    before = Detector.load(deployed.folder / "int8", threads=1).run(pixels)
    np.testing.assert_array_equal(Detector.load(out, threads=1).run(pixels), before)


def test_hub_folder_takes_the_artifacts_own_card(deployed: Deployed, tmp_path: Path) -> None:
    artifact = tmp_path / "artifact"
    write_hub_folder(deployed.folder / "fp32", out=artifact)
    (artifact / "README.md").write_text("---\nlicense: mit\ntags: [mine]\n---\n\n# Mine\n")
    write_hub_folder(artifact, out=tmp_path / "hub", license_id="cc-by-4.0")
    found = ModelCard.load(tmp_path / "hub" / "README.md")
    assert (found.data.license, found.data.tags, found.text.strip()) == ("cc-by-4.0", ["mine"], "# Mine")


def test_hub_folder_refuses(deployed: Deployed, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(EdgeproofError, match="full: holds files, expected a new or empty folder"):
        write_hub_folder(deployed.folder / "fp32", out=tmp_path / "full")
    with pytest.raises(EdgeproofError, match="license: found 'My License', expected the hub's id"):
        write_hub_folder(deployed.folder / "fp32", out=tmp_path / "hub", license_id="My License")
    with pytest.raises(EdgeproofError, match=r"README\.md: found no head"):
        with_license("# no head\n", "mit")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["full", "mine.txt"]


def test_a_card_is_written_for_artifacts_alone(tmp_path: Path) -> None:
    with pytest.raises(EdgeproofError, match=r"manifest\.json: no such file"):
        write_card(tmp_path)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0
    return result.stdout


def test_export_hub_on_the_command_line(deployed: Deployed, tmp_path: Path) -> None:
    artifact, out = deployed.folder / "fp32", tmp_path / "hub"
    assert "ready for the Hugging Face hub" in run("export", artifact, "--hub", out, "--license", "mit")
    assert json.loads((out / "config.json").read_text())["schema_version"] == 1
    with pytest.raises(EdgeproofError, match="--set: is for recipes and run folders"):
        run("export", artifact, "--hub", out, "--set", "seed=1")
    with pytest.raises(EdgeproofError, match="--hub: is for artifacts, and demo is none"):
        run("export", "demo", "--hub", out)
    with pytest.raises(EdgeproofError, match="fp32 is an artifact: expected --out or --hub too"):
        run("export", artifact)
