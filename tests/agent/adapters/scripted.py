"""An API server that answers what a test tells it, byte for byte."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Scripted:
    """What was asked, and what is answered next; with nothing left, the connection is cut.

    Attributes:
        answers: Bytes to write; b"" cuts the connection; a number does so after so many seconds.
        asked: The heads of the requests so far, each with its body.
        connections: The number of the connection that each came on.
        keeps_open: Whether a connection serves for more than one request.
        warns: Whether an answer says that its connection will be closed.
    """

    url: str = ""
    answers: list[bytes | float] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    connections: list[int] = field(default_factory=list)
    keeps_open: bool = False
    warns: bool = True
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer every request of one connection."""
        self._writers.append(writer)
        number = len(self._writers)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.asked.append(head + (await _body(reader, head)))
                self.connections.append(number)
                answer = self.answers.pop(0) if self.answers else b""
                if isinstance(answer, float):
                    await asyncio.sleep(answer)
                    answer = b""
                if not answer:
                    break
                if self.warns and not self.keeps_open:
                    answer = answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
                writer.write(answer)
                await writer.drain()
                if not self.keeps_open:
                    break
        writer.close()

    async def hang_up(self) -> None:
        """No connection is left."""
        for writer in self._writers:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def _body(reader: asyncio.StreamReader, head: str) -> str:
    sizes = [
        int(line.split(":")[1])
        for line in head.split("\r\n")
        if line.lower().startswith("content-length:")
    ]
    return (await reader.readexactly(sizes[0])).decode() if sizes else ""


@contextlib.asynccontextmanager
async def scripted(
    *answers: bytes | float, keeps_open: bool = False, warns: bool = True
) -> AsyncIterator[Scripted]:
    """A listener on loopback that gives those answers, one for each request."""
    script = Scripted(answers=list(answers), keeps_open=keeps_open, warns=warns)
    server = await asyncio.start_server(script.talk, "127.0.0.1", 0)
    script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield script
    finally:
        server.close()
        await script.hang_up()


def answer(status: int, content: Any, **headers: str) -> bytes:
    """Return the bytes of an answer with a JSON body."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{extra}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def failure(code: int, reason: str = "", message: str = "no", **details: Any) -> dict[str, Any]:
    """Return a Status object."""
    return {
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
        "details": details,
    }
