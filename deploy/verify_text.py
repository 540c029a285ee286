"""What verifying an artifact found, for people and for programs. Torch-free."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw
from rich.table import Table
from rich.text import Text

from deploy.verify_record import Flip, VerifyReport
from distill.files import write_bytes
from distill.page.terminal import console
from distill.preprocess import read_image

REPORT = "verify.json"
PICTURE = "flips.png"
_STYLES: Final = {"ok": "green", "failed": "bold red", "not checked": "yellow"}
_SHOWN = 20
_THUMB, _CAPTION, _ACROSS, _MOST = 160, 44, 6, 48


def print_report(report: VerifyReport, *, as_json: bool) -> None:
    """On standard output."""
    if as_json:
        print(report.text())
        return
    out = console()
    table = Table(title=f"{report.artifact} ({report.precision})", title_justify="left")
    for title in ("Check", "Status", "Found"):
        table.add_column(title)
    for check in report.checks:
        table.add_row(Text(check.name), Text(check.status, _STYLES[check.status]), Text(check.reason))
    out.print(table)
    for line in lines(report):
        out.print(Text(line), soft_wrap=True)


def lines(report: VerifyReport) -> list[str]:
    """What the table cannot tell."""
    flips = [_told(flip) for flip in report.flips[:_SHOWN]]
    more = [f"and {len(report.flips) - _SHOWN} more: --json has all"] if len(report.flips) > _SHOWN else []
    statuses = [check.status for check in report.checks]
    counts = ", ".join(f"{statuses.count(name)} {name}" for name in _STYLES if name in statuses)
    return [
        *(["verdicts that flip:"] if flips else []),
        *flips,
        *more,
        *(f"warning: {text}" for text in report.warnings),
        f"{'failed' if report.failed else 'passed'}: {counts}",
    ]


def write_report(report: VerifyReport, folder: Path, *, data: Path | None) -> list[Path]:
    """``verify.json``, and a picture of the images whose verdicts flip; what was written.

    Args:
        report: what was found.
        folder: is made if it is not there.
        data: the folder that the flipped images lie in.
    """
    report.write(folder / REPORT)
    written = [folder / REPORT]
    if data is not None and report.flips:
        write_bytes(folder / PICTURE, flips_png(report.flips, data))
        written.append(folder / PICTURE)
    return written


def flips_png(flips: Sequence[Flip], data: Path) -> bytes:
    """A sheet of thumbnails with what was said of each before and after, as PNG; of many the first ones.

    An image inside a tar is an empty frame with its name.
    """
    flips = flips[:_MOST]
    rows = -(-len(flips) // _ACROSS)
    size = (min(len(flips), _ACROSS) * (_THUMB + 8) + 8, rows * (_THUMB + _CAPTION + 8) + 8)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for number, flip in enumerate(flips):
        x, y = 8 + number % _ACROSS * (_THUMB + 8), 8 + number // _ACROSS * (_THUMB + _CAPTION + 8)
        draw.rectangle((x - 1, y - 1, x + _THUMB, y + _THUMB), outline="#888888")
        if (data / flip.image).is_file():
            thumb = _thumbnail(data / flip.image)
            sheet.paste(thumb, (x + (_THUMB - thumb.width) // 2, y + (_THUMB - thumb.height) // 2))
        short = flip.image if len(flip.image) <= 26 else f"…{flip.image[-25:]}"
        draw.text((x, y + _THUMB + 3), short, fill="black")
        draw.text((x, y + _THUMB + 16), f"{flip.was} {flip.before:.3f}", fill="#555555")
        draw.text((x, y + _THUMB + 29), f"{flip.now} {flip.after:.3f}", fill="#b00020")
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue()


def _thumbnail(path: Path) -> Image.Image:
    """As large as fits; a small image is enlarged in whole steps, so that its pixels can be seen."""
    image = read_image(path, smallest=_THUMB)
    larger = _THUMB // max(image.size)
    if larger > 1:
        return image.resize((image.width * larger, image.height * larger), Image.Resampling.NEAREST)
    image.thumbnail((_THUMB, _THUMB))
    return image


def _told(flip: Flip) -> str:
    return f"  {flip.image}: {flip.was} ({flip.before:.3f}) → {flip.now} ({flip.after:.3f}), {flip.runtime}"
