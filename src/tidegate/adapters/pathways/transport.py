"""One HTTP exchange over a pathway, and what its failure means.

A request is sent once. Whether a byte of it went out is known from aiohttp's own trace, not
guessed from an exception's name: on that rests whether it may be sent again.
"""

import asyncio
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from tidegate.adapters.pathways.certificates import Certificates
from tidegate.adapters.pathways.connector import AskingConnector
from tidegate.adapters.pathways.resolver import GuardedResolver
from tidegate.core import edge_answer
from tidegate.core.edge_answer import Edge, EdgeAnswer
from tidegate.errors import AddressRefusedError, CertificateError
from tidegate.ports import Answered, Journal, NoAnswer, NotSent, Response

MAX_ANSWER_BYTES: Final = 1_048_576
CONNECT_SECONDS: Final = 5.0
KEEPALIVE_SECONDS: Final = 15.0
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_REQUEST_ID_HEADERS: Final = ("apigw-requestid", "x-amzn-requestid", "x-amzn-request-id")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9=_-]{1,80}")
#: What OpenSSL calls the reasons for which a certificate does not hold.
#: Source: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_WRONG_NAME: Final = frozenset({62, 64})
_WRONG_TIME: Final = frozenset({9, 10})
_REFUSED_CLIENT: Final = re.compile(
    r"ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|UNSUPPORTED_CERTIFICATE"
    r"|CERTIFICATE_(REVOKED|EXPIRED|UNKNOWN)|ACCESS_DENIED)"
)


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
        client_key: PEM file with the key, if that is not in the same file.
        private: Whether names may lead to private addresses.
        edge: What is known to stand before the service.
        max_body_bytes: The largest body that is taken there; None where that is not known.
        max_head_bytes: The most bytes that request line and header values may have together.
    """

    url: str
    timeout_seconds: float
    concurrency: int
    connect_to: str | None = None
    host: str | None = None
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    private: bool = True
    edge: Edge = ""
    max_body_bytes: int | None = None
    max_head_bytes: int | None = None

    @property
    def base_path(self) -> str:
        """The url's path, without a slash at its end."""
        return urlsplit(self.url).path.rstrip("/")

    @property
    def host_header(self) -> str:
        """The Host header of every request, whatever is connected to."""
        if self.host is None:
            return _authority(self.url)
        return _authority(f"{urlsplit(self.url).scheme}://{self.host}")

    @property
    def tls_name(self) -> str | None:
        """The name that the certificate must be for; None: that of what is connected to."""
        if self.host is not None:
            return urlsplit(f"//{self.host}").hostname
        return urlsplit(self.url).hostname if self.connect_to is not None else None

    def address(self, path: str) -> str:
        """Return the exact URL of a request."""
        return f"{self.url.rstrip('/')}{path}"

    def wire_address(self, path: str) -> str:
        """Return the URL to connect to, which differs in the host at most."""
        url = self.address(path)
        return url if self.connect_to is None else _elsewhere(url, self.connect_to)


class Transport:
    """Sends requests to one place.

    Args:
        place: Where to.
        signed: Whether the requests are signed, which tells what an edge means.
        journal: Where it is noted that changed certificates could not be read.
    """

    def __init__(
        self, place: Place, *, signed: bool = False, journal: Journal | None = None
    ) -> None:
        self._place = place
        self._signed = signed
        self._certificates = Certificates(
            ca_file=place.ca_file,
            client_cert=place.client_cert,
            client_key=place.client_key,
            journal=journal,
        )
        self._tls = place.url.startswith("https://")
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def exchange(
        self, *, method: str, path: str, headers: Mapping[str, str], body: bytes, fresh: bool
    ) -> Response:
        """Send exactly this and return what came of it; never raises for the network's sake.

        Args:
            method: The HTTP method.
            path: Below the place's url, already percent-encoded.
            headers: All headers that matter; a `Host` is the place's own.
            body: The exact bytes.
            fresh: On a new connection. One that was kept open may have been closed at the far
                end just now, which cannot be told from a crash after the request arrived.
        """
        whole = {
            "Host": self._place.host_header,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "tidegate",
            **({"Connection": "close"} if fresh else {}),  # aiohttp would add it, uncounted
            **headers,
        }
        excess = self._excess(method, path, whole, body)
        if excess is not None:
            return excess
        context = SimpleNamespace(sent_at=None)
        try:
            tls: dict[str, Any] = {}
            if self._tls:
                tls = {"ssl": await self._certificates.current()}
            async with self._session(fresh=fresh).request(
                method,
                URL(self._place.wire_address(path), encoded=True),
                headers=whole,
                data=body or None,
                allow_redirects=False,
                server_hostname=self._place.tls_name,
                trace_request_ctx=context,
                **tls,
            ) as response:
                seconds = asyncio.get_running_loop().time() - context.sent_at
                return self._answered(response, await _content(response), seconds)
        except CertificateError:
            return NotSent(reason="tls_files")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return _failure(error, sent=context.sent_at is not None)

    async def close(self) -> None:
        """Let connections go."""
        for session in self._sessions.values():
            await session.close()

    def _excess(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> NotSent | None:
        """Return why the request would not be taken where the place's limits are known."""
        most, head = self._place.max_body_bytes, self._place.max_head_bytes
        if most is not None and len(body) > most:
            return NotSent(reason="too_large", again=False)
        if head is None:
            return None
        line = len(f"{method} {self._place.base_path}{path} HTTP/1.1")
        values = sum(len(value.encode()) for value in headers.values()) + len(str(len(body)))
        return NotSent(reason="head_too_large", again=False) if line + values > head else None

    def _answered(
        self, response: aiohttp.ClientResponse, content: bytes, seconds: float
    ) -> Answered:
        headers = response.headers
        retry_after = headers.get("Retry-After")
        answer = EdgeAnswer(
            status=response.status,
            error_type=headers.get("x-amzn-errortype", "")[:200],
            server=headers.get("Server", "")[:200],
            body=content,
            seconds=seconds,
            retry_after=retry_after is not None,
        )
        return Answered(
            status=response.status,
            body=content,
            location=headers.get("Location"),
            retry_after=retry_after,
            json=content.lstrip()[:1] == b"{",
            fault=edge_answer.fault(answer, edge=self._place.edge, signed=self._signed),
            request_id=_request_id(headers),
            date=headers.get("Date"),
        )

    def _session(self, *, fresh: bool) -> aiohttp.ClientSession:
        if fresh not in self._sessions:
            self._sessions[fresh] = self._open(fresh=fresh)
        return self._sessions[fresh]

    def _open(self, *, fresh: bool) -> aiohttp.ClientSession:
        kept: dict[str, Any] = (
            {"force_close": True} if fresh else {"keepalive_timeout": KEEPALIVE_SECONDS}
        )
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_note_sent)
        return aiohttp.ClientSession(
            connector=AskingConnector(
                limit=self._place.concurrency + 32,
                resolver=GuardedResolver(private=self._place.private),
                **kept,
            ),
            timeout=aiohttp.ClientTimeout(
                total=self._place.timeout_seconds,
                sock_connect=min(CONNECT_SECONDS, self._place.timeout_seconds),
            ),
            auto_decompress=False,
            skip_auto_headers=("Content-Type",),  # what goes out is what was given, and counted
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            trace_configs=[trace],
        )


def _authority(url: str) -> str:
    """The Host header of a URL, as a receiver that verifies a signature over it writes it."""
    parts = urlsplit(url)
    return parts.netloc.lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, ""))


def _elsewhere(url: str, connect_to: str) -> str:
    """The URL at another place: a resolver would not be asked where the host is an address."""
    parts = urlsplit(url)
    there = f"[{connect_to}]" if connect_to.count(":") > 1 and "[" not in connect_to else connect_to
    port = f":{parts.port}" if parts.port and urlsplit(f"//{there}").port is None else ""
    return url.replace(f"//{parts.netloc}", f"//{there}{port}", 1)


def _request_id(headers: Mapping[str, str]) -> str:
    """Return the edge's id of a request, if it looks like one: it goes to the log."""
    for name in _REQUEST_ID_HEADERS:
        value = headers.get(name, "")
        if _REQUEST_ID.fullmatch(value):
            return value
    return ""


class _SentBeforeError(aiohttp.ClientError):
    """aiohttp was about to send a request again, which only the worker may decide."""


async def _note_sent(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    # Called before the first byte. aiohttp sends a GET, PUT or DELETE again by itself when a
    # connection breaks; an error here keeps it from that.
    if context.trace_request_ctx.sent_at is not None:
        raise _SentBeforeError
    context.trace_request_ctx.sent_at = asyncio.get_running_loop().time()


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
    causes = list(_causes(error))
    if any(_is_refused_client(cause) for cause in causes):
        # With TLS 1.3 this arrives after the first bytes of the request. They were not read: the
        # other end verifies the certificate before it takes anything.
        # Source: https://www.rfc-editor.org/rfc/rfc8446#section-4.4.2.4
        return NotSent(reason="client_refused")
    if sent:
        return NoAnswer(reason="timeout" if isinstance(error, TimeoutError) else "no_answer")
    if any(isinstance(cause, AddressRefusedError) for cause in causes):
        return NotSent(reason="private_address")
    match error:
        case aiohttp.ClientConnectorDNSError():
            return NotSent(reason="dns")
        case aiohttp.ClientSSLError() | aiohttp.ClientConnectorCertificateError() | ssl.SSLError():
            return NotSent(reason=_untrusted(causes))
        case _:
            return NotSent(reason="connect")


def _untrusted(causes: list[BaseException]) -> str:
    """Return why the other end's certificate did not do."""
    codes = {getattr(cause, "verify_code", 0) for cause in causes}
    if codes & _WRONG_NAME:
        return "tls_name"
    return "tls_expired" if codes & _WRONG_TIME else "tls"


def _is_refused_client(error: BaseException) -> bool:
    # Not every class that aiohttp makes of `ssl.SSLError` has a reason.
    reason = getattr(error, "reason", None) if isinstance(error, ssl.SSLError) else None
    return isinstance(reason, str) and _REFUSED_CLIENT.search(reason) is not None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that led to it, however aiohttp wraps it."""
    seen: list[BaseException | None] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or one in seen or len(seen) > 20:
            continue
        seen.append(one)
        yield one
        inner = [getattr(one, name, None) for name in ("os_error", "certificate_error")]
        waiting += [one.__cause__, one.__context__]
        waiting += [each for each in inner if isinstance(each, BaseException)]
