"""A web server of one ASGI application, inside a running event loop."""

import asyncio
import contextlib
import socket
import ssl
import weakref
from collections.abc import Iterator
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override

from tidegate_agent.entry.protocol import TAKE_SECONDS, PunctualProtocol
from tidegate_agent.entry.settings import Listen

KEEP_ALIVE_SECONDS: Final = 75  # longer than a load balancer keeps its side open
MAX_CONNECTIONS: Final = 512
_BACKLOG: Final = 512
_USER_TIMEOUT: Final[int | None] = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux has it
_TAKE_MILLISECONDS: Final = round(TAKE_SECONDS * 1000)


class Listener(uvicorn.Server):
    """Serves until told to stop; signals are the process's own business.

    Args:
        app: What is served.
        listen: Where.
        tls: The certificate; plain HTTP without it.
        max_connections: How many there may be at once, those in a TLS handshake among them.

    Raises:
        OSError: The port cannot be had.
    """

    def __init__(
        self,
        app: ASGIApp,
        listen: Listen,
        *,
        tls: ssl.SSLContext | None = None,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._sock = _bind(listen.host, listen.port, max_connections)
        config = uvicorn.Config(
            app,
            http=PunctualProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, listen.drain_seconds),
        )
        config.load()
        config.ssl = tls
        super().__init__(config)

    @property
    def port(self) -> int:
        """Return the port that it listens on."""
        return int(self._sock.getsockname()[1])

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals alone."""
        yield

    async def listen(self) -> None:
        """Answer requests until `should_exit`, and then those in flight."""
        await self.serve([self._sock])

    async def until_listening(self) -> None:
        """Requests are being answered."""
        while not self.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)

    def close(self) -> None:
        """The port is free, if it was never served."""
        self._sock.close()


class _BoundedSocket(socket.socket):
    """A listening socket that lets in no more than so many at once.

    Counted here, since a connection is nothing to the web server before its TLS handshake is
    over; and the process's files, which they take, are the other listener's as well.
    """

    def __init__(self, family: int, *, most: int) -> None:
        # Named in full, or asyncio leaves Nagle's algorithm on, and an answer may wait 40 ms.
        super().__init__(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._most = most
        self._inside: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    @override
    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection. Raises `ConnectionAbortedError` when it is turned away."""
        sock, peer = super().accept()
        if len(self._inside) >= self._most:
            self._inside = weakref.WeakSet(each for each in self._inside if each.fileno() >= 0)
        if len(self._inside) >= self._most:
            sock.close()
            raise ConnectionAbortedError
        self._inside.add(sock)
        # Below TLS nobody else sees what is not taken: the kernel ends such a connection.
        if _USER_TIMEOUT is not None:
            sock.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, _TAKE_MILLISECONDS)
        return sock, peer


def _bind(host: str, port: int, most: int) -> socket.socket:
    sock = _BoundedSocket(socket.AF_INET6 if ":" in host else socket.AF_INET, most=most)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
