"""What the audit found: ``audit.json``. Torch-free."""

from distill.record import Frozen, Record


class Check(Frozen):
    """One question to the data; a note has no ``limit``.

    ``accepted`` says that it failed and the recipe lets it pass; ``examples`` are pairs of paths that show it.
    """

    name: str
    value: float
    limit: float | None
    passed: bool
    accepted: bool
    note: str
    examples: tuple[tuple[str, str], ...] = ()


class AuditReport(Record):
    """All checks; ``metadata_auc`` and its interval are those of a classifier that sees metadata alone.

    K classes have none: their check ``metadata`` says it by accuracy.
    """

    passed: bool
    metadata_auc: float | None
    metadata_ci: tuple[float, float] | None
    checks: tuple[Check, ...]
