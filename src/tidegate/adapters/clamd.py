"""ClamAV's daemon: an object is streamed through it, and it says what it found.

clamd calls clean what it did not read: what lies beyond StreamMaxLength, MaxFileSize or
MaxScanSize, and what is too deep or too much in an archive, unless AlertExceedsMax is on. It does
not tell its settings, so they are tried: an archive as large as the object, with the EICAR test
file as its very last member, must be found infected; and a ZIP that is nested deeper than it
reads must not be called clean.

Source: https://docs.clamav.net/manual/Usage/Scanning.html#clamd
"""

import asyncio
import contextlib
import functools
import io
import socket
import struct
import tarfile
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from tidegate.core.share import Scan
from tidegate.errors import ScannerError

CONNECT_SECONDS: Final = 5.0
FEED_SECONDS: Final = 30.0  # that clamd may take to read a chunk
VERDICT_SECONDS: Final = 120.0  # its own default bound on a scan
CHUNK_BYTES: Final = 1_048_576
MAX_ANSWER_BYTES: Final = 4096
SMALLEST_TRIAL: Final = 1_048_576
MAX_BYTES: Final = 2_147_483_647  # larger files it cannot scan, whatever its limits say
DEPTH: Final = 110  # of a nested ZIP: deeper than clamd reads by its own MaxRecursion, 17
GOOD_SECONDS: Final = 300.0  # that a trial which went well is believed: it may restart meanwhile
BAD_SECONDS: Final = 60.0  # that one which did not is not repeated
_BLOCK: Final = 512  # of a tar archive
# In two parts, so that this file is not itself found infected.
_EICAR: Final = (
    b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STAND",
    b"ARD-ANTIVIRUS-TEST-FILE!$H+H*",
)


@dataclass(slots=True)
class _Known:
    """What was seen of one daemon.

    Attributes:
        trying: Held while it is tried, so that all who wait learn from one trial.
        reads: It reads objects of so many bytes, and tells when it does not look at something.
        reads_until: How long that is believed.
        refusal: Why objects of `refused` bytes or more do not pass.
        refused_until: Whoever asked before is refused so, without another trial.
    """

    trying: asyncio.Lock = field(default_factory=asyncio.Lock)
    reads: int = 0
    reads_until: float = 0.0
    refusal: str = ""
    refused: int = 0
    refused_until: float = 0.0

    def fits(self, size: int, now: float) -> bool:
        """Return whether objects of that size are known to be read."""
        return size <= self.reads and now < self.reads_until

    def refuses(self, size: int, asked: float) -> bool:
        """Return whether objects of that size are known not to be, for who asked then."""
        return size >= self.refused and asked < self.refused_until

    def refuse(self, code: str, size: int, until: float) -> None:
        """Objects of that size and more do not pass."""
        self.refusal, self.refused, self.refused_until = code, size, until

    def forget(self) -> None:
        """It may come back with other settings."""
        self.reads_until = self.refused_until = 0.0


class Clamd:
    """Speaks to clamd daemons, and remembers for a while how much each was seen to read."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._daemons: dict[str, _Known] = {}

    async def assure(self, scan: Scan, size: int) -> None:
        """Return if the daemon reads objects of that size to their end, or says if it does not.

        Raises:
            ScannerError: It does neither, or does not answer.
        """
        if size > MAX_BYTES:
            raise ScannerError("scanner_limit")
        known, asked = self._known(scan), self._now()
        if known.fits(size, asked):
            return
        async with known.trying:
            if known.refuses(size, asked):
                raise ScannerError(known.refusal)
            if known.fits(size, self._now()):
                return
            try:
                await self._try(scan, size, known, asked)
            except ScannerError as error:
                if error.code != "scanner_limit":  # the next one may have more luck
                    known.refuse(error.code, 0, self._now())
                raise

    @contextlib.asynccontextmanager
    async def open(self, scan: Scan) -> AsyncIterator["_Stream"]:
        """Begin to scan one object. Raises `ScannerError`."""
        with await self._call(scan) as sock:
            yield _Stream(sock, failed=self._known(scan).forget)

    async def _call(self, scan: Scan) -> socket.socket:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await _connect(scan.clamd or "")
        except (OSError, TimeoutError, ValueError):
            self._known(scan).forget()
            raise ScannerError("scanner_unreachable") from None

    def _known(self, scan: Scan) -> _Known:
        return self._daemons.setdefault(scan.clamd or "", _Known())

    async def _try(self, scan: Scan, size: int, known: _Known, asked: float) -> None:
        """Find out whether the daemon is fit for objects of that size. Raises `ScannerError`."""
        if await self._finds(scan, (_nested(DEPTH),)) is False:
            self._refuse(known, 0)
            raise ScannerError("scanner_limit")
        # A power of two, so that a few trials serve all sizes, within what the operator states.
        most = MAX_BYTES if scan.max_bytes is None else scan.max_bytes
        round_size = min(most, max(SMALLEST_TRIAL, 1 << (size - 1).bit_length()))
        for trial in dict.fromkeys((max(size, round_size), size)):
            if known.refuses(trial, asked):
                continue
            if await self._finds(scan, _archive(trial)):
                known.reads, known.reads_until = trial, self._now() + GOOD_SECONDS
                return
            self._refuse(known, trial)
        raise ScannerError("scanner_limit")

    def _refuse(self, known: _Known, size: int) -> None:
        known.refuse("scanner_limit", size, self._now() + BAD_SECONDS)

    async def _finds(self, scan: Scan, pieces: Iterable[bytes]) -> bool | None:
        """Return whether the daemon finds the test file; None if it says that it has a limit."""
        try:
            with await self._call(scan) as sock:
                scanning = _Stream(sock)
                for piece in pieces:
                    await scanning.feed(piece)
                return not await scanning.clean()
        except ScannerError as error:
            if error.code != "scanner_limit":
                raise
            return None


class _Stream:
    """One object on its way through the daemon.

    It hangs up on what is too long for it, and says so before. asyncio's own streams would lose
    those last words: they close a socket that cannot be written to any more without reading it.
    """

    def __init__(self, sock: socket.socket, *, failed: Callable[[], None] = lambda: None) -> None:
        self._sock = sock
        self._failed = failed
        self._unsent = b"zINSTREAM\0"
        self._clean: bool | None = None

    async def feed(self, chunk: bytes) -> None:
        """Have the daemon read on; what comes after its verdict is not sent any more."""
        if chunk and self._clean is None:
            with self._noticed():
                await self._send(struct.pack(">I", len(chunk)) + chunk)

    async def clean(self) -> bool:
        """Return whether nothing was found in all that was fed."""
        with self._noticed():
            if self._clean is None:
                await self._send(struct.pack(">I", 0))
            if self._clean is None:
                self._clean = _verdict(await self._answer())
        return self._clean

    @contextlib.contextmanager
    def _noticed(self) -> Iterator[None]:
        try:
            yield
        except ScannerError:
            self._failed()
            raise

    async def _send(self, piece: bytes) -> None:
        piece, self._unsent = self._unsent + piece, b""
        try:
            async with asyncio.timeout(FEED_SECONDS):
                await asyncio.get_running_loop().sock_sendall(self._sock, piece)
        except TimeoutError:
            raise ScannerError("scanner_failed") from None
        except OSError:
            if _verdict(await self._answer()):  # over what it did not read
                raise ScannerError("scanner_failed") from None
            self._clean = False

    async def _answer(self) -> bytes:
        said = b""
        try:
            async with asyncio.timeout(VERDICT_SECONDS):
                while not said.endswith(b"\0"):
                    more = await asyncio.get_running_loop().sock_recv(self._sock, MAX_ANSWER_BYTES)
                    said += more
                    if not more or len(said) > MAX_ANSWER_BYTES:
                        raise ScannerError("scanner_failed")
        except (OSError, TimeoutError):
            raise ScannerError("scanner_failed") from None
        return said


async def _connect(address: str) -> socket.socket:
    if address.startswith("unix:"):
        return await _dial(socket.AF_UNIX, address.removeprefix("unix:"))
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    places = await asyncio.get_running_loop().getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_STREAM
    )
    refused = OSError()
    for family, _, _, _, place in places:
        try:
            return await _dial(family, place)
        except OSError as error:
            refused = error
    raise refused


async def _dial(family: socket.AddressFamily, place: str | tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, place)
    except BaseException:
        sock.close()
        raise
    return sock


def _verdict(said: bytes) -> bool:
    """Return whether clamd found nothing. Only its own words for that count."""
    text = said.rstrip(b"\0\n ")
    if b"\0" in text:
        raise ScannerError("scanner_failed")
    if text == b"stream: OK":
        return True
    if text.startswith(b"stream: Heuristics.Limits.Exceeded"):  # where AlertExceedsMax is on
        raise ScannerError("scanner_limit")
    if text.startswith(b"stream: ") and text.endswith(b" FOUND"):
        return False
    raise ScannerError("scanner_limit" if b"size limit exceeded" in text else "scanner_failed")


def _archive(size: int) -> Iterator[bytes]:
    """Yield a tar archive of *size* bytes: zeros, and the test file as its last member."""
    last = b"".join((_member("eicar.com", sum(map(len, _EICAR))), *_EICAR))
    end = last.ljust(-(-len(last) // _BLOCK) * _BLOCK, b"\0") + bytes(2 * _BLOCK)
    room = size - len(end) - _BLOCK
    left = max(_BLOCK, room // _BLOCK * _BLOCK)
    # One byte less, and a daemon that reads as much as that would be believed to read this.
    end += bytes(max(0, room - left))
    yield _member("zeros", left)
    zeros = bytes(CHUNK_BYTES)
    while left > 0:
        yield zeros[:left]
        left -= CHUNK_BYTES
    yield end


@functools.cache
def _nested(depth: int) -> bytes:
    """Return the test file in a ZIP in a ZIP, and so on, in a few kilobytes."""
    content, name = b"".join(_EICAR), "eicar.com"
    for _ in range(depth):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        content, name = made.getvalue(), "nested.zip"
    return content


def _member(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)
