"""An answer on its way out: a short body, or a part of a file that is never held as a whole."""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.types import Receive, Send

from tidegate_dev.objects.faults import S3Faults

Headers = list[tuple[str, str]]

CHUNK_BYTES: Final = 256 * 1024
_PACES_PER_SECOND: Final = 20
_NO_WAIT: Final[int | None] = getattr(os, "RWF_NOWAIT", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """Bytes of an open file; whoever sends them closes it."""

    file: int
    start: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status, headers and body.

    Attributes:
        code: S3's code of the error, if it is one.
    """

    status: int = 200
    headers: Headers = field(default_factory=list)
    body: bytes | FilePart = b""
    code: str = ""


async def send_answer(
    answer: Answer,
    *,
    method: str,
    faults: S3Faults,
    receive: Receive,
    send: Send,
    in_thread: Callable[[int, int, int], Awaitable[bytes]],
    hang_up: Callable[[], None],
) -> int:
    """Return how many bytes of the body went out.

    Args:
        answer: What to send.
        method: Of the request; HEAD gets no body.
        faults: What goes wrong with the body of a GET.
        receive: Of the ASGI connection.
        send: Of the ASGI connection.
        in_thread: Does `os.pread` off the event loop.
        hang_up: Ends the connection once what was written is out.
    """
    raw = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    if not isinstance(answer.body, FilePart):
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})
        return len(answer.body)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, answer.body.file)
        gone = asyncio.ensure_future(_disconnected(receive))
        stack.callback(gone.cancel)
        return await _send_file(
            answer.body, faults=faults, gone=gone, send=send, in_thread=in_thread, hang_up=hang_up
        )


async def _send_file(
    part: FilePart,
    *,
    faults: S3Faults,
    gone: "asyncio.Future[None]",
    send: Send,
    in_thread: Callable[[int, int, int], Awaitable[bytes]],
    hang_up: Callable[[], None],
) -> int:
    sent, begun = 0, time.monotonic()
    while not gone.done():
        size = min(CHUNK_BYTES, part.length - sent)
        drop, pace = faults.drop_after_bytes, faults.body_bytes_per_second
        if drop is not None:
            if sent >= drop and part.length > drop:
                hang_up()
                await gone
                break
            size = min(size, drop - sent) if drop < part.length else size
        if pace is not None:
            size = min(size, max(1, pace // _PACES_PER_SECOND))
            ahead = sent / pace - (time.monotonic() - begun)
            await asyncio.wait([gone], timeout=max(0.0, ahead))
        data = _cached(part.file, size, part.start + sent) or await in_thread(
            part.file, size, part.start + sent
        )
        if not data and size:
            raise OSError("a file ends before it should")
        sent += len(data)
        last = sent >= part.length
        await send({"type": "http.response.body", "body": data, "more_body": not last})
        if last:
            break
    return sent


def _cached(file: int, size: int, offset: int) -> bytearray | None:
    """Return what the kernel has in memory; None means that it would have to wait for a disk."""
    if _NO_WAIT is None:
        return None
    room = bytearray(size)
    try:
        count = os.preadv(file, [room], offset, _NO_WAIT)
    except OSError:  # it would block, or this file system cannot say
        return None
    del room[count:]
    return room or None


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
