"""The connections of one store: few, kept, and thrown away as soon as one is in doubt."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg

from tidegate.adapters.postgres.address import Address
from tidegate.adapters.postgres.failures import VENDOR, is_passing, is_refused
from tidegate.errors import StoreError

CONNECT_SECONDS: Final = 3.0  # for each host
RESERVED: Final = 2  # connections that only clicks may have
_CLOSE_SECONDS: Final = 2.0

# Before each COMMIT the caller is answered, what was written is on disk: a server or user whose
# default is less is overruled, one whose default is more (remote_apply) is not.
# https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-SYNCHRONOUS-COMMIT
_DURABLE: Final = (
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') IN ('off', 'local')"
)
# The server looks whether we are still there while it waits for a lock (PostgreSQL 14, Linux).
_NOTICE: Final = "SET client_connection_check_interval = '1s'"

Connection = Any  # asyncpg ships no types


class Connections:
    """At most so many connections, each lent to one user at a time."""

    def __init__(self, address: Address, *, most: int) -> None:
        self._address = address
        self._hosts = list(address.arguments())
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(most)
        self._free_for_all = asyncio.Semaphore(max(1, most - RESERVED))
        self._closed = False

    @contextlib.asynccontextmanager
    async def one(self, *, urgent: bool = False) -> AsyncIterator[Connection]:
        """Lend a connection. One that is left in the middle of something nobody gets again.

        Args:
            urgent: Someone waits for an acknowledgement: those that are reserved count too.
        """
        async with contextlib.nullcontext() if urgent else self._free_for_all, self._free:
            connection = self._kept() or await self.connect()
            whole = False
            try:
                yield connection
                whole = True
            except Exception:
                whole = not connection.is_closed()
                raise
            finally:  # whoever was cancelled may have left a statement under way
                if whole and not self._closed and not connection.is_in_transaction():
                    self._idle.append(connection)
                else:
                    connection.terminate()
                if not whole:
                    self._drop_idle()

    def _drop_idle(self) -> None:
        """Let go what is not lent: where one was lost or did not answer, so may be the others.

        A line can be dead without anybody having been told, and each would cost a deadline.
        """
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.terminate()

    def _kept(self) -> Connection | None:
        if self._closed:
            raise StoreError("the store is closed")
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None

    async def connect(self) -> Connection:
        """Return a new connection that is not among those that are lent."""
        try:
            connection = await self._connect(anew=False)
        except asyncpg.PostgresError as error:
            if self._address.password is None or not is_refused(error):
                raise
            connection = await self._connect(anew=True)  # it was changed since it was read
        try:
            await connection.execute(_DURABLE, timeout=CONNECT_SECONDS)
            with contextlib.suppress(asyncpg.PostgresError):
                await connection.execute(_NOTICE, timeout=CONNECT_SECONDS)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _connect(self, *, anew: bool) -> Connection:
        """Connect to the host that served last, else to the first of the others that serves."""
        read = self._address.password
        password = None if read is None else await asyncio.to_thread(read, anew)
        last: BaseException | None = None
        for arguments in [*self._hosts]:
            try:
                found = await asyncpg.connect(
                    **arguments, password=password, timeout=CONNECT_SECONDS
                )
            except VENDOR as error:
                if not is_passing(error):
                    raise
                last = error
            else:
                self._hosts.sort(key=lambda each: each is not arguments)
                return found
        raise last or ConnectionError("no host")

    async def close(self) -> None:
        """Let all go that are not lent; those follow as they come back."""
        self._closed = True
        idle, self._idle = self._idle, []
        for connection in idle:
            with contextlib.suppress(Exception):
                await connection.close(timeout=_CLOSE_SECONDS)
