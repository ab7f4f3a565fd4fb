"""What containers wrote, kept for a while.

https://kubernetes.io/docs/concepts/cluster-administration/logging/
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

MAX_LINES: Final = 2_000
MAX_CONTAINERS: Final = 500


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line, and when it was written, in seconds since the Unix epoch."""

    at: float
    text: str

    def stamped(self) -> str:
        """Return the line behind its time, as `timestamps` asks for it."""
        moment = datetime.fromtimestamp(self.at, UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}000Z {self.text}"


@dataclass(slots=True)
class _Output:
    """The lines of one container since it started, and how many it wrote before those."""

    lines: deque[LogLine]
    dropped: int = 0


class Logs:
    """The lines of every container; of the one before a restart, too.

    Args:
        now: Seconds since the Unix epoch.

    Attributes:
        is_closed: Whether nobody is to follow any more.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._current: dict[tuple[str, str, str], _Output] = {}
        self._previous: dict[tuple[str, str, str], _Output] = {}
        self._followers: set[asyncio.Event] = set()
        self.is_closed = False

    def append(self, namespace: str, pod: str, container: str, line: str) -> None:
        """The container wrote *line* just now."""
        key = (namespace, pod, container)
        output = self._current.setdefault(key, _Output(deque(maxlen=MAX_LINES)))
        if len(output.lines) == MAX_LINES:
            output.dropped += 1
        output.lines.append(LogLine(self._now(), line))
        while len(self._current) > MAX_CONTAINERS:
            del self._current[next(iter(self._current))]
        self._wake()

    def read(
        self, namespace: str, pod: str, container: str, *, previous: bool = False
    ) -> list[LogLine]:
        """Return the lines so far, oldest first; with *previous* those before the last restart."""
        output = (self._previous if previous else self._current).get((namespace, pod, container))
        return [] if output is None else list(output.lines)

    def count(self, namespace: str, pod: str, container: str) -> int:
        """Return how many lines the container wrote since it started; a place to follow from."""
        output = self._current.get((namespace, pod, container))
        return 0 if output is None else output.dropped + len(output.lines)

    def since(self, namespace: str, pod: str, container: str, count: int) -> list[LogLine]:
        """Return the lines after the first *count*."""
        output = self._current.get((namespace, pod, container))
        if output is None:
            return []
        return list(output.lines)[max(0, count - output.dropped) :]

    def restart(self, namespace: str, pod: str, container: str) -> None:
        """The container starts anew; what it wrote is what `previous` shows."""
        key = (namespace, pod, container)
        self._previous[key] = self._current.pop(key, _Output(deque(maxlen=MAX_LINES)))
        while len(self._previous) > MAX_CONTAINERS:
            del self._previous[next(iter(self._previous))]
        self._wake()

    def forget(self, namespace: str, pod: str) -> None:
        """Nothing is left of the pod's containers."""
        for outputs in (self._current, self._previous):
            for key in [key for key in outputs if key[:2] == (namespace, pod)]:
                del outputs[key]
        self._wake()

    def close(self) -> None:
        """Whoever follows comes to an end."""
        self.is_closed = True
        self._wake()

    async def changed(self) -> None:
        """Something was written, or a container ended, since this was called."""
        woken = asyncio.Event()
        self._followers.add(woken)
        try:
            await woken.wait()
        finally:
            self._followers.discard(woken)

    def _wake(self) -> None:
        for follower in self._followers:
            follower.set()
