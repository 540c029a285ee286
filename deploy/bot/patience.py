"""How many pictures a user may send: so many at once, which come back evenly within a minute. Torch-free."""

import time
from collections import OrderedDict
from collections.abc import Callable

_MOST_USERS = 10_000


class Patience:
    """A token bucket for each user.

    Args:
        most: pictures a minute.
        clock: seconds that only grow.
    """

    def __init__(self, *, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._users: OrderedDict[int, tuple[float, float]] = OrderedDict()  # pictures left, and when that was

    def wait_of(self, user: int) -> float:
        """Seconds until the next picture; 0 counts it as sent."""
        now = self._clock()
        left, seen = self._users.pop(user, (float(self._most), now))
        left = min(self._most, left + (now - seen) * self._most / 60)
        wait = 0.0 if left >= 1 else (1 - left) * 60 / self._most
        self._users[user] = (left if wait else left - 1, now)
        while len(self._users) > _MOST_USERS:  # who was silent longest has all of them again anyway
            self._users.popitem(last=False)
        return wait
