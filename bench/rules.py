"""When a contestant has been timed enough, how long a visit is, and which calls count. Torch-free."""

from dataclasses import dataclass
from math import ceil

from bench.intervals import quick_half_width
from bench.records.latency import Rules
from bench.samples import Samples

SAMPLES = 200  # undisturbed calls
MOST = 4 * SAMPLES  # calls in all
PATIENCE_S = 10.0  # of calls, for the machine to become calm
NEAR = 0.02  # half the interval of the median, relative to it
_FEWEST_CLEAN = 40  # undisturbed calls
_FEWEST_ROUNDS = 10  # before the interval is believed, and what a short budget is shared out for


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Ours: 200 undisturbed calls, or fewer where the interval of their median is within 2 %; at most ``rounds`` visits.

    Where most calls are spoiled it goes on until the machine was calm for ten visits, for ten seconds of calls at most.

    Attributes:
        rounds: visits of each at most.
        iterations: calls of a visit at most.
    """

    rounds: int
    iterations: int
    name: Rules = "edgeproof"

    def done(self, samples: Samples) -> bool:
        """Whether it needs no further visit."""
        if samples.rounds >= self.rounds:
            return True
        if samples.disturbed and samples.seconds < PATIENCE_S:
            return False
        if samples.clean >= SAMPLES or samples.size >= MOST:
            return True
        return (
            samples.clean >= _FEWEST_CLEAN
            and samples.clean_rounds >= _FEWEST_ROUNDS  # a claim takes as many that the reference shares
            and quick_half_width(samples.pooled()) <= NEAR
        )

    def share(self, samples: Samples) -> float:
        """How much of what is wanted there is, from 0 to 1."""
        return (
            1.0
            if self.done(samples)
            else min(1.0, max(samples.rounds / self.rounds, samples.clean / SAMPLES))
        )

    def calls(self, typical_ms: float, *, left_s: float, rivals: int, round_number: int) -> int:
        """How many calls the next visit has: a slow contestant's visits shrink to one, so that there are ten rounds.

        Args:
            typical_ms: of one call.
            left_s: seconds left for all.
            rivals: how many share them.
            round_number: counted from 1.
        """
        rounds_to_come = max(1, _FEWEST_ROUNDS + 1 - round_number)
        fair_ms = left_s * 1e3 / (rivals * rounds_to_come)
        if fair_ms >= (self.iterations + 1) * typical_ms:
            return self.iterations
        return max(1, int(fair_ms / max(typical_ms, 1e-3)) - 1)

    def repeats(self, calls: int) -> int:
        """How many spoiled calls of a visit are made good."""
        return calls

    @property
    def drops_spoiled(self) -> bool:
        """Whether calls that something else interrupted may be left out."""
        return True


@dataclass(frozen=True, kw_only=True)
class MLPerfRule(Rule):
    """Single stream of MLPerf inference: at least 1,024 queries and 60 seconds, of which every one counts.

    MLPerf issues one query after the other. Here too, but in visits of about a second which take turns: ratios need rounds.
    See https://github.com/mlcommons/inference_policies/blob/master/inference_rules.adoc (Scenarios, single stream).
    """

    name: Rules = "mlperf"
    queries: int = 1024
    seconds: float = 60.0
    visit_s: float = 1.0

    def done(self, samples: Samples) -> bool:
        """Whether there were enough queries for long enough."""
        return samples.size >= self.queries and samples.seconds >= self.seconds

    def share(self, samples: Samples) -> float:
        """How much of both there is."""
        return min(1.0, samples.size / self.queries, samples.seconds / self.seconds)

    def calls(self, typical_ms: float, *, left_s: float, rivals: int, round_number: int) -> int:
        """As many as a second holds."""
        return max(1, ceil(self.visit_s * 1e3 / max(typical_ms, 1e-3)))

    def repeats(self, calls: int) -> int:
        """None: a query that took long took long."""
        return 0

    @property
    def drops_spoiled(self) -> bool:
        """Never."""
        return False
