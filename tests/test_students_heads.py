"""Classical heads: what scikit-learn and LightGBM say, in torch, in ONNX Runtime and in OpenVINO."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.base import clone
from torch import Tensor, nn

from deploy.onnx_graph import export_onnx, export_openvino
from deploy.openvino_ir import openvino_core
from distill.evaluation.calibration import Calibration
from distill.preprocess import PreprocessSpec
from distill.task import BINARY, MultiClass, Task
from distill.training.classical import CLASSIFIERS, Taught
from students.heads import HEADS, SMOOTHING, Head
from students.output import ModelOutput, squeeze_binary

SIZE, STEP = 16, 4
WIDTH = 3 * (SIZE // STEP) ** 2
SPEC = PreprocessSpec(size=SIZE)
TASKS: dict[int, Task] = {1: BINARY, 3: MultiClass(("a", "b", "c"))}


class Pixels(nn.Module):
    """A head on some of the pixels: random images are random embeddings."""

    feature_channels: dict[str, int] = {}

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, images: Tensor) -> ModelOutput:
        return ModelOutput(squeeze_binary(self.head(images[:, :, ::STEP, ::STEP].flatten(1))), {})


def _images(count: int, *, seed: int) -> np.ndarray:
    """For training (seed 1) multiples of 4, otherwise odd values: none lies on a threshold, half-way between two."""
    values = np.random.default_rng(seed).integers(0, 64, (count, SIZE, SIZE, 3)) * 4
    return (values + (seed != 1)).astype(np.uint8)


def _embeddings(images: np.ndarray) -> np.ndarray:
    mean, std = np.array(SPEC.mean), np.array(SPEC.std)
    planes = ((images[:, ::STEP, ::STEP] / 255 - mean) / std).transpose(0, 3, 1, 2)
    return planes.reshape(len(images), -1).astype(np.float32)


def _fitted(name: str, classes: int, *, soft: bool) -> Taught:
    embeddings = _embeddings(_images(160, seed=1))
    random = np.random.default_rng(2)
    labels = _labels(embeddings, classes)
    shares = np.eye(classes)[labels]
    if soft:
        shares = 0.7 * shares + 0.3 * random.dirichlet(np.ones(classes), 160)
    fitted = CLASSIFIERS[name].make(0)
    fitted.estimator.set_params(**{"n_estimators": 10} if name == "random_forest" else {})
    return fitted.fit(embeddings, labels, shares)


def _labels(embeddings: np.ndarray, classes: int) -> np.ndarray:
    noise = np.random.default_rng(2).normal(0, 1, len(embeddings))
    return (embeddings[:, :8].sum(1) + noise).argsort().argsort() * classes // len(embeddings)


def _expected(fitted: Taught, embeddings: np.ndarray, *, num_logits: int) -> np.ndarray:
    """From scikit-learn's own answer: the decision function, or probabilities smoothed as votes are."""
    estimator = fitted.estimator_
    scaled = fitted.scaler_.transform(embeddings) if fitted.scaler_ else embeddings
    if hasattr(estimator, "decision_function"):
        return estimator.decision_function(scaled)
    if hasattr(estimator, "booster_"):
        return np.asarray(estimator.predict(scaled, raw_score=True))
    neighbours = hasattr(estimator, "n_neighbors")
    shares = estimator.predict(scaled) if neighbours else estimator.predict_proba(scaled)
    votes = shares * (estimator.n_neighbors if neighbours else estimator.n_estimators) + SMOOTHING
    return np.log(votes[:, 1] / votes[:, 0]) if num_logits == 1 else np.log(votes)


def _head(name: str, fitted: Taught, *, num_logits: int) -> Head:
    head: Head = HEADS[name](WIDTH, num_logits)
    head.hold(CLASSIFIERS[name].tensors(fitted, num_logits=num_logits))
    return head


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("num_logits", [1, 3])
@pytest.mark.parametrize("name", HEADS)
def test_a_head_says_what_scikit_learn_says(name: str, num_logits: int, soft: bool) -> None:
    fitted = _fitted(name, max(2, num_logits), soft=soft)
    embeddings = _embeddings(_images(300, seed=3))
    with torch.no_grad():
        said = _head(name, fitted, num_logits=num_logits)(torch.from_numpy(embeddings)).squeeze(1).numpy()
    np.testing.assert_allclose(
        said, _expected(fitted, embeddings, num_logits=num_logits), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("name", ["logistic", "linear_svm", "rbf_svm", "random_forest", "gradient_boosting"])
def test_plain_labels_are_fitted_as_scikit_learn_fits_them(name: str) -> None:
    fitted, embeddings = _fitted(name, 2, soft=False), _embeddings(_images(160, seed=1))
    scaled = fitted.scaler_.transform(embeddings) if fitted.scaler_ else embeddings
    plain = clone(fitted.estimator).fit(scaled, _labels(embeddings, 2))
    np.testing.assert_array_equal(plain.predict(scaled), fitted.estimator_.predict(scaled))


def test_two_classes_with_two_logits_differ_by_the_decision_function() -> None:
    for name in HEADS:
        fitted = _fitted(name, 2, soft=False)
        embeddings = _embeddings(_images(50, seed=3))
        with torch.no_grad():
            said = _head(name, fitted, num_logits=2)(torch.from_numpy(embeddings)).numpy()
        expected = _expected(fitted, embeddings, num_logits=1)
        np.testing.assert_allclose(said[:, 1] - said[:, 0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "num_logits"), [*((name, 1) for name in HEADS), ("rbf_svm", 3), ("random_forest", 3)]
)
def test_the_exported_head_says_it_too(name: str, num_logits: int, tmp_path: Path) -> None:
    fitted = _fitted(name, max(2, num_logits), soft=True)
    images, path, task = _images(40, seed=4), tmp_path / "model.onnx", TASKS[num_logits]
    module = Pixels(_head(name, fitted, num_logits=num_logits)).eval()
    export_onnx(module, preprocess=SPEC, calibration=Calibration(), task=task, path=path)
    export_openvino(path, path=tmp_path / "model.xml")
    expected = _expected(fitted, _embeddings(images), num_logits=num_logits)
    session = onnxruntime.InferenceSession(path)
    compiled = openvino_core().compile_model(
        tmp_path / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    by_onnx = [session.run(None, {"image": image[None]})[1][0] for image in images]
    by_openvino = [compiled({0: image[None]})[1][0] for image in images]
    np.testing.assert_allclose(by_onnx, expected, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(by_openvino, expected, atol=1e-5, rtol=1e-5)


def test_a_tree_sends_a_float32_at_its_threshold_where_scikit_learn_does() -> None:
    random = np.random.default_rng(0)
    embeddings = random.normal(size=(200, 1)).astype(np.float32)
    labels = random.integers(0, 2, 200)
    for name in ("random_forest", "gradient_boosting", "lightgbm"):
        fitted = CLASSIFIERS[name].make(0).fit(embeddings, labels, np.eye(2)[labels])
        head = HEADS[name](1, 1)
        head.hold(CLASSIFIERS[name].tensors(fitted, num_logits=1))
        at = head.threshold.numpy()
        at = at[np.abs(at) > 1e-30]  # LightGBM reads what is nearer to zero as zero
        beside = np.concatenate([at, np.nextafter(at, np.float32(np.inf))])[:, None]
        with torch.no_grad():
            said = head(torch.from_numpy(beside)).squeeze(1).numpy()
        np.testing.assert_allclose(said, _expected(fitted, beside, num_logits=1), atol=1e-5)


def test_a_head_takes_the_shapes_of_what_it_loads() -> None:
    fitted = _fitted("knn", 2, soft=False)
    outer = Pixels(_head("knn", fitted, num_logits=1))
    other = Pixels(HEADS["knn"](WIDTH, 1))
    assert other.head.points.shape == (1, WIDTH)
    other.head.hold({key.removeprefix("head."): value for key, value in outer.state_dict().items()})
    assert other.head.points.shape == (160, WIDTH) and len(other.head.ranks) == 5


def test_support_vectors_of_the_classes_are_mixed() -> None:
    # one class after the other, a float32 sum of 3,485 of them was wrong by 0.007
    random = np.random.default_rng(0)
    embeddings, labels = random.normal(size=(400, 8)).astype(np.float32), random.integers(0, 2, 400)
    fitted = CLASSIFIERS["rbf_svm"].make(0).fit(embeddings, labels, np.eye(2)[labels])
    sums = CLASSIFIERS["rbf_svm"].tensors(fitted, num_logits=1)["coefficients"].cumsum(0).abs()
    assert abs(fitted.estimator_.dual_coef_.cumsum()).max() > 100 > 3 * float(sums.max())
