"""The workspace's scanner: its protocol, its faults, and what it finds in little memory.

That it does as clamd does is shown in tests/adapters/test_clamd.py.
"""

import asyncio
import contextlib
import gzip
import io
import itertools
import random
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from typing_extensions import override

from tests.far_ends.clamd import Daemon
from tidegate_dev.listener import LOOPBACK, PortInUseError, bind
from tidegate_dev.objects.seed import eicar
from tidegate_dev.scanner import Limits, ScannerFarEnd
from tidegate_dev.scanner.inspection import Inspection, Verdict

EICAR = eicar()
MIB = 1_048_576
NOISE = random.Random(3).randbytes(200_000)


@pytest.fixture
async def scanner() -> AsyncIterator[ScannerFarEnd]:
    async with ScannerFarEnd(slow_seconds=0.3) as started:
        yield started


async def asked(port: int, *pieces: bytes) -> bytes:
    """What is answered to *pieces*, up to the end of the call."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        async with asyncio.timeout(10):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await reader.read()
    finally:
        writer.close()


def stream(body: bytes) -> bytes:
    return b"zINSTREAM\0" + len(body).to_bytes(4, "big") + body + bytes(4)


# The protocol


@pytest.mark.parametrize(
    "request_",
    [b"zPING\0", b"nPING\n", b"PING\n", b"zNONSENSE\0", b"nINSTREAM\n" + bytes(4), stream(b"x")],
)
async def test_it_answers_as_clamd_does(
    scanner: ScannerFarEnd, clamd_daemon: Daemon, request_: bytes
) -> None:
    real = int(clamd_daemon.tcp.rpartition(":")[2])
    assert await asked(scanner.port, request_) == await asked(real, request_)


async def test_a_finding_is_told_as_one(scanner: ScannerFarEnd) -> None:
    said = await asked(scanner.port, stream(EICAR))
    assert (said[:8], said[-7:]) == (b"stream: ", b" FOUND\0")
    assert scanner.counts == {"found": 1}
    assert b"Tidegate" in await asked(scanner.port, b"zVERSION\0")


async def test_calls_that_make_no_sense_do_no_harm(scanner: ScannerFarEnd) -> None:
    for nonsense in (b"", b"z", b"\xff" * 2_000_000, b"zINSTREAM\0\xff\xff\xff\xff" + b"x" * 99):
        reader, writer = await asyncio.open_connection(LOOPBACK, scanner.port)
        with contextlib.suppress(ConnectionError):
            writer.write(nonsense)
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 10)
        writer.close()
    assert await asked(scanner.port, stream(b"x")) == b"stream: OK\0"


# Its bad days


async def test_when_it_is_down_nobody_is_answered_and_nobody_else_gets_its_port(
    scanner: ScannerFarEnd,
) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, scanner.port)
    writer.write(b"zINSTREAM\0")
    await writer.drain()
    scanner.set_fault("down", True)
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asked(scanner.port, b"zPING\0")
    scanner.set_fault("down", False)
    assert await asked(scanner.port, b"zPING\0") == b"PONG\0"
    with pytest.raises(PortInUseError):
        bind(scanner.port)


async def test_it_can_be_down_from_the_start_and_leaves_nothing_behind() -> None:
    scanner = ScannerFarEnd()
    scanner.set_fault("down", True)
    await scanner.start()
    with pytest.raises(ConnectionRefusedError):
        await asked(scanner.port, b"zPING\0")
    scanner.calm()
    assert await asked(scanner.port, b"zPING\0") == b"PONG\0"
    await scanner.stop()
    bind(scanner.port).close()


async def test_when_it_is_slow_the_verdict_takes_its_time(scanner: ScannerFarEnd) -> None:
    scanner.set_fault("slow", True)
    before = asyncio.get_running_loop().time()
    assert await asked(scanner.port, stream(b"x")) == b"stream: OK\0"
    assert asyncio.get_running_loop().time() - before >= 0.3


async def test_garbage_is_no_verdict(scanner: ScannerFarEnd) -> None:
    scanner.set_fault("garbage", True)
    said = await asked(scanner.port, stream(b"x"))
    assert said
    assert b"stream:" not in said
    with pytest.raises(ValueError, match="no fault"):
        scanner.set_fault("rain", True)


# What it finds


def inspected(body: bytes, *, cut: int = 65_536, **limits: Any) -> Verdict:
    inspection = Inspection(Limits(**limits))
    for start in range(0, len(body), cut):
        inspection.feed(body[start : start + cut])
    return inspection.verdict()


class Pipe(io.BytesIO):
    """A zip's writer cannot go back in it, so it writes sizes after the members."""

    @override
    def seekable(self) -> bool:
        return False

    @override
    def tell(self) -> int:
        raise OSError("a pipe")


def zipped(
    *files: bytes, method: int = zipfile.ZIP_DEFLATED, large: bool = False, piped: bool = False
) -> bytes:
    made = Pipe() if piped else io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for number, file in enumerate(files):
            with archive.open(f"{number}", "w", force_zip64=large) as member:
                member.write(file)
    return made.getvalue()


def tarred(*files: bytes, gnu_size: bool = False) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for number, file in enumerate(files):
            member = tarfile.TarInfo(f"{number}")
            member.size = len(file)
            archive.addfile(member, io.BytesIO(file))
    body = made.getvalue()
    if gnu_size:
        size = b"\x80" + len(files[0]).to_bytes(11, "big")
        body = body[:124] + size + body[136:]
    return body


def encrypted(body: bytes) -> bytes:
    """A zip whose first member says that it is encrypted."""
    return body[:6] + b"\x01\0" + body[8:]


@pytest.mark.parametrize("cut", [1, 511, 65_536])
@pytest.mark.parametrize(
    "body",
    [
        zipped(NOISE[:5000], EICAR),
        zipped(NOISE[:5000], EICAR, large=True),
        zipped(NOISE[:5000], EICAR, piped=True),
        zipped(NOISE[:5000], EICAR, piped=True, large=True),
        zipped(b"", bytes(5000), EICAR, method=zipfile.ZIP_STORED),
        zipped(bytes(5000), EICAR, method=zipfile.ZIP_STORED, large=True),
        zipped(tarred(gzip.compress(EICAR))),
        encrypted(zipped(NOISE[:5000], EICAR)),
        tarred(NOISE[:5000], b"", EICAR),
        tarred(NOISE[:5000], EICAR, gnu_size=True),
        gzip.compress(EICAR[:30]) + gzip.compress(EICAR[30:]),
        gzip.compress(tarred(NOISE[:5000], zipped(EICAR))),
    ],
    ids=map(str, itertools.count(1)),
)
def test_the_test_file_is_found_wherever_it_lies(body: bytes, cut: int) -> None:
    assert inspected(body, cut=cut) is Verdict.FOUND


@pytest.mark.parametrize(
    "body",
    [
        encrypted(zipped(EICAR)),
        zipped(EICAR, piped=True, method=zipfile.ZIP_STORED)[:-200],
        zipped(EICAR)[:29],
        tarred(EICAR)[:500],
        tarred(EICAR)[:124] + b"not a size.." + tarred(EICAR)[136:],
        b"PK\x03\x04" + NOISE,
        b"\x1f\x8b" + NOISE,
        gzip.compress(NOISE)[:-5000],
        zipped(b"x" * 5000, method=zipfile.ZIP_BZIP2),
        zipped(EICAR, method=zipfile.ZIP_LZMA),
    ],
    ids=map(str, itertools.count(1)),
)
def test_what_is_broken_or_sealed_is_passed_over(body: bytes) -> None:
    assert inspected(body) is Verdict.CLEAN
    assert inspected(body, cut=7) is Verdict.CLEAN


def test_it_stays_within_its_limits() -> None:
    deep = EICAR
    for _ in range(5):
        deep = gzip.compress(deep)
    assert inspected(deep, depth=5) is Verdict.FOUND
    assert inspected(deep, depth=4) is Verdict.EXCEEDED
    assert inspected(tarred(bytes(MIB), EICAR), scan_bytes=4 * MIB) is Verdict.FOUND
    assert inspected(tarred(bytes(MIB), EICAR), scan_bytes=MIB) is Verdict.EXCEEDED
    assert inspected(zipped(bytes(MIB), EICAR), file_bytes=MIB - 1) is Verdict.FOUND
    assert inspected(zipped(EICAR + bytes(MIB)), file_bytes=MIB - 1) is Verdict.EXCEEDED
    assert inspected(EICAR + bytes(MIB), file_bytes=MIB) is Verdict.EXCEEDED


def bombs() -> Iterator[bytes]:
    zeros = zlib.compress(bytes(64 * MIB), 9)
    yield gzip.compress(gzip.compress(bytes(64 * MIB)))
    yield zipped(bytes(64 * MIB))
    yield b"\x1f\x8b\x08" + bytes(6) + b"\x03" + zeros[2:-4]
    yield tarred(bytes(16 * MIB))


def test_it_takes_next_to_no_memory() -> None:
    for body in bombs():
        tracemalloc.start()
        try:
            assert inspected(body) is Verdict.CLEAN
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 2 * MIB


def test_a_bomb_is_given_up_on() -> None:
    bomb = bytes(64 * MIB)
    for _ in range(3):
        bomb = gzip.compress(bomb)
    assert inspected(bomb, scan_bytes=8 * MIB) is Verdict.EXCEEDED
