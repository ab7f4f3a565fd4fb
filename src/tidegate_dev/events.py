"""The event stream to the browsers: every change, once, in order."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

_MOST_UNREAD: Final = 2_000


class EventHub:
    """Hands every change to every browser that is connected."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[dict[str, str] | None]] = set()
        self._numbers = itertools.count(1)

    @property
    def is_heard(self) -> bool:
        """Whether any browser is connected."""
        return bool(self._queues)

    def tell(self, event: str, data: dict[str, Any]) -> None:
        """Every connected browser gets *event* with *data*; one that does not read is let go."""
        if not self._queues:
            return
        made = self._event(event, data)
        for queue in tuple(self._queues):
            if queue.qsize() >= _MOST_UNREAD:
                # It reconnects, and then begins with the whole state.
                self._queues.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(made)

    async def stream(self, state: Callable[[], dict[str, Any]]) -> AsyncIterator[dict[str, str]]:
        """Yield the whole state, then every change from that moment on."""
        queue: asyncio.Queue[dict[str, str] | None] = asyncio.Queue()
        self._queues.add(queue)
        try:
            yield self._event("state", state())
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._queues.discard(queue)

    def close(self) -> None:
        """Every stream ends."""
        for queue in tuple(self._queues):
            queue.put_nowait(None)
        self._queues.clear()

    def _event(self, event: str, data: dict[str, Any]) -> dict[str, str]:
        number = next(self._numbers)
        text = json.dumps({"seq": number, **data}, separators=(",", ":"))
        return {"event": event, "id": str(number), "data": text}
