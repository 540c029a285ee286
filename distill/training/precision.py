"""Which number format and how many processes pay on this machine. Torch is imported only where it is asked."""

from typing import Literal

from distill import machine
from distill.errors import EdgeproofError
from distill.training.settings import TrainingSettings

LightningPrecision = Literal["32-true", "bf16-mixed", "16-mixed"]
LIGHTNING: dict[str, LightningPrecision] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
_BF16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})  # nobody measured a training in Arm's bf16


def possible_precisions(wish: str, *, accelerator: str) -> tuple[str, ...]:
    """What ``training.precision`` may come to here: one format, or FP32 and bf16, to be measured on the network.

    bf16 autocast is many times *slower* than fp32 on a CPU without bf16 instructions (docs/lab-notes.md), so that
    ``auto`` considers it only where the hardware has them; and even there depthwise networks lose by it.

    Raises:
        EdgeproofError: ``fp16`` without a GPU.
    """
    if wish == "fp16" and (accelerator == "cpu" or not _has_gpu()):
        raise EdgeproofError(
            "training.precision: given 'fp16' where training runs on a CPU; expected 'auto', 'fp32' or 'bf16'"
        )
    if wish != "auto":
        return (wish,)
    return ("fp32", "bf16") if _has_fast_bf16(accelerator) else ("fp32",)


def _has_fast_bf16(accelerator: str) -> bool:
    import torch

    if accelerator != "cpu" and _has_gpu():
        return bool(torch.cuda.is_bf16_supported())
    return not _BF16_FLAGS.isdisjoint(machine.cpu_flags())


def process_count(settings: TrainingSettings) -> int:
    """How many stages run side by side: one a core on a CPU, one in all on a GPU."""
    if settings.processes:
        return settings.processes
    if settings.accelerator != "cpu" and _has_gpu():
        return 1
    return max(1, machine.usable_threads() // max(1, settings.threads))


def training_threads(settings: TrainingSettings) -> int:
    """Threads of one training: what the recipe says, otherwise the cores shared out among the processes."""
    return settings.threads or max(1, machine.usable_threads() // process_count(settings))


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())
