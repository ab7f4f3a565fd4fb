"""The machine's time and chance: the port `Clock`."""

import asyncio
import secrets
import time

from typing_extensions import override

from tidegate_agent.ports import Clock


class SystemClock(Clock):
    """This machine's."""

    @override
    def now(self) -> float:
        return time.time()

    @override
    def monotonic(self) -> float:
        return time.monotonic()

    @override
    def entropy(self, size: int) -> bytes:
        return secrets.token_bytes(size)

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
