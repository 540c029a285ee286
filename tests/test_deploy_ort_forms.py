from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from deploy_fixture import Deployed, build_deployed, images

from deploy.int8_check import inspect_int8
from deploy.quantization_record import QuantizationRecord
from deploy.quantizers import QUANTIZERS, ort_forms
from deploy.quantizers.ort_forms import FORMS, Measured, choose, skipped
from deploy.timing import Timing


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def forms(deployed: Deployed, tmp_path_factory) -> dict[str, Path]:
    """Every form, asked for by name."""
    folder = tmp_path_factory.mktemp("forms")
    for form in FORMS:
        record = QUANTIZERS["ort"].quantize(
            source=deployed.folder / "fp32.onnx", output=folder / f"{form}.onnx",
            images=images(16, seed=1), settings={"form": form},
        )  # fmt: skip
        assert (record.settings["form"], record.forms) == (form, ())
    return {form: folder / f"{form}.onnx" for form in FORMS}


def producers(path: Path) -> tuple[list[onnx.NodeProto], dict[str, onnx.NodeProto]]:
    nodes = list(onnx.load(path).graph.node)
    return nodes, {name: node for node in nodes for name in node.output}


def readers_of_floats(path: Path) -> list[str]:
    """Kinds of the layers whose input was not quantized."""
    nodes, made_by = producers(path)
    layers = [node for node in nodes if node.op_type in {"Conv", "Gemm"}]
    return [node.op_type for node in layers if made_by[node.input[0]].op_type != "DequantizeLinear"]


def logits(path: Path, pixels: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path)
    return np.array([session.run(["logit"], {"image": image[None]})[0][0] for image in pixels])


def test_each_form_leaves_in_float_what_it_says(forms: dict[str, Path]) -> None:
    assert {form: readers_of_floats(path) for form, path in forms.items()} == {
        "plain": [],
        "float_first": ["Conv"],
        "float_first_last": ["Conv", "Gemm"],
        "expand": [],
    }


def test_a_float_first_convolution_reads_an_image_that_was_never_quantized(forms: dict[str, Path]) -> None:
    _, made_by = producers(forms["float_first"])
    [name] = [node.input[0] for node in made_by.values() if node.op_type == "Conv"][:1]
    while name in made_by:
        assert made_by[name].op_type in {"Mul", "Sub", "Cast", "Transpose"}
        name = made_by[name].input[0]
    assert name == "image"


def test_expanded_constants_are_as_large_as_the_image_and_change_nothing(
    forms: dict[str, Path], deployed: Deployed
) -> None:
    model = onnx.load(forms["expand"])
    spread = [node for node in model.graph.node if node.op_type == "Expand"]
    shapes = {tensor.name: onnx.numpy_helper.to_array(tensor).tolist() for tensor in model.graph.initializer}
    assert spread and all(shapes[node.input[1]] == [1, 3, 32, 32] for node in spread)
    assert forms["expand"].stat().st_size < forms["plain"].stat().st_size + 1000
    plain, expanded = (logits(forms[form], deployed.pixels) for form in ("plain", "expand"))
    np.testing.assert_allclose(expanded, plain, atol=1e-5)


def test_every_form_says_what_fp32_says(forms: dict[str, Path], deployed: Deployed) -> None:
    drift = {form: np.abs(logits(path, deployed.pixels) - deployed.logits) for form, path in forms.items()}
    assert all(value.max() < 0.5 * deployed.logits.std() for value in drift.values())
    assert drift["float_first_last"].mean() < drift["plain"].mean()


def timing(ratio: float) -> Timing:
    return Timing(min_ms=1.0, p50_ms=1.0, ratio=ratio, ratio_range=(ratio, ratio), rounds=3)


def measured(ratio: float, *, drift: float = 0.1, unsound: str = "") -> Measured:
    return Measured(drift=drift, bytes=100, timing=timing(ratio), unsound=unsound)


def kept(found: dict[str, Measured]) -> tuple[str, dict[str, str]]:
    rows = choose(found, others={})
    [form] = [row.form for row in rows if row.kept]
    return form, {row.form: row.reason for row in rows if row.reason}


def test_the_fastest_form_is_kept() -> None:
    assert kept({"plain": measured(1.8), "float_first": measured(0.6), "expand": measured(0.7)}) == (
        "float_first",
        {},
    )


def test_of_equally_fast_forms_the_one_that_drifts_least_is_kept() -> None:
    found = {"plain": measured(1.8), "float_first": measured(0.600), "float_first_last": measured(0.604)}
    assert kept(found)[0] == "float_first"
    assert kept(found | {"float_first_last": measured(0.604, drift=0.02)})[0] == "float_first_last"
    assert kept(found | {"float_first_last": measured(0.7, drift=0.02)})[0] == "float_first"


def test_a_form_that_drifts_too_far_or_is_no_int8_is_refused() -> None:
    found = {
        "plain": measured(1.8, drift=0.2),
        "float_first": measured(0.5, drift=0.5),
        "float_first_last": measured(0.4, unsound="50% of the work is done in INT8, expected 75%"),
        "expand": measured(0.7, drift=0.3),
    }
    form, reasons = kept(found)
    assert form == "expand"
    assert reasons == {
        "float_first": "a logit drifts by 0.5, expected at most 0.35",
        "float_first_last": "50% of the work is done in INT8, expected 75%",
    }


def test_plain_is_kept_where_nothing_passes() -> None:
    unknown = measured(0.5, drift=float("nan"))
    form, reasons = kept({"plain": measured(1.8, unsound="no"), "float_first": unknown})
    assert (form, set(reasons)) == ("plain", {"plain", "float_first"})
    assert choose({"plain": unknown}, others={})[0].drift is None


def test_the_record_holds_every_form_and_the_file_the_one_that_is_kept(
    forms: dict[str, Path], deployed: Deployed, tmp_path, monkeypatch
) -> None:
    ratios = {"fp32": 1.0, "plain": 1.8, "float_first": 0.9, "float_first_last": 0.6, "expand": 0.5}

    def race(contestants, *, reference, budget_s):
        assert (reference, list(contestants)) == ("fp32", list(ratios))
        for run in contestants.values():
            assert [value.shape for value in run()] == [(1,), (1,)]
        return {name: timing(ratio) for name, ratio in ratios.items()}

    monkeypatch.setattr(ort_forms, "race", race)
    output = tmp_path / "int8.onnx"
    record = QUANTIZERS["ort"].quantize(
        source=deployed.folder / "fp32.onnx", output=output, images=images(16, seed=1)
    )
    assert [(row.form, row.ratio, row.kept) for row in record.forms] == [
        (form, ratios[form], form == "expand") for form in FORMS
    ]
    assert record.kept_form == {"form": "expand"}
    assert output.read_bytes() == forms["expand"].read_bytes()
    for row in record.forms:
        assert row.bytes == forms[row.form].stat().st_size
        shown = np.concatenate(images(16, seed=1))
        exact = logits(deployed.folder / "fp32.onnx", shown)
        expected = np.abs(logits(forms[row.form], shown) - exact).max()
        assert row.drift == pytest.approx(expected, abs=1e-5)
    assert QuantizationRecord.model_validate(record.model_dump(mode="json")) == record


def test_forms_that_are_another_one_are_not_built() -> None:
    pixels = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 3, 8, 8])
    score = onnx.helper.make_tensor_value_info("score", onnx.TensorProto.FLOAT, None)
    nodes = [
        onnx.helper.make_node("Conv", ["image", "first"], ["a"], name="Conv_0"),
        onnx.helper.make_node("Conv", ["a", "second"], ["score"], name="Conv_1"),
    ]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "two", [pixels], [score]))
    assert skipped(model) == {
        "float_first_last": "the same as float_first: no matrix product follows the last convolution",
        "expand": "the same as plain: no constant is spread over the image",
    }
    rows = choose({"plain": measured(1.0)}, others=skipped(model))
    assert [(row.form, row.ratio, row.kept) for row in rows[1:]] == [
        ("float_first_last", None, False),
        ("expand", None, False),
    ]


def test_what_is_left_in_float_is_still_int8(forms: dict[str, Path], deployed: Deployed) -> None:
    proof = inspect_int8(forms["float_first_last"], fp32_path=deployed.folder / "fp32.onnx")
    assert proof.passed
    assert proof.int8_mac_share == pytest.approx(16 * 16 * 16 * 144 / (16 * 16 * 16 * (144 + 27) + 16))
