"""A scanner as a real server on loopback: for the dev workspace, and as a test double.

async with ScannerFarEnd() as scanner:
    scan = {"clamd": scanner.address}

It speaks as much of clamd's protocol as takes to scan a stream.

Source: https://docs.clamav.net/manual/Usage/Scanning.html#clamd
"""

import asyncio
import contextlib
import socket
from collections import Counter
from typing import Final

from typing_extensions import override

from tidegate_dev.listener import LOOPBACK, bind
from tidegate_dev.running import Running
from tidegate_dev.scanner.inspection import Inspection, Limits, Verdict

FAULTS: Final = frozenset({"down", "slow", "garbage"})
PIECE_BYTES: Final = 262_144
MAX_COMMAND_BYTES: Final = 1024
_GARBAGE: Final = b"HTTP/1.1 418 I'm a teapot\r\n\r\n"
_TOO_LONG: Final = b"INSTREAM size limit exceeded. ERROR"
_LIMITS_EXCEEDED: Final = b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND"


class ScannerFarEnd(Running):
    """Finds the EICAR test file; an async context manager, started when entered.

    Attributes:
        counts: How many streams had which end: `clean`, `found`, `exceeded` or `too long`.
        faults: What is wrong at the moment; any of `FAULTS`.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        sock: socket.socket | None = None,
        limits: Limits | None = None,
        slow_seconds: float = 5.0,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: set[str] = set()
        self.slow_seconds = slow_seconds
        self._limits = limits or Limits()
        self._sock = sock if sock is not None else bind(port)
        self.port: int = self._sock.getsockname()[1]
        self._started = False
        self._calls: dict[asyncio.Task[None], socket.socket] = {}

    @property
    def address(self) -> str:
        """Return where it listens, as a configuration of Tidegate has it."""
        return f"{LOOPBACK}:{self.port}"

    def set_fault(self, name: str, on: bool) -> None:
        """Switch a fault: `down`, `slow` to answer, or `garbage` for an answer.

        Raises:
            ValueError: There is no fault of that name.
        """
        if name not in FAULTS:
            raise ValueError(f"there is no fault {name}")
        if on == (name in self.faults):
            return
        (self.faults.add if on else self.faults.discard)(name)
        if name == "down" and self._started:
            if on:
                self._go_down()
            else:
                self._listen()

    def calm(self) -> None:
        """Nothing is wrong any more."""
        for name in tuple(self.faults):
            self.set_fault(name, False)

    @override
    async def start(self) -> None:
        """It answers, unless it is down."""
        self._started = True
        if "down" in self.faults:
            self._go_down()
        else:
            self._listen()

    @override
    async def stop(self) -> None:
        """The port is free again, and no call is left."""
        if self._started:
            asyncio.get_running_loop().remove_reader(self._sock)
        self._started = False
        self._sock.close()
        calls = tuple(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    # Up and down

    def _listen(self) -> None:
        self._sock.listen()
        asyncio.get_running_loop().add_reader(self._sock, self._called)

    def _go_down(self) -> None:
        """Whoever calls is refused, and the port is kept for when it is up again."""
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()
        self._sock = bind(self.port, listening=False)
        for call in self._calls:
            call.cancel()

    def _called(self) -> None:
        try:
            sock, _ = self._sock.accept()
        except OSError:  # who called has gone again
            return
        sock.setblocking(False)
        call = asyncio.get_running_loop().create_task(self._serve(sock))
        self._calls[call] = sock
        # One that is cancelled before its first step would close nothing itself.
        call.add_done_callback(lambda done: self._calls.pop(done).close())

    # The protocol

    async def _serve(self, sock: socket.socket) -> None:
        """Answer one call: clamd takes one command, and hangs up."""
        reader, writer = await asyncio.open_connection(sock=sock, limit=PIECE_BYTES)
        gone = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
        try:
            with contextlib.suppress(*gone):
                command, mark = await _command(reader)
                said = await self._answer(command, reader)
                if "garbage" in self.faults:
                    said, mark = _GARBAGE, b""
                writer.write(said + mark)
                await writer.drain()
        finally:
            writer.close()

    async def _answer(self, command: bytes, reader: asyncio.StreamReader) -> bytes:
        match command:
            case b"PING":
                return b"PONG"
            case b"VERSION":
                return b"Tidegate dev scanner"
            case b"INSTREAM":
                return await self._scan(reader)
            case _:
                return b"UNKNOWN COMMAND"

    async def _scan(self, reader: asyncio.StreamReader) -> bytes:
        inspection, size = Inspection(self._limits), 0
        while left := int.from_bytes(await reader.readexactly(4), "big"):
            size += left
            if size > self._limits.stream_bytes:
                self.counts["too long"] += 1
                return _TOO_LONG
            while left:
                piece = await reader.readexactly(min(left, PIECE_BYTES))
                left -= len(piece)
                # In a thread: a little of an archive may be very much.
                await asyncio.to_thread(inspection.feed, piece)
        if "slow" in self.faults:
            await asyncio.sleep(self.slow_seconds)
        verdict = await asyncio.to_thread(inspection.verdict)
        self.counts[verdict.name.lower()] += 1
        return self._words(verdict)

    def _words(self, verdict: Verdict) -> bytes:
        match verdict:
            case Verdict.FOUND:
                return b"stream: Eicar-Test-Signature FOUND"
            case Verdict.EXCEEDED if self._limits.alert:
                return _LIMITS_EXCEEDED
            case Verdict.EXCEEDED | Verdict.CLEAN:
                return b"stream: OK"


async def _command(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return a command, and what marks the end of its answer as of the command itself.

    It begins with `z` and ends with a NUL, or it ends with a newline, and may begin with `n`.
    """
    first = await reader.readexactly(1)
    mark = b"\0" if first == b"z" else b"\n"
    word = await reader.readuntil(mark)
    word = word if first in (b"z", b"n") else first + word
    return word[:MAX_COMMAND_BYTES].removesuffix(mark).strip(), mark
