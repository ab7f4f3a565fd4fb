"""How fast Slack may be spoken to: kept here, so that Slack hardly ever has to say so.

Source: https://docs.slack.dev/apis/web-api/rate-limits/
"""

from collections import deque
from typing import Final

MINUTE: Final = 60.0
#: Progress may use this share of the updates; the rest is kept for final states.
PROGRESS_SHARE: Final = 0.5
MAX_CHANNELS: Final = 10_000


class Pace:
    """Counts what went out. Times are monotonic seconds."""

    def __init__(self, *, posts_per_channel_per_second: float, updates_per_minute: float) -> None:
        self._post_gap = 1.0 / posts_per_channel_per_second
        self._updates = max(1, int(updates_per_minute))
        self._sent: deque[float] = deque()
        self._next_post: dict[str, float] = {}
        self._held: dict[str, float] = {}

    def update_wait(self, now: float, *, urgent: bool) -> float:
        """Return seconds until an update may go out; 0: now, and it is counted."""
        while self._sent and now - self._sent[0] >= MINUTE:
            self._sent.popleft()
        most = self._updates if urgent else max(1, int(self._updates * PROGRESS_SHARE))
        held = self._held.get("update", 0.0) - now
        if held > 0:
            return held
        if len(self._sent) >= most:
            return max(0.05, self._sent[len(self._sent) - most] + MINUTE - now)
        self._sent.append(now)
        return 0.0

    def post_wait(self, now: float, channel_id: str) -> float:
        """Return seconds until a post to the channel may go out; 0: now, and it is counted."""
        due = max(self._next_post.get(channel_id, 0.0), self._held.get("post", 0.0))
        if due > now:
            return due - now
        if len(self._next_post) >= MAX_CHANNELS:
            self._next_post = {c: at for c, at in self._next_post.items() if at > now}
        self._next_post[channel_id] = now + self._post_gap
        return 0.0

    def hold(self, kind: str, until: float) -> None:
        """Let nothing of a kind (`update`, `post`) out until then: Slack asked for it."""
        self._held[kind] = max(until, self._held.get(kind, 0.0))
