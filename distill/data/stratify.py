"""A part of many images that holds every class and generator evenly. Torch-free."""

from collections.abc import Iterator, Sequence
from itertools import islice, zip_longest

import numpy as np

from distill.data.samples import Sample


def stratified(samples: Sequence[Sample], *, wanted: int, seed: int) -> list[Sample]:
    """The classes in turn, and each class's generators in turn, drawn at random; where one has no more, the others go on."""
    random = np.random.default_rng(seed)
    classes: dict[int, dict[str, list[Sample]]] = {}
    for sample in samples:
        classes.setdefault(sample.label, {}).setdefault(sample.generator, []).append(sample)
    streams = []
    for label in sorted(classes):
        kinds = [classes[label][generator] for generator in sorted(classes[label])]
        streams.append(_in_turn([[kind[i] for i in random.permutation(len(kind))] for kind in kinds]))
    return list(islice(_in_turn([list(stream) for stream in streams]), wanted))


def _in_turn(streams: Sequence[Sequence[Sample]]) -> Iterator[Sample]:
    for turn in zip_longest(*streams):
        yield from (sample for sample in turn if sample is not None)
