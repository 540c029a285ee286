"""Whether a signature of a file is there and right: minisign's format, read by its own author's library. Torch-free.

A digest tells accidents, a signature tells who vouches for the file. It needs the extra ``sign``.
Format: https://jedisct1.github.io/minisign/#signature-format
"""

import re
from pathlib import Path
from typing import Any

from distill.errors import EdgeproofError, cause
from distill.optional import require

SUFFIX = ".minisig"
_MOST_BYTES = 16 * 2**10  # of a key or a signature: four short lines
_KEY_ITSELF = re.compile(r"RW[A-Za-z0-9+/]{54}")


def signature_file(signed: Path) -> Path:
    """Where the signature of a file lies: beside it, as minisign has it."""
    return signed.with_name(signed.name + SUFFIX)


def check_signature(content: bytes, *, signed: Path, public_key: Path | str) -> None:
    """Check that the owner of a key vouches for ``content``.

    Args:
        content: of the file, as it was read: what is used later must be these bytes.
        signed: the file, beside which the signature lies.
        public_key: a file as ``minisign -G`` and ``edgeproof keygen`` write it, or its second line itself.

    Raises:
        EdgeproofError: no such key, no signature, one that is none, or one of another content or by another key.
    """
    minisign = require("minisign")
    key = _public_key(minisign, str(public_key))
    path = signature_file(signed)
    if not path.exists():
        raise EdgeproofError(f"{path}: no such file, expected the signature of {signed.name}")
    try:
        signature = minisign.Signature.from_bytes(read_small(path))
    except ValueError as error:
        raise EdgeproofError(f"{path}: is no signature of minisign's ({error})") from None
    try:
        key.verify(content, signature)
    except ValueError as error:
        raise EdgeproofError(f"{path}: does not vouch for {signed} by the key given ({error})") from None


def read_small(path: Path) -> bytes:
    """The content of a key or a signature.

    Raises:
        EdgeproofError: no regular file, one that is too long, or that cannot be read.
    """
    if not path.is_file():
        found = "is no regular file" if path.exists() else "no such file"
        raise EdgeproofError(f"{path}: {found}, expected a key or a signature")
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise EdgeproofError(f"{path}: cannot be read ({cause(error)})") from None
    if len(content) > _MOST_BYTES:
        raise EdgeproofError(f"{path}: is longer than {_MOST_BYTES} bytes, expected a key or a signature")
    return content


def _public_key(minisign: Any, given: str) -> Any:
    try:
        if _KEY_ITSELF.fullmatch(given):
            return minisign.PublicKey.from_base64(given)
        return minisign.PublicKey.from_bytes(read_small(Path(given)))
    except ValueError as error:
        raise EdgeproofError(f"{given:.200}: is no public key of minisign's ({error})") from None
