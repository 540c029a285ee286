"""The report as Markdown, short enough for a pull request: verdict, the one table, gates; the rest folds."""

from collections.abc import Sequence

from bench.report.verdict import Verdict
from distill.page import markdown
from distill.page.blocks import Check, Section, Table
from distill.page.markdown import escape


def render(*, title: str, verdict: Verdict, table: Table | None, sections: Sequence[Section]) -> str:
    """The whole document; ``sections`` are those after the opening."""
    lines = [f"# {escape(verdict.headline)}"]
    lines += [f"- **{escape(label)}.** {escape(text)}" for label, text in verdict.points]
    lines += [f"- **{escape(text)}**" for text in verdict.few]
    lines += ["", f"_{escape(title)}_"]
    if table:
        lines.append(markdown.render([Section("", [table])], folder="plots"))
    lines += ["", *markdown.checks(Check(gate.name, gate.passed, gate.detail) for gate in verdict.gates)]
    lines += ["", *(f"> {escape(caution)}  " for caution in verdict.cautions)]
    return "\n".join([*lines, markdown.render(sections, folder="plots")]).rstrip() + "\n"
