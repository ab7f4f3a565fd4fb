"""Time as the controllers see it: what it is now, and what is to happen later.

Every wait of the controllers goes through a clock, so that a test may carry its own and a minute
of the cluster's life takes no time.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """Something that is going to happen."""

    def cancel(self) -> None:
        """It does not happen."""


class Clock(Protocol):
    """Tells the time, and keeps appointments."""

    def now(self) -> float:
        """Return the seconds since the Unix epoch."""

    def call_later(self, delay: float, act: Callable[[], None]) -> Timer:
        """*act* is called in *delay* seconds, after everything that is due earlier."""


class LoopClock:
    """The time that *now* tells, the machine's for example; waits are those of the running loop."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def now(self) -> float:
        """Return the seconds since the Unix epoch."""
        return self._now()

    def call_later(self, delay: float, act: Callable[[], None]) -> Timer:
        """*act* is called in *delay* seconds."""
        return asyncio.get_running_loop().call_later(delay, act)


def stamp(at: float) -> str:
    """Return a moment as `metav1.Time` is written: in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(written: str) -> float:
    """Return the moment that `stamp` wrote."""
    return datetime.fromisoformat(written).timestamp()
