"""Which hashes of 64 bits can be close at all: those that share a band's bits. Exact, by the pigeonhole principle. Torch-free.

Cut into ``most + spare`` pieces, two hashes that differ in at most ``most`` bits agree in at least ``spare`` pieces. So
with one spare piece they share one of five bands of 12 bits, with two one of fifteen of 20 bits, with three one of 35
of 27 bits. Narrow bands hold more hashes that are compared in vain, in proportion to their number, and many bands must
be sorted: the more hashes there are, the wider bands pay.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]
BITS = 64
_MOST_SPARE = 3


@dataclass(frozen=True)
class Band:
    """Bits to agree in.

    Attributes:
        pieces: first bit, from the highest, and width of each; the pieces to agree in come first.
        width: bits to agree in.
    """

    pieces: tuple[tuple[int, int], ...]
    width: int

    def arrange(self, hashes: Numbers) -> Numbers:
        """The hashes ``[N]`` with the band's bits moved to the top; two differ in as many bits as before."""
        arranged, place = np.zeros_like(hashes), BITS
        for first, width in self.pieces:
            place -= width
            piece = hashes >> np.uint64(BITS - first - width) & np.uint64(2**width - 1)
            arranged |= piece << np.uint64(place)
        return arranged


def bands_for(count: int, *, most: int, crowd: int) -> tuple[Band, ...]:
    """Bands of which any two hashes that differ in at most ``most`` bits share one.

    Args:
        count: of hashes.
        most: bits.
        crowd: hashes that may share a band by chance before wider bands are taken.
    """
    for spare in range(1, _MOST_SPARE + 1):
        bands = _bands(most + spare, spare)
        if count <= crowd << min(band.width for band in bands):
            break
    return bands


def _bands(count: int, spare: int) -> tuple[Band, ...]:
    edges = [round(BITS * number / count) for number in range(count + 1)]
    pieces = [(first, end - first) for first, end in zip(edges, edges[1:], strict=False)]
    bands = []
    for chosen in combinations(range(count), spare):
        rest = [number for number in range(count) if number not in chosen]
        width = sum(pieces[number][1] for number in chosen)
        bands.append(Band(tuple(pieces[number] for number in (*chosen, *rest)), width))
    return tuple(bands)
