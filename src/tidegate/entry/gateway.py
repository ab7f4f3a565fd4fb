"""A running gateway: listeners, worker and teller in one process, from start to a clean stop."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import ssl
from collections.abc import Iterator
from typing import Any, Final

import uvicorn
import uvloop
from typing_extensions import override

from tidegate.core import plan
from tidegate.entry.admin import AdminApi
from tidegate.entry.http import PublicApp
from tidegate.entry.protocol import BoundedProtocol
from tidegate.entry.wiring import Configuration, Journeys, Parts, assemble, open_parts
from tidegate.errors import ConfigError, Problem, StoreError

KEEP_ALIVE_SECONDS: Final = 75  # longer than a load balancer keeps its side open
TELLING_SHARE: Final = 0.2  # of the drain time, for the last messages
BACKLOG: Final = 2048


class Listener(uvicorn.Server):
    """A uvicorn server that leaves signals to the gateway."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals alone."""
        yield


class Gateway:
    """Everything that runs while `tidegate serve` or `tidegate worker` does."""

    def __init__(
        self, configuration: Configuration, parts: Parts, *, listen: bool, work: bool
    ) -> None:
        self._settings = configuration.settings
        self._configuration = configuration
        self._parts = parts
        self._journeys: Journeys = assemble(configuration.settings, parts)
        self._listen = listen
        self._work = work
        self._stop = asyncio.Event()
        self._stop_telling = asyncio.Event()

    def stop(self) -> None:
        """Begin to stop: accept no more, finish what is in flight."""
        self._stop.set()

    async def run(self) -> None:
        """Run until told to stop. Raises `ConfigError` if the public port cannot be had."""
        drain = self._settings.server.drain_seconds
        journeys = self._journeys
        listeners = self._listeners()  # whoever connects meanwhile waits
        await journeys.directory.open()
        serving = [asyncio.create_task(server.serve([sock])) for server, sock in listeners]
        upkeep = asyncio.create_task(journeys.directory.keep_fresh())
        working: list[asyncio.Task[None]] = []
        telling: list[asyncio.Task[None]] = []
        if self._work:
            seconds = drain * (1 - TELLING_SHARE)
            working.append(
                asyncio.create_task(journeys.worker.work(self._stop, drain_seconds=seconds))
            )
            if journeys.arrivals is not None:
                working.append(asyncio.create_task(journeys.arrivals.watch(self._stop)))
            seconds = drain * TELLING_SHARE
            telling.append(
                asyncio.create_task(journeys.teller.tell(self._stop_telling, drain_seconds=seconds))
            )
        self._parts.journal.note("started", listen=self._listen, work=self._work)
        try:
            await self._until_stopped([*serving, *working, *telling, upkeep])
        finally:
            upkeep.cancel()
            await self._wind_down(listeners, serving, working, telling, drain)
            await asyncio.gather(upkeep, return_exceptions=True)

    async def _until_stopped(self, tasks: list[asyncio.Task[None]]) -> None:
        stopping = asyncio.create_task(self._stopped())
        try:
            done, _ = await asyncio.wait([stopping, *tasks], return_when="FIRST_COMPLETED")
        finally:
            stopping.cancel()
        for task in done:
            task.result()  # a task that ended by itself failed: let it be seen

    async def _stopped(self) -> None:
        await self._stop.wait()

    async def _wind_down(
        self,
        listeners: list[tuple[Listener, socket.socket]],
        serving: list[asyncio.Task[None]],
        working: list[asyncio.Task[None]],
        telling: list[asyncio.Task[None]],
        drain: float,
    ) -> None:
        self._parts.journal.note("stopping")
        self._stop.set()
        for server, _ in listeners:
            server.should_exit = True
        await asyncio.gather(*serving, *working, return_exceptions=True)
        self._stop_telling.set()
        await asyncio.gather(*telling, return_exceptions=True)
        await self._journeys.errands.drain(min(2.0, drain))
        for pathway in self._parts.pathways.values():
            await pathway.upstream.close()
        if self._parts.sharing is not None:
            await self._parts.sharing.close()
        await self._parts.slack.close()
        await self._parts.store.close()
        self._parts.journal.note("stopped")

    # --- listeners -------------------------------------------------------------------------

    def _listeners(self) -> list[tuple[Listener, socket.socket]]:
        found: list[tuple[Listener, socket.socket]] = []
        if self._listen:
            found.append(self._public())
        admin = self._admin()
        return [*found, admin] if admin else found

    def _public(self) -> tuple[Listener, socket.socket]:
        server = self._settings.server
        app = PublicApp(
            intake=self._journeys.intake,
            ready=self._ready,
            clock=self._parts.clock,
            journal=self._parts.journal,
            max_body_bytes=server.max_body_bytes,
        )
        try:
            sock = _bind(server.host, server.port)
        except OSError as error:
            raise _in_use("server", server.host, server.port, error) from None
        options: dict[str, Any] = {}
        if server.tls is not None:
            options = {
                "ssl_certfile": str(self._configuration.near(server.tls.cert)),
                "ssl_keyfile": str(self._configuration.near(server.tls.key)),
            }
        try:
            listener = _listener(app, drain=server.drain_seconds, **options)
        except (OSError, ssl.SSLError) as error:
            sock.close()
            mend = "name PEM files with the certificate chain and its private key"
            problem = _problem("server.tls", f"cannot be used: {error.strerror}", mend)
            raise ConfigError((problem,)) from None
        host, port = sock.getsockname()[:2]
        self._parts.journal.note("listening", listener="public", host=host, port=port)
        return listener, sock

    def _admin(self) -> tuple[Listener, socket.socket] | None:
        """The admin listener; without its port, clicks are still taken."""
        admin = self._settings.admin
        api = AdminApi(
            store=self._parts.store,
            metrics=self._parts.metrics,
            tokens=self._parts.tokens,
            hidden=plan.hidden_params(self._settings),
            requests=self._journeys.requests,
        )
        try:
            sock = _bind(admin.host, admin.port)
        except OSError as error:
            self._parts.journal.note(
                "admin_off",
                level="warning",
                host=admin.host,
                port=admin.port,
                why=error.strerror,
                mend="change admin.port",
            )
            return None
        host, port = sock.getsockname()[:2]
        self._parts.journal.note("listening", listener="admin", host=host, port=port)
        return _listener(api.app(), drain=self._settings.server.drain_seconds), sock

    async def _ready(self) -> str | None:
        if self._stop.is_set():
            return "stopping"
        try:
            await asyncio.wait_for(self._parts.store.probe(), 2.0)
        except (StoreError, TimeoutError):
            return "the store cannot be written"
        if self._work and not self._journeys.worker.alive():
            return "the worker does not turn"
        return None


def run(configuration: Configuration, *, listen: bool, work: bool) -> int:
    """Run a gateway until SIGTERM or SIGINT; return the exit code.

    Raises:
        ConfigError: It cannot start as configured.
        StoreError: The store cannot be opened.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(configuration, listen=listen, work=work))


async def _run(configuration: Configuration, *, listen: bool, work: bool) -> int:
    parts = await open_parts(configuration)
    logging.captureWarnings(True)
    logging.basicConfig(handlers=[parts.library_log], force=True)
    gateway = Gateway(configuration, parts, listen=listen, work=work)
    # What is there by now stays: the collector need not walk it again before each answer.
    gc.collect()
    gc.freeze()
    return await until_signalled(gateway)


async def until_signalled(gateway: Gateway) -> int:
    """Run a gateway until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, gateway.stop)
    await gateway.run()
    return 0


def _listener(app: Any, *, drain: float, **options: Any) -> Listener:
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, int(drain)),
        **options,
    )
    config.load()
    return Listener(config)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named in full, or asyncio leaves Nagle's algorithm on, and an answer may wait 40 ms.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _in_use(key: str, host: str, port: int, error: OSError) -> ConfigError:
    what = f"cannot listen on {host}:{port}: {error.strerror}"
    mend = f"stop what listens there, or set {key}.port"
    return ConfigError((_problem(key, what, mend),))


def _problem(key: str, what: str, mend: str) -> Problem:
    return Problem(line=None, column=None, key=key, what=what, mend=mend)
