"""What becomes of S3s that break off, lie, dawdle or are none. `contract` has the good ones."""

import asyncio
import base64
import contextlib
import hashlib
import logging
import re
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import pytest
from typing_extensions import override

from tests.adapters.wire import Connection, Wire, Wired, wired
from tests.contract.clock import StillClock
from tidegate.adapters.s3 import S3, stream
from tidegate.adapters.s3 import listing as xml
from tidegate.core.share import Checksum, Object
from tidegate.core.sigv4 import Credentials
from tidegate.errors import CredentialsError, ObjectsError

BODY: Final = bytes(range(256)) * 4096  # a mebibyte
ETAG: Final = '"5d41402abc4b2a76b9719d911017c592"'
FOUND: Final = Object(bucket="reports", key="q3/report.pdf", size=len(BODY), etag=ETAG)
SECRET: Final = "wJalrXUtnFEMI/K7MDENG"
PATIENCE: Final = 0.2  # instead of half a minute

Answer = Callable[[Wired, Connection], Awaitable[None]]


@dataclass(slots=True)
class Keys:
    """Credentials, as long as there are some."""

    error: CredentialsError | None = None
    expires_in_seconds: float | None = None

    async def current(self) -> Credentials:
        if self.error is not None:
            raise self.error
        return Credentials(access_key="AKIADEV", secret_key=SECRET, token="t0ken")


@dataclass(slots=True)
class Scene:
    """The adapter, and what came of it at the other end."""

    objects: S3
    wire: Wire
    keys: Keys = field(default_factory=Keys)

    @property
    def regions(self) -> list[str]:
        """For which regions the requests were signed."""
        heads = [seen.headers["authorization"] for seen in self.wire.seen]
        return [re.findall(r"/([^/]+)/s3/aws4_request", head)[0] for head in heads]

    @property
    def ranges(self) -> list[str | None]:
        return [seen.headers.get("range") for seen in self.wire.seen]


@contextlib.asynccontextmanager
async def facing(*answers: Answer) -> AsyncIterator[Scene]:
    """Put the adapter before an S3 that gives these answers, the last one again and again."""
    left = list(answers)

    async def behave(connection: Connection, wire: Wire) -> None:
        while True:
            seen = await connection.request()
            wire.seen.append(seen)
            await (left.pop(0) if len(left) > 1 else left[0])(seen, connection)

    async with wired(behave) as wire:
        keys = Keys()
        objects = S3(credentials=keys, clock=StillClock(), region="eu-west-1", endpoint=wire.url())
        try:
            yield Scene(objects, wire, keys)
        finally:
            await objects.close()


def says(status: int, *headers: str, body: bytes = b"", length: int | None = None) -> Answer:
    """Answer with these bytes; a length that is not theirs is believed by nobody."""

    async def answer(seen: Wired, connection: Connection) -> None:
        size = len(body) if length is None else length
        lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {size}", *headers]
        head = "\r\n".join((*lines, "", "")).encode("latin-1")
        await connection.answer(head + (b"" if seen.line.startswith("HEAD") else body))

    return answer


def gives(body: bytes = BODY, *headers: str) -> Answer:
    return says(200, f"ETag: {ETAG}", *headers, body=body)


def gives_part(start: int, *headers: str, body: bytes = BODY, of: int | None = None) -> Answer:
    """Give what comes from *start* on, and say so (or that it comes from *of* on)."""
    first = start if of is None else of
    part = f"Content-Range: bytes {first}-{len(body) - 1}/{len(body)}"
    return says(206, f"ETag: {ETAG}", part, *headers, body=body[start:])


def breaks_off(answer: Answer, after: int) -> Answer:
    """Send so many bytes of an answer's body, and then no more."""

    async def broken(seen: Wired, connection: Connection) -> None:
        sent = bytearray()

        class Held(Connection):
            @override
            async def answer(self, raw: bytes) -> None:
                sent.extend(raw)

        await answer(seen, Held(connection.reader, connection.writer))
        end = sent.index(b"\r\n\r\n") + 4 + after
        await connection.answer(bytes(sent[:end]))
        connection.writer.close()

    return broken


async def is_silent(_seen: Wired, _connection: Connection) -> None:
    await asyncio.Event().wait()


def drips(head: bytes, drop: bytes) -> Answer:
    """Send a drop again and again, sooner than a stall would be noticed."""

    async def answer(_seen: Wired, connection: Connection) -> None:
        await connection.answer(head)
        while True:
            await connection.answer(drop)
            await asyncio.sleep(PATIENCE / 10)

    return answer


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "STALL_SECONDS", PATIENCE)


async def read(objects: S3, found: Object) -> bytes:
    async with objects.open(found) as reading:
        return b"".join([chunk async for chunk in reading.chunks()])


def refused(code: str, *, again: bool | None = None) -> pytest.RaisesExc[ObjectsError]:
    def same(error: ObjectsError) -> bool:
        return error.code == code and again in (None, error.again)

    return pytest.raises(ObjectsError, check=same)


# --- breaking off, and going on -------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 1, 300_000, len(BODY) - 1])
async def test_a_reading_that_breaks_off_goes_on_where_it_was(at: int) -> None:
    def rest(seen: Wired, connection: Connection) -> Awaitable[None]:
        return gives_part(int(re.findall(r"\d+", seen.headers["range"])[0]))(seen, connection)

    async with facing(breaks_off(gives(), at), rest if at else gives()) as scene:
        assert await read(scene.objects, FOUND) == BODY
    assert [seen.headers["if-match"] for seen in scene.wire.seen] == [ETAG, ETAG]


async def test_a_reading_that_breaks_off_three_times_still_gives_every_byte() -> None:
    starts: list[int] = []

    def a_bit_more(seen: Wired, connection: Connection) -> Awaitable[None]:
        start = int(re.findall(r"\d+", seen.headers["range"])[0])
        starts.append(start)
        more = gives_part(start)
        return (more if len(starts) == 3 else breaks_off(more, 200_000))(seen, connection)

    kept = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    found = replace(FOUND, checksum=Checksum(algorithm="sha256", digest=kept))
    async with facing(breaks_off(gives(), 100_000), a_bit_more) as scene:
        assert await read(scene.objects, found) == BODY
    assert starts == sorted(starts)


async def test_a_reading_that_breaks_off_again_and_again_is_given_up() -> None:
    async with facing(breaks_off(gives(), 0)) as scene:
        with refused("broken_off", again=True):
            await read(scene.objects, FOUND)
        assert scene.wire.connections == 1 + stream.RESUMES


async def test_a_resumption_that_begins_anew_does_not_end_in_wrong_bytes() -> None:
    async with facing(breaks_off(gives(), 300_000), gives()) as scene:
        with refused("broken_off", again=True):
            await read(scene.objects, FOUND)
        assert scene.ranges[1] is not None


@pytest.mark.parametrize("of", [0, 7])
async def test_a_resumption_from_elsewhere_does_not_end_in_wrong_bytes(of: int) -> None:
    async with facing(breaks_off(gives(), 300_000), gives_part(0, of=of)) as scene:
        with refused("broken_off", again=True):
            await read(scene.objects, FOUND)


async def test_a_resumption_finds_that_the_object_was_changed() -> None:
    changed = says(206, 'ETag: "other"', "Content-Range: bytes 300000-1048575/1048576")
    async with facing(breaks_off(gives(), 300_000), changed) as scene:
        with refused("changed", again=True):
            await read(scene.objects, FOUND)
    async with facing(breaks_off(gives(), 300_000), says(412)) as scene:
        with refused("changed", again=True):
            await read(scene.objects, FOUND)


async def test_an_s3_that_goes_away_while_reading_is_unreachable() -> None:
    async def goes(_seen: Wired, connection: Connection) -> None:
        connection.reset()

    async with facing(breaks_off(gives(), 300_000), goes) as scene:
        with refused("unreachable", again=True):
            await read(scene.objects, FOUND)


async def test_the_first_bytes_are_all_there_or_none() -> None:
    found = replace(FOUND, size=1000)
    async with facing(breaks_off(gives(BODY[:1000]), 400)) as scene:
        assert await scene.objects.first(found, 400) == BODY[:400]
        with refused("broken_off", again=True):
            await scene.objects.first(found, 500)
        assert scene.ranges == ["bytes=0-399", "bytes=0-499"]


async def test_the_first_bytes_may_not_come_from_elsewhere() -> None:
    async with facing(gives_part(100)) as scene:
        with refused("broken_off"):
            await scene.objects.first(FOUND, 50)


# --- other bytes than declared --------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "crc32", "crc32c", "crc64nvme"])
async def test_bytes_with_another_checksum_are_damaged(algorithm: str) -> None:
    found = replace(FOUND, checksum=Checksum(algorithm=algorithm, digest="AAAAAA=="))
    async with facing(gives()) as scene:
        with refused("damaged", again=True):
            await read(scene.objects, found)


#: Of the bytes 123456789, as the catalogue of such checks has them.
CHECKS: Final = {
    "crc32": "cbf43926",
    "crc32c": "e3069283",
    "crc64nvme": "ae8b14860a799888",
    "sha1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "sha256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
}


@pytest.mark.parametrize("algorithm", sorted(CHECKS))
async def test_bytes_with_the_declared_checksum_pass(algorithm: str) -> None:
    digest = base64.b64encode(bytes.fromhex(CHECKS[algorithm])).decode()
    declares = f"x-amz-checksum-{algorithm}: {digest}"
    async with facing(gives(b"123456789", declares, "x-amz-checksum-type: FULL_OBJECT")) as scene:
        found = await scene.objects.head("reports", "digits")
        assert found.checksum == Checksum(algorithm=algorithm, digest=digest)
        assert await read(scene.objects, found) == b"123456789"
        assert scene.wire.seen[0].headers["x-amz-checksum-mode"] == "ENABLED"


@pytest.mark.parametrize("more", ["x-amz-checksum-type: COMPOSITE", "x-other: 1"])
async def test_a_checksum_over_checksums_of_parts_is_not_taken_for_one_of_the_bytes(
    more: str,
) -> None:
    declares = f"x-amz-checksum-crc32: AAAAAA=={'-3' if 'other' in more else ''}"
    async with facing(gives(BODY, declares, more)) as scene:
        found = await scene.objects.head("reports", "q3/report.pdf")
        assert found.checksum is None
        assert await read(scene.objects, found) == BODY


@pytest.mark.parametrize("body", [BODY[:-1], BODY + b"x", b""])
async def test_another_length_than_before_is_a_change(body: bytes) -> None:
    async with facing(gives(body)) as scene:
        with refused("changed", again=True):
            await read(scene.objects, FOUND)


@pytest.mark.parametrize(("rest", "code"), [(BODY[:-1], "broken_off"), (BODY + b"x", "changed")])
async def test_a_resumption_that_ends_elsewhere_is_not_taken_for_the_end(
    rest: bytes, code: str
) -> None:
    async def ends(seen: Wired, connection: Connection) -> None:
        start = int(re.findall(r"\d+", seen.headers["range"])[0])
        head = f"HTTP/1.1 206 Part\r\nETag: {ETAG}\r\nContent-Range: bytes {start}-9/9\r\n"
        await connection.answer(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        await connection.answer(b"%x\r\n%s\r\n0\r\n\r\n" % (len(rest) - start, rest[start:]))

    async with facing(breaks_off(gives(), 300_000), ends) as scene:
        with refused(code, again=True):
            await read(scene.objects, FOUND)


@pytest.mark.parametrize("headers", [(), ('ETag: "other"',)])
async def test_an_answer_for_another_state_is_a_change(headers: tuple[str, ...]) -> None:
    async with facing(says(200, *headers, body=BODY)) as scene:
        with refused("changed", again=True):
            await read(scene.objects, FOUND)
        with refused("changed", again=True):
            await scene.objects.first(FOUND, 10)


# --- dawdling -------------------------------------------------------------------------------

HEAD: Final = f"HTTP/1.1 200 OK\r\nETag: {ETAG}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
LISTING: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n<ListBucketResult>"


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("answer", [is_silent, drips(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")])
async def test_an_answer_that_does_not_begin_is_given_up(answer: Answer) -> None:
    async with facing(answer) as scene:
        with refused("unreachable", again=True):
            await scene.objects.head("reports", "q3/report.pdf")


@pytest.mark.usefixtures("hasty")
async def test_a_body_that_stops_is_given_up() -> None:
    async def stops(_seen: Wired, connection: Connection) -> None:
        await connection.answer(HEAD + BODY[:1000])

    async with facing(stops) as scene:
        with refused("broken_off", again=True):
            await scene.objects.first(FOUND, 2000)
        with refused("broken_off", again=True):
            await read(scene.objects, FOUND)


@pytest.mark.usefixtures("hasty")
async def test_a_body_that_comes_in_drops_is_given_up() -> None:
    async with facing(drips(HEAD, b"x")) as scene:
        with refused("broken_off", again=True):
            await scene.objects.first(FOUND, 2000)
        with refused("broken_off", again=True):
            await read(scene.objects, FOUND)


@pytest.mark.usefixtures("hasty")
async def test_a_listing_that_comes_in_drops_is_given_up() -> None:
    async with facing(drips(LISTING, b" ")) as scene:
        with refused("broken_off", again=True):
            await scene.objects.keys("reports", "", most=10)


@pytest.mark.usefixtures("hasty")
async def test_who_reads_slowly_is_waited_for() -> None:
    async with facing(gives()) as scene, scene.objects.open(FOUND) as reading:
        chunks = reading.chunks()
        size = len(await anext(chunks))
        await asyncio.sleep(2 * PATIENCE)  # as where the bytes go on to is slow
        async for chunk in chunks:
            size += len(chunk)
        assert size == len(BODY)


async def test_nobody_listening_is_unreachable() -> None:
    async with facing(gives()) as scene:
        pass
    objects = S3(
        credentials=Keys(), clock=StillClock(), region="eu-west-1", endpoint=scene.wire.url()
    )
    with refused("unreachable", again=True):
        await objects.head("reports", "q3/report.pdf")
    await objects.close()


# --- statuses and regions -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "again"),
    [
        (301, "not_understood", False),
        (304, "not_understood", False),
        (400, "no_access", False),
        (401, "no_access", False),
        (403, "no_access", False),
        (404, "not_found", False),
        (405, "not_found", False),
        (412, "changed", True),
        (416, "changed", True),
        (429, "busy", True),
        (500, "unreachable", True),
        (503, "busy", True),
        (204, "not_understood", False),
    ],
)
async def test_a_status_becomes_an_error_that_tells_whether_to_try_again(
    status: int, code: str, again: bool
) -> None:
    async with facing(says(status, "Location: http://127.0.0.1:1/")) as scene:
        with refused(code, again=again):
            await scene.objects.head("reports", "q3/report.pdf")
        with refused(code, again=again):
            await read(scene.objects, FOUND)
        assert len(scene.wire.seen) == 2


@pytest.mark.parametrize("status", [301, 307, 400, 403])
async def test_a_bucket_in_another_region_is_asked_there_and_remembered(status: int) -> None:
    elsewhere = says(status, "x-amz-bucket-region: eu-central-1", "Location: http://127.0.0.1:1/")
    async with facing(elsewhere, gives()) as scene:
        found = await scene.objects.head("reports", "q3/report.pdf")
        assert await read(scene.objects, found) == BODY
        assert scene.regions == ["eu-west-1", "eu-central-1", "eu-central-1"]
        link = await scene.objects.link(found, seconds=60, name="report.pdf")
        assert "%2Feu-central-1%2Fs3%2F" in link.url
        assert await scene.objects.first(replace(found, bucket="other"), 3) == BODY[:3]
        assert scene.regions[-1] == "eu-west-1"


async def test_a_refusal_by_the_right_region_is_one() -> None:
    async with facing(says(403, "x-amz-bucket-region: eu-west-1")) as scene:
        with refused("no_access"):
            await scene.objects.head("reports", "q3/report.pdf")
        assert scene.regions == ["eu-west-1"]


async def test_a_bucket_that_is_always_elsewhere_is_not_looked_for_for_ever() -> None:
    async with facing(
        says(301, "x-amz-bucket-region: eu-central-1"),
        says(301, "x-amz-bucket-region: eu-north-1"),
    ) as scene:
        with refused("not_understood"):
            await scene.objects.head("reports", "q3/report.pdf")
        assert len(scene.wire.seen) == 2


@pytest.mark.parametrize("region", ["a/b", "a.example", "r\xe9gion", "", "x" * 41, "EU"])
async def test_what_is_no_region_is_not_signed_for(region: str) -> None:
    async with facing(says(301, f"x-amz-bucket-region: {region}")) as scene:
        with refused("not_understood"):
            await scene.objects.head("reports", "q3/report.pdf")
        assert scene.regions == ["eu-west-1"]


# --- answers that are not S3's --------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 5",),
        ("ETag: ", "Content-Length: 5"),
        ('ETag: "a\xff"', "Content-Length: 5"),
        ('ETag: "a"', "x-amz-version-id: \xff", "Content-Length: 5"),
        ('ETag: "a"',),
        ('ETag: "a"', "Transfer-Encoding: chunked"),
    ],
)
async def test_a_head_that_is_no_head_is_not_understood(headers: tuple[str, ...]) -> None:
    raw = "\r\n".join(("HTTP/1.1 200 OK", *headers, "", "")).encode("latin-1")

    async def answer(_seen: Wired, connection: Connection) -> None:
        await connection.answer(raw)

    async with facing(answer) as scene:
        with refused("not_understood"):
            await scene.objects.head("reports", "q3/report.pdf")


@pytest.mark.parametrize(
    ("headers", "archived"),
    [
        (("x-amz-storage-class: GLACIER",), True),
        (("x-amz-storage-class: DEEP_ARCHIVE",), True),
        (("x-amz-storage-class: GLACIER", 'x-amz-restore: ongoing-request="true"'), True),
        (
            (
                "x-amz-storage-class: GLACIER",
                'x-amz-restore: ongoing-request="false", expiry-date="Fri, 21 Dec 2029 00:00:00"',
            ),
            False,
        ),
        (("x-amz-storage-class: GLACIER_IR",), False),
        (("x-amz-storage-class: INTELLIGENT_TIERING",), False),
        (
            (
                "x-amz-storage-class: INTELLIGENT_TIERING",
                "x-amz-archive-status: DEEP_ARCHIVE_ACCESS",
            ),
            True,
        ),
    ],
)
async def test_a_head_tells_whether_an_object_has_to_be_restored_first(
    headers: tuple[str, ...], archived: bool
) -> None:
    async with facing(gives(BODY, *headers)) as scene:
        assert (await scene.objects.head("reports", "old")).archived is archived


async def test_a_version_that_the_next_one_replaces_is_none() -> None:
    async with facing(gives(BODY, "x-amz-version-id: null")) as scene:
        assert (await scene.objects.head("reports", "suspended")).version_id is None
    async with facing(gives(BODY, "x-amz-version-id: 3HL4k")) as scene:
        assert (await scene.objects.head("reports", "kept")).version_id == "3HL4k"


LOL: Final = (
    '<!DOCTYPE l [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">]>'
    "<ListBucketResult><Contents><Key>&b;</Key></Contents></ListBucketResult>"
)
NONSENSE: Final = (
    b"",
    b"nonsense",
    b"\xff\xfe\x00",
    b"<html><body>Please log in</body></html>",
    b"<ListBucketResult><Contents>",
    b"<Error><Code>SlowDown</Code></Error>",
    LOL.encode(),
    LOL.replace("<!DOCTYPE", "<?xml version='1.0' encoding='UTF-16'?><!DOCTYPE").encode("utf-16"),
    LOL.encode("utf-16-le"),
    b"<?xml version='1.0' encoding='UTF-7'?>" + LOL.encode("utf-7"),
    b"{}",
)


@pytest.mark.parametrize("body", NONSENSE)
async def test_xml_that_is_not_s3s_is_not_understood(body: bytes) -> None:
    async with facing(says(200, body=body)) as scene:
        with refused("not_understood", again=False):
            await scene.objects.keys("reports", "", most=10)
        with refused("not_understood", again=False):
            await scene.objects.tags(FOUND)


async def test_a_listing_without_end_is_not_read_to_its_end() -> None:
    sent = 0

    async def pours(_seen: Wired, connection: Connection) -> None:
        nonlocal sent
        head = "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n<ListBucketResult>"
        await connection.answer(head.encode())
        while sent < 100_000_000:
            await connection.answer(b"<Contents><Key>x</Key></Contents>" * 10_000)
            sent += 330_000

    async with facing(pours) as scene:
        with refused("not_understood"):
            await scene.objects.keys("reports", "", most=10)
        await scene.wire.ended.wait()
    assert sent < 5 * xml.MAX_ANSWER_BYTES


async def test_xml_as_deep_as_it_may_be_long_does_no_harm() -> None:
    deep = b"<ListBucketResult>" + b"<a>" * 400_000
    async with facing(says(200, body=deep)) as scene:
        with refused("not_understood"):
            await scene.objects.keys("reports", "", most=10)
    whole = b"<ListBucketResult>" + b"<a>" * 32_000 + b"</a>" * 32_000 + b"</ListBucketResult>"
    async with facing(says(200, body=whole)) as scene:
        assert await scene.objects.keys("reports", "", most=10) == []


@pytest.mark.parametrize(
    "inside",
    [
        b"<Contents/>" * 760_000,
        b"<a/>" * 2_000_000,
        b"<a " + b" ".join(b'a%d="x"' % number for number in range(500_000)) + b"/>",
        (b"<a " + b" ".join(b'a%d="x"' % number for number in range(1500)) + b"/>") * 500,
        b"<Contents><Key>" + b"k" * 8_000_000 + b"</Key></Contents>",
    ],
    ids=["entries", "elements", "attributes", "elements of attributes", "a key"],
)
async def test_a_listing_made_to_be_a_burden_takes_little_memory_and_holds_nobody_up(
    inside: bytes,
) -> None:
    body = b"<ListBucketResult>" + inside + b"</ListBucketResult>"
    assert len(body) <= xml.MAX_ANSWER_BYTES
    answer, longest = xml.Answer("Contents"), 0.0
    tracemalloc.start()
    try:
        with contextlib.suppress(ObjectsError):
            for start in range(0, len(body), xml.XML_BYTES):
                began = time.thread_time()
                answer.feed(body[start : start + xml.XML_BYTES])
                longest = max(longest, time.thread_time() - began)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 16_000_000
    assert longest < 0.5  # being traced, it is many times slower


async def test_others_go_on_while_a_long_listing_is_read() -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    name = "k" * 1000
    async with facing(listing(*(f"{name}{number}" for number in range(1000)))) as scene:
        others = asyncio.create_task(turn())
        assert len(await scene.objects.keys("reports", "", most=1000)) == 1000
        others.cancel()
    assert turns > 10


@pytest.mark.parametrize("cut", [1, 2, 3, 7])
def test_an_answer_may_come_in_pieces(cut: int) -> None:
    body = (
        "\ufeff<?xml version='1.0'?><n:L xmlns:n='x'><IsTruncated> true</IsTruncated><Contents>"
        "<Key>é&amp;&#10;名<b>no</b>no</Key><Owner><Key>no</Key></Owner><Key>no</Key></Contents>"
        "<IsTruncated>no</IsTruncated><More><Contents><Size>1</Size></Contents></More></n:L>"
    ).encode()
    answer = xml.Answer("Contents")
    for start in range(0, len(body), cut):
        answer.feed(body[start : start + cut])
    found = answer.end("L")
    assert found.words["IsTruncated"] == " true"
    assert [entry.get("Key") for entry in found.entries] == ["é&\n名", None]


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_a_document_type_is_seen_however_it_is_cut(cut: int) -> None:
    answer = xml.Answer("Contents")
    with refused("not_understood"):
        for start in range(0, len(LOL), cut):
            answer.feed(LOL[start : start + cut].encode())


def listing(*keys: str, more: str = "", encoded: bool = True) -> Answer:
    entries = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
    tail = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    kind = "<EncodingType>url</EncodingType>" if encoded else ""
    truncated = f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
    inside = f"{kind}{truncated}{tail}{entries}"
    namespace = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    return says(200, body=f"<ListBucketResult {namespace}>{inside}</ListBucketResult>".encode())


async def test_a_listing_is_read_on_from_the_token_it_gives() -> None:
    async with facing(listing("a", more="1/+ &amp;é"), listing("b")) as scene:
        assert await scene.objects.keys("reports", "x y", most=10) == ["a", "b"]
        first, second = (seen.line for seen in scene.wire.seen)
        assert "prefix=x%20y" in first
        assert "continuation-token" not in first
        assert "continuation-token=1%2F%2B%20%26%C3%A9" in second
        assert "max-keys=10&" in second


async def test_keys_are_decoded_where_they_were_encoded_and_only_there() -> None:
    async with facing(listing("a+b%2Bc%25")) as scene:
        assert await scene.objects.keys("reports", "", most=10) == ["a b+c%"]
    async with facing(listing("a+b%2Bc%25", encoded=False)) as scene:
        assert await scene.objects.keys("reports", "", most=10) == ["a+b%2Bc%25"]


async def test_a_listing_that_brings_nothing_is_not_followed_for_ever() -> None:
    async with facing(listing(more="again")) as scene:
        with refused("not_understood"):
            await scene.objects.keys("reports", "", most=1000)
        assert len(scene.wire.seen) < 20


async def test_more_keys_than_asked_for_are_left_out() -> None:
    async with facing(listing(*"abcdef")) as scene:
        assert await scene.objects.keys("reports", "", most=3) == ["a", "b", "c", "d"]


async def test_an_object_is_not_taken_for_its_own_tags() -> None:
    made_up = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    async with facing(says(200, body=made_up)) as scene:
        assert await scene.objects.tags(FOUND) == {"a": "b"}
    async with facing(gives(made_up)) as scene:
        with refused("not_understood"):
            await scene.objects.tags(FOUND)


# --- what goes out, and what is kept to itself ----------------------------------------------


async def test_a_version_is_asked_for_by_its_id() -> None:
    found = replace(FOUND, version_id="a/b+c=")
    async with facing(gives()) as scene:
        await scene.objects.head("reports", "k", version_id="a/b+c=")
        await read(scene.objects, found)
        await scene.objects.first(found, 5)
        lines = [seen.line for seen in scene.wire.seen]
        assert all("?versionId=a%2Fb%2Bc%3D " in line for line in lines)


async def test_a_link_lives_no_longer_than_the_credentials() -> None:
    async with facing(gives()) as scene:
        scene.keys.expires_in_seconds = 90.7
        link = await scene.objects.link(FOUND, seconds=3600, name="report.pdf")
        assert link.shortened
        assert "X-Amz-Expires=90&" in link.url
        assert link.expires_at == StillClock().now() + 90


async def test_without_credentials_nothing_is_sent() -> None:
    async with facing(gives()) as scene:
        scene.keys.error = CredentialsError("none")
        for call in (
            scene.objects.head("reports", "k"),
            scene.objects.first(FOUND, 5),
            scene.objects.tags(FOUND),
            scene.objects.keys("reports", "", most=5),
            scene.objects.link(FOUND, seconds=60, name="x"),
        ):
            with pytest.raises(CredentialsError):
                await call
        assert scene.wire.connections == 0


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    caplog.set_level(logging.DEBUG)
    yield caplog
    for secret in (SECRET, "t0ken", "Signature=", "echo"):
        assert secret not in caplog.text


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("status", [200, 301, 403, 500])
async def test_what_s3_says_is_in_no_error(status: int) -> None:
    async def echoes(seen: Wired, connection: Connection) -> None:
        said = says(status, "X-Echo: echo", body=f"echo {seen.headers}".encode())
        await said(seen, connection)

    async with facing(echoes) as scene:
        for call in (scene.objects.keys("reports", "", most=5), scene.objects.tags(FOUND)):
            with pytest.raises(ObjectsError) as raised:
                await call
            assert raised.value.args == (raised.value.code,)
            assert raised.value.__cause__ is None
