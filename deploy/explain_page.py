"""Explanations as one page. Torch-free."""

from pathlib import Path

from deploy.explain_record import ExplainRecord, Scores
from distill.page.blocks import Block, Gallery, Page, Picture, Points, Section, Text
from distill.page.formats import fixed, with_interval

_WORDS = {
    "occlusion": "A place is red where it speaks for generated (hiding it lowers that), and blue where it speaks for real.",
    "rise": "A place is red where generated is likelier with it than without it, over random masks, and blue where less likely.",
}


def page_of(record: ExplainRecord, *, folder: Path) -> Page:
    """Every picture with its answer; ``folder`` holds them."""
    opening: list[Block] = [Text(_WORDS[record.method])]
    if record.scores:
        opening.append(Text(told(record.scores)))
    if record.cautions:
        opening.append(Points(record.cautions, bad=True))
    pictures = tuple(
        Picture(
            png=(folder / found.picture).read_bytes(),
            alt=f"{found.image}: {found.answer}; the map is strongest at {found.peak[0]}, {found.peak[1]}",
            title=Path(found.image).name,
            text=f"{found.answer}, probability of generated {fixed(found.probability)}",
        )
        for found in record.images
        if found.picture
    )
    sections = [Section("Images", [Gallery(pictures)])] if pictures else []
    return Page(
        title=f"{record.artifact}: what the answer hangs on",
        eyebrow=f"Explanation · {record.artifact} · {record.precision} · {record.runtime} · {record.method}",
        headline=f"What {record.artifact} looks at",
        opening=opening,
        sections=sections,
    )


def told(scores: Scores) -> str:
    """The scores in a sentence."""
    verdict = {
        True: "better than chance",
        False: "not shown to be better than chance",
        None: "too few scenes for a verdict",
    }
    hits = with_interval(scores.pointing, scores.pointing_ci)
    return (
        f"On {scores.images} simulated images of {scores.groups} scenes the map's peak lies inside what was altered in {hits} of "
        f"them (chance {scores.chance:.3f}: {verdict[scores.beats_chance]}), and "
        f"{with_interval(scores.energy, scores.energy_ci)} of its energy."
    )
