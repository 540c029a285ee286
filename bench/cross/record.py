"""The matrix of generators: ``cross.json``. Torch-free."""

from typing import Literal

from distill.record import Frozen, Record

CROSS = "cross.json"
Kind = Literal["only", "all but", "all"]


class Cell(Frozen):
    """AUC of one generator's test images against all real ones, and its 95 % interval over groups (scenes)."""

    generator: str
    seen: bool
    n: int
    auc: float | None
    auc_ci: tuple[float, float] | None


class RowOf(Frozen):
    """One model that learned from some generators, which ``learned`` names; ``groups`` (scenes) stand behind its intervals."""

    model: str
    kind: Kind
    learned: tuple[str, ...]
    groups: int
    cells: tuple[Cell, ...]

    @property
    def title(self) -> str:
        """``only vae8``, ``all but vae8``, ``all``."""
        if self.kind == "all":
            return "all"
        unseen = [cell.generator for cell in self.cells if not cell.seen]
        return f"only {self.learned[0]}" if self.kind == "only" else f"all but {', '.join(unseen)}"


class Unseen(Frozen):
    """Of one model and kind: AUC on generators that were not learned from, over all rows; worst and its pair."""

    model: str
    kind: Kind
    mean: float
    spread: float
    worst: float
    worst_learned: str
    worst_tested: str


class CrossRecord(Record):
    """All rows. ``teacher_knows`` tells where a finished teacher learned."""

    recipe: str
    simulated: bool
    student: str
    seed: int
    generators: tuple[str, ...]
    teacher_knows: str | None = None
    rows: tuple[RowOf, ...]
    unseen: tuple[Unseen, ...]
