"""Write the report of a run: ``report.md``, a self-contained ``report.html`` and ``plots/*.png``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.report import html as report_html
from bench.report import markdown as report_markdown
from bench.report import tables
from bench.report.data import load_run
from bench.report.sections import all_sections
from bench.report.verdict import choose, judge
from distill.files import write_bytes, write_text
from distill.page.blocks import Gallery

if TYPE_CHECKING:
    import rich.table


@dataclass(frozen=True)
class ReportPaths:
    """Where the report was written."""

    markdown: Path
    html: Path


def write_report(run: Path) -> ReportPaths:
    """Write ``report.md``, ``report.html`` and ``plots/`` into a run folder, whatever it holds.

    Raises:
        EdgeproofError: the folder does not exist.

    """
    data = load_run(run)
    verdict = judge(data)
    sections = all_sections(data, verdict)
    for section in sections:
        for block in section.blocks:
            for picture in block.pictures if isinstance(block, Gallery) else ():
                write_bytes(run / "plots" / f"{picture.name}.png", picture.png)
    simulated = ", simulated data" if data.simulated else ""
    created = str(data.environment.get("created") or "")[:10]
    title = f"edgeproof report: {data.name}{simulated}{f', {created}' if created else ''}"
    paths = ReportPaths(markdown=run / "report.md", html=run / "report.html")
    write_text(paths.markdown, report_markdown.render(title=title, verdict=verdict, sections=sections))
    write_text(paths.html, report_html.render(title=title, verdict=verdict, sections=sections))
    return paths


def headline_table(run: Path) -> "rich.table.Table":
    """The one table for a terminal.

    Raises:
        EdgeproofError: the folder does not exist.

    """
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text as RichText

    data = load_run(run)
    source = tables.headline(data, chosen=choose(data))
    hidden = {"F1", "p99 ms", "End-to-end p50 ms"}
    titles = {"AUC [95\u00a0% CI]": "AUC", "Precision": "Prec."}
    shown = [i for i, column in enumerate(source.columns) if column.title not in hidden]
    simulated = " (simulated data)" if data.simulated else ""
    out = RichTable(
        title=f"{data.name}{simulated}", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for i in shown:
        column = source.columns[i]
        out.add_column(titles.get(column.title, column.title), justify="right" if column.right else "left")
    for index, cells in enumerate(source.rows):
        texts = [RichText(_terse(cells[i])) for i in shown]
        out.add_row(*texts, style="bold" if index in source.strong else None)
    return out


def _terse(cell: str) -> str:
    """A cell without its interval and in fewer words: terminals are narrow."""
    short = cell.split(" [")[0].replace(", no distillation", " control")
    return "ResNet18 (reference)" if short.startswith("ResNet18 at ") else short
