"""Which samples make which batch of an epoch, on which of the processes that train together."""

from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt
import torch.distributed
from torch.utils.data import Sampler

from distill.errors import EdgeproofError

Rows = npt.NDArray[np.int64]
Key = tuple[int, int, int]
"""Sample, view (1 = mirrored), and the draw that its augmentation is seeded with."""

_SHARDS_AT_ONCE = 8  # open at a time: few enough for the disk to read ahead, enough to mix
_DRAWS = 2**31


class EpochBatches(Sampler[list[Key]]):
    """Every sample once an epoch, in batches whose sizes differ by one at most, the same number in every process.

    Order, views and draws come from (seed, epoch) alone, so a resumed run repeats them. No batch is dropped or
    filled up: a tiny last one would harm batch norm, and unequal numbers would stop distributed training.

    Args:
        length: number of samples.
        batch_size: largest size of a batch in one process.
        views: number of views to draw from.
        seed: of everything that is drawn.
        total: samples that make up an epoch, 0 = ``length``; more repeat some of them.
        shards: the number of the tar that each sample lies in; samples of one tar then stay near each other, and
            each process reads tars of its own, so that they are streamed.
        labels: each sample's class, -1 = unknown; every batch then holds the same share of those with a label (to
            within one), since the loss of a batch with few of them would be as loud and far noisier.
        balanced: all classes come equally often, and evenly in every batch: the rarer repeat, of the others each epoch
            holds a part; samples without a label come as before.
    """

    def __init__(
        self,
        *,
        length: int,
        batch_size: int,
        views: int,
        seed: int,
        total: int = 0,
        shards: Sequence[int] = (),
        labels: Sequence[float] | npt.NDArray[np.float32] = (),
        balanced: bool = False,
    ) -> None:
        self.length, self.batch_size, self.views, self.seed = length, batch_size, views, seed
        self.total, self.shards, self.epoch = total or length, np.asarray(shards), 0
        self.labels = np.asarray(labels) if len(labels) else np.zeros(length)
        self.balanced = balanced

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        _, processes = rank_and_processes()
        if self.total < processes:
            raise EdgeproofError(
                f"{self.total} training images for {processes} processes, expected at least one for each"
            )
        return -(-self.total // (self.batch_size * processes))

    def __iter__(self) -> Iterator[list[Key]]:
        rank, processes = rank_and_processes()
        random = np.random.default_rng([self.seed, self.epoch])
        order = self._order(random)
        views = random.integers(0, self.views, self.total)
        draws = random.integers(0, _DRAWS, self.total)
        steps = len(self)
        batches = np.array_split(np.arange(self.total), steps * processes)
        for batch in batches[rank * steps : (rank + 1) * steps]:
            yield list(zip(order[batch].tolist(), views[batch].tolist(), draws[batch].tolist(), strict=True))

    def _order(self, random: np.random.Generator) -> Rows:
        order = self._rounds(random, np.arange(self.length), self.total)
        known = self.labels[order] >= 0
        labelled, unlabelled = order[known], order[~known]
        if self.balanced and len(labelled):
            labelled = self._balanced(random, total=len(labelled))
        return interleave(labelled, unlabelled)

    def _balanced(self, random: np.random.Generator, *, total: int) -> Rows:
        """``total`` samples with a label, of every class as many."""
        classes = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels) if label >= 0]
        shares = [len(share) for share in np.array_split(np.arange(total), len(classes))]
        drawn = [self._rounds(random, *pair) for pair in zip(classes, shares, strict=True)]
        return reduce(interleave, drawn)

    def _rounds(self, random: np.random.Generator, members: Rows, total: int) -> Rows:
        """``total`` of the members: all of them, as often as it takes."""
        rounds = max(1, -(-total // len(members)))
        return np.concatenate([self._round(random, members) for _ in range(rounds)])[:total]

    def _round(self, random: np.random.Generator, members: Rows) -> Rows:
        """Every member once: at random, or tar by tar, shuffled over a few of them."""
        if not self.shards.size:
            return random.permutation(members)
        shards = self.shards[members]
        by_shard = np.argsort(shards, kind="stable")
        tars = np.split(members[by_shard], np.flatnonzero(np.diff(shards[by_shard])) + 1)
        turns = random.permutation(len(tars))
        windows = [turns[start : start + _SHARDS_AT_ONCE] for start in range(0, len(turns), _SHARDS_AT_ONCE)]
        mixed = [random.permutation(np.concatenate([tars[turn] for turn in window])) for window in windows]
        return np.concatenate(mixed)


def interleave(first: Rows, second: Rows) -> Rows:
    """Both as evenly mixed as can be, each in its own order.

    Any k neighbours hold ``floor(k · share)`` or one more of ``first``, where share is its part of the whole.
    """
    total = len(first) + len(second)
    if not total:
        return first
    due = (np.arange(total + 1) * 2 * len(first) + total) // (
        2 * total
    )  # of `first` before each place, rounded
    mixed, here = np.empty(total, dtype=np.int64), np.diff(due) == 1
    mixed[here], mixed[~here] = first, second
    return mixed


class PlainBatches(Sampler[list[Key]]):
    """Every sample once, in order and in one view; processes that work together take a stretch each."""

    def __init__(self, *, length: int, batch_size: int, view: int) -> None:
        self.length, self.batch_size, self.view = length, batch_size, view

    def __len__(self) -> int:
        return len(self._starts())

    def __iter__(self) -> Iterator[list[Key]]:
        starts = self._starts()
        for start in starts:
            yield [(i, self.view, 0) for i in range(start, min(start + self.batch_size, starts.stop))]

    def _starts(self) -> range:
        rank, processes = rank_and_processes()
        return range(self.length * rank // processes, self.length * (rank + 1) // processes, self.batch_size)


def rank_and_processes() -> tuple[int, int]:
    """Number of the process, and how many train together; asked when needed, since they start after the loaders."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
