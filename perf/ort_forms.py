"""How fast ONNX Runtime's INT8 is in each form: ``python -m perf.ort_forms``.

Students of several shapes, untrained (speed does not depend on the weights), at two sizes; every form against FP32 with one
thread, in interleaved rounds. What is claimed are ratios within rounds, with their range: such machines are shared and
noisy. The result is ``perf/results/ort-forms.json``.
"""

import argparse
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deploy.macs import onnx_macs
from deploy.onnx_graph import export_onnx
from deploy.quantizers import QUANTIZERS
from deploy.quantizers.ort_forms import FORMS, Form, choose, measure, skipped
from distill import machine
from distill.evaluation.calibration import Calibration
from distill.files import write_json
from distill.optional import require
from distill.preprocess import Pixels, PreprocessSpec
from distill.task import BINARY
from students import build_student

RESULT = Path(__file__).parent / "results" / "ort-forms.json"
STUDENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "small_cnn, one convolution a block": ("small_cnn", {"convs_per_block": 1}),
    "rep_cnn": ("rep_cnn", {}),
    "mobilenet_v2": ("mobilenet_v2", {}),
    "resnet18": ("resnet18", {}),
}
MEANS = {"mean": PreprocessSpec().mean, "mean 0": (0.0, 0.0, 0.0)}
IMAGES = 4  # to calibrate with: nobody judges images with these networks


def compare(student: str, *, size: int, mean: str, budget_s: float) -> dict[str, Any]:
    """Every form of one untrained student at one size."""
    torch.manual_seed(0)
    name, options = STUDENTS[student]
    spec = PreprocessSpec(size=size, mean=MEANS[mean])
    images = _images(size)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "fp32.onnx")
        export_onnx(
            build_student(name, options=options), preprocess=spec, calibration=Calibration(), task=BINARY,
            path=source,
        )  # fmt: skip
        model = require("onnx").load(source)
        built = {
            form: _quantized(source, form, images=images) for form in FORMS if form not in skipped(model)
        }
        measured = measure(built, source=source, images=images, budget_s=budget_s)
        return {
            "student": student, "size": size, "normalization": mean, "macs": sum(onnx_macs(model).values()),
            "rounds": measured["plain"].timing.rounds,
            "forms": [row.model_dump(mode="json") for row in choose(measured, others=skipped(model))],
        }  # fmt: skip


def _quantized(source: Path, form: Form, *, images: list[Pixels]) -> Path:
    output = source.with_name(f"{form}.onnx")
    QUANTIZERS["ort"].quantize(source=source, output=output, images=images, settings={"form": form})
    return output


def _images(size: int) -> list[Pixels]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (1, size, size, 3), dtype=np.uint8) for _ in range(IMAGES)]


def main() -> None:
    """Measure all, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 224])
    parser.add_argument("--students", nargs="+", default=list(STUDENTS), choices=list(STUDENTS))
    parser.add_argument("--means", nargs="+", default=list(MEANS), choices=list(MEANS))
    parser.add_argument("--budget", type=float, default=6.0, help="seconds of timing for each network")
    parser.add_argument("--out", type=Path, default=RESULT)
    given, rows, before = parser.parse_args(), [], machine.steal_seconds()
    for student, size, mean in product(given.students, given.sizes, given.means):
        rows.append(compare(student, size=size, mean=mean, budget_s=given.budget))
        kept = next(row for row in rows[-1]["forms"] if row["kept"])
        print(f"{student} {size} {mean}: {kept['form']} {kept['ratio']:.2f} of FP32", flush=True)
        content = {
            "schema_version": 1,
            "machine": machine.describe(),
            "steal_s": (machine.steal_seconds() or 0.0) - (before or 0.0),
            "threads": 1,
            "networks": rows,
        }
        write_json(given.out, content)


if __name__ == "__main__":
    main()
