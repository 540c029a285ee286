"""The report as one HTML file: the verdict in the header, the sections below."""

from bench.report.verdict import Verdict
from distill.page import html
from distill.page.blocks import Block, Check, Checks, Page, Points, Section, Terms


def render(*, title: str, verdict: Verdict, sections: list[Section]) -> str:
    """The whole page."""
    opening: list[Block] = [
        Terms(verdict.points),
        Checks([Check(gate.name, gate.passed, gate.detail) for gate in verdict.gates]),
    ]
    if verdict.few:
        opening.insert(0, Points(verdict.few, bad=True))
    if verdict.cautions:
        opening.append(Points(verdict.cautions))
    return html.render(
        Page(
            title=title,
            eyebrow=title,
            headline=verdict.headline,
            status=verdict.status,
            opening=opening,
            sections=sections,
        )
    )
