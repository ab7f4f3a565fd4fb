"""A running agent: its two listeners and its upkeep, from start to a clean stop."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from tidegate_agent.adapters.journal import LibraryLog
from tidegate_agent.adapters.kubernetes import KubernetesClient
from tidegate_agent.adapters.tls import Certificate
from tidegate_agent.app.agent import Agent
from tidegate_agent.entry.listener import Listener
from tidegate_agent.entry.monitoring import Readiness
from tidegate_agent.ports import Clock, Journal

PRUNE_SECONDS: Final = 3_600.0
RENEW_SECONDS: Final = 30.0
WATCH_SECONDS: Final = 5.0


@dataclass(slots=True, kw_only=True)
class Service:
    """Everything that runs while `tidegate agent` does."""

    agent: Agent
    kubernetes: KubernetesClient
    clock: Clock
    journal: Journal
    readiness: Readiness
    public: Listener
    private: Listener
    certificate: Certificate | None
    lease_seconds: float
    _stop: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def stop(self) -> None:
        """Begin to stop: take no more requests, finish what is in flight."""
        self.readiness.stopping = True
        self._stop.set()

    async def run(self) -> None:
        """Run until told to stop."""
        serving = [asyncio.create_task(each.listen()) for each in (self.public, self.private)]
        upkeep = [
            asyncio.create_task(self._every(self.lease_seconds, self._recover)),
            asyncio.create_task(self._every(PRUNE_SECONDS, self._prune)),
            asyncio.create_task(self._every(RENEW_SECONDS, self._renew)),
        ]
        await asyncio.gather(self.public.until_listening(), self.private.until_listening())
        self.journal.note("started", port=self.public.port, metrics_port=self.private.port)
        try:
            await self._until_stopped([*serving, *upkeep])
        finally:
            self.journal.note("stopping")
            self.stop()
            for task in upkeep:
                task.cancel()
            self.public.should_exit = True
            await asyncio.gather(serving[0], return_exceptions=True)
            self.private.should_exit = True
            await asyncio.gather(*serving, *upkeep, return_exceptions=True)
            await self.kubernetes.close()
            self.journal.note("stopped")

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

    async def _every(self, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await act()
            except Exception as error:  # noqa: BLE001 - one failure ends neither upkeep nor agent
                why = type(error).__name__
                self.journal.note("upkeep_failed", level="warning", what=act.__name__, error=why)
            await self.clock.sleep(seconds)

    async def _recover(self) -> None:
        resumed = await self.agent.recover()
        if resumed:
            self.journal.note("recovered", operations=resumed)

    async def _prune(self) -> None:
        removed = await self.agent.prune()
        if removed:
            self.journal.note("pruned", records=removed)

    async def _renew(self) -> None:
        if self.certificate is not None and self.certificate.renew():
            self.journal.note("certificate_renewed")


async def run(assemble: Callable[[], Service]) -> None:
    """Run an agent until SIGTERM or SIGINT."""
    service = assemble()
    logging.captureWarnings(True)
    logging.basicConfig(handlers=[LibraryLog(service.journal)], force=True)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    await service.run()
