"""Trigger ids: good for three seconds and one use.

Source: https://docs.slack.dev/interactivity/handling-user-interaction/#modal_responses
"""

import secrets
from collections.abc import Callable
from typing import Final

from tidegate_dev.slack.errors import ApiError

LIFE_SECONDS: Final = 3.0
_KEPT: Final = 2000


class Triggers:
    """The trigger ids that this workspace has given out."""

    def __init__(self, now: Callable[[], float], *, team: str) -> None:
        self._now = now
        self._team = str(int.from_bytes(team.encode()[-4:], "big"))
        self._made: dict[str, float] = {}
        self._used: set[str] = set()

    def make(self) -> str:
        """Return a new trigger id; its three seconds begin now."""
        now = self._now()
        trigger = f"{int(now * 1000)}.{self._team}.{secrets.token_hex(16)}"
        self._made[trigger] = now
        if len(self._made) > _KEPT:
            oldest = next(iter(self._made))
            del self._made[oldest]
            self._used.discard(oldest)
        return trigger

    def exchange(self, trigger: str) -> None:
        """*trigger* is used up.

        Raises:
            ApiError: It is unknown, older than three seconds, or was used before.
        """
        made = self._made.get(trigger)
        if made is None:
            raise ApiError("invalid_trigger_id")
        if trigger in self._used:
            raise ApiError("exchanged_trigger_id")
        if self._now() - made > LIFE_SECONDS:
            raise ApiError("expired_trigger_id")
        self._used.add(trigger)
