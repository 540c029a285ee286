"""Successive halving (Jamieson & Talwalkar 2016, arXiv 1502.07943) over two aims: score up, latency down. Torch-free.

Every rung trains those still in it anew, with a schedule of its own that is complete: a half-cooled learning rate says
little. Who beats none of the others in score may still be the fastest of its kind, so a rung keeps whole fronts.
"""

from collections.abc import Mapping, Sequence

from distill.errors import EdgeproofError

Point = tuple[float, float]
"""Score, milliseconds."""


def plan(*, candidates: int, epochs: int, eta: int, rungs: int) -> tuple[tuple[int, int], ...]:
    """Epochs of each rung, and how many are in it; the last is shorter than ``epochs`` by ``eta``.

    Raises:
        EdgeproofError: a count below one, or ``eta`` below two.
    """
    if min(candidates, epochs, rungs) < 1 or eta < 2:
        raise EdgeproofError(
            f"search: candidates {candidates}, epochs {epochs}, rungs {rungs}, eta {eta}; expected at least 1, 1, 1 and 2"
        )
    found: list[tuple[int, int]] = []
    for rung in range(rungs):
        length = max(1, round(epochs / eta ** (rungs - rung)))
        alive = max(1, -(-candidates // eta**rung))
        if not found or length > found[-1][0]:
            found.append((length, alive))
    return tuple(found)


def survivors(points: Mapping[str, Point], *, keep: int) -> list[str]:
    """The ``keep`` best: front after front, and within the last one those of the highest score."""
    left, kept = dict(points), list[str]()
    while left and len(kept) < keep:
        layer = front(left)
        kept += sorted(layer, key=lambda name: -points[name][0])[: keep - len(kept)]
        for name in layer:
            del left[name]
    return kept


def front(points: Mapping[str, Point]) -> list[str]:
    """Those that no other beats in one aim without losing in the other, fastest first."""
    best: list[str] = []
    order: Sequence[str] = sorted(points, key=lambda name: (points[name][1], -points[name][0]))
    for name in order:
        if not best or points[name][0] > points[best[-1]][0]:
            best.append(name)
    return best
