"""The report as Markdown: the verdict in the first lines, the sections below."""

from collections.abc import Sequence

from bench.report.verdict import Verdict
from distill.page import markdown
from distill.page.blocks import Check, Section
from distill.page.markdown import escape


def render(*, title: str, verdict: Verdict, sections: Sequence[Section]) -> str:
    """The whole document."""
    lines = [f"# {escape(verdict.headline)}"]
    lines += [f"- **{escape(label)}.** {escape(text)}" for label, text in verdict.points]
    lines += [f"- **{escape(text)}**" for text in verdict.few]
    lines += ["", f"_{escape(title)}_", ""]
    lines += markdown.checks(Check(gate.name, gate.passed, gate.detail) for gate in verdict.gates)
    lines += ["", *(f"> {escape(caution)}  " for caution in verdict.cautions)]
    return "\n".join([*lines, markdown.render(sections, folder="plots")]).rstrip() + "\n"
