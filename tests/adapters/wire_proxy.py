"""A line to a server that can be cut, or held up, at the moment that hurts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum, auto

from tests.ports import free_port

LATE_SECONDS = 1.2


class Cut(Enum):
    """What happens to the next COMMIT that comes along."""

    BEFORE = auto()  # it does not reach the server
    AFTER = auto()  # it does, and its answer does not come back
    LATE = auto()  # the same, but it takes so long that nobody waits any more


@dataclass(slots=True)
class Line:
    """A proxy in front of a server.

    Attributes:
        port: Where it listens.
        cut: What happens to the next COMMIT; each is used once.
        flowing: While not set, nothing passes in either direction, and nobody is told.
    """

    port: int
    server_port: int
    cut: list[Cut] = field(default_factory=list)
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    held_after_commit: bool = False  # the line goes dead as soon as a COMMIT has passed
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.flowing.wait()
        try:
            theirs, ours = await asyncio.open_connection("127.0.0.1", self.server_port)
        except OSError:
            writer.close()
            return
        self._open |= {writer, ours}
        answers = asyncio.create_task(self._answers(theirs, writer))
        try:
            await self._requests(reader, ours, theirs, answers)
        finally:
            answers.cancel()
            for each in (writer, ours):
                self._open.discard(each)
                each.transport.abort()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        ours: asyncio.StreamWriter,
        theirs: asyncio.StreamReader,
        answers: asyncio.Task[None],
    ) -> None:
        while data := await reader.read(65536):
            await self.flowing.wait()
            if b"COMMIT\0" in data and self.cut:
                cut = self.cut.pop(0)
                if cut is not Cut.BEFORE:
                    answers.cancel()
                    await asyncio.gather(answers, return_exceptions=True)
                    await asyncio.sleep(LATE_SECONDS if cut is Cut.LATE else 0.0)
                    ours.write(data)
                    await theirs.read(65536)  # it is done
                return
            if b"COMMIT\0" in data and self.held_after_commit:
                self.flowing.clear()
            ours.write(data)

    async def _answers(self, theirs: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await theirs.read(65536):
            await self.flowing.wait()
            writer.write(data)
        writer.close()

    def drop_all(self) -> None:
        """Cut every connection, as a balancer does that has lost its table."""
        for each in [*self._open]:
            each.transport.abort()


@contextlib.asynccontextmanager
async def line_to(server_port: int) -> AsyncIterator[Line]:
    line = Line(port=free_port(), server_port=server_port)
    line.flowing.set()
    server = await asyncio.start_server(line.serve, "127.0.0.1", line.port)
    try:
        yield line
    finally:
        server.close()
        line.flowing.set()
        line.drop_all()
        await asyncio.sleep(0.05)
