"""The steps along a line: a name, a connection, a certificate."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from tidegate.app.doctor.walk import Step
from tidegate.core.diagnosis import line as diagnosis_line
from tidegate.core.diagnosis.finding import Path, Seen
from tidegate.core.diagnosis.line import Certificate, Line, Trouble
from tidegate.ports import Clock


class Lines(Protocol):
    """Tries lines, and sends nothing over them."""

    def addresses(self, line: Line) -> Awaitable[tuple[str, ...] | Trouble]:
        """Return the addresses that a name has."""

    def connect(self, line: Line) -> Awaitable[Trouble | None]:
        """Return why there is no connection."""

    def handshake(self, line: Line) -> Awaitable[Certificate | Trouble]:
        """Return what the far end showed of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineVisit:
    """A look at one line.

    Attributes:
        path: Where its steps stand in the tree.
        inside: Its name has to lead to an address in the VPC.
    """

    path: Path
    line: Line
    lines: Lines
    clock: Clock
    inside: bool = False
    needs: tuple[Path, ...] = ()

    def steps(self) -> tuple[Step, ...]:
        """Return what to look at, the last of them being the line's end."""
        name, door = (*self.path, "dns"), (*self.path, "tcp")
        found = [
            Step(path=name, title=f"name {self.line.host}", look=self._name, needs=self.needs),
            Step(path=door, title=f"port {self.line.port}", look=self._door, needs=(name,)),
        ]
        if self.line.tls:
            title = f"TLS as {self.line.name}"
            found.append(
                Step(path=(*self.path, "tls"), title=title, look=self._proof, needs=(door,))
            )
        return tuple(found)

    @property
    def end(self) -> Path:
        """The step that has to be well for anything to be sent."""
        return (*self.path, "tls" if self.line.tls else "tcp")

    async def _name(self) -> Seen:
        found = await self.lines.addresses(self.line)
        if isinstance(found, Trouble):
            return self._wrong(found)
        return diagnosis_line.addresses(self.line, found, inside=self.inside)

    async def _door(self) -> Seen:
        found = await self.lines.connect(self.line)
        return Seen(said="open") if found is None else self._wrong(found)

    async def _proof(self) -> Seen:
        found = await self.lines.handshake(self.line)
        if isinstance(found, Trouble):
            return self._wrong(found)
        return diagnosis_line.certificate(self.line, found, now=self.clock.now())

    def _wrong(self, found: Trouble) -> Seen:
        return Seen(findings=(diagnosis_line.trouble(self.line, found),))
