"""One HTTP exchange over a pathway, and what its failure means.

A request is sent once. Whether a byte of it went out is known from aiohttp's own trace, not
guessed from an exception's name: on that rests whether it may be sent again.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from tidegate.ports import Answered, NoAnswer, NotSent, Response

MAX_ANSWER_BYTES: Final = 1_048_576
CONNECT_SECONDS: Final = 5.0
KEEPALIVE_SECONDS: Final = 15.0
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a pathway leads.

    Attributes:
        url: Base address; a request's path is appended to it.
        timeout_seconds: For a whole exchange.
        concurrency: Connections at most.
        connect_to: HOST or HOST:PORT to connect to instead of the url's own.
        host: Host header and TLS name instead of the url's own.
        ca_file: PEM file of the private CA to trust.
        client_cert: PEM file with certificate and key.
    """

    url: str
    timeout_seconds: float
    concurrency: int
    connect_to: str | None = None
    host: str | None = None
    ca_file: str | None = None
    client_cert: str | None = None

    @property
    def base_path(self) -> str:
        """The url's path, without a slash at its end."""
        return urlsplit(self.url).path.rstrip("/")

    def address(self, path: str) -> str:
        """Return the exact URL of a request."""
        return f"{self.url.rstrip('/')}{path}"


class Transport:
    """Sends requests to one place."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def exchange(
        self, *, method: str, url: str, headers: Mapping[str, str], body: bytes, fresh: bool
    ) -> Response:
        """Send exactly this and return what came of it; never raises for the network's sake.

        Args:
            method: The HTTP method.
            url: The exact URL, already percent-encoded.
            headers: All headers that matter.
            body: The exact bytes.
            fresh: On a new connection. One that was kept open may have been closed at the far
                end just now, which cannot be told from a crash after the request arrived.
        """
        context = SimpleNamespace(sent=False)
        name = urlsplit(f"//{self._place.host}").hostname if self._place.host else None
        try:
            if self._place.connect_to is not None:
                headers = {"Host": _authority(url), **headers}
                name, url = name or urlsplit(url).hostname, _elsewhere(url, self._place.connect_to)
            async with self._session(fresh=fresh).request(
                method,
                URL(url, encoded=True),
                headers={"Accept": "application/json", "Accept-Encoding": "identity", **headers},
                data=body or None,
                allow_redirects=False,
                server_hostname=name,
                trace_request_ctx=context,
            ) as response:
                content = await _content(response)
                return Answered(
                    status=response.status,
                    body=content,
                    location=response.headers.get("Location"),
                    retry_after=response.headers.get("Retry-After"),
                    json=content.lstrip()[:1] == b"{",
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return _failure(error, sent=context.sent)

    async def close(self) -> None:
        """Let connections go."""
        for session in self._sessions.values():
            await session.close()

    def _session(self, *, fresh: bool) -> aiohttp.ClientSession:
        if fresh not in self._sessions:
            self._sessions[fresh] = self._open(fresh=fresh)
        return self._sessions[fresh]

    def _open(self, *, fresh: bool) -> aiohttp.ClientSession:
        options: dict[str, Any] = (
            {"force_close": True} if fresh else {"keepalive_timeout": KEEPALIVE_SECONDS}
        )
        if urlsplit(self._place.url).scheme == "https":
            options["ssl"] = _tls(self._place)
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_note_sent)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._place.concurrency + 32, **options),
            timeout=aiohttp.ClientTimeout(
                total=self._place.timeout_seconds,
                sock_connect=min(CONNECT_SECONDS, self._place.timeout_seconds),
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            trace_configs=[trace],
        )


def _authority(url: str) -> str:
    """The Host header of a URL."""
    parts = urlsplit(url)
    return parts.netloc.lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, ""))


def _elsewhere(url: str, connect_to: str) -> str:
    """The URL at another place: a resolver would not be asked where the host is an address."""
    parts = urlsplit(url)
    there = f"[{connect_to}]" if connect_to.count(":") > 1 and "[" not in connect_to else connect_to
    port = f":{parts.port}" if parts.port and urlsplit(f"//{there}").port is None else ""
    return url.replace(f"//{parts.netloc}", f"//{there}{port}", 1)


class _SentBeforeError(aiohttp.ClientError):
    """aiohttp was about to send a request again, which only the worker may decide."""


async def _note_sent(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    # Called before the first byte. aiohttp sends a GET, PUT or DELETE again by itself when a
    # connection breaks; an error here keeps it from that.
    if context.trace_request_ctx.sent:
        raise _SentBeforeError
    context.trace_request_ctx.sent = True


async def _content(response: aiohttp.ClientResponse) -> bytes:
    """Return the answer's body; empty if it is too long or breaks off: the status stands."""
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > MAX_ANSWER_BYTES:
                return b""
            chunks.append(chunk)
    except (aiohttp.ClientError, TimeoutError, OSError):
        return b""
    return b"".join(chunks)


def _failure(error: Exception, *, sent: bool) -> Response:
    if sent:
        return NoAnswer(reason="timeout" if isinstance(error, TimeoutError) else "no_answer")
    match error:
        case aiohttp.ClientConnectorDNSError():
            return NotSent(reason="dns")
        case aiohttp.ClientSSLError() | aiohttp.ClientConnectorCertificateError() | ssl.SSLError():
            return NotSent(reason="tls")
        case _:
            return NotSent(reason="connect")


def _tls(place: Place) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=place.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if place.client_cert is not None:
        context.load_cert_chain(place.client_cert)
    return context
