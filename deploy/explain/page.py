"""Explanations as one page. Torch-free."""

from collections.abc import Sequence
from pathlib import Path

from deploy.explain.record import Change, Explained, ExplainRecord, Looked, Scores
from distill.page.blocks import Block, Gallery, Page, Picture, Points, Section, Table, Terms, columns
from distill.page.formats import fixed, with_interval

_WORDS = {
    "occlusion": "One square after the other is hidden. Red speaks for the answer: hiding it lowers it. Blue speaks against it.",
    "rise": "Random halves are hidden. Red: the answer is likelier where it is shown; blue: less likely.",
    "gradcam": "Feature maps of the network, weighed by how much the answer follows them. Red speaks for it.",
    "gradcam++": "As gradcam, with weights that do not let one large place hide several small ones.",
    "hirescam": "Feature maps of the network, weighed place by place by how the answer follows them. Red speaks for it.",
    "xgradcam": "As gradcam, with weights that add up to the answer.",
    "layercam": "As gradcam, from the places whose growth would raise the answer.",
    "eigengradcam": "The main direction of the weighed feature maps.",
    "attention": "The network's own spatial attention (CBAM): where it looks, whatever it answers.",
}


def page_of(record: ExplainRecord, *, folder: Path) -> Page:
    """Scores in a table, and every picture with its answers; ``folder`` holds them."""
    names = ", ".join(record.models)
    opening: list[Block] = [Terms([(method, _WORDS[method]) for method in _methods(record)])]
    if record.cautions:
        opening.append(Points(record.cautions, bad=True))
    sections = []
    if record.scores:
        sections.append(Section("Against what was altered", tables(record)))
    if shown := [image for image in record.images if image.picture]:
        blocks = [Gallery((_picture(image, folder),)) for image in shown]
        sections.append(Section("Images", blocks))
    one = len(record.models) == 1
    return Page(
        title=f"{names}: what the answer hangs on",
        eyebrow=f"Explanation · {', '.join(_methods(record))}",
        headline=f"What {names} looks at" if one else f"What {len(record.models)} models look at",
        opening=opening,
        sections=sections,
    )


def tables(record: ExplainRecord) -> list[Table]:
    """Every model's scores, and what each step from one to another changed."""
    return [table(record), *([changes_table(record.changes)] if record.changes else [])]


def changes_table(changes: Sequence[Change]) -> Table:
    """What each step did to the maps, paired by image, and whether that is shown."""
    first = changes[0]
    titles = ("before", "after", "method", "peak inside", "energy inside", "shown")
    rows = tuple(
        (
            change.before, change.after, change.method,
            with_interval(change.pointing, change.pointing_ci, sign=True),
            with_interval(change.energy, change.energy_ci, sign=True), _shown(change),
        )
        for change in changes
    )  # fmt: skip
    return Table(
        title=f"What each step changed, on the same {first.images} images of {first.groups} scenes",
        columns=columns(*titles, left=3),
        rows=rows,
        note="After minus before, paired by image. Brackets: 95 % intervals over scenes; where one holds 0, a change is not "
        "shown.",
    )


def _shown(change: Change) -> str:
    """Which of the two changes lies beyond the noise, in words."""
    if change.pointing_ci is None or change.energy_ci is None:
        return "too few scenes"
    found = [
        more if low > 0 else less
        for (low, high), more, less in (
            (change.pointing_ci, "hits more", "hits fewer"),
            (change.energy_ci, "more energy inside", "less energy inside"),
        )
        if low > 0 or high < 0
    ]
    return ", ".join(found) or "no change shown"


def table(record: ExplainRecord) -> Table:
    """Every model and method against the masks."""
    first = record.scores[0]
    several = len(record.models) > 1
    more = (f"agrees with {record.reference}",) if several else ()
    return Table(
        title=f"Maps of {first.images} simulated images of {first.groups} scenes",
        columns=columns("model", "form", "method", "peak inside", "energy inside", "chance", "better", *more, left=3),
        rows=tuple(_row(scores, several=several) for scores in record.scores),
        note="Peak inside: share of the images whose map is strongest inside what was altered; chance: what a random place would "
        "hit, and a flat map's energy inside; better: which of the two is shown to be above it. "
        "Brackets: 95 % intervals over scenes."
        + (" Agreement: mean correlation of two maps of an image by the same method." if several else ""),
        strong=frozenset(
            number for number, scores in enumerate(record.scores) if several and scores.model == record.reference
        ),
    )  # fmt: skip


def _row(scores: Scores, *, several: bool) -> tuple[str, ...]:
    more = (with_interval(scores.agreement, scores.agreement_ci),)
    return (
        scores.model, scores.form, scores.method, with_interval(scores.pointing, scores.pointing_ci),
        with_interval(scores.energy, scores.energy_ci), fixed(scores.chance), _better(scores),
        *(more if several else ()),
    )  # fmt: skip


def _better(scores: Scores) -> str:
    """What is above chance, in words."""
    if scores.beats_chance is None:
        return "too few scenes"
    shown = {"peak": scores.beats_chance, "energy": scores.concentrates}
    return ", ".join(what for what, better in shown.items() if better) or "not shown"


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


def said(look: Looked) -> str:
    """One map in a line."""
    face = ""
    if look.box is not None:
        corners = ", ".join(f"{value:.0f}" for value in look.box)
        face = f"; face at {corners} (confidence {fixed(look.box_confidence, 2)})"
    return (
        f"{look.model}, {look.form}, {look.method}: {look.answer} ({fixed(look.probability)}), strongest at "
        f"{look.peak[0]}, {look.peak[1]}{face}"
    )


def _methods(record: ExplainRecord) -> Sequence[str]:
    looked = [look.method for image in record.images for look in image.maps]
    return list(dict.fromkeys([*looked, *(scores.method for scores in record.scores)]))


def _picture(image: Explained, folder: Path) -> Picture:
    text = " · ".join(map(said, image.maps))
    return Picture(
        png=(folder / image.picture).read_bytes(),
        alt=f"{image.image}: {text}",
        title=Path(image.image).name,
        text=text,
    )
