"""Make keys, and sign artifacts with them; :mod:`deploy.signature` checks. Torch-free, with the extra ``sign``.

A signature is over ``manifest.json``, which holds the SHA-256 of every other file. Keys and signatures are minisign's own, so
that its program reads ours and the other way round. No secret is ever written anywhere but into the key's file, or told.
"""

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy.artifact import MANIFEST_NAME, verify
from deploy.signature import read_small, signature_file
from distill.errors import EdgeproofError, cause
from distill.files import write_bytes
from distill.optional import require

_OWNER_ALONE = 0o600


def make_keys(path: Path, *, password: str | None) -> Path:
    """Write a secret key, for its owner's eyes alone, and beside it ``NAME.pub``, for everybody's.

    Args:
        path: of the secret key; a new file.
        password: without which nobody can use it; None leaves it to the file's permissions.

    Returns:
        The path of the public key.

    Raises:
        EdgeproofError: one of the files is there already, or cannot be written.
    """
    public = path.with_suffix(".pub") if path.name else path
    if public == path:
        raise EdgeproofError(f"{path}: is a public key's name, expected a secret one's such as release.key")
    for one in (path, public):
        if one.exists() or one.is_symlink():
            raise EdgeproofError(f"{one}: is there already, expected a new file; a key is never replaced")
    pair = require("minisign").KeyPair.generate()
    with pair.secret_key as secret:
        if password is not None:
            secret.encrypt(password)
        _write_secret(path, bytes(secret) + b"\n")
    write_bytes(public, bytes(pair.public_key) + b"\n")
    return public


def sign_artifact(artifact: Path, *, key: Path, password: Callable[[], str]) -> Path:
    """Write the signature of an artifact's manifest beside it, in place of one that is there.

    Args:
        artifact: its folder; one that is not whole is not signed.
        key: a secret key's file.
        password: asked where the key has one.

    Raises:
        EdgeproofError: a damaged artifact, or a key that is none, that others may read, or whose password is another.
    """
    secret = read_secret(key)
    with secret:
        verify(artifact)
        _unlock(secret, key=key, password=password)
        manifest = artifact / MANIFEST_NAME
        comment = f"timestamp:{int(time.time())}\tfile:{MANIFEST_NAME}\thashed"  # as minisign itself has it
        signature = secret.sign(manifest.read_bytes(), trusted_comment=comment)
    path = signature_file(manifest)
    write_bytes(path, bytes(signature) + b"\n")
    return path


def _write_secret(path: Path, content: bytes) -> None:
    """Never through a file that others could open, nor over one that is there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ALONE)
    except OSError as error:
        raise EdgeproofError(f"{path}: cannot be written ({cause(error)})") from None
    try:
        with open(handle, "wb") as file:  # noqa: PTH123
            file.write(content)
    except OSError as error:
        path.unlink()
        raise EdgeproofError(f"{path}: cannot be written ({cause(error)})") from None


def read_secret(path: Path) -> Any:
    """The library's object of a secret key, still locked where it has a password.

    Raises:
        EdgeproofError: no key, or one that others may read.
    """
    content = read_small(path)
    others = stat.S_IMODE(path.stat().st_mode) & 0o077
    if others:
        raise EdgeproofError(
            f"{path}: others may read or write it, expected its owner alone; chmod 600 {path}"
        )
    try:
        return require("minisign").SecretKey.from_bytes(content)
    except ValueError as error:
        raise EdgeproofError(f"{path}: is no secret key of minisign's ({error})") from None


def _unlock(secret: Any, *, key: Path, password: Callable[[], str]) -> None:
    if not secret.is_encrypted():
        return
    try:
        secret.decrypt(password())
    except ValueError as error:
        raise EdgeproofError(f"{key}: cannot be opened ({error})") from None
