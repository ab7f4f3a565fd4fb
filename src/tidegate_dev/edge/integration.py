"""The private integration: the VPC link, and the way through it to the service.

Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-private.html
and apigateway-vpc-links-v2.html beside it.
"""

import io
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import aiohttp
from yarl import URL

from tidegate_dev.edge.answers import Answer, Headers, RefusedError
from tidegate_dev.edge.exchange import first, text
from tidegate_dev.sigv4_check import ReceivedRequest, Verdict

LinkState = Literal["AVAILABLE", "PENDING", "INACTIVE", "FAILED"]

_REFUSALS: Final = {
    "PENDING": "VpcLinkPending",
    "INACTIVE": "VpcLinkInactive",
    "FAILED": "VpcLinkFailed",
}
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
#: REST APIs keep these names for themselves, and give the service's back under others.
_REMAPPED: Final = frozenset({"date", "server", "www-authenticate"})


class VpcLink:
    """A VPC link: API Gateway's network interfaces in the subnets of the service.

    One without requests for 60 days becomes `INACTIVE`; the next request wakes it, and is refused
    as those are that follow it, until the interfaces are there again.
    """

    def __init__(
        self,
        state: LinkState = "AVAILABLE",
        *,
        wakes_in_seconds: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state: LinkState = state
        self._wakes_in_seconds = wakes_in_seconds
        self._monotonic = monotonic
        self._woken_at: float | None = None

    def ask(self) -> LinkState:
        """Return the state that a request finds; one that is `INACTIVE` begins to wake up."""
        if self.state != "INACTIVE" or self._wakes_in_seconds is None:
            return self.state
        if self._woken_at is None:
            self._woken_at = self._monotonic()
        elif self._monotonic() - self._woken_at >= self._wakes_in_seconds:
            self.state, self._woken_at = "AVAILABLE", None
        return self.state


def require_available(state: LinkState, verdict: Verdict) -> None:
    """Return when a request can pass through a link in that state.

    Raises:
        RefusedError: It cannot.
    """
    if state != "AVAILABLE":
        raise RefusedError(_REFUSALS[state], check=verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendTls:
    """How the service's certificate is verified.

    Attributes:
        server_name: The name that it must bear, and that the handshake asks for.
        ca_pem: The authority that it must be from.
    """

    server_name: str
    ca_pem: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Onward:
    """A request on its way to the service.

    Attributes:
        request: As it came in.
        path: The path that the service gets.
        headers: The headers that it gets.
        check: What the check of the signature found.
    """

    request: ReceivedRequest
    path: str
    headers: Headers
    check: Verdict


class Integration:
    """Carries requests to the service."""

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float,
        max_body_bytes: int,
        tls: BackendTls | None = None,
        rest: bool = False,
    ) -> None:
        self._url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._max_body_bytes = max_body_bytes
        self._tls = tls
        self._rest = rest
        self._context = _context(tls)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Let go of the connections to the service."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def carry(self, onward: Onward) -> Answer:
        """Return what the service answers.

        Raises:
            RefusedError: It does not answer, or not in time, or not so that it can be passed on.
        """
        try:
            return await self._carry(onward)
        except TimeoutError:
            raise RefusedError("IntegrationTimeout", check=onward.check, forwarded=True) from None
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError):
            raise RefusedError("BackendNotTrusted", check=onward.check) from None
        except aiohttp.ClientConnectorError:
            raise RefusedError("IntegrationFailure", check=onward.check) from None
        except aiohttp.ClientError:
            raise RefusedError("IntegrationBroken", check=onward.check, forwarded=True) from None
        except ValueError:  # a path or a header that cannot be sent as it came
            raise RefusedError("IntegrationBroken", check=onward.check) from None

    async def _carry(self, onward: Onward) -> Answer:
        if self._session is None:
            self._session = _open_session(self._timeout_seconds)
        request, limit = onward.request, self._max_body_bytes
        target = self._url + onward.path
        if request.raw_query:
            target += "?" + text(request.raw_query)
        async with self._session.request(
            request.method,
            URL(target, encoded=True),
            headers=onward.headers,
            data=io.BytesIO(request.body) if request.body else None,
            allow_redirects=False,
            ssl=self._context,
            server_hostname=self._tls.server_name if self._tls is not None else None,
        ) as response:
            body = await response.content.read(limit + 1)
            while not response.content.at_eof() and len(body) <= limit:
                body += await response.content.read(limit + 1 - len(body))
        if len(body) > limit:
            raise RefusedError("IntegrationTooLarge", check=onward.check, forwarded=True)
        return Answer(
            status=response.status,
            body=body,
            headers=_given_back(response.raw_headers, rest=self._rest),
            check=onward.check,
            forwarded=True,
        )


def _context(tls: BackendTls | None) -> ssl.SSLContext | bool:
    """Return what the service is verified by; without a name to verify, nothing is."""
    if tls is None:
        return False
    return ssl.create_default_context(cadata=tls.ca_pem.decode())


def _open_session(timeout_seconds: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # A connection for each request: a service that restarts leaves no dead one behind.
        connector=aiohttp.TCPConnector(limit=256, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
    )


def private_headers(request: ReceivedRequest, *, peer: str, scheme: str) -> Headers:
    """Return what a private service gets: no credentials, and from where the request came."""
    host = first(request.values(b"host"))
    before = first(request.values(b"x-forwarded-for"))
    kept = [
        (name, value)
        for name, value in end_to_end(request)
        if name not in _REPLACED and not name.startswith("x-amz-")
    ]
    return [
        *kept,
        ("Via", "HTTP/1.1 AmazonAPIGateway"),
        ("Forwarded", f"by=127.0.0.1;for={peer};host={host};proto={scheme}"),
        ("X-Forwarded-For", f"{before}, {peer}" if before else peer),
    ]


def end_to_end(request: ReceivedRequest) -> Headers:
    """Return the headers that are for whoever answers in the end."""
    sent = [(text(name), text(value)) for name, value in request.headers]
    return [(name, value) for name, value in sent if name not in _HOP_BY_HOP]


def _given_back(raw_headers: tuple[tuple[bytes, bytes], ...], *, rest: bool) -> Headers:
    kept: Headers = []
    for raw_name, raw_value in raw_headers:
        name = text(raw_name).lower()
        if name in _HOP_BY_HOP or (name == "date" and not rest):
            continue
        if rest and name in _REMAPPED:
            name = f"x-amzn-remapped-{name}"
        kept.append((name, raw_value.decode("latin-1")))
    return kept
