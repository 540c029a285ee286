"""The report as one HTML file: the verdict and three numbers in the header, the sections below."""

from collections.abc import Sequence

from bench.report.verdict import Verdict
from distill.page import html
from distill.page.blocks import Numbers, Page, Section


def render(*, title: str, verdict: Verdict, numbers: Numbers | None, sections: Sequence[Section]) -> str:
    """The whole page."""
    return html.render(
        Page(
            title=title,
            eyebrow=title,
            headline=verdict.headline,
            status=verdict.status,
            opening=[numbers] if numbers else [],
            sections=sections,
            sortable=True,
        )
    )
