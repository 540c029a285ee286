"""``edgeproof keygen`` and ``edgeproof sign``: who vouches for an artifact. Needs no torch."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from distill.errors import EdgeproofError

PublicKeyOption = Annotated[
    str | None,
    typer.Option(
        "--public-key",
        metavar="FILE|KEY",
        help="Refuse an artifact that the owner of this key (edgeproof keygen, minisign) has not signed.",
    ),
]
SecretKeyOption = Annotated[
    Path | None,
    typer.Option("--sign", metavar="KEY", help="Sign what is written with this secret key."),
]


def keygen(
    key: Annotated[
        Path, typer.Argument(metavar="FILE.key", help="The secret key's new file; FILE.pub lies beside it.")
    ],
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Let the file's permissions alone protect it.")
    ] = False,
) -> None:
    """Make a pair of keys: a secret one that signs artifacts, and a public one for those who check them."""
    from deploy.signing import make_keys

    password = None if no_password else _password(key, new=True)
    public = make_keys(key, password=password)
    typer.echo(f"{key}: secret, keep it to yourself; {public}: for whoever checks")


def sign(
    artifact: Annotated[Path, typer.Argument(help="An artifact's folder.", metavar="ARTIFACT")],
    key: Annotated[
        Path, typer.Option("--key", metavar="FILE.key", help="The secret key: edgeproof keygen, or minisign.")
    ],
) -> None:
    """Sign an artifact: its manifest, which holds the hash of every file."""
    sign_with(key, artifact)


def sign_with(key: Path, artifact: Path) -> None:
    """Sign, and say where the signature lies; a password is asked for where the key has one."""
    from deploy.signing import sign_artifact

    path = sign_artifact(artifact, key=key, password=lambda: _password(key))
    typer.echo(f"{path}: signed", err=True)


def check_key(key: Path) -> None:
    """Raise :class:`EdgeproofError` for a secret key that signs nothing."""
    from deploy.signing import read_secret

    read_secret(key)


def _password(key: Path, *, new: bool = False) -> str:
    """From the terminal, unseen; where there is none, a line of standard input."""
    if sys.stdin.isatty():
        asked: str = typer.prompt(
            f"Password of {key}", hide_input=True, confirmation_prompt=new, default="", show_default=False, err=True
        )  # fmt: skip
    else:
        asked = sys.stdin.readline().rstrip("\r\n")
    if not asked:
        also = ", or --no-password" if new else ""
        raise EdgeproofError(f"{key}: no password was given, expected one{also}")
    return asked
