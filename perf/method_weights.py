"""How large each method's gradient is beside soft_bce's: ``python -m perf.method_weights runs/demo``.

Published weights belong to other networks, losses of another size, and K classes. Here a term's weight is chosen so that
its gradient at the student's features is about as long as that of ``soft_bce`` at T = 4: the geometric mean of two ratios,
at a fresh student and at one that was trained alone. The result is ``perf/results/method-weights.json``.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distill.check import pair_of
from distill.data.pixels import PixelSource, open_pixels
from distill.errors import EdgeproofError
from distill.files import write_json
from distill.methods import METHODS, Method, build_method
from distill.methods.objective import Batch, Step
from distill.models import load_model, make_model
from distill.pipeline.runfolder import WEIGHTS, load_samples
from distill.preprocess import PreprocessSpec
from distill.recipe import MethodSettings, load_recipe
from distill.roster import roster_of
from distill.training.normalize import normalize
from distill.training.teachers import Online

RESULT = Path(__file__).parent / "results" / "method-weights.json"
IMAGES, BATCH, BATCHES = 512, 64, 4
REFERENCE = MethodSettings.model_validate({"name": "soft_bce", "temperature": 4.0})


class Probe:
    """One finished run's teacher, student and labelled images."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.recipe = folder, load_recipe(str(folder / "recipe.toml"))
        self.roster = roster_of(self.recipe)
        self.teacher, self.student = self.roster.teachers[0], self.roster.distilled[0]
        self.network = load_model(self.recipe, self.teacher, folder / self.teacher.folder / WEIGHTS)
        dataset = load_samples(folder)
        self.root, self.samples = dataset.root, dataset.split("train")[:IMAGES]

    def gradient(self, settings: MethodSettings, *, trained: bool) -> float:
        """Mean norm of a term's gradient at the student's weights before its classifier; nothing is trained.

        Raises:
            EdgeproofError: a method that does not fit this pair.
        """
        torch.manual_seed(0)
        student = self._student(trained=trained)
        pair = pair_of(self.recipe, settings, student=self.student, teachers=[self.teacher])
        method = build_method(settings, pair=pair)
        method.prepare(self.samples)
        norms = []
        for number, batch in enumerate(self._batches(method)):
            student.zero_grad()
            method(
                student(batch.images), batch, Step(epoch=1, epochs=10, step=10 + number, steps=100)
            ).backward()
            norms.append(_norm(student))
        return float(np.mean(norms))

    def _student(self, *, trained: bool) -> nn.Module:
        alone = self.roster.controls_of(self.student)[0]
        if trained:
            return load_model(self.recipe, alone, self.folder / alone.folder / WEIGHTS).train()
        return make_model(self.recipe, self.student).train()

    def _batches(self, method: Method) -> Iterator[Batch]:
        reads = method.needs.features.get(self.teacher.name, ())
        online = Online(self.network, spec=self.teacher.preprocess, features=reads)
        own, theirs = (self._pixels(model.preprocess) for model in (self.student, self.teacher))
        labels = torch.tensor([float(sample.label) for sample in self.samples])
        for seed in range(BATCHES):
            rows = torch.randperm(len(self.samples), generator=torch.Generator().manual_seed(seed))[:BATCH]
            said = online.outputs(_images(theirs, rows.tolist()))
            images = normalize(_images(own, rows.tolist()), spec=self.student.preprocess)
            yield Batch(images, labels[rows], torch.zeros(len(rows), 4), rows, {self.teacher.name: said})

    def _pixels(self, spec: PreprocessSpec) -> PixelSource:
        return open_pixels(self.root, self.samples, spec=spec, memory_mb=500)


def _images(pixels: PixelSource, rows: Sequence[int]) -> Tensor:
    return torch.from_numpy(pixels.batch(list(rows)))


def _norm(student: nn.Module) -> float:
    found = [p.grad for n, p in student.named_parameters() if p.grad is not None and "classifier" not in n]
    return float(torch.cat([gradient.flatten() for gradient in found]).norm())


def measure(folder: Path) -> dict[str, Any]:
    """The content of the result file."""
    torch.set_num_threads(1)
    probe = Probe(folder)
    reference = {trained: probe.gradient(REFERENCE, trained=trained) for trained in (False, True)}
    found: dict[str, Any] = {}
    for name in sorted(set(METHODS) - {REFERENCE.name}):
        try:
            norms = {t: probe.gradient(MethodSettings(name=name), trained=t) for t in reference}
        except EdgeproofError as error:  # says why it cannot work on one logit, or with this teacher
            found[name] = {"reason": str(error)}
            continue
        ratios = [reference[trained] / norm for trained, norm in norms.items()]
        found[name] = {
            "fresh": norms[False],
            "trained": norms[True],
            "weight": float(np.sqrt(np.prod(ratios))),
        }
    return {
        "schema_version": 1,
        "run": probe.recipe.name,
        "teacher": probe.recipe.teacher.weights,
        "reference": {"name": REFERENCE.name, "fresh": reference[False], "trained": reference[True]},
        "methods": found,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a finished run with a student alone")
    content = measure(parser.parse_args().folder)
    write_json(RESULT, content)
    for name, found in content["methods"].items():
        print(f"{name:24}", found.get("reason") or f"weight {found['weight']:.3g}")


if __name__ == "__main__":
    main()
