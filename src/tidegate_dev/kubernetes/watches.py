"""What happened to objects, remembered for a while, and told to whoever follows.

A follower reads from the same bounded history as somebody who comes back after a break, so both
learn in the same way that they missed something: `GoneError`.
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

import asyncio
from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from tidegate_dev.kubernetes.errors import GoneError
from tidegate_dev.kubernetes.resources import Resource

MAX_REMEMBERED: Final = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """One change of one object.

    Attributes:
        object: The object after the change; after DELETED, as it was at its end.
        previous: The object before the change; None after ADDED.
        version: The resource version that the change brought.
    """

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: dict[str, Any]
    resource: Resource
    version: int
    previous: dict[str, Any] | None = None

    def copy(self) -> "WatchEvent":
        """Return it with objects of its own."""
        return WatchEvent(
            type=self.type,
            object=copied(self.object),
            resource=self.resource,
            version=self.version,
            previous=copied(self.previous),
        )


class History:
    """The latest changes, oldest first."""

    def __init__(self, limit: int = MAX_REMEMBERED) -> None:
        self._limit = limit
        self._events: list[WatchEvent] = []
        self._followers: set[asyncio.Event] = set()
        self.forgotten = 0
        self.is_closed = False

    def add(self, event: WatchEvent) -> None:
        """The change is remembered, and every follower woken."""
        self._events.append(event)
        if len(self._events) >= 2 * self._limit:
            self.forget(self._events[-self._limit - 1].version)
        for follower in self._followers:
            follower.set()

    def close(self) -> None:
        """Every follower comes to its end."""
        self.is_closed = True
        for follower in self._followers:
            follower.set()

    def forget(self, version: int) -> None:
        """Nothing up to *version* is remembered."""
        del self._events[: bisect_right(self._events, version, key=_version)]
        self.forgotten = max(self.forgotten, version)
        for follower in self._followers:
            follower.set()

    def after(self, version: int) -> list[WatchEvent]:
        """Return what happened after *version*.

        Raises:
            GoneError: Some of it was forgotten.
        """
        if version < self.forgotten:
            raise GoneError(str(version), self.forgotten + 1)
        return self._events[bisect_right(self._events, version, key=_version) :]

    def join(self, follower: asyncio.Event) -> None:
        """*follower* is set after every change from now on."""
        self._followers.add(follower)

    def leave(self, follower: asyncio.Event) -> None:
        """*follower* is left alone."""
        self._followers.discard(follower)


class Watch:
    """The changes of some kinds after a version, as they come; an async iterator.

    It holds on to nothing but its place, so a reader may be slow, and may leave without a word.

    Raises:
        GoneError: At once or while reading: what comes next was forgotten.
    """

    def __init__(self, history: History, resources: Collection[Resource], version: int) -> None:
        self._history = history
        self._resources = frozenset(resources)
        self._version = version
        self._due: list[WatchEvent] = []
        self._look()

    @property
    def version(self) -> int:
        """Return the version up to which everything was read."""
        return self._due[0].version - 1 if self._due else self._version

    def _look(self) -> None:
        news = self._history.after(self._version)
        if news:
            self._version = news[-1].version
        self._due += [event for event in news if event.resource in self._resources]

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> WatchEvent:
        """Return the next change, once there is one."""
        while not self._due:
            if self._history.is_closed:
                raise StopAsyncIteration
            await self._wait()
        return self._due.pop(0).copy()

    async def _wait(self) -> None:
        woken = asyncio.Event()
        self._history.join(woken)
        try:
            self._look()
            if not self._due:
                await woken.wait()
        finally:
            self._history.leave(woken)


def copied(value: Any) -> Any:
    """Return a JSON value that shares nothing with *value*."""
    if isinstance(value, dict):
        return {key: copied(part) for key, part in value.items()}
    if isinstance(value, list):
        return [copied(part) for part in value]
    return value


def _version(event: WatchEvent) -> int:
    return event.version
