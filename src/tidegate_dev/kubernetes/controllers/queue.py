"""What is to be looked at again, each thing once however often it changed.

Kubernetes' own controllers work in the same way:
https://pkg.go.dev/k8s.io/client-go/util/workqueue
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from tidegate_dev.kubernetes.controllers.clock import Clock, Timer
from tidegate_dev.kubernetes.resources import Resource

_MOST_AT_ONCE: Final = 500


class Key(NamedTuple):
    """One object."""

    resource: Resource
    namespace: str
    name: str


class WorkQueue:
    """Hands each key to *work*, in the order of *ranks*, from an appointment of its own.

    Lower ranks go first, so that who depends on others looks at them when they are settled.

    Args:
        ranks: The kinds that are worked on, and their ranks.
    """

    def __init__(
        self, clock: Clock, ranks: dict[Resource, int], work: Callable[[Key], None]
    ) -> None:
        self._clock = clock
        self._ranks = ranks
        self._work = work
        self._waiting: dict[int, dict[Key, None]] = {rank: {} for rank in sorted(ranks.values())}
        self._turn: Timer | None = None
        self._later: dict[Key, tuple[float, Timer]] = {}
        self._open = False

    def start(self) -> None:
        """What is added is worked on."""
        self._open = True
        self._take_turn()

    def stop(self) -> None:
        """Nothing is worked on any more."""
        self._open = False
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        for _, timer in self._later.values():
            timer.cancel()
        self._later.clear()

    def add(self, key: Key) -> None:
        """*key* is worked on soon, once."""
        if key.resource in self._ranks:
            self._waiting[self._ranks[key.resource]][key] = None
            self._take_turn()

    def add_later(self, key: Key, delay: float) -> None:
        """*key* is worked on in *delay* seconds, or before if it was going to be."""
        at = self._clock.now() + delay
        known = self._later.get(key)
        if known is not None:
            if known[0] <= at:
                return
            known[1].cancel()
        self._later[key] = (at, self._clock.call_later(delay, lambda: self._come_due(key)))

    def _come_due(self, key: Key) -> None:
        del self._later[key]
        self.add(key)

    def _take_turn(self) -> None:
        if self._open and self._turn is None and any(self._waiting.values()):
            self._turn = self._clock.call_later(0, self._run)

    def _run(self) -> None:
        """Work through what waits; what is more than one turn's worth lets others go first."""
        try:
            for _ in range(_MOST_AT_ONCE):
                key = self._next()
                if key is None:
                    break
                self._work(key)
        finally:
            self._turn = None
            self._take_turn()

    def _next(self) -> Key | None:
        for keys in self._waiting.values():
            if keys:
                key = next(iter(keys))
                del keys[key]
                return key
        return None
