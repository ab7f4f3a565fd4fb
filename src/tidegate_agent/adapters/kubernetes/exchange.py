"""One HTTP exchange with the API server, and what its failure means.

Whether a byte of a request went out is known from aiohttp's own trace, not guessed from an
exception's name: on that rests whether something may have been done.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from tidegate_agent.adapters.kubernetes.credentials import Credentials
from tidegate_agent.adapters.kubernetes.proof import CredentialsError
from tidegate_agent.adapters.kubernetes.statuses import error_of
from tidegate_agent.errors import (
    AmbiguousError,
    KubernetesError,
    UnauthorizedError,
    UnreachableError,
)

MAX_ANSWER_BYTES: Final = 16_777_216
CONNECT_SECONDS: Final = 5.0
_KEEPALIVE_SECONDS: Final = 30.0
_CONNECTIONS: Final = 64
_MAX_ERROR_BYTES: Final = 65_536
_LEAST_SECONDS: Final = 0.001  # to aiohttp, 0 is for ever
_FAILURES: Final = (aiohttp.ClientError, TimeoutError, OSError, ValueError)


class NoCredentialsError(UnreachableError):
    """The agent's own credentials could not be had; to ask again at once would not help."""


class TooLongError(KubernetesError):
    """The answer to a read is longer than is read; to ask again would not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request.

    Attributes:
        path: With its query, as `address` writes it.
        headers: Beside the ones that every request has.
        changes: Whether it may change something, so that a lost answer leaves a doubt.
        streams: Whether the answer goes on for as long as there is something to tell.
        seconds: For the whole exchange, with what is shown in it; for a stream, between two
            pieces of it.
    """

    method: str
    path: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    changes: bool = False
    streams: bool = False
    seconds: float


class Exchange:
    """Sends requests to one API server.

    What changes something goes out on a connection of its own: one that was kept open may have
    been closed at the far end just now, which cannot be told from a crash after the request.
    """

    def __init__(self, credentials: Credentials, *, user_agent: str) -> None:
        self._credentials = credentials
        self._user_agent = user_agent
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def answer(self, ask: Ask, *, limit: int = MAX_ANSWER_BYTES, cut: bool = False) -> bytes:
        """Return the body of a 2xx answer.

        Args:
            ask: What to send.
            limit: How many bytes of the body are read.
            cut: Whether a longer one is cut there; else it is an error.

        Raises:
            KubernetesError: As `ports.Kubernetes` says.
        """
        try:
            async with self._asked(ask) as response:
                return await _content(response, limit, cut=cut)
        except _FAILURES as error:  # there was an answer, and it broke off
            raise _broken(ask, error) from error

    async def lines(self, ask: Ask, *, longest: int) -> AsyncGenerator[bytes, None]:
        """Yield the lines of an answer as they come.

        Raises:
            KubernetesError: As `ports.Kubernetes` says; `UnreachableError` when it breaks off.
        """
        try:
            async with self._asked(ask) as response:
                async for line in _split(response, longest):
                    yield line
        except _FAILURES as error:
            raise _broken(ask, error) from error

    async def close(self) -> None:
        """Let connections go."""
        for session in self._sessions.values():
            await session.close()

    @asynccontextmanager
    async def _asked(self, ask: Ask) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer is a 2xx; who is not known asks once more, with what is shown read anew."""
        ends = asyncio.get_running_loop().time() + ask.seconds
        try:
            response = await self._send(ask, ends)
        except UnauthorizedError:
            if not self._credentials.proof.refused():
                raise
            response = await self._send(ask, ends)
        try:
            yield response
        finally:
            response.close()

    async def _send(self, ask: Ask, ends: float) -> aiohttp.ClientResponse:
        context = SimpleNamespace(sent=False)
        headers = await self._headers(ask, ends)
        left = max(ends - asyncio.get_running_loop().time(), _LEAST_SECONDS)
        try:
            response = await self._session(fresh=ask.changes).request(
                ask.method,
                URL(f"{self._credentials.server}{ask.path}", encoded=True),
                headers=headers,
                data=ask.body or None,
                allow_redirects=False,
                server_hostname=self._credentials.server_name,
                trace_request_ctx=context,
                timeout=aiohttp.ClientTimeout(
                    total=None if ask.streams else left,
                    sock_connect=min(CONNECT_SECONDS, left),
                    sock_read=ask.seconds,
                ),
            )
        except _FAILURES as error:
            raise _failure(ask, error, sent=context.sent) from error
        if 200 <= response.status < 300:
            return response
        raise await _refusal(ask, response)

    async def _headers(self, ask: Ask, ends: float) -> CIMultiDict[str]:
        try:
            async with asyncio.timeout_at(ends):
                proof = await self._credentials.proof.header()
        except CredentialsError as error:
            raise NoCredentialsError(str(error)) from error
        except TimeoutError as error:
            raise NoCredentialsError(
                f"there are no credentials within {ask.seconds:g} s"
            ) from error
        headers = CIMultiDict(
            {
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": self._user_agent,
            }
        )
        headers.extend(ask.headers)
        if proof is not None:
            headers["Authorization"] = proof
        return headers

    def _session(self, *, fresh: bool) -> aiohttp.ClientSession:
        if fresh not in self._sessions:
            self._sessions[fresh] = _open(self._credentials, fresh=fresh)
        return self._sessions[fresh]


def _open(credentials: Credentials, *, fresh: bool) -> aiohttp.ClientSession:
    options: Mapping[str, Any] = (
        {"force_close": True} if fresh else {"keepalive_timeout": _KEEPALIVE_SECONDS}
    )
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_note_sent)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=_CONNECTIONS, ssl=credentials.tls if credentials.tls else True, **options
        ),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        trace_configs=[trace],
    )


class _SentBeforeError(aiohttp.ClientError):
    """aiohttp was about to send a request again, which is not its to decide."""


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


class _OverlongError(ValueError):
    """An answer goes on for longer than is read."""


async def _content(response: aiohttp.ClientResponse, limit: int, *, cut: bool) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > limit:
            if cut:
                return bytes(content[:limit])
            raise _OverlongError(f"the API server answers more than {limit} bytes")
    return bytes(content)


async def _split(response: aiohttp.ClientResponse, longest: int) -> AsyncIterator[bytes]:
    """Yield whole lines; what follows the last line break is no line."""
    rest = bytearray()
    async for chunk in response.content.iter_any():
        rest += chunk
        if b"\n" in chunk:
            *lines, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            for line in lines:
                yield line
        if len(rest) > longest:
            raise ValueError(f"a line of the answer is longer than {longest} bytes")


async def _refusal(ask: Ask, response: aiohttp.ClientResponse) -> KubernetesError:
    """Return what an answer other than 2xx stands for; its status counts without its body."""
    try:
        body = await _content(response, _MAX_ERROR_BYTES, cut=True)
    except _FAILURES:
        body = b""
    finally:
        response.close()
    wait = response.headers.get("Retry-After")
    return error_of(response.status, body, retry_after=wait, changes=ask.changes)


def _failure(ask: Ask, error: Exception, *, sent: bool) -> KubernetesError:
    """Return what it means that no answer came."""
    if sent:
        return _broken(ask, error)
    match error:
        case aiohttp.ClientConnectorDNSError():
            return UnreachableError("the API server's name is not known")
        case aiohttp.ClientSSLError() | aiohttp.ClientConnectorCertificateError() | ssl.SSLError():
            return UnreachableError("the API server does not prove who it is, or refuses us by TLS")
        case _:
            return UnreachableError("no connection to the API server")


def _broken(ask: Ask, error: Exception) -> KubernetesError:
    """Return what it means that an answer did not come whole."""
    if isinstance(error, _OverlongError) and not ask.changes:
        return TooLongError(str(error))
    if isinstance(error, ValueError):
        what = str(error)[:200] or "the API server's answer cannot be understood"
    elif isinstance(error, TimeoutError):
        what = f"the API server did not answer within {ask.seconds:g} s"
    else:
        what = "the connection to the API server broke off"
    return AmbiguousError(what) if ask.changes else UnreachableError(what)
