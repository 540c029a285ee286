"""A verdict, from records."""

from collections.abc import Callable

from report_fixture import (
    Records,
)

from bench.report.verdict import Verdict

Judged = Callable[[Records], Verdict]
