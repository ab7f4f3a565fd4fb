"""Requests as a far end needs them to check a signature: raw, and whole; and its answers."""

from collections.abc import Iterable

from starlette.types import Receive, Scope, Send

from tidegate_dev.sigv4_check import ReceivedRequest


async def received(
    scope: Scope, receive: Receive, max_body_bytes: int
) -> tuple[ReceivedRequest, bool]:
    """Return the request as it came off the wire, and whether its body is not too long.

    One that is gets read to its end, and is empty.
    """
    body = await _read(receive, max_body_bytes)
    request = ReceivedRequest(
        method=scope["method"],
        raw_path=scope["raw_path"],
        raw_query=scope["query_string"],
        headers=scope["headers"],
        body=body or b"",
    )
    return request, body is not None


async def give(send: Send, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
    """The answer is sent."""
    whole = [*headers, ("content-length", str(len(body)))]
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in whole]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _read(receive: Receive, max_bytes: int) -> bytes | None:
    """Return the body, or None when it is longer than *max_bytes*; the rest is let run out."""
    chunks: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        chunk = message.get("body", b"")
        length += len(chunk)
        if length <= max_bytes:
            chunks.append(chunk)
        else:
            chunks.clear()
        if not message.get("more_body"):
            return b"".join(chunks) if length <= max_bytes else None
