"""What a pathway costs: a signature beside botocore's, a call beside a bare signed one.

The service is a protocol that answers in the same loop, so that a call is little else than what
either side does for it.
"""

import asyncio
import contextlib
import io
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from tidegate.adapters.clock import SystemClock
from tidegate.adapters.journal import EventJournal
from tidegate.core.model import RunId
from tidegate.core.settings import ApiGatewayPathway
from tidegate.core.sigv4 import Credentials, Signer
from tidegate.entry.pathway_wiring import open_pathways
from tidegate.ports import Answered, Request

REGION = "eu-west-1"
#: As long as a role's session has them, and a statement of who clicked.
KEYS = Credentials(access_key="ASIDBENCH", secret_key="bench-secret", token="t" * 1100)
PATH, BODY = "/api/v1/deploy", b'{"params":{"namespace":"staging","deployment":"web"}}'
HEADERS = {
    "Content-Type": "application/json",
    "Idempotency-Key": "01JDN6Z4M8S5QK4YV8T1W2X3Y4",
    "X-Request-Id": "01JDN6Z4M8S5QK4YV8T1W2X3Y4-1",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "Tidegate-Identity": "e" * 700,
}
SIGNATURES, CALLS = 2000, 300
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

Rows = list[dict[str, Any]]
Call = Callable[[], Awaitable[None]]


async def pathways(rounds: int) -> Rows:
    """Measure pathways, in turns beside their peers."""
    rows = signing(rounds)
    async with service() as port:
        for title, fresh in (("", False), (", a connection of its own each", True)):
            rows += await calls(rounds, port, title, fresh=fresh)
    return rows


# --- signatures -----------------------------------------------------------------------------


def signing(rounds: int) -> Rows:
    """Return what a signature costs, with the key of the day at hand."""
    signer, url = Signer(), f"https://abc123.execute-api.{REGION}.amazonaws.com{PATH}"

    def ours() -> None:
        signer.sign(
            method="POST",
            url=url,
            headers=HEADERS,
            body=BODY,
            credentials=KEYS,
            region=REGION,
            service="execute-api",
            now=datetime.now(tz=UTC),
        )

    keys = BotocoreCredentials(KEYS.access_key, KEYS.secret_key, KEYS.token)
    theirs_signs = SigV4Auth(keys, "execute-api", REGION)

    def theirs() -> None:
        theirs_signs.add_auth(AWSRequest(method="POST", url=url, headers=HEADERS, data=BODY))

    found: dict[str, list[float]] = {"botocore": [], "tidegate": []}
    for turn in range(rounds + 1):
        for title, sign in (("botocore", theirs), ("tidegate", ours)):
            count = SIGNATURES if sign is ours else SIGNATURES // 10
            begun = time.perf_counter()
            for _ in range(count):
                sign()
            if turn:  # the first warms up
                found[title].append((time.perf_counter() - begun) / count * 1e6)
    peer = statistics.median(found["botocore"])
    return [
        {
            "what": f"µs for a signature: {title}",
            "median": round(statistics.median(times), 1),
            "min": round(min(times), 1),
            "max": round(max(times), 1),
            "ratio": round(statistics.median(times) / peer, 2),
        }
        for title, times in found.items()
    ]


# --- calls ----------------------------------------------------------------------------------


async def calls(rounds: int, port: int, title: str, *, fresh: bool) -> Rows:
    """Return what a call costs over a pathway, and what of it is not the call's own."""
    bare, through = "a bare signed call", "a call over a pathway"
    found: dict[str, list[float]] = {bare: [], through: []}
    async with bare_call(port, fresh=fresh) as direct, pathway_call(port, fresh=fresh) as whole:
        for turn in range(rounds + 1):
            for name, call in ((bare, direct), (through, whole)):
                times = [await _timed(call) for _ in range(CALLS)]
                if turn:
                    found[name] += times
    rows = [
        {"what": f"{name}{title}", "p50_ms": _ms(_p(times, 0.5)), "p99_ms": _ms(_p(times, 0.99))}
        for name, times in found.items()
    ]
    above = _p(found[through], 0.5) - _p(found[bare], 0.5)
    return [*rows, {"what": f"of which the pathway's{title}", "p50_ms": _ms(above)}]


async def _timed(call: Call) -> float:
    begun = time.perf_counter()
    await call()
    return time.perf_counter() - begun


@contextlib.asynccontextmanager
async def bare_call(port: int, *, fresh: bool) -> AsyncIterator[Call]:
    """Yield a call that is signed and sent, and nothing else."""
    signer, url = Signer(), f"http://127.0.0.1:{port}{PATH}"
    connector = aiohttp.TCPConnector(force_close=fresh)

    async with aiohttp.ClientSession(connector=connector) as http:

        async def call() -> None:
            signed = signer.sign(
                method="POST",
                url=url,
                headers=HEADERS,
                body=BODY,
                credentials=KEYS,
                region=REGION,
                service="execute-api",
                now=datetime.now(tz=UTC),
            )
            async with http.post(url, data=BODY, headers={**HEADERS, **signed}) as response:
                await response.read()

        yield call


@contextlib.asynccontextmanager
async def pathway_call(port: int, *, fresh: bool) -> AsyncIterator[Call]:
    """Yield a call as the worker makes it, credentials by AWS's chain included."""
    settings = ApiGatewayPathway(
        type="api_gateway", url=f"http://127.0.0.1:{port}", region=REGION, audience="bench"
    )
    environment = {
        "AWS_ACCESS_KEY_ID": KEYS.access_key,
        "AWS_SECRET_ACCESS_KEY": KEYS.secret_key,
        "AWS_SESSION_TOKEN": KEYS.token or "",
    }
    request = Request(
        run_id=RunId(HEADERS["Idempotency-Key"]),
        method="POST",
        path=PATH,
        body=BODY,
        headers=HEADERS,
        fresh=fresh,
    )
    with patch.dict("os.environ", environment):
        opened = open_pathways(
            {"bench": settings},
            near=Path,
            clock=SystemClock(),
            journal=EventJournal(io.StringIO()),
        )["bench"]

        async def call() -> None:
            response = await opened.upstream.send(request)
            assert isinstance(response, Answered), response

        yield call
        await opened.upstream.close()


class _Answers(asyncio.Protocol):
    """Answers each request that is whole, as fast as can be."""

    def __init__(self) -> None:
        self._transport: Any = None  # uvloop's is no subclass of asyncio's
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer, once the body is there."""
        self._seen += data
        if self._seen.endswith(BODY):
            self._seen = b""
            self._transport.write(ANSWER)


@contextlib.asynccontextmanager
async def service() -> AsyncIterator[int]:
    """Serve while the block runs, and yield the port."""
    server = await asyncio.get_running_loop().create_server(_Answers, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def _p(times: list[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
