"""Messages and their timestamps, which are their identity."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tidegate_dev.slack.files import File


class Clock:
    """Gives every message of a workspace its own, ever later timestamp."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._last = 0

    def now(self) -> float:
        """Return seconds since the Unix epoch."""
        return self._now()

    def ts(self) -> str:
        """Return a timestamp that no other message of the workspace has."""
        self._last = max(self._last + 1, int(self._now() * 1_000_000))
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"


def ts_order(ts: str) -> tuple[int, int]:
    """Return a key by which timestamps sort; what is no timestamp sorts first."""
    seconds, _, micros = ts.partition(".")
    if not (seconds.isascii() and seconds.isdigit()):
        return (0, 0)
    micros = micros[:6].ljust(6, "0")
    return (int(seconds), int(micros) if micros.isascii() and micros.isdigit() else 0)


@dataclass(slots=True, kw_only=True)
class Message:
    """One message as the workspace keeps it.

    A message is a bot's when it has *bot_id*. One with *ephemeral_for* is shown to
    that person only and is no part of the channel's history.
    """

    channel: str
    ts: str
    text: str = ""
    blocks: list[dict[str, Any]] = field(default_factory=list)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    user: str = ""
    bot_id: str | None = None
    app_id: str | None = None
    team: str = ""
    metadata: dict[str, Any] | None = None
    thread_ts: str | None = None
    edited: dict[str, str] | None = None
    ephemeral_for: str | None = None

    @property
    def at(self) -> float:
        """Return when it was posted, in seconds since the Unix epoch."""
        return float(self.ts)

    @property
    def is_reply(self) -> bool:
        """Whether it is shown in a thread rather than in the channel."""
        return self.thread_ts is not None and self.thread_ts != self.ts

    def as_api(self, *, all_metadata: bool = False) -> dict[str, Any]:
        """Return the message object of the Web API and of payloads."""
        body: dict[str, Any] = {"type": "message", "ts": self.ts, "user": self.user}
        body["text"] = self.text
        if self.team:
            body["team"] = self.team
        if self.bot_id is not None:
            body["bot_id"] = self.bot_id
        if self.app_id is not None:
            body["app_id"] = self.app_id
        if self.blocks:
            body["blocks"] = self.blocks
        if self.attachments:
            body["attachments"] = self.attachments
        if self.files:
            body["files"] = [file.as_api() for file in self.files]
            body["upload"] = True
        if self.thread_ts is not None:
            body["thread_ts"] = self.thread_ts
        if self.edited is not None:
            body["edited"] = dict(self.edited)
        if self.metadata is not None:
            body["metadata"] = (
                self.metadata if all_metadata else {"event_type": self.metadata["event_type"]}
            )
        return body
