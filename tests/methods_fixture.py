"""What the tests of methods share: a pair of networks, batches, and the loss of one method."""

import numpy as np
import torch

from distill.data.samples import Sample
from distill.methods import Pair, build_method
from distill.methods.objective import Batch, Step
from distill.preprocess import PreprocessSpec
from distill.probe import FeatureMap
from distill.recipe import MethodSettings
from distill.task import MultiClass
from students import build_student
from students.output import ModelOutput

NAN = float("nan")
STEP = Step(epoch=0, epochs=1, step=0)
THREE = MultiClass(labels=("real", "gan", "diffusion"))
SPEC = PreprocessSpec(size=32)
STUDENT = {"s1": FeatureMap(4, 8, 4), "s2": FeatureMap(8, 4, 8)}
TEACHER = {"t1": FeatureMap(16, 8, 4), "t2": FeatureMap(32, 4, 8)}


def pair_of(task=None, *, student=STUDENT, teacher=TEACHER, names=("teacher",), **fields):
    """Two networks of 32 pixels with maps at strides 4 and 8; the teacher also looks and finds faces."""
    given = {
        "attention": dict.fromkeys(names, {"attention.p2": FeatureMap(1, 8, 4), "attention.p3": FeatureMap(1, 4, 8)}),
        "localisers": frozenset(names),
        "sees": dict.fromkeys(("", *names), SPEC),
        "make_student": lambda: build_student("small_cnn", num_logits=task.num_logits if task else 1),
    }  # fmt: skip
    task = {"task": task} if task else {}
    return Pair(student, dict.fromkeys(names, teacher), **{**given, **task, **fields})


PAIR = pair_of()
MANY = pair_of(THREE)


def build(name, pair=PAIR, *, samples=0, **options):
    """A method as a recipe would have it, told of so many samples (labels 0, 1, 0, 1, ...), if any."""
    method = build_method(MethodSettings(name=name, **options), pair=pair)
    if samples:
        method.prepare([Sample(path=f"{i}.png", label=i % 2) for i in range(samples)])
    return method


def output(logits, **fields):
    """What a network says."""
    return ModelOutput(logits=torch.tensor(logits), features=fields.pop("features", {}), **fields)


def batch(labels=(0.0,), *, boxes=None, size=32, teacher=None, features=None):
    """A batch with what the teacher said of it."""
    boxes = torch.full((len(labels), 4), NAN) if boxes is None else torch.tensor(boxes)
    images = torch.zeros(len(labels), 3, size, size)
    said = {}
    if teacher is not None or features is not None:
        logits = torch.zeros(len(labels)) if teacher is None else torch.tensor(teacher)
        said["teacher"] = ModelOutput(logits=logits, features=features or {})
    return Batch(images, torch.tensor(labels), boxes, torch.arange(len(labels)), said)


def loss_of(objective, said, seen, step=STEP):
    """The weighted scalar."""
    return objective(said, seen, step)


def maps(shapes, *, count=4, seed=0, grad=False):
    """Random maps of the given shapes, by name."""
    random = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(count, shape.channels, shape.size, shape.size, generator=random).requires_grad_(grad)
        for name, shape in shapes.items()
    }


def softmax(values, temperature=1.0, axis=-1):
    """In NumPy."""
    scaled = np.asarray(values, dtype=np.float64) / temperature
    return np.exp(scaled) / np.exp(scaled).sum(axis=axis, keepdims=True)


def sigmoid(values):
    """In NumPy."""
    return 1 / (1 + np.exp(-np.asarray(values, dtype=np.float64)))


def bernoulli(target, probability):
    """Binary cross-entropy in NumPy."""
    return -(target * np.log(probability) + (1 - target) * np.log(1 - probability))


def gradient(loss, *values):
    """Of a scalar at a vector."""
    tensor = torch.tensor(values, requires_grad=True)
    loss(tensor).backward()
    return tensor.grad
