"""S3 as a real server on loopback: for the dev workspace, and as a test double.

async with S3FarEnd(folder, region="eu-west-1", keys={key.access_key: key}) as s3:
    s3.add_bucket("acme-reports")
    (folder / "acme-reports" / "report.pdf").write_bytes(...)  # is an upload
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tidegate_dev.listener import Listener
from tidegate_dev.objects.access import AccessKey
from tidegate_dev.objects.buckets import Bucket
from tidegate_dev.objects.changes import ObjectChange
from tidegate_dev.objects.faults import S3Faults
from tidegate_dev.objects.service import S3Service, Served
from tidegate_dev.objects.store import ObjectStore
from tidegate_dev.running import Running

POLL_SECONDS: Final = 0.4
_THREADS: Final = 8
_log: Final = logging.getLogger(__name__)


class S3FarEnd(Running):
    """Buckets below a folder, served in the running loop; an async context manager.

    Attributes:
        faults: What goes wrong, switched at run time.
        store: The buckets themselves; blocking.
    """

    def __init__(
        self,
        root: Path,
        *,
        port: int = 0,
        region: str,
        keys: Mapping[str, AccessKey],
        sock: socket.socket | None = None,
        faults: S3Faults | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.faults = faults or S3Faults()
        self.region = region
        self.store = ObjectStore(root, tell=self._told, now=now)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="s3-far-end")
        self._service = S3Service(
            self.store,
            region=region,
            keys=keys,
            faults=self.faults,
            threads=self._threads,
            hang_up=self._hang_up,
            tell=self._tell_request,
            now=now,
        )
        self._listener = _HangingUpListener(self._service, port=port, sock=sock)
        self._callbacks: list[Callable[[ObjectChange], None]] = []
        self._request_callbacks: list[Callable[[Served], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Return the address of the endpoint, without a slash at the end."""
        return self._listener.url

    @property
    def port(self) -> int:
        """Return the port that it listens on."""
        return self._listener.port

    @property
    def counts(self) -> Counter[str]:
        """Return how many requests came so far, by operation."""
        return self._service.counts

    @property
    def served(self) -> Sequence[Served]:
        """Return the latest requests that were answered, oldest first."""
        return list(self._service.served)

    def add_bucket(self, name: str, *, versioned: bool = True) -> Bucket:
        """Return the bucket *name*, made if it is not there.

        Raises:
            ValueError: S3 would not take the name.
        """
        return self.store.add(name, versioned=versioned)

    def changes(self, callback: Callable[[ObjectChange], None]) -> Callable[[], None]:
        """*callback* is called in the loop for every change from now on; return what ends that.

        What lay in the folders before the start is there, and no change.
        """
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def requests(self, callback: Callable[[Served], None]) -> Callable[[], None]:
        """*callback* is called for every request once it is answered; return what ends that."""
        self._request_callbacks.append(callback)
        return lambda: self._request_callbacks.remove(callback)

    async def look(self) -> None:
        """Every change in the folders so far is noticed, and told."""
        await self._in_thread(lambda: self.store.scan(quiet_seconds=0))
        await asyncio.sleep(0)  # the callbacks' turn

    @override
    async def start(self) -> None:
        """Requests are being answered, and changes told."""
        await self._in_thread(lambda: self.store.scan(quiet_seconds=0))
        self._loop = asyncio.get_running_loop()
        await self._listener.start()
        self._watching = asyncio.create_task(self._watch())

    @override
    async def stop(self) -> None:
        """Nothing of it is left but the folder."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None
        await self._listener.stop()
        self._loop = None
        await asyncio.to_thread(self._threads.shutdown)

    async def _watch(self) -> None:
        while True:
            try:
                await self._in_thread(self.store.scan)
            except OSError:
                _log.warning("a bucket's folder cannot be looked through", exc_info=True)
            await asyncio.sleep(POLL_SECONDS)

    async def _in_thread(self, call: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _told(self, change: ObjectChange) -> None:
        """Take a change from whichever thread noticed it."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(self._tell, change)

    def _tell(self, change: ObjectChange) -> None:
        for callback in tuple(self._callbacks):
            callback(change)

    def _tell_request(self, served: Served) -> None:
        for callback in tuple(self._request_callbacks):
            callback(served)

    def _hang_up(self, client: tuple[str, int] | None) -> None:
        self._listener.hang_up(client)


class _HangingUpListener(Listener):
    def hang_up(self, client: tuple[str, int] | None) -> None:
        """End the connection to *client* once what was written is out, and not before."""
        for connection in tuple(self._server.server_state.connections):
            if isinstance(connection, HttpToolsProtocol) and connection.client == client:
                connection.transport.close()
