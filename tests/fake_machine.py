"""A clock and contestants that take as long as a test says."""

from bench.latency import Contestant, Timer
from distill.machine import CpuTimes


class FakeMachine:
    """A clock that only contestants and pauses move, and a log of who ran."""

    def __init__(self, *, steal_share=0.0):
        self.now = 0.0
        self.log = []
        self.steal_share = steal_share
        self.switched = 0
        self.waited = 0.0

    def timer(self):
        return Timer(
            clock=lambda: self.now,
            sleep=self.sleep,
            cpu_times=self.cpu_times,
            switches=lambda: self.switched,
            waited_s=lambda: {1: self.waited},
        )

    def sleep(self, seconds):
        self.now += seconds

    def cpu_times(self):
        return CpuTimes(busy=self.now + 1, steal=self.now * self.steal_share)

    def contestant(self, name, ms, *, fails_at=None, **options):
        """Takes ``ms`` a call: a number, or a function of the number of calls made; ``spoil`` does something to each."""
        spoil = options.pop("spoil", None)

        def make():
            calls = 0

            def run():
                nonlocal calls
                calls += 1
                if calls == fails_at:
                    raise RuntimeError("out of memory\nsecond line")
                self.log.append(name)
                if spoil:
                    spoil(calls)
                self.now += (ms(calls) if callable(ms) else ms) / 1e3

            return run

        identity = {"runtime": "torch", "precision": "fp32", "input_size": 224, "threads": 1}
        return Contestant(model=name, make=make, **identity | options)


def interrupt(fake, *, every, ms=8.0):
    """What a busy machine does to a call: takes the CPU away for a while, and counts it."""

    def spoil(call):
        if call % every == 0:
            fake.switched += 1
            fake.waited += ms / 1e3
            fake.now += ms / 1e3

    return spoil
