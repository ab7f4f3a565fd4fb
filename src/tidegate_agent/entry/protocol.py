"""HTTP/1.1 as uvicorn speaks it by h11, with a bound on how long a connection may be in any phase.

h11 bounds a head's size. uvicorn bounds neither the time that a head takes nor the time that an
answer waits to be read, and it drops its keep-alive timer for a byte of a body that nobody reads:
such a connection would stay for ever. Bodies that count are bounded where they are read.
"""

import asyncio
import contextlib
from typing import Any, Final

import h11
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS: Final = 10.0
REST_SECONDS: Final = 1.0  # for what is left of a body once its answer is known
MAX_REST_BYTES: Final = 65_536
TAKE_SECONDS: Final = 30.0  # for an answer to be taken off our hands
_CLOSE: Final = (b"connection", b"close")


class PunctualProtocol(H11Protocol):
    """One connection."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._take_timer: asyncio.TimerHandle | None = None
        self._inner: ASGIApp = self.app
        self.app = self._answered

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    @override
    def data_received(self, data: bytes) -> None:
        if not self.transport.get_write_buffer_size():
            self._end_take()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._end_head()
        elif self._head_timer is None:
            self._expect_head()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        self._end_take()
        super().connection_lost(exc)

    @override
    def on_response_complete(self) -> None:
        self._expect_taken()
        super().on_response_complete()

    @override
    def pause_writing(self) -> None:
        self._expect_taken()
        super().pause_writing()

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request is answered; where its body was not read, nothing follows the answer."""
        cycle = self.cycle

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and cycle.more_body:
                if not cycle.waiting_for_100_continue:
                    await _take_rest(receive)
                if cycle.more_body:
                    others = [each for each in message.get("headers", ()) if each != _CLOSE]
                    message = {**message, "headers": [*others, _CLOSE]}
            await send(message)

        await self._inner(scope, receive, answer)

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._close)

    def _end_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close(self) -> None:
        self._head_timer = None
        if self.conn.their_state is h11.IDLE:
            self.transport.close()

    def _expect_taken(self) -> None:
        if self._take_timer is None and self.transport.get_write_buffer_size():
            self._take_timer = self.loop.call_later(TAKE_SECONDS, self._give_up)

    def _end_take(self) -> None:
        if self._take_timer is not None:
            self._take_timer.cancel()
            self._take_timer = None

    def _give_up(self) -> None:
        """Whoever does not take an answer is not waited for; a close would wait for ever."""
        self._take_timer = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()


async def _take_rest(receive: Receive) -> None:
    """What is left of a body comes off the wire, if that is soon done.

    A connection that is closed with unread bytes is reset, and the answer with it.
    """
    left = MAX_REST_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REST_SECONDS):
            while left > 0:
                message = await receive()
                if not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))
