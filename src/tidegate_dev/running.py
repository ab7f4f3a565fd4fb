"""What is up while a block runs: each far end is a server that is started and stopped so."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Running(ABC):
    """Up inside `async with`, and gone after it."""

    @abstractmethod
    async def start(self) -> None:
        """Return once it serves."""

    @abstractmethod
    async def stop(self) -> None:
        """Return once nothing of it is left running."""

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
