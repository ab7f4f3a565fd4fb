"""One POST over a connection of its own, cheap enough to send hundreds at once.

What a delivery costs to send is part of the time that is measured until its ack; a full HTTP
client would cost more than the gateway that is measured.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httptools
from typing_extensions import override

MAX_ANSWER_BYTES: Final = 1024 * 1024


@dataclass(slots=True)
class Answer:
    """What came back; header names in lower case."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)


async def post(url: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
    """Return the answer to a POST of *body*.

    Raises:
        OSError: No connection, or it ended before the answer did.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        raise OSError("only plain http to a named host is spoken here")
    lines = [
        f"POST {parts.path or '/'} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Connection: close",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    request = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
    loop = asyncio.get_running_loop()
    transport, exchange = await loop.create_connection(
        lambda: _Exchange(request, loop.create_future()), parts.hostname, parts.port or 80
    )
    try:
        return await exchange.done
    finally:
        transport.abort()


class _Exchange(asyncio.Protocol):
    def __init__(self, request: bytes, done: "asyncio.Future[Answer]") -> None:
        self.done = done
        self._request = request
        self._answer = Answer()
        self._parser = httptools.HttpResponseParser(self)

    # asyncio calls these

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            transport.write(self._request)

    @override
    def data_received(self, data: bytes) -> None:
        if self.done.done():
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail("what came back is not HTTP")

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection ended before the answer did: {exc or 'closed'}")

    # httptools calls these

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, data: bytes) -> None:
        self._answer.body += data
        if len(self._answer.body) > MAX_ANSWER_BYTES:
            self._fail("the answer is too long")

    def on_message_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        if not self.done.done():
            self.done.set_result(self._answer)

    def _fail(self, words: str) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionResetError(words))
