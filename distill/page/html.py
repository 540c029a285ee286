"""A page as one HTML file: no network, pictures inside, light and dark, phone and paper.

The templates escape every text, and nothing else does: a file name may hold ``<script>``. A page whose tables can be sorted
has one script, and its policy allows that one alone, by its hash.
"""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from distill.page.blocks import Block, Matrix, Page
from distill.page.formats import NONE, correlation
from distill.page.maps import colour_of


def render(page: Page) -> str:
    """The whole file; of a name that is not UTF-8 the bytes that are none stand escaped."""
    style, script = (
        files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js")
    )
    text = _environment().get_template("page.html.j2").render(page=page, style=style, script=script)
    return text.encode(errors="backslashreplace").decode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("distill", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["dash"] = NONE
    environment.filters |= {
        "base64": _base64, "kind": _kind, "shades": _shades, "zoomed": _zoomed, "sha256": _sha256,
    }  # fmt: skip
    return environment


def _kind(block: Block) -> str:
    return type(block).__name__


def _base64(png: bytes) -> str:
    return b64encode(png).decode()


def _sha256(script: str) -> str:
    """As a content security policy names a script."""
    return _base64(sha256(script.encode()).digest())


def _zoomed(side: int, wanted: int) -> int:
    """About as wide as ``wanted``, in whole steps, so that every pixel stays a square."""
    return side * max(1, round(wanted / side))


def _shades(matrix: Matrix) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Each row's name and its cells: text, ground and ink; neither colour where there is no number."""
    return [
        (name, [_shade(value, colours=matrix.colours) for value in row])
        for name, row in zip(matrix.names, matrix.values, strict=True)
    ]


def _shade(value: float, *, colours: str) -> tuple[str, str, str]:
    if value != value:  # NaN
        return correlation(value), "", ""
    ground = colour_of(value, low=-1, high=1, colours=colours)
    return correlation(value), ground, "#fff" if abs(value) > 0.65 else "#111"
