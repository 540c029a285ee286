"""Where to write a name beside a marker so that it covers nothing. Plain geometry, in pixels."""

from collections.abc import Iterator, Sequence

Point = tuple[float, float]
Box = tuple[float, float, float, float]


def box(centre: Point, width: float, height: float) -> Box:
    """``(left, bottom, right, top)`` around a centre."""
    x, y = centre
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def place(marker: Box, *, width: float, height: float, taken: Sequence[Box], frame: Box) -> Box:
    """The box, of those around ``marker`` and within ``frame``, that covers least of ``taken``.

    Above comes first, then below, right and left, then above and below to either side, then the same further out.
    """
    spots = [box(centre, width, height) for centre in _spots(marker, width, height)]
    inside = [
        s for s in spots if frame[0] <= s[0] and s[2] <= frame[2] and frame[1] <= s[1] and s[3] <= frame[3]
    ]
    return min(inside or spots, key=lambda spot: overlap(spot, taken))


def overlap(found: Box, taken: Sequence[Box]) -> float:
    """Area that a box shares with those already there."""
    sides = (
        (min(found[2], t[2]) - max(found[0], t[0]), min(found[3], t[3]) - max(found[1], t[1])) for t in taken
    )
    return sum(wide * high for wide, high in sides if wide > 0 and high > 0)


def _spots(marker: Box, width: float, height: float) -> Iterator[Point]:
    x, y = (marker[0] + marker[2]) / 2, (marker[1] + marker[3]) / 2
    for gap in (0.65, 1.5, 2.4):
        up = (marker[3] - marker[1]) / 2 + gap * height
        side = (marker[2] - marker[0]) / 2 + gap * height / 2 + width / 2
        yield from ((x, y + up), (x, y - up), (x + side, y), (x - side, y))
        yield from (
            (x + width / 2, y + up),
            (x + width / 2, y - up),
            (x - width / 2, y + up),
            (x - width / 2, y - up),
        )
