"""HTTP/1.1 as uvicorn speaks it, with bounds on everything around a body.

uvicorn bounds neither the size of a request's head or trailers nor the time a head may take,
and lets a connection that never sends a request stay for ever. Bodies are bounded by the
application, which knows how large they may be.
"""

import asyncio
from typing import Any, Final

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS: Final = 10.0
MAX_HEAD_BYTES: Final = 65_536
#: In the state of a request whose body is here already, so that nobody need time its arrival.
WHOLE: Final = "tidegate.whole"
#: … and of one that is being answered: the task that is to end if nobody waits any more.
TASK: Final = "tidegate.task"
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._moved = False
        self._around = 0  # bytes since the request last moved on
        self._in_head = False
        self._head_timer: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        # Slack waits 3 s and hangs up: what it gave up on must not happen later.
        waiting = self.cycle.scope["state"].get(TASK) if self._answering() else None
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        if waiting is not None:
            waiting.cancel()

    @override
    def data_received(self, data: bytes) -> None:
        self._moved = False
        super().data_received(data)
        self._around = 0 if self._moved else self._around + len(data)
        if self._in_head and self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_too_slow)
        if self._around > MAX_HEAD_BYTES and not self.transport.is_closing():
            if not self._answering():
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else it is a trailer, which nobody reads
            super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        self._moved = True
        self._end_head()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            raise ValueError("head too large")  # answered 400, as what cannot be parsed
        super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        self._moved = True
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        self._moved = True
        self.scope["state"][WHOLE] = True
        super().on_message_complete()

    @override
    def _unsupported_upgrade_warning(self) -> None:
        """What follows a wish for another protocol is not HTTP: answer, and close."""
        if self._answering():
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def _answering(self) -> bool:
        # uvicorn leaves `cycle` at None until there is a request.
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _end_head(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_too_slow(self) -> None:
        self._head_timer = None
        if self._answering():
            self.cycle.keep_alive = False
        else:
            self.transport.close()
