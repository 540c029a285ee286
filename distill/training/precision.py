"""Which number format and how many processes pay on this machine. Torch is imported only where it is asked."""

from typing import Literal

from distill import machine
from distill.recipe import TrainingSettings

LightningPrecision = Literal["32-true", "bf16-mixed"]
_BF16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})  # nobody measured a training in Arm's bf16


def choose_precision(wish: str, *, accelerator: str) -> LightningPrecision:
    """Lightning's name for ``auto``, ``fp32`` or ``bf16``.

    bf16 autocast is many times *slower* than fp32 on a CPU without bf16 instructions (docs/lab-notes.md), so
    ``auto`` takes it only where the hardware has it.
    """
    if wish == "auto":
        wish = "bf16" if _has_fast_bf16(accelerator) else "fp32"
    return "bf16-mixed" if wish == "bf16" else "32-true"


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
