"""Lay out an artifact as a folder that the Hugging Face hub takes as it is. Torch-free; nothing is sent anywhere."""

import shutil
from pathlib import Path
from typing import Literal

from deploy.artifact import MANIFEST_NAME, Manifest, verify
from deploy.card import CARD, card
from deploy.card.head import with_license
from deploy.signature import signature_file
from distill.files import atomic_folder, write_text
from distill.record import Record

CONFIG, ATTRIBUTES = "config.json", ".gitattributes"
_TEXTS = frozenset({".json", ".xml", ".md"})  # the rest goes to large-file storage


class HubConfig(Record):
    """``config.json``: by its downloads the hub counts those of the model, and its labels are what the hub looks for.

    Everything in it stands in ``manifest.json`` too, which is what the runtime reads.
    """

    model_type: Literal["edgeproof"] = "edgeproof"
    image_size: int
    threshold: float | None
    id2label: dict[str, str]
    label2id: dict[str, int]


def write_hub_folder(artifact: Path, *, out: Path, license_id: str | None = None) -> None:
    """Write an artifact's files with a card, a ``config.json`` and a ``.gitattributes``; ``Detector`` loads the folder too.

    Args:
        artifact: its folder. The card is its ``README.md``; one without gets a card that says nothing was measured.
        out: a new or empty folder.
        license_id: as the hub spells it; None leaves what the card says.

    Raises:
        EdgeproofError: a damaged artifact, a wrong license, or ``out`` holds something.
    """
    manifest = verify(artifact)
    text = (artifact / CARD).read_text(encoding="utf-8") if (artifact / CARD).is_file() else card(manifest)
    if license_id is not None:
        text = with_license(text, license_id)
    with atomic_folder(out) as fresh:
        signature = signature_file(artifact / MANIFEST_NAME)
        signed = (signature.name,) if signature.is_file() else ()  # of the manifest, which is the same here
        for name in (*manifest.files, MANIFEST_NAME, *signed):
            shutil.copyfile(artifact / name, fresh / name)
        write_text(fresh / CARD, text)
        _config(manifest).write(fresh / CONFIG)
        write_text(fresh / ATTRIBUTES, _attributes(manifest))


def _config(manifest: Manifest) -> HubConfig:
    return HubConfig(
        image_size=manifest.preprocess.size,
        threshold=manifest.threshold,
        id2label={str(number): label for number, label in enumerate(manifest.labels)},
        label2id={label: number for number, label in enumerate(manifest.labels)},
    )


def _attributes(manifest: Manifest) -> str:
    """Git's large-file storage for everything binary: the hub refuses some of it otherwise."""
    kinds = sorted({Path(name).suffix or name for name in manifest.files} - _TEXTS)
    patterns = (f"*{kind}" if kind.startswith(".") else kind for kind in kinds)
    return "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in patterns)
