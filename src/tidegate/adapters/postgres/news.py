"""Gateways tell each other that there is something to do, so that an idle worker starts at once.

News may get lost: it is told after COMMIT, and nobody listens while the connection is made anew.
So it only saves waiting; whoever idles looks into the store by itself every now and then.
https://www.postgresql.org/docs/current/sql-notify.html
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from tidegate.adapters.postgres.connections import Connection, Connections
from tidegate.adapters.postgres.failures import VENDOR

# Notifying transactions are committed one after the other, so it is done in one of its own, and
# not again within so long.
_PAUSE_SECONDS: Final = 0.01
_ALIVE_SECONDS: Final = 10.0  # between looks whether the connection is still there
_ANSWER_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 1.0
_MAX_CHANNEL: Final = 63  # bytes of a name

_NOTIFY: Final = "SELECT pg_notify($1, $2)"
_LISTEN_FAILED: Final = (*VENDOR, TimeoutError)


class News:
    """Tells the other stores over the same schema of changes, and hears of theirs."""

    def __init__(
        self, connections: Connections, *, schema: str, own: str, heard: Callable[[], None]
    ) -> None:
        self._connections = connections
        self._channel = f"tidegate:{schema}"[:_MAX_CHANNEL]
        self._own = own
        self._heard = heard
        self._untold = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self, connection: Connection) -> None:
        """Listen from now on, over a connection of its own."""
        await self._listen(connection)
        self._task = asyncio.create_task(self._keep(connection))

    def tell(self) -> None:
        """Have the others told, soon."""
        self._untold.set()

    async def close(self) -> None:
        """Stop listening; what was to be told has been, if that is possible."""
        if self._task is not None:
            if self._untold.is_set():
                await asyncio.sleep(2 * _PAUSE_SECONDS)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self, connection: Connection) -> None:
        """Tell and listen for ever, over one connection after the other."""
        while True:
            with contextlib.suppress(*_LISTEN_FAILED):
                await self._serve(connection)
            connection = await self._anew()
            self._heard()  # of what was told meanwhile

    async def _listen(self, connection: Connection) -> None:
        connection.add_termination_listener(lambda _: self._untold.set())
        await connection.add_listener(self._channel, self._hear)

    async def _serve(self, connection: Connection) -> None:
        try:
            while True:
                try:
                    await asyncio.wait_for(self._untold.wait(), _ALIVE_SECONDS)
                except TimeoutError:
                    await connection.execute("SELECT 1", timeout=_ANSWER_SECONDS)
                    continue
                self._untold.clear()
                await connection.execute(_NOTIFY, self._channel, self._own, timeout=_ANSWER_SECONDS)
                await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            connection.terminate()

    async def _anew(self) -> Connection:
        while True:
            with contextlib.suppress(*_LISTEN_FAILED):
                connection = await self._connections.connect()
                await self._listen(connection)
                return connection
            await asyncio.sleep(_AGAIN_SECONDS)

    def _hear(self, _connection: Connection, _pid: int, _channel: str, payload: object) -> None:
        if payload != self._own:
            self._heard()
