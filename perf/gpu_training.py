"""What the full-size teacher costs on a GPU: ``python -m perf.gpu_training --out FILE``.

EfficientNet-B3 + FPN + CBAM with its localiser at 256 × 256: training steps in several batch sizes and number formats,
and what a student's step costs without a teacher, with cached outputs and with a live one. Networks are untrained and
images random: speed depends on neither. Rounds are interleaved where things are compared; ``perf.data_throughput``
measures the data pipeline. The result is kept as ``perf/results/gpu-training.json``.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill import machine
from distill.files import write_json
from distill.preprocess import PreprocessSpec
from distill.training.normalize import normalize
from students import build_student
from teachers import build_teacher

SIZE, ROUNDS = 256, 5
SPEC = PreprocessSpec(size=SIZE, policy="center_crop")
STUDENTS: dict[str, dict[str, Any]] = {"rep_cnn": {}, "small_cnn": {}, "mobilenet_v2": {}, "resnet18": {}}
Step = Callable[[], object]


def main() -> None:
    """Measure all, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--backbone", default="efficientnet_b3")
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 32, 64, 128, 256])
    parser.add_argument("--steps", type=int, default=10, help="of a round")
    given = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    result: dict[str, Any] = {
        "schema_version": 1, "machine": machine.describe(), "device": name_of(device), "size": SIZE,
        "backbone": given.backbone,
    }  # fmt: skip
    result["teacher_step"] = teacher_steps(
        given.backbone, batches=given.batches, steps=given.steps, device=device
    )
    write_json(given.out, result)
    batch = given.batches[len(given.batches) // 2]
    result["student_step"] = student_steps(given.backbone, batch=batch, steps=given.steps, device=device)
    write_json(given.out, result)


def name_of(device: torch.device) -> str:
    """What a reader calls the device."""
    return torch.cuda.get_device_name() if device.type == "cuda" else "CPU"


def teacher(backbone: str, *, device: torch.device) -> nn.Module:
    """The untrained teacher."""
    network = build_teacher("efficientnet_fpn_cbam", options={"backbone": backbone})
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def teacher_steps(
    backbone: str, *, batches: list[int], steps: int, device: torch.device
) -> list[dict[str, Any]]:
    """Images a second and peak memory of training steps: every batch size in bf16, the middle one also in FP32."""
    middle = batches[len(batches) // 2]
    rows = []
    for batch, bf16 in [*((size, True) for size in batches), (middle, False)]:
        step = Training(teacher(backbone, device=device), batch=batch, bf16=bf16, device=device)
        found = rates({"step": step}, steps=steps, batch=batch, device=device)["step"]
        rows.append({"batch": batch, "precision": "bf16" if bf16 else "fp32 (TF32)", **found})
    return rows


def student_steps(backbone: str, *, batch: int, steps: int, device: torch.device) -> dict[str, Any]:
    """A student's step alone, with cached teacher outputs, and with the teacher live, in turn."""
    taught = frozen(teacher(backbone, device=device))
    found = {}
    for name, options in STUDENTS.items():
        forms: dict[str, Step] = {}
        for form, source in (("none", None), ("cached", "cached"), ("live", taught)):
            student = build_student(name, options=options).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            forms[form] = Training(student, batch=batch, bf16=True, device=device, source=source)
        found[name] = rates(forms, steps=steps, batch=batch, device=device)
    return {"batch": batch, "students": found}


class Training:
    """One training step on a fixed random batch; ``source`` is a live teacher, ``"cached"``, or nobody."""

    def __init__(
        self, network: Any, *, batch: int, bf16: bool, device: torch.device, source: Any = None
    ) -> None:
        self.network, self.source, self.bf16, self.device = network, source, bf16, device
        self.images = torch.randint(0, 256, (batch, SIZE, SIZE, 3), dtype=torch.uint8).to(device)
        self.labels = torch.randint(0, 2, (batch,)).float().to(device)
        self.cached = torch.rand(batch).to(device)
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=device.type == "cuda")

    def __call__(self) -> None:
        """Forward, backward, optimizer."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            images = normalize(self.images, spec=SPEC)
            logits = self.network(images).logits.float()
            loss = nn.functional.binary_cross_entropy_with_logits(logits, self.labels)
            if self.source is not None:
                loss = loss + nn.functional.mse_loss(logits, self._said(images))
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=False)

    def _said(self, images: Tensor) -> Tensor:
        if self.source == "cached":
            return self.cached
        with torch.no_grad():
            said: Tensor = self.source(images).logits.float()
            return said


def frozen(network: nn.Module) -> nn.Module:
    """Evaluation mode, no gradients."""
    return network.eval().requires_grad_(False)


def rates(forms: dict[str, Step], *, steps: int, batch: int, device: torch.device) -> dict[str, Any]:
    """Milliseconds of a step (median and least of the rounds), images a second and peak memory of each form."""
    seconds: dict[str, list[float]] = {form: [] for form in forms}
    peaks: dict[str, float] = {}
    for form, step in forms.items():
        reset_peak(device)
        seconds_of(step, steps=3, device=device)
        peaks[form] = peak_gib(device)
    for _ in range(ROUNDS):
        for form, step in forms.items():
            seconds[form].append(seconds_of(step, steps=steps, device=device))
    return {
        form: {
            "ms_p50": 1e3 * statistics.median(times), "ms_min": 1e3 * min(times),
            "images_per_s": batch / statistics.median(times), "peak_gib": peaks[form],
        }
        for form, times in seconds.items()
    }  # fmt: skip


def seconds_of(step: Step, *, steps: int, device: torch.device) -> float:
    """Mean seconds of ``steps`` steps, the device's work included."""
    synchronize(device)
    started = time.perf_counter()
    for _ in range(steps):
        step()
    synchronize(device)
    return (time.perf_counter() - started) / steps


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def reset_peak(device: torch.device) -> None:
    """Forget the highest memory so far."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gib(device: torch.device) -> float:
    """The highest memory since, in GiB; 0 on a CPU."""
    return torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0.0


if __name__ == "__main__":
    main()
