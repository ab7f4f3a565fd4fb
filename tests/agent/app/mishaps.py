"""What goes wrong between the agent and the API server, in front of the real client."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from typing_extensions import override

from tidegate_agent.errors import AmbiguousError, BusyError, UnreachableError
from tidegate_agent.ports import Kubernetes

CALLS: Final = frozenset({"get", "list", "patch", "create", "update", "delete", "logs", "allowed"})
CHANGES: Final = frozenset({"patch", "create", "update", "delete"})


class Killed(BaseException):
    """The agent's process is gone."""


class Between:
    """Stands between the agent and the cluster.

    Args:
        inner: The cluster.
        before: Called with each call's number, from 1, and name; what it raises is raised, and
            the call is not made.
        after: The same, once the call was made.
    """

    def __init__(
        self,
        inner: Kubernetes,
        *,
        before: Callable[[int, str], None] = lambda _number, _name: None,
        after: Callable[[int, str], None] = lambda _number, _name: None,
    ) -> None:
        self._inner = inner
        self._before = before
        self._after = after
        self.made: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in CALLS:
            return found

        async def call(*args: Any, **options: Any) -> Any:
            self.made.append(name)
            number = len(self.made)
            self._before(number, name)
            result: Awaitable[Any] = found(*args, **options)
            value = await result
            self._after(number, name)
            return value

        return call


class Killer:
    """Kills an agent just before, or just after, its call of that number.

    Attributes:
        calls: How many the agent has begun.
    """

    def __init__(self, number: int, *, after: bool = False) -> None:
        self._number = number
        self._after = after
        self.calls = 0

    def __call__(self, inner: Kubernetes) -> Any:
        def begin(number: int, _: str) -> None:
            self.calls = number
            if number == self._number and not self._after:
                raise Killed

        def end(number: int, _: str) -> None:
            if number == self._number and self._after:
                raise Killed

        return Between(inner, before=begin, after=end)


def dying_after(name: str) -> Callable[[Kubernetes], Any]:
    """Return what kills an agent just after its first call of that name, whatever its number."""

    def end(_: int, made: str) -> None:
        if made == name:
            raise Killed

    return lambda inner: Between(inner, after=end)


def watched(before: Callable[[int, str], None]) -> Callable[[Kubernetes], Any]:
    """Return what lets a test do something just before each call."""
    return lambda inner: Between(inner, before=before)


def breaking_off(number: int, *, done: bool) -> Callable[[Kubernetes], Any]:
    """Return what breaks off that one of the agent's changes, done by the server or not."""
    seen = [0]

    def break_off(_: int, name: str) -> None:
        if name in CHANGES:
            seen[0] += 1
            if seen[0] == number:
                raise AmbiguousError("connection reset")

    return lambda inner: Between(inner, **{"after" if done else "before": break_off})


def out_of_reach(*names: str, times: int = 1, busy: bool = False) -> Callable[[Kubernetes], Any]:
    """Return what keeps the first so many calls of those names from being sent."""
    left = [times]

    def refuse(_: int, name: str) -> None:
        if name in names and left[0]:
            left[0] -= 1
            if busy:
                raise BusyError("slow down", retry_after=7.0)
            raise UnreachableError("no route")

    return lambda inner: Between(inner, before=refuse)


class Holder:
    """Holds an agent just before its call of that number, until it is let go.

    Attributes:
        is_held: Set once the agent is held.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._go = asyncio.Event()
        self.is_held = asyncio.Event()

    def __call__(self, inner: Kubernetes) -> Any:
        return _Held(inner, self)

    def let_go(self) -> None:
        self._go.set()

    async def pass_by(self, number: int) -> None:
        if number == self._number:
            self.is_held.set()
            await self._go.wait()


class _Held(Between):
    def __init__(self, inner: Kubernetes, holder: Holder) -> None:
        super().__init__(inner)
        self._holder = holder

    @override
    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        if name not in CALLS:
            return found

        async def call(*args: Any, **options: Any) -> Any:
            await self._holder.pass_by(len(self.made) + 1)
            return await found(*args, **options)

        return call


def refusing(name: str, error: Exception, *, times: int) -> Callable[[Kubernetes], Any]:
    """Return what raises an error for the first so many calls of that name."""
    left = [times]

    def refuse(_: int, called: str) -> None:
        if called == name and left[0]:
            left[0] -= 1
            raise error

    return lambda inner: Between(inner, before=refuse)
