"""The public listener: plain ASGI, since the answer to a click is what Slack waits for.

Nothing but the endpoints below exists; whatever comes, it is answered, never with a stack
trace.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from tidegate.app.intake import Answer, Endpoint, Intake
from tidegate.entry.protocol import TASK, WHOLE
from tidegate.ports import Clock, Journal

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Check = Callable[[], Awaitable[str | None]]

READ_SECONDS: Final = 10.0
LINGER_SECONDS: Final = 2.0
LINGER_BYTES: Final = 33_554_432
_PLAIN: Final = b"text/plain; charset=utf-8"
_JSON: Final = b"application/json; charset=utf-8"
_ENDPOINTS: Final = {endpoint.value: endpoint for endpoint in Endpoint}


class PublicApp:
    """An ASGI application with the endpoints that Slack and a load balancer call."""

    def __init__(
        self,
        *,
        intake: Intake,
        ready: Check,
        clock: Clock,
        journal: Journal,
        max_body_bytes: int,
    ) -> None:
        self._intake = intake
        self._ready = ready
        self._clock = clock
        self._journal = journal
        self._max_body = max_body_bytes
        self._name = clock.entropy(5).hex()  # tells this process's requests from another's
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        endpoint = _ENDPOINTS.get(path)
        if endpoint is not None:
            await self._slack(endpoint, scope, receive, send)
        elif path in ("/healthz", "/readyz"):
            await self._probe(path, scope["method"], send)
        else:
            await _respond(send, 404, b"there is nothing here")

    async def _slack(self, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
        arrived = self._clock.monotonic()
        request = f"{self._name}-{next(self._numbers):x}"
        if scope["method"] != "POST":
            allow = (b"allow", b"POST")
            await _respond(send, 405, b"POST only", extra=[allow, *_named(request)])
            return
        headers = _headers(scope)
        try:
            if WHOLE in scope.get("state", ()):
                body = await self._body(headers, receive)
            else:
                async with asyncio.timeout(READ_SECONDS):
                    body = await self._body(headers, receive)
        except TimeoutError:
            self._refused(request, endpoint, 408, "body too slow", arrived)
            await _respond(send, 408, b"too slow", extra=[_CLOSE, *_named(request)])
            return
        if isinstance(body, _Gone):
            return
        if body is None:
            self._refused(request, endpoint, 413, "body too large", arrived)
            extra = [_CLOSE, *_named(request)]
            await _respond(send, 413, b"too large", extra=extra, unread=receive)
            return
        scope.setdefault("state", {})[TASK] = asyncio.current_task()
        try:
            answer = await self._intake.handle(endpoint, headers, body, arrived=arrived)
        except asyncio.CancelledError:
            # Nobody is left to answer: the protocol ended us, and nothing comes of the request.
            self._refused(request, endpoint, 499, "hung up before the answer", arrived)
            return
        await _respond(
            send,
            answer.status,
            answer.body,
            content_type=answer.content_type.encode(),
            extra=_named(request, answer.trace.run),
        )
        self._note(request, endpoint, answer, len(body), arrived)

    async def _body(self, headers: dict[str, str], receive: Receive) -> "bytes | _Gone | None":
        """Return the body; None if it is too long."""
        declared = headers.get("content-length", "")
        if declared.isdecimal() and (len(declared) > 12 or int(declared) > self._max_body):
            return None
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return _Gone()
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._max_body:
                return None
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)

    async def _probe(self, path: str, method: str, send: Send) -> None:
        if method not in ("GET", "HEAD"):
            await _respond(send, 405, b"GET only", extra=[(b"allow", b"GET, HEAD")])
            return
        why = await self._ready() if path == "/readyz" else None
        content = msgspec.json.encode({"ok": True} if why is None else {"ok": False, "why": why})
        status = 200 if why is None else 503
        await _respond(send, status, b"" if method == "HEAD" else content, content_type=_JSON)

    def _note(
        self, request: str, endpoint: Endpoint, answer: Answer, size: int, arrived: float
    ) -> None:
        trace = answer.trace
        self._journal.note(
            "answered",
            level="warning" if answer.status >= 400 else "info",
            request=request,
            endpoint=endpoint.value,
            status=answer.status,
            outcome=trace.outcome,
            reason=trace.reason,
            kind=trace.kind,
            action=trace.action,
            run=trace.run,
            bytes=size,
            total_ms=round((self._clock.monotonic() - arrived) * 1000, 3),
            **{name: round(ms, 3) for name, ms in trace.times.items()},
        )

    def _refused(
        self, request: str, endpoint: Endpoint, status: int, reason: str, arrived: float
    ) -> None:
        self._journal.note(
            "answered",
            level="warning",
            request=request,
            endpoint=endpoint.value,
            status=status,
            outcome="refused",
            reason=reason,
            total_ms=round((self._clock.monotonic() - arrived) * 1000, 3),
        )


class _Gone:
    """The client went away before its request was whole."""


_CLOSE: Final = (b"connection", b"close")
_READ: Final = frozenset(
    {b"content-length", b"content-type", b"x-slack-request-timestamp", b"x-slack-signature"}
)


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers that matter, by lower-case name; of a repeated one the last."""
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in scope["headers"]
        if name in _READ
    }


def _named(request: str, run: str | None = None) -> list[tuple[bytes, bytes]]:
    headers = [(b"x-request-id", request.encode())]
    return [*headers, (b"x-tidegate-run", run.encode())] if run else headers


async def _respond(
    send: Send,
    status: int,
    body: bytes,
    *,
    content_type: bytes = _PLAIN,
    extra: list[tuple[bytes, bytes]] | None = None,
    unread: Receive | None = None,
) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *(extra or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": unread is not None})
    if unread is not None:
        await _linger(unread)
        await send({"type": "http.response.body", "body": b""})


async def _linger(receive: Receive) -> None:
    """Pass over what is still being sent, for a while.

    A connection that is closed with bytes unread is reset, and the answer may be lost with it.
    """
    left = LINGER_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
