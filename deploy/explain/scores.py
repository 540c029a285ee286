"""Maps of simulated images against the masks of what was altered in them, for several models at once. Torch-free."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deploy.explain.images import Progress, Shown, image_of
from deploy.explain.marks import agreement, energy_inside, pointing_game
from deploy.explain.record import Change, Interval, Scores
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


@dataclass(frozen=True)
class Marks:
    """What every view's map of every image was worth.

    Attributes:
        views: models and methods, ``V`` of them.
        values: ``[N, V, 4]``: peak inside (1 or 0), energy inside, share that the mask covers, agreement with the map of the
            reference by the same method (NaN where there is none).
        groups: scene of each of the ``N`` images.
        reference: name of the model that the others are compared with.
    """

    views: tuple[View, ...]
    values: Floats
    groups: tuple[str, ...]
    reference: str

    def scores(self) -> tuple[Scores, ...]:
        """Every view's mean over images, with intervals over scenes."""
        return tuple(self._scores(place) for place in range(len(self.views)))

    def changes(self, steps: Sequence[tuple[str, str]]) -> tuple[Change, ...]:
        """What each step did, from one model's name to another's, by every method that both offer."""
        return tuple(change for before, after in steps for change in self._changes(before, after))

    def _scores(self, place: int) -> Scores:
        view, (hits, energies, shares, same) = self.views[place], self.values[:, place].T
        compared = bool(np.isfinite(same).all())
        return Scores(
            model=view.subject.name, form=view.subject.form, method=view.method,
            images=len(hits), groups=self._scenes,
            pointing=float(hits.mean()), pointing_ci=self._interval(hits),
            energy=float(energies.mean()), energy_ci=self._interval(energies),
            chance=float(shares.mean()),
            pointing_over_ci=self._interval(hits - shares), energy_over_ci=self._interval(energies - shares),
            agreement=float(same.mean()) if compared else None,
            agreement_ci=self._interval(same) if compared else None,
        )  # fmt: skip

    def _changes(self, before: str, after: str) -> Iterator[Change]:
        places = _places(self.views)
        for method in dict.fromkeys(view.method for view in self.views):
            if (before, method) in places and (after, method) in places:
                old, new = (self.values[:, places[name, method]] for name in (before, after))
                hits, energies = (new - old).T[:2]
                yield Change(
                    before=before, after=after, method=method, images=len(hits), groups=self._scenes,
                    pointing=float(hits.mean()), pointing_ci=self._interval(hits),
                    energy=float(energies.mean()), energy_ci=self._interval(energies),
                )  # fmt: skip

    @property
    def _scenes(self) -> int:
        return count_groups(self.groups, len(self.groups))

    def _interval(self, values: Floats) -> Interval | None:
        return bootstrap_mean(values, self.groups)


def mark_maps(
    views: Sequence[View], dataset: Dataset, *, samples: int, reference: str, progress: Progress
) -> Marks:
    """Hold maps of generated images of which a part was altered against their masks, all views on the same images.

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
    values = np.empty((len(chosen), len(views), 4))
    for number, sample in enumerate(chosen):
        values[number] = _marks_of(views, image_of(dataset, sample), others)
        progress(number + 1, len(chosen))
    groups = tuple(sample.group or sample.path for sample in chosen)
    return Marks(tuple(views), values, groups, reference)


def _places(views: Sequence[View]) -> dict[tuple[str, str], int]:
    """Model and method → where the view stands."""
    return {(view.subject.name, view.method): place for place, view in enumerate(views)}


def _reference_of(views: Sequence[View], view: View, reference: str) -> int | None:
    """The place of the reference's view by the same method; None for the reference itself."""
    if view.subject.name == reference:
        return None
    return _places(views).get((reference, view.method))


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
