"""What the audit found: ``audit.json``. Torch-free."""

from distill.record import Frozen, Record


class Check(Frozen):
    """One question to the data; a note has no ``limit``.

    ``accepted`` says that it failed and the recipe lets it pass; ``examples`` are pairs of paths that show it. Where
    ``checked`` is False nothing could be asked, and ``note`` says why; ``advice`` is the next step of one that failed.
    """

    name: str
    value: float
    limit: float | None
    passed: bool
    accepted: bool
    note: str
    examples: tuple[tuple[str, str], ...] = ()
    checked: bool = True
    advice: str = ""


class AuditReport(Record):
    """All checks; ``metadata_auc`` and its interval are those of the classifier in the check ``metadata``.

    K classes have none: their check ``metadata`` says it by accuracy.
    """

    passed: bool
    metadata_auc: float | None
    metadata_ci: tuple[float, float] | None
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """Those that neither passed nor were accepted."""
        return tuple(check for check in self.checks if not check.passed)
