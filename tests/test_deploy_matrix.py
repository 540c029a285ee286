"""Every student in every runtime by every quantizer: INT8 that answers as FP32 does, or refused in words."""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from deploy_fixture import images
from torch import nn

from deploy import Detector, export, quantize
from deploy.artifact import MODEL_FILES, read_manifest
from deploy.int8_check import inspect_int8
from deploy.quantizers import QUANTIZERS
from distill.errors import EdgeproofError
from distill.forms import RUNTIMES
from distill.preprocess import PreprocessSpec
from students import FITTED, STUDENTS, build_student

SIZE, STEPS = 32, 40
OPTIONS: dict[str, dict[str, Any]] = {"mobilenet_v2": {"width_mult": 0.5}, "rep_cnn": {"branches": "repvgg"}}
SETTINGS = {"ort": {"form": "plain"}}  # which form is the fastest here is no matter
TRAINED = [name for name in STUDENTS if name not in FITTED]
CELLS = list(product(TRAINED, RUNTIMES, QUANTIZERS))


@dataclass(frozen=True)
class Exported:
    network: nn.Module
    folders: dict[str, Path]  # an artifact for each runtime


@cache
def exported(student: str, root: Path) -> Exported:
    """Trained for a few steps to tell bright images from dark ones.

    Untrained, a depthwise network says the same of all images but for noise, and its INT8 form says other noise.
    """
    torch.manual_seed(0)
    spec, network = PreprocessSpec(size=SIZE), build_student(student, options=OPTIONS.get(student)).train()
    pixels = np.concatenate(images(64, seed=3))
    shown = torch.from_numpy(spec.normalize(pixels)).permute(0, 3, 1, 2).contiguous()
    bright = torch.from_numpy(pixels.mean((1, 2, 3)))
    wanted = ((bright - bright.mean()) / bright.std()).float()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.mse_loss(network(shown).logits, wanted).backward()
        optimizer.step()
    for norm in (part for part in network.modules() if isinstance(part, nn.BatchNorm2d)):
        norm.reset_running_stats()
        norm.momentum = None  # the statistics of these very images, and nothing of earlier weights
    with torch.no_grad():
        network(shown)
    folders = {runtime: root / f"{student}-{runtime}" for runtime in RUNTIMES}
    export(network.eval(), spec, out=folders)
    return Exported(network, folders)


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("matrix")


@pytest.mark.parametrize(("student", "runtime", "quantizer"), CELLS)
def test_a_cell_is_green_or_refused_in_words(
    root: Path, tmp_path, student: str, runtime: str, quantizer: str
) -> None:
    tool, found, out = QUANTIZERS[quantizer], exported(student, root), tmp_path / "int8"
    given = {"out": out, "tool": quantizer, "settings": SETTINGS.get(quantizer), "network": found.network}
    if tool.runtime != runtime:
        reason = f"{quantizer} makes models for {tool.runtime}, the artifact holds models for {runtime}"
        with pytest.raises(EdgeproofError, match=reason):
            quantize(found.folders[runtime], images(2, seed=1), **given)
        return
    if tool.needs_network and not find_spec("neural_compressor"):
        pytest.skip("needs neural-compressor")
    quantize(found.folders[runtime], np.concatenate(images(64, seed=1)), **given)
    manifest, model = read_manifest(out), MODEL_FILES[tool.runtime][0]
    assert (manifest.precision, manifest.runtimes) == ("int8", (runtime,))
    proof = inspect_int8(out / model, fp32_path=found.folders[runtime] / model)
    assert proof.passed, proof.reason
    shown = np.concatenate(images(24, seed=2))
    fp32, int8 = (Detector.load(folder, threads=1).run(shown) for folder in (found.folders[runtime], out))
    assert fp32.std() > 0.3, "it must tell images apart"
    assert np.corrcoef(fp32, int8)[0, 1] > 0.8
    assert 0 < np.median(np.abs(fp32 - int8)) < 0.5 * fp32.std()


@pytest.mark.parametrize("student", TRAINED)
def test_without_the_network_what_needs_it_is_refused_in_words(root: Path, tmp_path, student: str) -> None:
    [tool] = [tool for tool in QUANTIZERS.values() if tool.needs_network]
    folder = exported(student, root).folders[tool.runtime]
    with pytest.raises(EdgeproofError, match="found no network, expected the PyTorch module"):
        quantize(folder, images(2, seed=1)[0], out=tmp_path / "int8", tool=tool.name)
