"""The look at what stands beside the gateway: queue, scanner and store."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from tidegate.app.doctor.line import LineVisit
from tidegate.app.doctor.walk import Step
from tidegate.core.diagnosis import place as diagnosis_place
from tidegate.core.diagnosis import queue as diagnosis_queue
from tidegate.core.diagnosis.finding import Path, Seen
from tidegate.core.diagnosis.queue import Look
from tidegate.core.share import Scan
from tidegate.errors import CredentialsError, ScannerError
from tidegate.ports import Scanner

QUEUE: Final[Path] = ("queue",)
STORE: Final[Path] = ("store",)
SCANNER_SECONDS: Final = 30.0
#: More is not streamed through a scanner to try it: what it says of this much mostly holds.
MOST_SCANNED: Final = 33_554_432


class QueueReader(Protocol):
    """A queue, looked at. May raise `CredentialsError`."""

    def look(self, url: str | None = None) -> Awaitable[Look]:
        """Return what a queue says of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueVisit:
    """A look at the queue that tells of objects.

    Attributes:
        region: For which requests are signed.
        proof: The step that looks at the credentials.
    """

    url: str
    dead_letter_url: str | None
    region: str
    queue: QueueReader
    line: LineVisit
    proof: Path

    def steps(self) -> tuple[Step, ...]:
        """Return what to look at."""
        settings = (*QUEUE, "settings")
        needs = (self.line.end, self.proof, settings)
        found = [
            Step(path=settings, title="settings", look=self._settings),
            *self.line.steps(),
            Step(path=(*QUEUE, "queue"), title="the queue", look=self._queue, needs=needs),
        ]
        if self.dead_letter_url is not None:
            path, title = (*QUEUE, "dead letters"), "what cannot be followed"
            found.append(Step(path=path, title=title, look=self._dead, needs=needs))
        return tuple(found)

    async def _settings(self) -> Seen:
        found = diagnosis_queue.region(self.url, signed_for=self.region)
        return Seen(said=f"signed for {self.region}", findings=() if found is None else (found,))

    async def _queue(self) -> Seen:
        seen = await self._look(None)
        return diagnosis_queue.queue(seen, url=self.url, buried=self.dead_letter_url is not None)

    async def _dead(self) -> Seen:
        seen = await self._look(self.dead_letter_url)
        return diagnosis_queue.dead_letters(seen, url=self.dead_letter_url or "")

    async def _look(self, url: str | None) -> Look:
        try:
            return await self.queue.look(url)
        except CredentialsError:
            return Look(status=403, kind="UnrecognizedClient")


def scanner_steps(scans: Mapping[str, int], scanner: Scanner) -> tuple[Step, ...]:
    """Return a look at each scanner.

    Args:
        scans: By their addresses, the largest objects that are given to them, in bytes.
        scanner: Speaks to all of them.
    """

    def look(address: str, size: int) -> Callable[[], Awaitable[Seen]]:
        async def looked() -> Seen:
            code = ""
            try:
                await scanner.assure(Scan(clamd=address, max_bytes=size), size)
            except ScannerError as error:
                code = error.code
            return diagnosis_place.scanner(code, address=address, size=size)

        return looked

    return tuple(
        Step(
            path=("scanner", address),
            title=f"clamd at {address}",
            look=look(address, min(size, MOST_SCANNED)),
            seconds=SCANNER_SECONDS,
        )
        for address, size in scans.items()
    )


def store_steps(
    *, disk: Callable[[], Seen] | None, schema: Callable[[], Awaitable[Seen]]
) -> tuple[Step, ...]:
    """Return a look at where runs live.

    Args:
        disk: Looks at the place of the store's file; None where it is a database.
        schema: Looks at its tables.
    """
    needs: tuple[Path, ...] = ()
    found: list[Step] = []
    if disk is not None:
        look = disk

        async def looked() -> Seen:
            return await asyncio.to_thread(look)

        needs = ((*STORE, "disk"),)
        found.append(Step(path=needs[0], title="disk", look=looked))
    found.append(Step(path=(*STORE, "tables"), title="tables", look=schema, needs=needs))
    return tuple(found)
