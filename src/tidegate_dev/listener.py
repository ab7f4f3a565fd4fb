"""A web server of one ASGI application on loopback, inside a running event loop."""

import asyncio
import contextlib
import errno
import socket
from types import TracebackType
from typing import Final, Self

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LOOPBACK: Final = "127.0.0.1"


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


class Listener:
    """Serves one application; an async context manager, started when entered."""

    def __init__(self, app: ASGIApp, *, port: int = 0, sock: socket.socket | None = None) -> None:
        self._sock = sock if sock is not None else bind(port)
        self.port: int = self._sock.getsockname()[1]
        self.url = f"http://{LOOPBACK}:{self.port}"
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
                timeout_graceful_shutdown=1,
            )
        )
        self._loop: asyncio.Task[None] | None = None

    def drop(self, client: tuple[str, int] | None) -> None:
        """The connection to *client* is cut, with no answer and no goodbye."""
        for connection in tuple(self._server.server_state.connections):
            if isinstance(connection, HttpToolsProtocol) and connection.client == client:
                connection.transport.abort()

    async def start(self) -> None:
        """Requests are being answered when this returns.

        The steps of `uvicorn.Server.serve`, without its signal handlers: several of these
        servers live in one process, and signals belong to whoever owns that.
        """
        self._server.config.load()
        self._server.lifespan = self._server.config.lifespan_class(self._server.config)
        await self._server.startup(sockets=[self._sock])
        self._loop = asyncio.create_task(self._server.main_loop())

    async def stop(self) -> None:
        """The port is free again and no request is left running."""
        if self._loop is None:
            self._sock.close()
            return
        self._loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._loop
        self._loop = None
        await self._server.shutdown(sockets=[self._sock])

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        await self.stop()
