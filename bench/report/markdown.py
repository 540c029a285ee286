"""The report as Markdown, short enough for a pull request: verdict, the one table, gates; the rest folds, as far as it fits."""

from collections.abc import Sequence

from bench.report.verdict import Verdict
from distill.page import markdown
from distill.page.blocks import Check, Section, Table
from distill.page.markdown import escape

LONGEST = 64_000
"""Characters: GitHub takes 65,536 in a comment."""


def render(*, title: str, verdict: Verdict, table: Table | None, sections: Sequence[Section]) -> str:
    """The whole document; ``sections`` are those after the opening, of which the longest are left out where all are too long."""
    lines = [f"# {escape(verdict.headline)}"]
    lines += [f"- **{escape(label)}.** {escape(text)}" for label, text in verdict.points]
    lines += [f"- **{escape(text)}**" for text in verdict.few]
    lines += ["", f"_{escape(title)}_"]
    if table:
        lines.append(markdown.render([Section("", [table])], folder="plots"))
    lines += ["", *markdown.checks(Check(gate.name, gate.passed, gate.detail) for gate in verdict.gates)]
    lines += ["", *(f"> {escape(caution)}  " for caution in verdict.cautions)]
    first = "\n".join(lines)
    return "\n".join([first, *_fitting(sections, room=LONGEST - len(first))]).rstrip() + "\n"


def _fitting(sections: Sequence[Section], *, room: int) -> list[str]:
    """The sections' texts, the longest left out until the others fit, and a line that names those."""
    texts = {section.title: markdown.render([section], folder="plots") for section in sections}
    left: list[str] = []
    while texts and sum(map(len, texts.values())) > room:
        longest = max(texts, key=lambda title: len(texts[title]))
        left.append(longest)
        del texts[longest]
    told = ", ".join(f"“{escape(section.title)}”" for section in sections if section.title in left)
    return [*texts.values(), *([f"\nToo long for this file, and in report.html: {told}."] if left else [])]
