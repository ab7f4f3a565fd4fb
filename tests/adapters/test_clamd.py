"""The scanner against the real clamd, its stand-in, and daemons that are none.

The stand-in is the dev workspace's: what holds of clamd has to hold of it.
"""

import asyncio
import contextlib
import functools
import io
import random
import socket
import tarfile
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.far_ends.clamd import EICAR, Daemon, clamd
from tests.ports import free_port
from tidegate.adapters import clamd as adapter
from tidegate.adapters.clamd import Clamd
from tidegate.core.share import Scan
from tidegate.errors import ScannerError
from tidegate_dev.scanner import Limits, ScannerFarEnd

MIB: Final = 1_048_576
CHUNK: Final = 262_144  # as the objects' adapter reads

pytestmark = pytest.mark.xdist_group("clamd")


@contextlib.asynccontextmanager
async def stand_in(**limits: Any) -> AsyncIterator[Scan]:
    async with ScannerFarEnd(limits=Limits(**limits)) as far_end:
        yield Scan(clamd=far_end.address)


@pytest.fixture(params=["unix", "tcp", "stand-in"])
async def scan(request: pytest.FixtureRequest, clamd_daemon: Daemon) -> AsyncIterator[Scan]:
    """Where the daemon is found, one way and the other; and what stands in for it."""
    if request.param == "stand-in":
        async with stand_in() as found:
            yield found
    else:
        yield Scan(clamd=getattr(clamd_daemon, request.param))


@pytest.fixture(scope="module")
def narrow_clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with clamd(tmp_path_factory.mktemp("narrow"), StreamMaxLength="3M") as daemon:
        yield daemon


@pytest.fixture(scope="module")
def careless_clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    settings = {"MaxFileSize": "3M", "AlertExceedsMax": "no"}
    with clamd(tmp_path_factory.mktemp("careless"), **settings) as daemon:
        yield daemon


@pytest.fixture(params=["clamd", "stand-in"])
async def narrow(request: pytest.FixtureRequest, narrow_clamd: Daemon) -> AsyncIterator[Scan]:
    """A daemon that hangs up after 3 MiB."""
    if request.param == "stand-in":
        async with stand_in(stream_bytes=3 * MIB) as found:
            yield found
    else:
        yield Scan(clamd=narrow_clamd.unix)


@pytest.fixture(params=["clamd", "stand-in"])
async def careless(
    request: pytest.FixtureRequest, careless_clamd: Daemon, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scan]:
    """A daemon that takes everything, and calls clean what lies beyond 3 MiB."""
    # It reads as deep as it is tried here: its size is what gives it away.
    monkeypatch.setattr(adapter, "DEPTH", 3)
    if request.param == "stand-in":
        async with stand_in(file_bytes=3 * MIB, alert=False) as found:
            yield found
    else:
        yield Scan(clamd=careless_clamd.unix)


@pytest.fixture(params=["clamd", "stand-in"])
async def alert(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scan]:
    """A daemon that says when it does not look at what lies beyond 2 MiB."""
    if request.param == "stand-in":
        async with stand_in(file_bytes=2 * MIB, alert=True) as found:
            yield found
        return
    with clamd(tmp_path, MaxFileSize="2M", AlertExceedsMax="yes") as daemon:
        yield Scan(clamd=daemon.unix)


async def clean(scan: Scan, body: bytes, *, chunk: int = CHUNK) -> bool:
    async with Clamd().open(scan) as scanning:
        for start in range(0, len(body), chunk):
            await scanning.feed(body[start : start + chunk])
        return await scanning.clean()


def refused(code: str) -> pytest.RaisesExc[ScannerError]:
    return pytest.raises(ScannerError, check=lambda error: error.code == code)


def zipped(*files: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as archived:
        for number, file in enumerate(files):
            archived.writestr(f"{number}.bin", file)
    return archive.getvalue()


def tarred(*files: bytes, mode: str = "w:gz") -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode=mode) as archived:  # type: ignore[call-overload]
        for number, file in enumerate(files):
            member = tarfile.TarInfo(f"{number}.bin")
            member.size = len(file)
            archived.addfile(member, io.BytesIO(file))
    return archive.getvalue()


NOISE: Final = random.Random(7).randbytes(MIB + 17)  # nothing about it can be compressed


# --- verdicts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"x", b"Date,Amount\r\n", NOISE, zipped(NOISE), tarred(NOISE), tarred(mode="w:")),
        *(NOISE + EICAR, b"It begins with " + EICAR, zipped(NOISE + EICAR), tarred(b"x" + EICAR)),
        *(zipped(EICAR)[:60], tarred(EICAR)[:40], b"PK\3\4" + NOISE, b"\x1f\x8b" + NOISE),
    ],
    ids=lambda body: f"{len(body)} bytes",  # what is in an archive tells the time
)
async def test_what_holds_nothing_bad_is_clean(scan: Scan, body: bytes) -> None:
    assert await clean(scan, body)


@pytest.mark.parametrize(
    "body",
    [
        EICAR,
        EICAR + b"\r\n" + NOISE,
        zipped(NOISE, EICAR),
        tarred(NOISE, EICAR),
        tarred(NOISE, EICAR + b"\n", NOISE, mode="w:"),
        tarred(EICAR, mode="w:"),
        zipped(tarred(zipped(EICAR), NOISE)),
    ],
    ids=[
        "alone",
        "at the start",
        "in a zip",
        "in a tar.gz",
        "amid a tar",
        "in a tar",
        "three deep",
    ],
)
async def test_what_holds_the_test_file_is_not_clean(scan: Scan, body: bytes) -> None:
    assert not await clean(scan, body)


@pytest.mark.parametrize("chunk", [1, 7, 68])
async def test_the_verdict_does_not_hang_on_how_it_was_cut(scan: Scan, chunk: int) -> None:
    assert not await clean(scan, EICAR, chunk=chunk)
    assert await clean(scan, EICAR[:-1], chunk=chunk)


async def test_a_verdict_may_be_asked_for_twice_and_empty_chunks_do_not_end_it(
    scan: Scan,
) -> None:
    async with Clamd().open(scan) as scanning:
        await scanning.feed(EICAR[:20])
        await scanning.feed(b"")
        await scanning.feed(EICAR[20:])
        assert not await scanning.clean()
        await scanning.feed(b"what comes after the verdict")
        assert not await scanning.clean()


async def test_several_are_scanned_at_the_same_time_and_none_gets_anothers_verdict(
    scan: Scan,
) -> None:
    scanner = Clamd()
    async with contextlib.AsyncExitStack() as stack:
        scannings = [await stack.enter_async_context(scanner.open(scan)) for _ in range(8)]
        bodies = [EICAR + NOISE if number % 3 == 0 else NOISE for number in range(8)]
        for start in range(0, MIB, CHUNK):
            for scanning, body in zip(scannings, bodies, strict=True):
                await scanning.feed(body[start : start + CHUNK])
        verdicts = await asyncio.gather(*(scanning.clean() for scanning in scannings))
    assert verdicts == [number % 3 != 0 for number in range(8)]


async def test_a_scan_that_is_left_early_does_no_harm_to_the_next(scan: Scan) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with Clamd().open(scan) as scanning:
            await scanning.feed(NOISE)
            raise ZeroDivisionError
    assert await clean(scan, NOISE)


# --- limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [CHUNK, 8 * MIB])
async def test_more_than_the_daemon_takes_is_told_as_its_limit(narrow: Scan, chunk: int) -> None:
    assert await clean(narrow, NOISE)
    with refused("scanner_limit"):
        await clean(narrow, bytes(8 * MIB), chunk=chunk)


async def test_a_stream_that_is_too_long_is_not_fed_to_its_end(narrow: Scan) -> None:
    fed = 0
    with refused("scanner_limit"):
        async with Clamd().open(narrow) as scanning:
            while fed < 1 << 30:
                await scanning.feed(bytes(CHUNK))
                fed += CHUNK
    assert fed < 64 * MIB


async def test_a_daemon_that_hangs_up_early_reads_only_so_much(narrow: Scan) -> None:
    await Clamd().assure(narrow, MIB)
    with refused("scanner_limit"):
        await Clamd().assure(narrow, 3 * MIB + 1)


@pytest.mark.parametrize("size", [3 * MIB + 1, 3 * MIB + 511, 3 * MIB + 512, 5 * MIB])
async def test_what_the_daemon_would_call_clean_unread_is_found_out(
    careless: Scan, size: int
) -> None:
    body = tarred(EICAR, mode="w:").ljust(size, b"\0")
    assert not await clean(careless, body[: 3 * MIB])
    assert await clean(careless, body), "the daemon does not look at it at all"
    with refused("scanner_limit"):
        await Clamd().assure(careless, size)
    await Clamd().assure(careless, MIB)


async def test_a_size_below_the_limit_is_assured_though_the_round_one_above_it_is_not(
    narrow: Scan, careless: Scan
) -> None:
    for scan in (narrow, careless):
        scanner = Clamd()
        await scanner.assure(scan, 5 * MIB // 2)
        with refused("scanner_limit"):
            await scanner.assure(scan, 4 * MIB)


async def test_a_limit_that_is_reported_as_a_finding_is_not_taken_for_malware(
    alert: Scan,
) -> None:
    with refused("scanner_limit"):
        await clean(alert, tarred(bytes(3 * MIB), mode="w:"))
    with refused("scanner_limit"):
        await Clamd().assure(alert, 3 * MIB)
    assert not await clean(alert, EICAR)


@pytest.mark.parametrize("made", ["clamd", "stand-in"])
async def test_a_daemon_that_does_not_say_what_it_did_not_look_at_is_trusted_with_nothing(
    tmp_path: Path, made: str
) -> None:
    deep = functools.reduce(lambda inner, _: zipped(inner), range(30), EICAR)
    async with contextlib.AsyncExitStack() as stack:
        if made == "clamd":
            daemon = stack.enter_context(clamd(tmp_path, AlertExceedsMax="no"))
            silent = Scan(clamd=daemon.unix)
        else:
            silent = await stack.enter_async_context(stand_in(alert=False))
        assert await clean(silent, deep), "it does not look so deep, and says nothing"
        with refused("scanner_limit"):
            await Clamd().assure(silent, 10)


async def test_a_daemon_that_says_so_is_trusted_however_deep_it_reads(
    scan: Scan, tmp_path: Path
) -> None:
    await Clamd().assure(scan, 10)
    with clamd(tmp_path, MaxRecursion="200") as daemon:
        await Clamd().assure(Scan(clamd=daemon.unix), 10)


async def test_a_size_that_no_clamd_reads_is_refused_without_a_trial() -> None:
    with refused("scanner_limit"):
        await Clamd().assure(Scan(clamd="unix:/nowhere/clamd.ctl"), 2_147_483_648)


async def test_no_more_is_tried_than_the_operator_states(tmp_path: Path) -> None:
    scanner = Clamd()
    with clamd(tmp_path, StreamMaxLength="3M") as daemon:
        scan = Scan(clamd=daemon.unix, max_bytes=5 * MIB // 2)
        await scanner.assure(scan, 9 * MIB // 4)
    await scanner.assure(scan, 5 * MIB // 2)  # seen, so the daemon is not asked


async def test_without_a_signature_for_the_test_file_nothing_is_assured() -> None:
    async with answering(b"stream: OK\0") as daemon:
        with refused("scanner_limit"):
            await Clamd().assure(daemon.scan, 10)


async def test_what_was_seen_is_remembered_for_smaller_ones_and_for_that_daemon_alone(
    tmp_path: Path, careless: Scan
) -> None:
    scanner = Clamd()
    with clamd(tmp_path) as daemon:
        scan = Scan(clamd=daemon.unix)
        await scanner.assure(scan, 3 * MIB)
    # It is gone, and was asked no more; about another one nothing is known.
    await scanner.assure(scan, 4 * MIB)
    await scanner.assure(scan, 1)
    with refused("scanner_unreachable"):
        await scanner.assure(scan, 5 * MIB)
    with refused("scanner_limit"):
        await scanner.assure(careless, 4 * MIB)
    with refused("scanner_unreachable"):  # who comes back may have other limits
        await scanner.assure(scan, 1)


# --- no daemon, or none that keeps to the protocol --------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "unix:/nowhere/clamd.ctl",
        f"unix:/{'x' * 200}",
        "127.0.0.1:99999",
        "tcp://127.0.0.1",
        "clamd.invalid:3310",
        "",
    ],
)
async def test_where_nothing_can_listen_the_scanner_is_unreachable(address: str) -> None:
    scan = Scan(clamd=address)
    with refused("scanner_unreachable"):
        await clean(scan, b"x")
    with refused("scanner_unreachable"):
        await Clamd().assure(scan, 1)


async def test_where_nobody_listens_the_scanner_is_unreachable() -> None:
    port = free_port()
    for address in (f"127.0.0.1:{port}", f"tcp://127.0.0.1:{port}", f"[::1]:{port}"):
        with refused("scanner_unreachable"):
            await clean(Scan(clamd=address), b"x")


async def test_where_nobody_takes_the_call_the_scanner_is_unreachable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adapter, "CONNECT_SECONDS", 0.2)
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(socket.socket())
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        for _ in range(4):  # the queue is full, and nobody takes from it
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(busy.getsockname())
        with refused("scanner_unreachable"):
            await clean(Scan(clamd=f"127.0.0.1:{busy.getsockname()[1]}"), b"x")


async def test_a_name_with_several_addresses_is_tried_at_each(clamd_daemon: Daemon) -> None:
    port = clamd_daemon.tcp.rpartition(":")[2]
    loop = asyncio.get_running_loop()
    places = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", int(port), 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(port))),
    ]

    async def resolved(*_: object, **__: object) -> object:
        return places

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "getaddrinfo", resolved)
        assert not await clean(Scan(clamd=f"clamd.example:{port}"), EICAR)


async def test_a_daemon_that_is_killed_in_the_middle_gives_no_verdict(tmp_path: Path) -> None:
    with clamd(tmp_path) as daemon:
        async with Clamd().open(Scan(clamd=daemon.unix)) as scanning:
            await scanning.feed(NOISE)
            daemon.process.kill()
            with refused("scanner_failed"):
                while True:
                    await scanning.feed(NOISE)
            with refused("scanner_failed"):
                await scanning.clean()
        await asyncio.to_thread(daemon.process.wait)
        with refused("scanner_unreachable"):
            await clean(Scan(clamd=daemon.unix), b"x")


class Fake:
    """A daemon that is none."""

    def __init__(self, port: int) -> None:
        self.scan = Scan(clamd=f"127.0.0.1:{port}")


Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def behaving(behave: Behaviour) -> AsyncIterator[Fake]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await behave(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield Fake(server.sockets[0].getsockname()[1])


async def _stream(reader: asyncio.StreamReader) -> bytes:
    assert await reader.readuntil(b"\0") == b"zINSTREAM\0"
    body = b""
    while size := int.from_bytes(await reader.readexactly(4), "big"):
        body += await reader.readexactly(size)
    return body


def answering(said: bytes) -> contextlib.AbstractAsyncContextManager[Fake]:
    """Read all of a stream, and then say so."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _stream(reader)
        writer.write(said)
        await writer.drain()

    return behaving(behave)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\0",
        b"OK\0",
        b"stream: OK",  # not to its end
        b"stream: ok\0",
        b"stream: OK or not\0",
        b"1: stream: OK\0",
        b"stream: Eicar FOUND: OK\0",
        b"stream: lstat() failed ERROR\0",
        b"stream: OK\0stream: Eicar FOUND\0",
        b"UNKNOWN COMMAND\0",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"x" * 100_000 + b"\0",
    ],
)
async def test_only_clamds_own_words_are_a_verdict(said: bytes) -> None:
    async with answering(said) as daemon:
        with refused("scanner_failed"):
            await clean(daemon.scan, NOISE)


async def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    ended = asyncio.Event()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _stream(reader)
        try:
            while True:
                writer.write(b"x" * CHUNK)
                await writer.drain()
        finally:
            ended.set()

    async with behaving(behave) as daemon:
        with refused("scanner_failed"):
            await clean(daemon.scan, NOISE)
        await asyncio.wait_for(ended.wait(), 10)


async def test_clamds_own_words_are_one_though_they_come_in_pieces() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = await _stream(reader)
        said = b"stream: OK\0" if body == NOISE else b"stream: Win.Test FOUND\0"
        for letter in said:
            writer.write(bytes((letter,)))
            await writer.drain()
            await asyncio.sleep(0)

    async with behaving(behave) as daemon:
        assert await clean(daemon.scan, NOISE)
        assert not await clean(daemon.scan, NOISE[:-1])


@pytest.mark.parametrize("said", [b"stream: OK\0", b"", b"stream: what ERROR\0"])
async def test_a_verdict_before_the_end_is_not_one_that_lets_pass(said: bytes) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100)
        writer.write(said)
        await writer.drain()

    async with behaving(behave) as daemon, Clamd().open(daemon.scan) as scanning:
        with refused("scanner_failed"):
            while True:
                await scanning.feed(NOISE)
        with refused("scanner_failed"):
            await scanning.clean()


async def test_something_found_before_the_end_is_found() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100)
        writer.write(b"stream: Win.Test FOUND\0")
        await writer.drain()

    async with behaving(behave) as daemon:
        assert not await clean(daemon.scan, bytes(64 * MIB))


async def test_a_daemon_that_does_not_read_on_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "FEED_SECONDS", 0.1)
    stuck = asyncio.Event()

    async def behave(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(10)  # the reader stops by itself when its buffer is full
        await stuck.wait()

    async with behaving(behave) as daemon:
        with refused("scanner_failed"):
            await clean(daemon.scan, bytes(64 * MIB))
        stuck.set()


async def test_a_daemon_that_gives_no_verdict_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "VERDICT_SECONDS", 0.1)
    stuck = asyncio.Event()

    async def behave(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await _stream(reader)
        await stuck.wait()

    async with behaving(behave) as daemon:
        with refused("scanner_failed"):
            await clean(daemon.scan, NOISE)
        stuck.set()


# --- what is remembered ------------------------------------------------------------------------


class Hands:
    """A clock that stands until it is moved on."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


async def test_what_was_seen_is_seen_anew_after_five_minutes_and_after_any_failure(
    tmp_path: Path,
) -> None:
    port, now = free_port(), Hands()
    scan = Scan(clamd=f"127.0.0.1:{port}")
    scanner = Clamd(now=now)
    (tmp_path / "high").mkdir()
    with clamd(tmp_path / "high", TCPSocket=str(port)):
        await scanner.assure(scan, 3 * MIB)
    (tmp_path / "low").mkdir()
    with clamd(tmp_path / "low", TCPSocket=str(port), StreamMaxLength="2M"):
        now.at += 299
        await scanner.assure(scan, 3 * MIB)  # believed for a while
        now.at += 2
        with refused("scanner_limit"):
            await scanner.assure(scan, 3 * MIB)
        await scanner.assure(scan, MIB)
    async with answering(b"\0") as daemon:
        scanner = Clamd(now=now)
        scanner._known(daemon.scan).reads, scanner._known(daemon.scan).reads_until = MIB, 1e9
        await scanner.assure(daemon.scan, MIB)
        async with scanner.open(daemon.scan) as scanning:
            with refused("scanner_failed"):
                await scanning.clean()
        with refused("scanner_failed"):
            await scanner.assure(daemon.scan, MIB)


@contextlib.asynccontextmanager
async def counting(said: bytes) -> AsyncIterator[tuple[Fake, list[int]]]:
    """A daemon that always says the same, and how much it was given each time."""
    given: list[int] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        given.append(len(await _stream(reader)))
        writer.write(said)
        await writer.drain()

    async with behaving(behave) as daemon:
        yield daemon, given


async def test_a_trial_that_went_wrong_is_not_repeated_for_a_minute() -> None:
    scanner = Clamd(now=(now := Hands()))
    async with counting(b"stream: OK\0") as (daemon, given):
        for size in (MIB, 10, 8 * MIB):
            with refused("scanner_limit"):
                await scanner.assure(daemon.scan, size)
        assert len(given) == 1
        now.at += 61
        with refused("scanner_limit"):
            await scanner.assure(daemon.scan, MIB)
        assert len(given) == 2


async def test_a_size_that_is_too_large_is_remembered_and_smaller_ones_are_tried(
    narrow: Scan,
) -> None:
    scanner = Clamd()
    tried: list[int] = []
    archive = adapter._archive

    def noted(size: int) -> Iterator[bytes]:
        tried.append(size)
        return archive(size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapter, "_archive", noted)
        for size in (5 * MIB, 6 * MIB):
            with refused("scanner_limit"):
                await scanner.assure(narrow, size)
        await scanner.assure(narrow, 5 * MIB // 2)
        await scanner.assure(narrow, 9 * MIB // 4)
        with refused("scanner_limit"):
            await scanner.assure(narrow, 4 * MIB)
        await scanner.assure(narrow, 11 * MIB // 4)
    assert tried == [8 * MIB, 5 * MIB, 4 * MIB, 5 * MIB // 2, 11 * MIB // 4]


@pytest.mark.parametrize(
    ("said", "code"),
    [(b"stream: OK\0", "scanner_limit"), (b"what?\0", "scanner_failed")],
)
async def test_many_that_wait_for_one_daemon_learn_from_one_trial(said: bytes, code: str) -> None:
    scanner = Clamd()
    async with counting(said) as (daemon, given):
        asked = (scanner.assure(daemon.scan, size) for size in range(1, 9))
        ended = await asyncio.gather(*asked, return_exceptions=True)
        assert [str(error) for error in ended] == [code] * 8
        assert len(given) == 1
    async with stand_in() as scan:
        await asyncio.gather(*(scanner.assure(scan, size) for size in range(1, 9)))
