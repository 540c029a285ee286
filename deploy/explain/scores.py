"""Maps of simulated images against the masks of what was altered in them, for several models at once. Torch-free."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from deploy.explain.images import Progress, Shown, image_of
from deploy.explain.marks import agreement, energy_inside, pointing_game
from deploy.explain.record import Scores
from deploy.explain.subject import View
from distill.data.samples import Dataset, Sample
from distill.errors import EdgeproofError
from distill.evaluation.statistics import bootstrap_mean, count_groups

_MASKED = ("test", "heldout", "valid")
Floats = npt.NDArray[np.float64]


def masked_samples(dataset: Dataset, *, most: int) -> list[Sample]:
    """Images that were not trained on and have a mask, at most so many, drawn evenly over all of them."""
    masked = [sample for sample in dataset.split(*_MASKED) if sample.mask]
    rows = np.random.default_rng(0).permutation(len(masked))[:most]
    return [masked[row] for row in sorted(rows)]


def score_maps(
    views: Sequence[View], dataset: Dataset, *, samples: int, reference: str, progress: Progress
) -> list[Scores]:
    """Score maps of generated images of which a part was altered against their masks, all views on the same images.

    Args:
        views: models and methods.
        dataset: with masks.
        samples: how many images at most.
        reference: name of the model that the others are compared with, method by method.
        progress: told after each image.

    Raises:
        EdgeproofError: no image that was not trained on has a mask, or a model that sees only tiles of an image.
    """
    chosen = masked_samples(dataset, most=samples)
    if not chosen:
        raise EdgeproofError(
            f"{dataset.root}: found no image with a mask outside of training, expected a simulated set with the family blend"
        )
    for view in views:
        if view.subject.spec.policy == "tiles":
            raise EdgeproofError(
                f"{view.subject.name}: its policy is tiles, and masks are of whole images; expected resize or center_crop"
            )
    others = [_reference_of(views, view, reference) for view in views]
    marks = np.empty(
        (len(chosen), len(views), 4)
    )  # hit, energy, mask's share, agreement with the reference's map
    for number, sample in enumerate(chosen):
        marks[number] = _marks_of(views, image_of(dataset, sample), others)
        progress(number + 1, len(chosen))
    groups = [sample.group or sample.path for sample in chosen]
    return [
        _scores(view, marks[:, place], None if other is None else marks[:, other], groups)
        for place, (view, other) in enumerate(zip(views, others, strict=True))
    ]


def _reference_of(views: Sequence[View], view: View, reference: str) -> int | None:
    """The place of the reference's view by the same method; None for the reference itself."""
    if view.subject.name == reference:
        return None
    places = {(other.subject.name, other.method): place for place, other in enumerate(views)}
    return places.get((reference, view.method))


def _marks_of(views: Sequence[View], image: Shown, others: Sequence[int | None]) -> Floats:
    """One image's row: ``[views, 4]``; the agreement is NaN where there is nothing to agree with."""
    crops = {view.subject.name: image.seen_by(view.subject) for view in views}
    maps = [view.subject.map_of(crops[view.subject.name], method=view.method) for view in views]
    found = np.full((len(views), 4), np.nan)
    for place, (view, heat, other) in enumerate(zip(views, maps, others, strict=True)):
        mask = image.mask_for(view.subject)
        if mask is None:
            raise EdgeproofError(f"{image.name}: found no mask, expected an image of masked_samples")
        found[place, :3] = pointing_game(heat, mask), energy_inside(heat, mask), (mask > 127).mean()
        if other is not None and maps[other].shape == heat.shape:
            found[place, 3] = agreement(heat, maps[other])
    return found


def _scores(view: View, own: Floats, other: Floats | None, groups: list[str]) -> Scores:
    hits, energies, shares, same = own.T
    gains = None if other is None else hits - other[:, 0]
    return Scores(
        model=view.subject.name, form=view.subject.form, method=view.method,
        images=len(hits), groups=count_groups(groups, len(groups)),
        pointing=float(hits.mean()), pointing_ci=bootstrap_mean(hits, groups),
        energy=float(energies.mean()), energy_ci=bootstrap_mean(energies, groups),
        chance=float(shares.mean()),
        agreement=float(same.mean()) if np.isfinite(same).all() else None,
        gain=None if gains is None else float(gains.mean()),
        gain_ci=None if gains is None else bootstrap_mean(gains, groups),
    )  # fmt: skip
