"""ForenSynths, UnivFD and WildRF: ``[train|val|test/]<generator>/[class/]{0_real,1_fake}/...``.

The polarity comes from the names of the class folders: ``0_real`` is real, ``1_fake`` is generated. No groups.

The level of the object's class (cat, horse, ...) is optional, and so is the generator below a split: WildRF has
``train/0_real`` and ``test/facebook/0_real``. ForenSynths itself has ``train/<class>/0_real``, all of it ProGAN.
One of the classes is called *train*, which is then no split.
"""

from pathlib import Path

from distill.data.layouts.vocabulary import UNNAMED, label_of, split_of
from distill.data.layouts.walk import assemble, glance, list_images, subfolders
from distill.data.samples import GENERATED, Dataset, Sample

WORDS = frozenset({"0_real", "1_fake"})
PROGAN_CLASSES = frozenset(
    "airplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant "
    "sheep sofa train tvmonitor".split()
)
"""The folders below ForenSynths' ``train`` and ``val``: classes of LSUN, not generators."""


def matches(root: Path) -> bool:
    """Whether ``0_real`` or ``1_fake`` stands below a generator's folder, directly or one level deeper."""
    folders = subfolders(root)
    splits = [folder for folder in folders if split_of(folder.name)]
    generators = [folder for folder in folders if folder not in splits]
    return any(map(_is_generator, [*generators, *(inner for split in splits for inner in glance(split))]))


def load(root: Path) -> Dataset:
    """List the images without opening them.

    Raises:
        EdgeproofError: there is no image at all.
    """
    names = {folder.name.lower() for folder in subfolders(root)}
    train_is_a_class = len(names & PROGAN_CLASSES) > 1  # the root is one generator's folder

    def describe(path: str, parts: tuple[str, ...]) -> Sample | str:
        split = None if train_is_a_class and parts[0].lower() == "train" else split_of(parts[0])
        return _describe(path, split=split or "", folders=parts[1:-1] if split else parts[:-1])

    return assemble(root, list_images(root), layout="forensynths", describe=describe)


def _is_generator(folder: Path) -> bool:
    if label_of(folder.name) is not None:
        return False
    inner = glance(folder)
    deeper = (path for child in inner if label_of(child.name) is None for path in glance(child))
    return any(label_of(path.name, among=WORDS) is not None for path in (*inner, *deeper))


def _describe(path: str, *, split: str, folders: tuple[str, ...]) -> Sample | str:
    for depth, name in enumerate(folders[:3]):
        label = label_of(name, among=WORDS)
        if label is not None:
            generator = _generator(split, folders[:depth]) if label == GENERATED else ""
            return Sample(path=path, label=label, split=split, generator=generator, group=path)
    return "in no class folder, expected [train|val|test/]<generator>/[class/]0_real or 1_fake"


def _generator(split: str, above: tuple[str, ...]) -> str:
    if not above:
        return UNNAMED
    is_class = len(above) == 1 and split in ("train", "valid") and above[0].lower() in PROGAN_CLASSES
    return "progan" if is_class else above[0]
