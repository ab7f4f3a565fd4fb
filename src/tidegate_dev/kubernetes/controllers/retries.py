"""When something may be tried again that failed."""

from collections.abc import Callable

from tidegate_dev.kubernetes.controllers.clock import Clock
from tidegate_dev.kubernetes.controllers.queue import Key
from tidegate_dev.kubernetes.controllers.timings import Timings


class Retries:
    """Counts failures in a row; each doubles the wait before the next try."""

    def __init__(self, clock: Clock, timings: Callable[[], Timings]) -> None:
        self._clock = clock
        self._timings = timings
        self._failures: dict[Key, int] = {}
        self._not_before: dict[Key, float] = {}

    def is_waiting(self, key: Key) -> bool:
        """Return whether it is too early to try again."""
        return self._clock.now() < self._not_before.get(key, 0)

    def put_off(self, key: Key) -> float:
        """Return the seconds to wait, after one failure more."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        timings = self._timings()
        wait = min(timings.back_off_limit, timings.retry * 2.0 ** min(failures - 1, 30))
        self._not_before[key] = self._clock.now() + wait
        return wait

    def forget(self, key: Key) -> None:
        """It went well."""
        self._failures.pop(key, None)
        self._not_before.pop(key, None)

    def hurry(self, namespace: str) -> list[Key]:
        """Return what waits there; it may be tried at once, as something changed that may help."""
        keys = [key for key in self._not_before if key.namespace == namespace]
        for key in keys:
            del self._not_before[key]
        return keys
