"""Client, edge and private service on real listeners, with real signatures."""

import asyncio
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
from starlette.types import Receive, Scope, Send
from yarl import URL

from tidegate.core.sigv4 import Credentials, Signer, wire_url
from tidegate_dev.edge import Edge, EdgeConfig, Exchange, edge_app
from tidegate_dev.listener import Listener
from tidegate_dev.sigv4_check import IssuedKeys

KEYS = IssuedKeys(
    access_key="ASIDEV", secret_key="dev-secret-key", session_token="dev-session-token"
)
REGION = "eu-west-1"


@dataclass
class Service:
    """A private service that keeps what reached it."""

    status: int = 202
    body: bytes = b'{"message":"taken"}'
    answer_headers: list[tuple[bytes, bytes]] = field(
        default_factory=lambda: [
            (b"content-type", b"application/json"),
            (b"location", b"/api/v1/deploy/operations/1"),
        ]
    )
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[tuple[Scope, bytes]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.requests.append((scope, body))
        await self.may_answer.wait()
        await send(
            {"type": "http.response.start", "status": self.status, "headers": self.answer_headers}
        )
        await send({"type": "http.response.body", "body": self.body})


@dataclass
class Stage:
    """Client, edge and service, listening."""

    url: str
    edge: Edge
    service: Service
    client: aiohttp.ClientSession
    seen: list[Exchange]

    def ours(
        self,
        path: str = "/api/v1/deploy",
        *,
        query: list[tuple[str, str]] | None = None,
        body: bytes = b'{"a":1}',
        headers: Mapping[str, str] | None = None,
        keys: IssuedKeys = KEYS,
        method: str = "POST",
        now: datetime | None = None,
        region: str = REGION,
        service: str = "execute-api",
    ) -> tuple[str, str, dict[str, str], bytes]:
        """Return a request signed by our signer."""
        url = wire_url(self.url, path, query or [])
        sent = {"Content-Type": "application/json", **(headers or {})}
        added = Signer().sign(
            method=method,
            url=url,
            headers=sent,
            body=body,
            credentials=Credentials(
                access_key=keys.access_key, secret_key=keys.secret_key, token=keys.session_token
            ),
            region=region,
            service=service,
            now=now or datetime.now(UTC),
        )
        return method, url, {**sent, **added}, body

    async def ask(self, path: str = "/api/v1/deploy", **changes: Any) -> tuple[int, Any]:
        """Send a request signed by our signer; return status and answer."""
        status, answer, _ = await self.send(*self.ours(path, **changes))
        return status, answer

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Any, Mapping[str, str]]:
        async with self.client.request(
            method,
            URL(url, encoded=True),
            headers=headers,
            data=io.BytesIO(body),
            allow_redirects=False,
        ) as response:
            return response.status, await response.json(), response.headers


@asynccontextmanager
async def staged(**changes: Any) -> AsyncIterator[Stage]:
    service = Service()
    service.may_answer.set()
    seen: list[Exchange] = []
    async with Listener(service) as private:
        config = EdgeConfig(
            integration_url=private.url,
            keys={KEYS.access_key: KEYS},
            region=REGION,
            on_exchange=seen.append,
        )
        edge = edge_app(replace(config, **changes))
        async with Listener(edge) as public, aiohttp.ClientSession() as client:
            yield Stage(url=public.url, edge=edge, service=service, client=client, seen=seen)
            service.may_answer.set()
        await edge.aclose()
