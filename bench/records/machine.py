"""The machine that a record was made on. Torch-free."""

from typing import Self

from distill import machine
from distill.record import Frozen


class Machine(Frozen):
    """What :func:`distill.machine.describe` says.

    ``steal_share`` is the share of the CPU time wanted while timing that the hypervisor gave to somebody else; None
    where nothing was timed or the OS does not tell.
    """

    cpu_model: str
    isa_flags: tuple[str, ...]
    cores: int | None
    threads: int | None
    has_int8_dot: bool
    has_bf16: bool
    usable_threads: int
    governor: str | None
    memory_gib: float | None
    os: str
    python: str
    versions: dict[str, str]
    steal_share: float | None = None

    @classmethod
    def here(cls, *, steal_share: float | None = None) -> Self:
        """Describe the machine that asks."""
        return cls(**machine.describe(), steal_share=steal_share)
