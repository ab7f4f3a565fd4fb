"""A terminal with `kubectl`, beside a cluster whose controllers are at work."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.dev.kubernetes.kubectl import Kubectl, Ran
from tidegate_dev.kubernetes.controllers import Controllers, Timings
from tidegate_dev.kubernetes.far_end import KubernetesFarEnd

TIMINGS: Final = Timings(chatter=0, back_off=4).faster(8)
_PATIENCE_SECONDS: Final = 20


@dataclass(frozen=True, slots=True)
class Terminal:
    """Runs lines of kubectl in the namespace `staging`."""

    kubectl: Kubectl

    @property
    def cluster(self) -> KubernetesFarEnd:
        return self.kubectl.cluster

    @property
    def controllers(self) -> Controllers:
        controllers = self.cluster.controllers
        assert controllers is not None
        return controllers

    async def run(self, line: str) -> Ran:
        """Return what `kubectl line` answers."""
        return await self.kubectl.run(*line.split())

    async def do(self, line: str) -> str:
        """Return what `kubectl line` prints; it has to succeed."""
        return await self.kubectl(*line.split())

    async def read(self, line: str) -> Any:
        """Return what `kubectl line -o json` prints."""
        return json.loads(await self.do(f"{line} -o json"))

    async def until(self, line: str, *words: str) -> str:
        """Return what `kubectl line` prints once it has all *words* in it."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            answer = await self.run(line)
            if all(word in answer.out for word in words):
                return answer.out
            assert time.monotonic() < end, f"{words} are not in:\n{answer.out}{answer.error}"
            await asyncio.sleep(0.1)


@asynccontextmanager
async def terminal(folder: Path, timings: Timings = TIMINGS) -> AsyncIterator[Terminal]:
    """A terminal beside a seeded cluster in which the Deployment `web` runs."""
    async with KubernetesFarEnd(timings=timings) as cluster:
        opened = Terminal(Kubectl(cluster, folder))
        await opened.do("rollout status deployment/web --timeout=20s")
        yield opened
