"""A web server of one ASGI application, inside a running event loop."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override

from tidegate_agent.entry.protocol import PunctualProtocol
from tidegate_agent.entry.settings import Listen

KEEP_ALIVE_SECONDS: Final = 75  # longer than a load balancer keeps its side open
_BACKLOG: Final = 512


class Listener(uvicorn.Server):
    """Serves until told to stop; signals are the process's own business.

    Raises:
        OSError: The port cannot be had.
    """

    def __init__(self, app: ASGIApp, listen: Listen, *, tls: ssl.SSLContext | None = None) -> None:
        self._sock = _bind(listen.host, listen.port)
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


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named in full, or asyncio leaves Nagle's algorithm on, and an answer may wait 40 ms.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
