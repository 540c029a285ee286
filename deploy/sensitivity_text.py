"""How sensitive each layer is, as a table and as a picture."""

from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from deploy.sensitivity import FormError, LayerError, Sensitivity
from distill.files import write_bytes
from distill.page.formats import NONE, fixed
from distill.page.terminal import console

REPORT = "sensitivity.json"
PICTURE = "sensitivity.png"
_WIDTH = 110
_MOST = 40  # bars that one picture can name


def print_sensitivity(found: Sensitivity, *, as_json: bool) -> None:
    """On standard output."""
    if as_json:
        print(found.model_dump_json(indent=2))
        return
    out = console()
    table = Table(title=f"{found.artifact}: one layer in INT8 by {found.quantizer}", title_justify="left")
    for number, title in enumerate(
        ("Layer", "Weights", "Mean error of logits", "Largest drift", found.metric)
    ):
        table.add_column(title, justify="right" if number > 1 else "left")
    for item in found.layers:
        style = "bold" if item.layer.position == found.worst else None
        table.add_row(*map(Text, _row(item)), style=style)
    out.print(table)
    for line in lines(found):
        out.print(Text(line), soft_wrap=True)


def lines(found: Sensitivity) -> list[str]:
    """What leaving the worst layer out would buy."""
    worst = next(item for item in found.layers if item.layer.position == found.worst)
    fp32 = "" if found.fp32 is None else f" (FP32: {found.metric} {found.fp32:.4f})"
    without = found.without_worst
    return [
        f"all layers in INT8: {_told(found.whole, found.metric)}{fp32}",
        *([f"all but {_name(worst)}: {_told(without, found.metric)}"] if without else []),
        *([f"no layer, only what lies between: {_told(found.rest, found.metric)}"] if found.rest else []),
        f"calibrated with {found.calibration}; judged on {found.judged}",
    ]


def write_sensitivity(found: Sensitivity, folder: Path) -> list[Path]:
    """``sensitivity.json`` and ``sensitivity.png``; what was written.

    Raises:
        ImportError: matplotlib is not installed.
    """
    found.write(folder / REPORT)
    write_bytes(folder / PICTURE, sensitivity_png(found))
    return [folder / REPORT, folder / PICTURE]


def sensitivity_png(found: Sensitivity) -> bytes:
    """A bar a layer, of many the worst ones: the mean error of the logits where it alone is INT8."""
    from distill.page.charts import FAINT, HUES, axes, png

    chosen = sorted(found.layers, key=lambda item: -item.error.mean)[:_MOST]
    shown = sorted(chosen, key=lambda item: item.layer.position)

    def draw(figure: Any) -> None:
        ax = axes(figure, x="mean error of the logits where this layer alone is INT8", y="")
        colours = [HUES[1] if item.layer.position == found.worst else HUES[0] for item in shown]
        ax.barh(
            [_name(item) for item in shown], [item.error.mean for item in shown], color=colours, height=0.7
        )
        ax.invert_yaxis()
        references = [("all in INT8", found.whole, "-")]
        references += [("all but the worst", found.without_worst, "--")] if found.without_worst else []
        for text, error, line in references:
            ax.axvline(error.mean, color=FAINT, linestyle=line, linewidth=1.2, label=text)
        ax.legend(frameon=False, fontsize=9, loc="lower right")

    title = f"{found.artifact}: which layers suffer from INT8 ({found.quantizer})"
    return png(draw, width=7.5, height=1.6 + 0.26 * len(shown), title=title)


def _name(item: LayerError) -> str:
    return f"{item.layer.position} {item.layer.kind} {'×'.join(map(str, item.layer.shape))}".strip()


def _row(item: LayerError) -> tuple[str, ...]:
    score = NONE if item.error.score is None else fixed(item.error.score, 4)
    layer = f"{item.layer.position} {item.layer.kind}"
    shape = "×".join(map(str, item.layer.shape)) or NONE
    return (layer, shape, fixed(item.error.mean, 4), fixed(item.error.drift, 4), score)


def _told(error: FormError, metric: str) -> str:
    score = "" if error.score is None else f", {metric} {error.score:.4f}"
    return f"mean error {error.mean:.4f}, largest drift {error.drift:.3f}{score}"
