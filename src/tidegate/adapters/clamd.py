"""ClamAV's daemon: an object is streamed through it, and it says what it found.

clamd calls clean what it did not read: what lies beyond StreamMaxLength, MaxFileSize or
MaxScanSize. It does not tell its limits, so they are tried: an archive as large as the object,
with the EICAR test file as its very last member, must be found infected.

Source: https://docs.clamav.net/manual/Usage/Scanning.html#clamd
"""

import asyncio
import contextlib
import socket
import struct
import tarfile
from collections.abc import AsyncIterator, Iterator
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
_BLOCK: Final = 512  # of a tar archive
# In two parts, so that this file is not itself found infected.
_EICAR: Final = (
    b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STAND",
    b"ARD-ANTIVIRUS-TEST-FILE!$H+H*",
)


class Clamd:
    """Speaks to clamd daemons, and remembers how much each was seen to read."""

    def __init__(self) -> None:
        self._reads: dict[str, int] = {}

    async def assure(self, scan: Scan, size: int) -> None:
        """Return if the daemon reads objects of that size to their end.

        Raises:
            ScannerError: It does not, or does not answer.
        """
        address = scan.clamd or ""
        if size <= self._reads.get(address, 0):
            return
        if size > MAX_BYTES:
            raise ScannerError("scanner_limit")
        # A power of two, so that a few trials serve all sizes, within what the operator states.
        most = MAX_BYTES if scan.max_bytes is None else scan.max_bytes
        round_size = min(most, max(SMALLEST_TRIAL, 1 << (size - 1).bit_length()))
        for trial in dict.fromkeys((max(size, round_size), size)):
            if await self._reaches(scan, trial):
                self._reads[address] = max(trial, self._reads.get(address, 0))
                return
        raise ScannerError("scanner_limit")

    @contextlib.asynccontextmanager
    async def open(self, scan: Scan) -> AsyncIterator["_Stream"]:
        """Begin to scan one object. Raises `ScannerError`."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                sock = await _connect(scan.clamd or "")
        except (OSError, TimeoutError, ValueError):
            self._reads.pop(scan.clamd or "", None)  # it may come back with other limits
            raise ScannerError("scanner_unreachable") from None
        with sock:
            yield _Stream(sock)

    async def _reaches(self, scan: Scan, size: int) -> bool:
        """Return whether the daemon finds what is at the very end of so many bytes."""
        try:
            async with self.open(scan) as scanning:
                for chunk in _archive(size):
                    await scanning.feed(chunk)
                return not await scanning.clean()
        except ScannerError as error:
            if error.code != "scanner_limit":
                raise
            return False


class _Stream:
    """One object on its way through the daemon.

    It hangs up on what is too long for it, and says so before. asyncio's own streams would lose
    those last words: they close a socket that cannot be written to any more without reading it.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._unsent = b"zINSTREAM\0"
        self._clean: bool | None = None

    async def feed(self, chunk: bytes) -> None:
        """Have the daemon read on; what comes after its verdict is not sent any more."""
        if chunk and self._clean is None:
            await self._send(struct.pack(">I", len(chunk)) + chunk)

    async def clean(self) -> bool:
        """Return whether nothing was found in all that was fed."""
        if self._clean is None:
            await self._send(struct.pack(">I", 0))
        if self._clean is None:
            self._clean = _verdict(await self._answer())
        return self._clean

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


def _member(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)
