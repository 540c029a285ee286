"""What a file says of its own origin: C2PA content credentials and IPTC's digital source type. Torch-free.

It is told beside a detector's score and never mixed into it: anyone can write or remove it, and only a C2PA signature
tells who did. Nothing is fetched over a network. Needs the extra ``provenance``.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from distill.optional import require
from distill.preprocess import open_picture

_SOURCE_TYPE = "digitalsourcetype"  # XMP and C2PA spell it with different capitals
# https://cv.iptc.org/newscodes/digitalsourcetype: the terms that tell real from generated, in plain words
_WORDS = {
    "trainedAlgorithmicMedia": "made by a trained model",
    "compositeWithTrainedAlgorithmicMedia": "partly made by a trained model",
    "algorithmicMedia": "made by an algorithm that was not trained",
    "digitalCapture": "captured by a digital camera",
    "computationalCapture": "captured by a digital camera, from several frames",
}
_STATES = {
    "Trusted": "by a signer on a trust list",
    "Valid": "unchanged since then, by a signer on no trust list",
    "Invalid": "but changed since then or badly signed",
}


@dataclass(frozen=True)
class Claim:
    """One statement that a file carries.

    Attributes:
        kind: ``c2pa`` (signed) or ``iptc`` (XMP, which anyone can write).
        source_type: IPTC's digital source type, such as ``trainedAlgorithmicMedia``; None where a credential says
            nothing of it.
        signer: of a credential, the organisation in its certificate.
        signature: of a credential: ``Trusted`` (signer on a trust list), ``Valid`` (untouched since it was signed, by
            whoever it was) or ``Invalid``.
        text: all of it for people.
    """

    kind: Literal["c2pa", "iptc"]
    source_type: str | None
    signer: str | None
    signature: str | None
    text: str


def provenance_of(photo: Path) -> tuple[Claim, ...]:
    """What ``photo`` says of its origin; empty where it says nothing.

    Raises:
        EdgeproofError: a library is missing, see the extra ``provenance``.
    """
    return (*_credentials(photo), *_source_types(photo))


def _credentials(photo: Path) -> Iterator[Claim]:
    c2pa = require("c2pa")
    try:
        with photo.open("rb") as file:
            reader = c2pa.Reader.try_create("", file, None, _offline())
            if reader is None:
                return
            with reader:
                store, state = json.loads(reader.json()), reader.get_validation_state()
    except (OSError, c2pa.C2paError):  # no image, or a container that holds no credentials
        return
    active = store["manifests"][store["active_manifest"]]
    signer = active.get("signature_info", {}).get("issuer")
    signed = f"C2PA, signed by {signer or 'nobody named'}, {_STATES.get(state, state)}"
    terms: list[str | None] = [*_terms(active.get("assertions"))]
    for term in terms or [None]:
        words = f"{_in_words(term)}; " if term else ""
        yield Claim("c2pa", term, signer, state, f"{words}{signed}")


def _source_types(photo: Path) -> Iterator[Claim]:
    require("defusedxml")  # Pillow reads XMP with it
    try:
        with open_picture(photo) as image:
            metadata = image.getxmp()
    except Exception:  # what cannot be read says nothing; that the photo is broken, the detector says
        return
    for term in _terms(metadata):
        yield Claim("iptc", term, None, None, f"{_in_words(term)}; IPTC metadata, unsigned")


@cache
def _offline() -> Any:
    """Credentials that lie elsewhere are not fetched: reading a photo tells nobody."""
    settings = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
    return require("c2pa").Context.from_dict(settings)


def _terms(value: Any) -> list[str]:
    """The last part of every digital source type in nested JSON, each once."""
    found: dict[str, None] = {}
    pending = [value]
    while pending:
        match pending.pop(0):
            case dict() as entries:
                for key, entry in entries.items():
                    if key.lower() == _SOURCE_TYPE and isinstance(entry, str):
                        found[entry.strip().rsplit("/", 1)[-1]] = None
                    else:
                        pending.append(entry)
            case list() as entries:
                pending.extend(entries)
    return list(found)


def _in_words(term: str) -> str:
    return f"{_WORDS[term]} ({term})" if term in _WORDS else term
