"""NNCF's accuracy control: which layers it leaves in float so that a score holds."""

from pathlib import Path

import numpy as np
import pytest
from deploy_fixture import Deployed, build_deployed, images

from deploy.quantizers import QUANTIZERS
from deploy.quantizers.base import Validation
from deploy.quantizers.nncf import NncfSettings
from deploy.runtime import Detector

NNCF = QUANTIZERS["nncf"]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


def positions(
    deployed: Deployed, *, score, max_drop: float, asked: list[int] | None = None
) -> tuple[int, ...]:
    def counted(logits: np.ndarray) -> float:
        if asked is not None:
            asked.append(len(logits))
        return score(logits)

    validation = Validation([image[None] for image in deployed.pixels], counted, max_drop)
    assert NNCF.control_accuracy is not None
    return NNCF.control_accuracy(
        source=deployed.folder / "fp32.xml", images=images(16, seed=1), settings=NncfSettings(),
        validation=validation,
    )  # fmt: skip


def exact_logits(deployed: Deployed) -> np.ndarray:
    return Detector.load(deployed.folder / "fp32", runtime="openvino", threads=1).run(deployed.pixels)


def test_nothing_is_left_in_float_where_the_score_holds(deployed: Deployed) -> None:
    assert positions(deployed, score=lambda logits: 1.0, max_drop=0.01) == ()


def test_all_is_left_in_float_where_only_that_holds_it(deployed: Deployed) -> None:
    exact, asked = exact_logits(deployed), []
    found = positions(
        deployed, score=lambda logits: -float(np.abs(logits - exact).max()), max_drop=1e-4, asked=asked
    )
    assert found == (0, 1, 2)
    assert set(asked) == {len(deployed.pixels)}, "the score is of all images, never of single ones"
    assert len(asked) <= 16


def test_what_it_finds_can_be_quantized_anew(deployed: Deployed, tmp_path: Path) -> None:
    exact = exact_logits(deployed)
    plain = Detector.load(deployed.folder / "int8", runtime="openvino", threads=1).run(deployed.pixels)
    drift = float(np.abs(plain - exact).max())
    found = positions(
        deployed, score=lambda logits: -float(np.abs(logits - exact).max()), max_drop=0.7 * drift
    )
    assert 0 < len(found)
    layers = NNCF.find_layers(deployed.folder / "fp32.xml")
    record = NNCF.quantize(
        source=deployed.folder / "fp32.xml", output=tmp_path / "model.xml", images=images(16, seed=1),
        float_layers=[layers[position] for position in found[:2]],
    )  # fmt: skip
    assert len(record.float_layers) == min(2, len(found))
