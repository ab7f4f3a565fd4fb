"""A web server of one ASGI application on loopback, inside a running event loop."""

import asyncio
import contextlib
import errno
import socket
import ssl
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tidegate_dev.running import Running

LOOPBACK: Final = "127.0.0.1"
GRACE_SECONDS: Final = 1.0  # for what is being answered when a server is stopped
_LOOK_SECONDS: Final = 0.002


class PortInUseError(Exception):
    """A port that the workspace needs is taken by another program."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} on {LOOPBACK} is in use")
        self.port = port


def bind(port: int = 0, *, listening: bool = True) -> socket.socket:
    """Return a socket that listens on *port* of loopback; 0 lets the system choose.

    One that is not *listening* keeps the port, and whoever calls there is refused.

    Raises:
        PortInUseError: Another program has the port.
    """
    # Named in full, or asyncio leaves Nagle's algorithm on, and an answer may wait 40 ms.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((LOOPBACK, port))
        if listening:
            sock.listen(2048)
    except OSError as error:
        sock.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise PortInUseError(port) from error
        raise
    sock.setblocking(False)
    return sock


class Listener(Running):
    """Serves one application; an async context manager, started when entered."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        port: int = 0,
        sock: socket.socket | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._sock = sock if sock is not None else bind(port)
        self._tls = tls
        self.port: int = self._sock.getsockname()[1]
        self.url = f"{'http' if tls is None else 'https'}://{LOOPBACK}:{self.port}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http="httptools",
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
            )
        )
        self._loop: asyncio.Task[None] | None = None

    def drop(self, client: tuple[str, int] | None) -> None:
        """The connection to *client* is cut, with no answer and no goodbye."""
        for connection in tuple(self._server.server_state.connections):
            if isinstance(connection, HttpToolsProtocol) and connection.client == client:
                connection.transport.abort()

    @override
    async def start(self) -> None:
        """Requests are being answered when this returns.

        The steps of `uvicorn.Server.serve`, without its signal handlers: several of these
        servers live in one process, and signals belong to whoever owns that.
        """
        self._server.config.load()
        self._server.config.ssl = self._tls
        self._server.lifespan = self._server.config.lifespan_class(self._server.config)
        await self._server.startup(sockets=[self._sock])
        self._loop = asyncio.create_task(self._server.main_loop())

    @override
    async def stop(self) -> None:
        """The port is free again and no request is left running."""
        if self._loop is None:
            self._sock.close()
            return
        self._loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._loop
        self._loop = None
        # The steps of `uvicorn.Server.shutdown`, which looks only every tenth of a second.
        state = self._server.server_state
        for server in self._server.servers:
            server.close()
        self._sock.close()
        for connection in tuple(state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn tells nobody
                    await asyncio.sleep(_LOOK_SECONDS)
        await self._cut_off()

    async def _cut_off(self) -> None:
        """What is still under way has ended."""
        state = self._server.server_state
        tasks = tuple(state.tasks)
        for task in tasks:
            task.cancel()
        for connection in tuple(state.connections):
            if isinstance(connection, HttpToolsProtocol):
                connection.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
