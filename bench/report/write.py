"""Write the report of a run: ``report.md``, a self-contained ``report.html`` and ``plots/*.png``."""

from dataclasses import dataclass
from pathlib import Path

from bench.report import html as report_html
from bench.report import markdown as report_markdown
from bench.report.data import load_run
from bench.report.sections import all_sections
from bench.report.verdict import judge
from distill.files import write_bytes, write_text
from distill.page.blocks import Gallery


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
    created = data.environment.created[:10] if data.environment else ""
    title = f"edgeproof report: {data.name}{simulated}{f', {created}' if created else ''}"
    paths = ReportPaths(markdown=run / "report.md", html=run / "report.html")
    write_text(paths.markdown, report_markdown.render(title=title, verdict=verdict, sections=sections))
    write_text(paths.html, report_html.render(title=title, verdict=verdict, sections=sections))
    return paths
