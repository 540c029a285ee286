import pytest
from deploy_fixture import Deployed, build_deployed

from bench.details.form import Form
from bench.details.layers import expensive_layers, most_expensive
from bench.details.words import words_of
from deploy.compute_layers import ComputeLayer
from deploy.profilers import Operator
from distill.errors import EdgeproofError

STORED = ComputeLayer(
    macs=1, weights=(128, 64, 3, 3), inputs=1, output=(1, 128, 28, 28), int8_weights=True, int8=True,
    int8_output=True,
)  # fmt: skip


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


def told(kind: str, shapes=(), output=(), precision="int8", name="n", layers=()) -> str:
    operator = Operator(name, kind, 1.0, shapes=shapes, output=output, precision=precision)
    return words_of(operator, layers)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (
            "3×3 convolution, 64 → 128 channels, at 28×28, INT8",
            told("Convolution", ((1, 64, 56, 56), (128, 64, 3, 3), (128,)), (1, 128, 28, 28)),
        ),
        (
            "3×3 depthwise convolution, 16 → 16 channels, at 32×32, FP32",
            told("GroupConvolution", ((1, 16, 32, 32), (16, 1, 1, 3, 3)), (1, 16, 32, 32), "fp32"),
        ),
        (
            "3×3 depthwise convolution, 48 → 48 channels, at 16×16, FP32",
            told("Conv", ((1, 48, 32, 32), (48, 1, 3, 3), (48,)), (1, 48, 16, 16), "fp32"),
        ),
        # ONNX Runtime's INT8: channels last, and weights that its profile does not show
        (
            "3×3 convolution, 64 → 128 channels, at 28×28, INT8",
            told("QLinearConv", ((1, 56, 56, 64), (), (), (128,)), (1, 28, 28, 128), layers=[STORED]),
        ),
        (
            "convolution, 64 → 128 channels, at 28×28, INT8",
            told("QLinearConv", ((1, 56, 56, 64), (), (), (128,)), (1, 28, 28, 128)),
        ),
        ("convolution, BF16", told("Convolution", precision="bf16")),
        ("matrix product, 256 → 1, FP32", told("Gemm", ((1, 256), (256, 1)), (1, 1), "fp32")),
        ("matrix product, INT8", told("FullyConnectedQuantizedLegacy")),
        (
            "change of the input's memory layout, 3×64×64, INT8",
            told("Reorder", ((1, 64, 64, 3),), (1, 3, 64, 64), name="image_abcd_acdb_fake"),
        ),
        ("change of memory layout, FP32", told("ReorderOutput", precision="fp32")),
        ("average over the image, 256, FP32", told("ReduceMean", ((1, 256, 2, 2),), (1, 256), "fp32")),
        ("quantizing to INT8", told("QuantizeLinear", precision="")),
        ("Unheard", told("Unheard", precision="")),
    ],
)
def test_words(words: str, found: str) -> None:
    assert found == words


def test_the_five_that_take_the_longest_come_first() -> None:
    operators = [Operator(f"o{number}", "Relu", float(number)) for number in (1, 4, 2, 6, 3, 5, 0)]
    found = most_expensive(operators)
    assert [layer.name for layer in found] == ["o6", "o5", "o4", "o3", "o2"]
    assert found[0].ms == pytest.approx(0.006)
    assert found[0].share == pytest.approx(6 / 21)
    assert found[0].words == "activation"
    assert most_expensive([]) == ()


@pytest.mark.parametrize(
    ("runtime", "precision", "folder"),
    [("openvino", "int8", "int8"), ("openvino", "bf16", "fp32"), ("onnxruntime", "fp32", "fp32")],
)
def test_both_profilers_name_a_models_convolutions(deployed, runtime, precision, folder) -> None:
    form = Form("tiny", runtime, precision, None, 32)
    words = [layer.words for layer in expensive_layers(deployed.folder / folder, form, threads=1)]
    assert any(text.startswith("3×3 convolution, 16 → 16 channels, at 16×16, ") for text in words), words


def test_pytorch_has_no_profile(deployed) -> None:
    with pytest.raises(EdgeproofError, match="PyTorch's operators are not profiled"):
        expensive_layers(deployed.folder / "fp32", Form("tiny", "torch", "fp32", None, 32), threads=1)
