"""Stand in for API Gateway: an HTTP API with IAM on every route and a private integration.

A real server. It verifies each signature with a check of its own, decides like IAM, keeps the
limits and answers in the words of API Gateway, and carries what passes to the private service.

Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html and
http-api-access-control-iam.html beside it.
"""

import asyncio
import io
import json
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp
from starlette.types import Receive, Scope, Send
from yarl import URL

from tidegate_dev.sigv4_check import IssuedKeys, ReceivedRequest, Verdict, check, normal_path

SERVICE: Final = "execute-api"
ACCOUNT: Final = "123456789012"
FAULTS: Final = frozenset(
    {"throttle", "integration_down", "integration_slow", "clock_skew", "not_permitted"}
)
MAX_SHOWN_ANSWER_BYTES: Final = 64 * 1024
SKEW_OF_A_WRONG_CLOCK: Final = timedelta(minutes=20)

_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_REPLACED: Final = frozenset({"host", "authorization", "forwarded", "via", "x-forwarded-for"})
_MASKED: Final = frozenset({"x-amz-security-token", "tidegate-identity", "cookie"})
_SIGNATURE: Final = re.compile(r"Signature=[0-9A-Za-z]*")

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """An IAM statement in short: who is signed in may invoke this; `*` and `?` as IAM has them."""

    method: str
    path: str

    def covers(self, method: str, path: str) -> bool:
        """Return whether the statement allows this request."""
        return _matches(self.method, method) and _matches(self.path, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeConfig:
    """What this API is.

    Attributes:
        integration_url: The private service behind the VPC link.
        keys: The keys in circulation, by access key id; read anew for each request.
        region: The region that signatures must name.
        permissions: What a signed request may invoke.
        api_id: The API's id, as in its host name.
        integration_timeout_seconds: HTTP APIs allow at most 30.
        slow_seconds: How much longer the way to the private service takes while it is slow.
        max_body_bytes: 10 MB at API Gateway.
        max_header_bytes: Request line and header values, 10,240 at API Gateway.
        max_exchanges: How many exchanges are remembered.
        now: The edge's clock.
        on_exchange: Called after each exchange.
    """

    integration_url: str
    keys: Mapping[str, IssuedKeys]
    region: str = "eu-west-1"
    permissions: Sequence[Permission] = (
        Permission(method="POST", path="/api/v1/*"),
        Permission(method="GET", path="/api/v1/*"),
    )
    api_id: str = "a1b2c3d4e5"
    integration_timeout_seconds: float = 30.0
    slow_seconds: float = 5.0
    max_body_bytes: int = 10 * 1024 * 1024
    max_header_bytes: int = 10_240
    max_exchanges: int = 200
    now: Callable[[], float] = time.time
    on_exchange: "Callable[[Exchange], None] | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and what became of it, fit to be shown: no signature, token or statement.

    Attributes:
        at: When it came in, ISO 8601.
        verdict: `accepted`, or the name of what stopped it.
        message: What the caller was told when it was stopped.
        run_id: The run that the request belongs to, from its `Idempotency-Key`.
        forwarded: Whether the private service was asked.
        answer: What the private service answered, if that is a JSON object and not too long.
    """

    request_id: str
    at: str
    method: str
    path: str
    headers: Headers
    canonical_request: str
    string_to_sign: str
    verdict: str
    message: str
    status: int
    ms: float
    run_id: str
    forwarded: bool
    answer: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the exchange as JSON has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    body: bytes
    headers: Headers = field(default_factory=list)
    verdict: str = "accepted"
    message: str = ""
    check: Verdict = field(default_factory=Verdict)
    forwarded: bool = False


class Edge:
    """The ASGI application, its switches and its memory.

    Attributes:
        faults: Named faults that are on; any of `FAULTS`.
        exchanges: The latest exchanges, oldest first.
    """

    def __init__(self, config: EdgeConfig) -> None:
        self.config = config
        self.faults: set[str] = set()
        self.exchanges: deque[Exchange] = deque(maxlen=config.max_exchanges)
        self._session: aiohttp.ClientSession | None = None

    def set_fault(self, name: str, on: bool) -> None:
        """Switch a fault.

        Raises:
            ValueError: There is no such fault.
        """
        if name not in FAULTS:
            raise ValueError(
                f"no fault is called {name[:40]!r}; there are {', '.join(sorted(FAULTS))}"
            )
        (self.faults.add if on else self.faults.discard)(name)

    def state(self) -> dict[str, Any]:
        """Return faults and exchanges, newest first, as JSON has them."""
        return {
            "api_id": self.config.api_id,
            "region": self.config.region,
            "faults": sorted(self.faults),
            "exchanges": [exchange.to_dict() for exchange in reversed(self.exchanges)],
        }

    async def aclose(self) -> None:
        """Let go of the connections to the private service."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        begin = time.perf_counter()
        request_id = secrets.token_urlsafe(11) + "="
        body = await _read(receive, self.config.max_body_bytes)
        request = ReceivedRequest(
            method=scope["method"],
            raw_path=scope["raw_path"],
            raw_query=scope["query_string"],
            headers=scope["headers"],
            body=body or b"",
        )
        if body is None:
            answer = _refused(413, "RequestTooLarge", "Request Entity Too Large")
        else:
            answer = await self._answer(request, scope)
        self._remember(request, answer, request_id, (time.perf_counter() - begin) * 1000)
        headers = [*answer.headers, ("apigw-requestid", request_id)]
        headers.append(("content-length", str(len(answer.body))))
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, request: ReceivedRequest, scope: Scope) -> _Answer:
        if _head_bytes(request) > self.config.max_header_bytes:
            return _refused(431, "HeadersTooLarge", "Request header fields too large")
        if "throttle" in self.faults:
            return _refused(429, "TooManyRequests", "Too Many Requests")
        verdict = check(
            request,
            issued=self.config.keys,
            region=self.config.region,
            service=SERVICE,
            now=self._clock(),
        )
        if verdict.keys is None:
            if not verdict.error_type:
                return _refused(403, "MissingAuthenticationToken", "Forbidden", verdict)
            return _refused(403, verdict.error_type, verdict.message, verdict, name_it=True)
        if not self._permitted(request):
            denial = self._denial(verdict.keys, request)
            return _refused(403, "AccessDeniedException", denial, verdict, name_it=True)
        if "integration_down" in self.faults:
            return _refused(503, "IntegrationFailure", "Service Unavailable", verdict)
        if "integration_slow" in self.faults:
            await asyncio.sleep(self.config.slow_seconds)
        return await self._forward(request, verdict, scope)

    def _clock(self) -> datetime:
        now = datetime.fromtimestamp(self.config.now(), UTC)
        return now + SKEW_OF_A_WRONG_CLOCK if "clock_skew" in self.faults else now

    def _permitted(self, request: ReceivedRequest) -> bool:
        # Both spellings must be allowed: `/api/v1/../../admin` is nobody's /api/v1/*.
        spellings = {_text(request.raw_path), _text(normal_path(request.raw_path))}
        return "not_permitted" not in self.faults and all(
            any(statement.covers(request.method, path) for statement in self.config.permissions)
            for path in spellings
        )

    def _denial(self, keys: IssuedKeys, request: ReceivedRequest) -> str:
        resource = (
            f"arn:aws:execute-api:{self.config.region}:{ACCOUNT}:{self.config.api_id}/$default/"
            f"{request.method}{_text(normal_path(request.raw_path))[:200]}"
        )
        return (
            f"User: {keys.principal} is not authorized to perform: execute-api:Invoke "
            f"on resource: {resource}"
        )

    async def _forward(self, request: ReceivedRequest, verdict: Verdict, scope: Scope) -> _Answer:
        if self._session is None:
            self._session = _open_session(self.config.integration_timeout_seconds)
        target = self.config.integration_url.rstrip("/") + _text(request.raw_path)
        if request.raw_query:
            target += "?" + _text(request.raw_query)
        try:
            async with self._session.request(
                request.method,
                URL(target, encoded=True),
                headers=_onward(request, scope),
                data=io.BytesIO(request.body) if request.body else None,
                allow_redirects=False,
            ) as response:
                body = await response.content.read(self.config.max_body_bytes + 1)
                while not response.content.at_eof() and len(body) <= self.config.max_body_bytes:
                    body += await response.content.read(self.config.max_body_bytes + 1 - len(body))
        except TimeoutError:
            return _refused(
                504, "IntegrationTimeout", "Endpoint request timed out", verdict, forwarded=True
            )
        except aiohttp.ClientConnectorError:
            return _refused(503, "IntegrationFailure", "Service Unavailable", verdict)
        except aiohttp.ClientError:
            return _refused(
                500, "IntegrationBroken", "Internal Server Error", verdict, forwarded=True
            )
        if len(body) > self.config.max_body_bytes:
            return _refused(
                500, "IntegrationTooLarge", "Internal Server Error", verdict, forwarded=True
            )
        kept = [
            (_text(name).lower(), value.decode("latin-1"))
            for name, value in response.raw_headers
            if _text(name).lower() not in _HOP_BY_HOP | {"date"}
        ]
        return _Answer(
            status=response.status, body=body, headers=kept, check=verdict, forwarded=True
        )

    def _remember(
        self, request: ReceivedRequest, answer: _Answer, request_id: str, ms: float
    ) -> None:
        query = f"?{_text(request.raw_query)}" if request.raw_query else ""
        run_id = [_text(value) for value in request.values(b"idempotency-key")]
        exchange = Exchange(
            request_id=request_id,
            at=datetime.fromtimestamp(self.config.now(), UTC).isoformat(timespec="milliseconds"),
            method=request.method,
            path=(_text(request.raw_path) + query)[:2000],
            headers=[_masked(_text(name), _text(value)) for name, value in request.headers][:100],
            canonical_request=_masked_canonical(answer.check.canonical_request),
            string_to_sign=answer.check.string_to_sign,
            verdict=answer.verdict,
            message=answer.message,
            status=answer.status,
            ms=round(ms, 2),
            run_id=run_id[0][:200] if run_id else "",
            forwarded=answer.forwarded,
            answer=_object(answer.body) if answer.forwarded else None,
        )
        self.exchanges.append(exchange)
        if self.config.on_exchange is not None:
            self.config.on_exchange(exchange)


def edge_app(config: EdgeConfig) -> Edge:
    """Return the edge as an ASGI application; close it with `aclose` or by its lifespan."""
    return Edge(config)


def _matches(pattern: str, value: str) -> bool:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


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


def _head_bytes(request: ReceivedRequest) -> int:
    line = len(request.method) + len(request.raw_path) + len(request.raw_query) + len("  HTTP/1.1")
    return line + sum(len(value) for _, value in request.headers)


def _refused(
    status: int,
    verdict: str,
    message: str,
    found: Verdict | None = None,
    *,
    forwarded: bool = False,
    name_it: bool = False,
) -> _Answer:
    headers = [("content-type", "application/json")]
    if name_it:
        headers.append(("x-amzn-errortype", verdict))
    return _Answer(
        status=status,
        body=json.dumps({"message": message}, separators=(",", ":")).encode(),
        headers=headers,
        verdict=verdict,
        message=message,
        check=found or Verdict(),
        forwarded=forwarded,
    )


def _open_session(timeout_seconds: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # A connection for each request: a service that restarts leaves no dead one behind.
        connector=aiohttp.TCPConnector(limit=256, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
    )


def _onward(request: ReceivedRequest, scope: Scope) -> Headers:
    onward: Headers = []
    for raw_name, raw_value in request.headers:
        name = _text(raw_name)
        if name in _HOP_BY_HOP or name in _REPLACED or name.startswith("x-amz-"):
            continue
        onward.append((name, _text(raw_value)))
    peer = (scope.get("client") or ("unknown", 0))[0]
    host = _first(request.values(b"host"))
    proto = scope.get("scheme", "http")
    before = _first(request.values(b"x-forwarded-for"))
    return [
        *onward,
        ("Via", "HTTP/1.1 AmazonAPIGateway"),
        ("Forwarded", f"by=127.0.0.1;for={peer};host={host};proto={proto}"),
        ("X-Forwarded-For", f"{before}, {peer}" if before else peer),
    ]


def _masked(name: str, value: str) -> tuple[str, str]:
    if name == "authorization":
        if value.startswith("AWS4-"):
            return name, _SIGNATURE.sub("Signature=(hidden)", value)[:2000]
        return name, f"({len(value)} characters)"
    if name in _MASKED:
        return name, f"({len(value)} characters)"
    return name, value[:2000]


def _object(body: bytes) -> dict[str, Any] | None:
    """Return a body that is a JSON object, or None."""
    try:
        value = json.loads(body) if len(body) <= MAX_SHOWN_ANSWER_BYTES else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _masked_canonical(canonical: str) -> str:
    lines = []
    for line in canonical.split("\n"):
        name, colon, value = line.partition(":")
        lines.append(":".join(_masked(name, value)) if colon and name in _MASKED else line)
    return "\n".join(lines)


def _first(values: Iterable[bytes]) -> str:
    return next(map(_text, values), "")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
