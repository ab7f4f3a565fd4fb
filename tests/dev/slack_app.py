"""A Slack app for the tests: takes deliveries, checks them by itself, answers as it is told."""

import asyncio
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tidegate_dev.listener import Listener


@dataclass
class Received:
    """One delivery as it came over the wire."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return {k: v[0] for k, v in parse_qs(self.body.decode(), keep_blank_values=True).items()}

    @property
    def payload(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.form["payload"])
        return parsed

    def signed_with(self, secret: str) -> bool:
        stamp = self.headers["x-slack-request-timestamp"]
        if abs(time.time() - int(stamp)) > 300:
            return False
        base = f"v0:{stamp}:".encode() + self.body
        expected = "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected, self.headers["x-slack-signature"])


@dataclass
class SlackApp:
    """Listens where the gateway would; `status`, `answer` and `delay` say how it answers."""

    status: int = 200
    answer: bytes = b""
    answer_type: str = "text/plain"
    delay: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    url: str = ""
    _listener: Listener | None = None

    async def _take(self, request: Request) -> Response:
        headers = dict(request.headers.items())
        self.received.append(Received(request.url.path, headers, await request.body()))
        if self.delay:
            await asyncio.sleep(self.delay)
        return Response(
            self.answer,
            status_code=self.status,
            media_type=self.answer_type,
            headers=self.headers,
        )

    async def __aenter__(self) -> Self:
        routes = [Route("/slack/{name}", self._take, methods=["POST"])]
        self._listener = Listener(Starlette(routes=routes))
        await self._listener.start()
        self.url = self._listener.url
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._listener is not None
        await self._listener.stop()


async def api(
    session: aiohttp.ClientSession, api_url: str, method: str, token: str | None, **arguments: Any
) -> dict[str, Any]:
    """Call a method with JSON and return the answer."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps(arguments)
    async with session.post(f"{api_url}{method}", data=body, headers=headers) as response:
        answer: dict[str, Any] = await response.json()
        return answer
