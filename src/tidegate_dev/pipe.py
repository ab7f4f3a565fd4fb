"""A way through on loopback that passes bytes on, and knows nothing of what they say."""

import asyncio
from typing import Final

from tidegate_dev.listener import bind

_PIECE_BYTES: Final = 65_536


class Pipe:
    """Takes connections on a port and carries them to another place.

    Attributes:
        holds: Connections are taken, and nothing passes: to the caller it is as if every packet
            were dropped.
        cuts: Connections are ended as soon as they are made.
        carried: How many connections were carried.
    """

    def __init__(self, *, port: int = 0, to: tuple[str, int]) -> None:
        self._sock = bind(port)
        self._to = to
        self.port: int = self._sock.getsockname()[1]
        self.holds = False
        self.cuts = False
        self.carried = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connections are being taken when this returns."""
        self._server = await asyncio.start_server(self._taken, sock=self._sock)

    async def stop(self) -> None:
        """The port is free again, and no connection is left."""
        if self._server is None:
            self._sock.close()
            return
        self._server.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.holds:
                await reader.read(-1)  # until the caller gives up
            elif not self.cuts:
                await self._through(reader, writer)
        finally:
            writer.transport.abort()

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(*self._to)
        except OSError:
            return
        self.carried += 1
        ways = {
            asyncio.create_task(_copy(reader, inner_writer)),
            asyncio.create_task(_copy(inner_reader, writer)),
        }
        try:
            # Either end may close its half alone; one that is cut off cuts the other off.
            await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            inner_writer.transport.abort()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
