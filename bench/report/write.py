"""Write the report of a run (``report.md``, ``report.html``, ``gates.xml``, ``plots/*.png``), or of several beside each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.report import html as report_html
from bench.report import markdown as report_markdown
from bench.report.comparison import compare_runs, headline, sections
from bench.report.data import RunData, load_run
from bench.report.junit import junit
from bench.report.opening import numbers, one_table
from bench.report.sections import all_sections
from bench.report.verdict import judge
from distill.files import write_bytes, write_text
from distill.page import html, markdown
from distill.page.blocks import Gallery, Page, Section, pictures_in
from distill.page.formats import of_data


@dataclass(frozen=True)
class ReportPaths:
    """Where the report was written."""

    markdown: Path
    html: Path


def write_comparison(folders: Sequence[Path], out: Path) -> ReportPaths:
    """Write ``comparison.md`` and ``comparison.html`` of several runs into a folder.

    Raises:
        EdgeproofError: a run folder does not exist.
    """
    found = compare_runs(folders)
    title = f"edgeproof: {len(found)} runs beside each other"
    paths = ReportPaths(markdown=out / "comparison.md", html=out / "comparison.html")
    parts, told = sections(found), headline(found)
    text = (
        f"# {markdown.escape(told)}\n\n_{markdown.escape(title)}_\n{markdown.render(parts, folder='plots')}"
    )
    write_text(paths.markdown, text.rstrip() + "\n")
    page = Page(title=title, eyebrow=title, headline=told, sections=parts, sortable=True)
    write_text(paths.html, html.render(page))
    return paths


def write_report(run: Path) -> ReportPaths:
    """Write ``report.md``, ``report.html``, ``gates.xml`` and ``plots/`` into a run folder, whatever it holds.

    Raises:
        EdgeproofError: the folder does not exist.

    """
    data = load_run(run)
    verdict = judge(data)
    first, *others = all_sections(data, verdict)
    for picture in pictures_in([block for section in (first, *others) for block in section.blocks]):
        if picture.name:
            write_bytes(run / "plots" / f"{picture.name}.png", picture.png)
    title, paths = title_of(data), ReportPaths(markdown=run / "report.md", html=run / "report.html")
    text = report_markdown.render(
        title=title, verdict=verdict, table=one_table(data, verdict), sections=[*_drawn(first), *others]
    )
    write_text(paths.markdown, text)
    figures = numbers(data, verdict.chosen)
    page = report_html.render(title=title, verdict=verdict, numbers=figures, sections=[first, *others])
    write_text(paths.html, page)
    write_text(run / "gates.xml", junit(data))
    return paths


def title_of(run: RunData) -> str:
    """The run's name, what its data are, and when it was made."""
    created = run.environment.created[:10] if run.environment else ""
    return (
        f"edgeproof report: {of_data(run.name, simulated=run.simulated)}{f', {created}' if created else ''}"
    )


def _drawn(opening: Section) -> list[Section]:
    """The opening's pictures as a section of their own."""
    found = tuple(pictures_in(opening.blocks))
    return [Section("Accuracy against latency", [Gallery(found)], folded=True)] if found else []
