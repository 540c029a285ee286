"""Images, each with the maps of every model that is asked. Torch-free."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from deploy.explain.picture import Panel, sheet
from deploy.explain.record import Explained, Looked
from deploy.explain.subject import Subject, View
from deploy.inputs import as_rgb
from distill.data.samples import Dataset, Sample
from distill.data.storage import open_binary
from distill.files import write_bytes
from distill.preprocess import Pixels, open_picture, read_image

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Shown:
    """An image to explain: RGB, and the mask of what was altered in it where that is known."""

    name: str
    open: Callable[[int], Image.Image]  # smallest side that a decoder must keep → RGB
    mask: Path | None = None

    def seen_by(self, subject: Subject) -> Pixels:
        """As the model sees it, uint8 ``[S, S, 3]``: of ``tiles`` the one that speaks most for *generated*."""
        spec = subject.spec
        return subject.strongest_crop(spec.apply(self.open(spec.smallest_decoded)))

    def mask_for(self, subject: Subject) -> Pixels | None:
        """The mask uint8 ``[S, S]``, cut as the image is; None of ``tiles``, and without one."""
        if self.mask is None or subject.spec.policy == "tiles":
            return None
        with open_picture(self.mask) as mask:
            found: Pixels = subject.spec.apply(mask.convert("RGB"))[0][..., 0]
        return found


def photo(path: Path) -> Shown:
    """A photo; raises :class:`EdgeproofError` when it is opened and cannot be read."""
    return Shown(str(path), lambda smallest: read_image(path, smallest=smallest))


def image_of(dataset: Dataset, sample: Sample) -> Shown:
    """An image of a data set, with its mask."""

    def decoded(smallest: int) -> Image.Image:
        with open_binary(dataset.root, sample) as file:
            return as_rgb(file.read(), smallest=smallest, name=sample.path)

    return Shown(sample.path, decoded, dataset.root / sample.mask if sample.mask else None)


def explain_images(
    views: Sequence[View], images: Sequence[Shown], *, out: Path | None, progress: Progress
) -> list[Explained]:
    """Explain each image by every view.

    Args:
        views: models and methods, see :func:`deploy.explain.subject.views_of`.
        images: what is explained.
        out: folder for a PNG each, the image and all maps side by side; none are drawn without one.
        progress: told after each.

    Raises:
        EdgeproofError: an image that cannot be read.
    """
    found = []
    for number, image in enumerate(images):
        looked, panels = zip(*_looked(views, image), strict=True)
        name = f"{number:03}-{Path(image.name).stem}.png" if out else ""
        if out:
            first = views[0].subject
            plain = Panel(panels[0].pixels, (Path(image.name).name[:40],), mask=image.mask_for(first))
            write_bytes(out / name, sheet([plain, *panels]))
        found.append(Explained(image=image.name, maps=looked, picture=name))
        progress(number + 1, len(images))
    return found


def _looked(views: Sequence[View], image: Shown) -> Iterator[tuple[Looked, Panel]]:
    seen: dict[str, Pixels] = {}
    for view in views:
        subject = view.subject
        if subject.name not in seen:
            seen[subject.name] = image.seen_by(subject)
        pixels = seen[subject.name]
        heat = subject.map_of(pixels, method=view.method)
        answer, probability = subject.answer(pixels)
        box = subject.box(pixels) if subject.box else None
        y, x = np.unravel_index(int(np.argmax(heat)), heat.shape)
        yield (
            Looked(
                model=subject.name, form=subject.form, method=view.method, answer=answer, probability=probability,
                peak=(int(x), int(y)), strongest=float(heat.max()), box=box.corners if box else None,
                box_confidence=box.confidence if box else None,
            ),
            Panel(
                pixels, (f"{subject.name} · {view.method}", f"{answer} {probability:.3f}"), heat,
                image.mask_for(subject), box,
            ),
        )  # fmt: skip
