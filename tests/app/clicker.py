"""Sends prepared requests all at once and measures how long each answer takes.

A program of its own, so that what is measured is the gateway and not the test around it:
`python -m tests.app.clicker PORT < requests`. Each line of the input is a request in base64;
each has a warm connection to itself. Prints `[[status, milliseconds], …]`.
"""

import asyncio
import base64
import json
import re
import sys
import time
from typing import cast

import uvloop
from typing_extensions import override

_WARM = b"GET /healthz HTTP/1.1\r\nHost: gate\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection that sends one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.answered: asyncio.Future[tuple[int, float]] | None = None
        self.sent = 0.0
        self.received = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes) -> "asyncio.Future[tuple[int, float]]":
        assert self.transport is not None
        self.answered = asyncio.get_running_loop().create_future()
        self.received = b""
        self.sent = time.perf_counter()
        self.transport.write(request)
        return self.answered

    @override
    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        size = re.search(rb"(?i)content-length: (\d+)", head)
        if not found or (size is not None and len(body) < int(size[1])):
            return
        if self.answered is not None and not self.answered.done():
            passed = (time.perf_counter() - self.sent) * 1000
            self.answered.set_result((int(head[9:12]), passed))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_result((0, (time.perf_counter() - self.sent) * 1000))


async def click(port: int, requests: list[bytes]) -> list[tuple[int, float]]:
    loop = asyncio.get_running_loop()
    connections = []
    for _ in requests:
        _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
        await connection.send(_WARM)
        connections.append(connection)
    pairs = zip(connections, requests, strict=True)
    return list(await asyncio.gather(*[each.send(request) for each, request in pairs]))


def main() -> None:
    requests = [base64.b64decode(line) for line in sys.stdin.buffer]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(click(int(sys.argv[1]), requests))))


if __name__ == "__main__":
    main()
