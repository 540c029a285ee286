"""Numbers as texts, the same on every page."""

from collections.abc import Sequence

NONE = "–"


def of_data(name: str, *, simulated: bool) -> str:
    """What a page is about, and whether its images were simulated."""
    return f"{name}, simulated data" if simulated else name


def fixed(value: float | None, digits: int = 3) -> str:
    """A number with fixed digits, or a dash."""
    return NONE if value is None else f"{value:.{digits}f}"


def signed(value: float | None, digits: int = 3) -> str:
    """A difference with its sign (a true minus), or a dash."""
    if value is None:
        return NONE
    return f"{value:+.{digits}f}".replace("-", "−") if round(value, digits) else f"{0:.{digits}f}"


def with_interval(value: float | None, pair: tuple[float, float] | None, *, sign: bool = False) -> str:
    """``0.941 [0.921, 0.961]``, or the bare value if there is no interval."""
    show = signed if sign else fixed
    return show(value) + (f" [{show(pair[0])}, {show(pair[1])}]" if value is not None and pair else "")


def milliseconds(value: float | None) -> str:
    """Three significant digits or so, without a unit."""
    if value is None:
        return NONE
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:,.1f}"


def times(value: float | None) -> str:
    """A ratio such as ``1,477×``."""
    if value is None:
        return NONE
    return f"{value:,.0f}×" if value >= 10 else f"{value:.1f}×"


def times_with_interval(value: float | None, pair: tuple[float, float] | None) -> str:
    """``105× [98, 112]``, or the bare ratio if there is no interval."""
    if value is None or pair is None:
        return times(value)
    low, high = (times(end).removesuffix("×") for end in pair)
    return f"{times(value)} [{low}, {high}]"


def square(pixels: int | None) -> str:
    """An input size such as ``64×64``."""
    return NONE if pixels is None else f"{pixels}×{pixels}"


def size(value: float | None) -> str:
    """Bytes in decimal B, kB or MB."""
    if value is None:
        return NONE
    if value < 1e3:
        return f"{value:,.0f} B"
    return f"{value / 1e6:,.1f} MB" if value >= 1e6 else f"{value / 1e3:,.0f} kB"


def count(value: float | None) -> str:
    """A whole number with thousands separated."""
    return NONE if value is None else f"{value:,.0f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage."""
    return NONE if value is None else f"{100 * value:.{digits}f} %"


def correlation(value: float) -> str:
    """Two digits and a true minus; NaN is a dash."""
    return (
        NONE if value != value else f"{round(value, 2) + 0.0:.2f}".replace("-", "−")
    )  # + 0.0: no minus zero


def listing(items: Sequence[str], most: int = 3) -> str:
    """The first few items and how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return "; ".join(items[:most]) + more
