"""The report as Markdown (GitHub's dialect)."""

import re
from collections.abc import Iterable, Iterator

from bench.report.blocks import Block, Code, Gallery, Section, Table, Terms, Text
from bench.report.verdict import Verdict

_MARKUP = re.compile(r"[\\|*`<>~]|(?<!\w)_|_(?!\w)|](?=[(\[:])|&(?=#|\w+;)")
_MARKS = {True: "passed", False: "**FAILED**", None: "not run"}


def escape(text: str) -> str:
    """One line of literal text; underscores inside words and brackets that open no link stay as they are."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def render(*, title: str, verdict: Verdict, sections: Iterable[Section]) -> str:
    """The whole document; the verdict stands in the first lines."""
    lines = [f"# {escape(verdict.headline)}"]
    lines += [f"- **{escape(label)}.** {escape(text)}" for label, text in verdict.points]
    lines += ["", f"_{escape(title)}_", ""]
    lines += [f"- {escape(g.name)}: {_MARKS[g.passed]}. {escape(g.detail)}" for g in verdict.gates]
    lines += ["", *(f"> {escape(caution)}  " for caution in verdict.cautions)]
    for section in sections:
        lines += ["", f"## {escape(section.title)}"]
        for block in section.blocks:
            lines += ["", *_block(block)]
    return "\n".join(lines).rstrip() + "\n"


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Table):
        yield from table(block)
    elif isinstance(block, Text):
        yield escape(block.text)
    elif isinstance(block, Terms):
        yield from (f"- **{escape(term)}**: {escape(meaning)}" for term, meaning in block.items)
    elif isinstance(block, Gallery):
        yield from (f"![{escape(p.alt)}](plots/{p.name}.png)" for p in block.pictures)
    else:
        yield from _code(block)


def table(block: Table) -> Iterator[str]:
    """A pipe table with its title above and its note below."""
    yield f"**{escape(block.title)}**"
    yield ""
    yield _row(column.title for column in block.columns)
    yield "|" + "|".join("---:" if column.right else "---" for column in block.columns) + "|"
    for index, cells in enumerate(block.rows):
        texts = [escape(cell) for cell in cells]
        yield "| " + " | ".join(f"**{t}**" if index in block.strong and t else t for t in texts) + " |"
    if block.note:
        yield ""
        yield escape(block.note)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(escape(cell) for cell in cells) + " |"


def _code(block: Code) -> Iterator[str]:
    runs = [len(run) for run in re.findall(r"`{3,}", block.text)]
    fence = "`" * (max(runs, default=2) + 1)
    if block.summary:
        yield from ("<details>", f"<summary>{escape(block.summary)}</summary>", "")
    yield from (fence, block.text.rstrip("\n"), fence)
    if block.summary:
        yield from ("", "</details>")
