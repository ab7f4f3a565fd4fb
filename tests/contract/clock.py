"""A clock that stands still until it is told to go on."""

import hashlib
import itertools
import os

from typing_extensions import override


class StillClock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def entropy(self, size: int) -> bytes:
        return os.urandom(size)

    def jitter(self) -> float:
        return 0.5

    def go_on(self, seconds: float) -> None:
        self._now += seconds
        self._monotonic += seconds


class ReplayedClock(StillClock):
    """One whose chance is the same each time, for tests that are run again step by step."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn = itertools.count()

    @override
    def entropy(self, size: int) -> bytes:
        return hashlib.shake_128(b"%d" % next(self._drawn)).digest(size)
