"""Energy of one call, from the counters of the processor packages (Linux powercap, RAPL). Torch-free.

They count all that a package spends, idle cores and other programs included, so only a quiet machine tells a model's own.
Linux lets only root read them unless told otherwise (CVE-2020-8694), and virtual machines seldom have them.
"""

import time
from collections.abc import Callable
from pathlib import Path

from deploy.timing import Runner
from distill.errors import EdgeproofError

POWERCAP = Path("/sys/class/powercap")
Clock = Callable[[], float]


class EnergyCounters:
    """The counters of all packages, in microjoules; each starts again from 0 now and then.

    Raises:
        EdgeproofError: there are none, or they cannot be read.
    """

    def __init__(self, folder: Path = POWERCAP) -> None:
        # intel-rapl:0 is a package, also on AMD; intel-rapl:0:0 a part of it, which it counts already
        packages = sorted(one for one in folder.glob("intel-rapl:*") if one.name.count(":") == 1)
        if not packages:
            raise EdgeproofError(f"{folder} has no intel-rapl counters")
        self._files = [package / "energy_uj" for package in packages]
        self._ranges = [_number(package / "max_energy_range_uj") for package in packages]
        self.read()

    def read(self) -> list[int]:
        """What each package has spent so far."""
        return [_number(file) for file in self._files]

    def spent_mj(self, before: list[int]) -> float:
        """Millijoules of all packages since ``before``, of at most one new start each."""
        pairs = zip(self.read(), before, self._ranges, strict=True)
        return sum(now - then if now >= then else now - then + most for now, then, most in pairs) / 1e3


def energy_mj(
    run: Runner, counters: EnergyCounters, *, seconds: float = 0.5, clock: Clock = time.perf_counter
) -> float:
    """Millijoules of one call, averaged over ``seconds`` of calls.

    Raises:
        EdgeproofError: a counter cannot be read, or stands still.
    """
    run()
    before, started, calls = counters.read(), clock(), 0
    while clock() - started < seconds:
        run()
        calls += 1
    spent = counters.spent_mj(before)
    if spent <= 0:
        raise EdgeproofError(f"the energy counters stood still for {seconds:g} s")
    return spent / calls


def _number(file: Path) -> int:
    try:
        return int(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise EdgeproofError(f"{file}: cannot be read ({error.strerror or error})") from None
    except ValueError:
        raise EdgeproofError(f"{file}: is not a number") from None
