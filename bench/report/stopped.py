"""A run that its data stopped: the cause and the next step, and nothing of what never ran."""

from collections.abc import Iterator

from bench.report.data import RunData
from distill.data.audit.advice import accepting, together
from distill.page.formats import listing


def stopped_by_audit(run: RunData) -> bool:
    """Whether the audit failed and nothing was trained."""
    return run.audit is not None and not run.audit.passed and run.accuracy is None


def stopped_reason(run: RunData) -> str:
    """What the headline says of it."""
    return f"the data audit failed ({listing(_names(run))}), so nothing was trained"


def stopped_points(run: RunData) -> Iterator[tuple[str, str]]:
    """What to do, each step once; then every failed check with what was found, and an example."""
    failed = run.audit.failed if run.audit else ()
    yield "What to do", together(check.advice for check in failed)
    for check in failed:
        example = "".join(f" Such as {first} and {second}." for first, second in check.examples[:1])
        yield check.name, f"{check.note}.{example}"
    yield "To accept it", f"{accepting(_names(run))} lets these checks pass, and the report says so."


def _names(run: RunData) -> list[str]:
    return [check.name for check in run.audit.failed] if run.audit else []
