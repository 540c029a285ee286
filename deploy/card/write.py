"""Write an artifact's card."""

from pathlib import Path

from deploy.artifact import Manifest, read_manifest
from deploy.card.evidence import Evidence
from deploy.card.head import head
from deploy.card.sections import all_sections, summary, title
from distill.files import write_text
from distill.page.markdown import escape, render

CARD = "README.md"
_UNMEASURED = Evidence()


def card(manifest: Manifest, evidence: Evidence = _UNMEASURED) -> str:
    """The whole card, Markdown under a YAML head.

    Args:
        manifest: of the artifact.
        evidence: what was measured of it; without it the card says that nothing was.
    """
    opening = [f"# {escape(title(manifest))}", "", escape(summary(manifest))]
    body = render(all_sections(manifest, evidence), folder="plots")
    return head(manifest, evidence.results) + "\n" + "\n".join(opening) + "\n" + body.rstrip() + "\n"


def write_card(folder: Path, evidence: Evidence = _UNMEASURED) -> None:
    """Write ``README.md`` into an artifact's folder. It is text about the artifact: the manifest names no hash of it.

    Raises:
        EdgeproofError: ``folder`` is no artifact.
    """
    write_text(folder / CARD, card(read_manifest(folder), evidence))
