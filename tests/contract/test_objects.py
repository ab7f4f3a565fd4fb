"""What every `Objects` must do, against every S3 there is to be had."""

import base64
import contextlib
import hashlib
import logging
import re
import time
import zlib
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import aiohttp
import pytest
from yarl import URL

from tests.contract.clock import StillClock
from tests.far_ends.ministack import REGION
from tests.far_ends.s3 import GAPS, Bucket, FarEnd, bucket_on, dev
from tidegate.adapters.s3 import CHUNK_BYTES, S3
from tidegate.core.share import Object
from tidegate.core.sigv4 import Credentials
from tidegate.errors import ObjectsError
from tidegate.ports import Objects

MIB: Final = 1_048_576
BODY: Final = b"quarterly figures\r\n\x00\xff" * 300


def on(*needs: str, long: Collection[str] = ()) -> pytest.MarkDecorator:
    """Run a test on every S3; where what it needs is a gap, it has to fail."""
    places = []
    for name, gaps in GAPS.items():
        missing = [gaps[need] for need in needs if need in gaps]
        marks = [pytest.mark.xdist_group(f"objects-{name}")]
        if name in long:
            marks.append(pytest.mark.long)
        if missing:
            marks.append(pytest.mark.xfail(strict=True, reason=f"{name} {'; '.join(missing)}"))
        places.append(pytest.param(name, marks=marks))
    return pytest.mark.parametrize("far_end", places, indirect=True)


class Keys:
    """Credentials that do not end."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    @property
    def expires_in_seconds(self) -> float | None:
        return None

    async def current(self) -> Credentials:
        return self._credentials


Opener = Callable[..., Objects]


@pytest.fixture
async def far_end(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FarEnd]:
    if request.param == "dev":
        async with dev(tmp_path) as far_end:
            yield far_end
    else:
        yield request.getfixturevalue(request.param)


@pytest.fixture
async def opened(far_end: FarEnd) -> AsyncIterator[Opener]:
    async with contextlib.AsyncExitStack() as stack:

        def opener(*, key: Credentials | None = None, seconds_ago: float = 0) -> Objects:
            objects = S3(
                credentials=Keys(key or far_end.key),
                clock=StillClock(time.time() - seconds_ago),
                region=REGION,
                endpoint=far_end.url,
            )
            stack.push_async_callback(objects.close)
            return objects

        yield opener


@pytest.fixture
def objects(opened: Opener) -> Objects:
    return opened()


@pytest.fixture
async def bucket(far_end: FarEnd) -> Bucket:
    """A bucket that keeps versions, where the S3 can."""
    return await bucket_on(far_end, versioned="versions" not in GAPS[far_end.name])


@pytest.fixture
async def plain_bucket(far_end: FarEnd) -> Bucket:
    """A bucket that keeps no versions."""
    return await bucket_on(far_end, versioned=False)


async def read(objects: Objects, found: Object) -> bytes:
    async with objects.open(found) as reading:
        return b"".join([chunk async for chunk in reading.chunks()])


async def fetch(url: str) -> tuple[int, dict[str, str], bytes]:
    """Fetch as anybody would who was handed the link."""
    async with (
        aiohttp.ClientSession(skip_auto_headers=("User-Agent", "Accept")) as http,
        http.get(URL(url, encoded=True)) as answer,
    ):
        return answer.status, dict(answer.headers), await answer.read()


def refused(code: str, *, again: bool | None = None) -> pytest.RaisesExc[ObjectsError]:
    def same(error: ObjectsError) -> bool:
        return error.code == code and again in (None, error.again)

    return pytest.raises(ObjectsError, check=same)


# --- head -----------------------------------------------------------------------------------


@on()
async def test_a_head_tells_size_and_etag_as_they_were_stored(
    objects: Objects, bucket: Bucket
) -> None:
    stored = await bucket.put("q3/report.csv", BODY)
    found = await objects.head(bucket.name, "q3/report.csv")
    assert (found.bucket, found.key) == (bucket.name, "q3/report.csv")
    assert found.size == len(BODY)
    assert found.etag == stored["ETag"]
    assert found.etag.startswith('"')
    assert not found.archived


@on("versions")
async def test_a_head_names_the_version_and_finds_an_older_one_by_it(
    objects: Objects, bucket: Bucket
) -> None:
    first = await bucket.put("report.csv", b"first")
    second = await bucket.put("report.csv", b"second one")
    found = await objects.head(bucket.name, "report.csv")
    assert (found.version_id, found.size) == (second["VersionId"], 10)
    older = await objects.head(bucket.name, "report.csv", version_id=first["VersionId"])
    assert (older.version_id, older.size) == (first["VersionId"], 5)


@on()
async def test_an_object_of_a_bucket_without_versions_has_none(
    objects: Objects, plain_bucket: Bucket
) -> None:
    await plain_bucket.put("report.csv", BODY)
    assert (await objects.head(plain_bucket.name, "report.csv")).version_id is None


def _crc32(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(4, "big")


def _crc32c(body: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in body:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return (crc ^ 0xFFFFFFFF).to_bytes(4, "big")


def _sha1(body: bytes) -> bytes:
    return hashlib.sha1(body).digest()


def _sha256(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


@pytest.mark.parametrize("digest", [_sha256, _sha1, _crc32, _crc32c])
@on()
async def test_a_checksum_that_s3_keeps_is_declared_and_holds_while_reading(
    objects: Objects, bucket: Bucket, digest: Callable[[bytes], bytes]
) -> None:
    name = digest.__name__.removeprefix("_")
    kept = base64.b64encode(digest(BODY)).decode()
    await bucket.put("report.csv", BODY, **{f"Checksum{name.upper()}": kept})
    found = await objects.head(bucket.name, "report.csv")
    assert found.checksum is not None
    assert (found.checksum.algorithm, found.checksum.digest) == (name, kept)
    assert await read(objects, found) == BODY


@on()
async def test_bytes_that_are_not_those_of_the_checksum_are_damaged(
    objects: Objects, bucket: Bucket
) -> None:
    kept = base64.b64encode(_sha256(BODY)).decode()
    await bucket.put("report.csv", BODY, ChecksumSHA256=kept)
    found = await objects.head(bucket.name, "report.csv")
    assert found.checksum is not None
    other = replace(found.checksum, digest=base64.b64encode(_sha256(b"other")).decode())
    with refused("damaged", again=True):
        await read(objects, replace(found, checksum=other))


# --- what is not there, or not allowed --------------------------------------------------------


@on()
async def test_a_missing_key_and_a_missing_bucket_are_not_found(
    objects: Objects, bucket: Bucket
) -> None:
    with refused("not_found", again=False):
        await objects.head(bucket.name, "nothing.csv")
    with refused("not_found", again=False):
        await objects.head("acme-no-such-bucket", "nothing.csv")
    with refused("not_found", again=False):
        await objects.keys("acme-no-such-bucket", "", most=10)


@on("versions")
async def test_a_version_that_is_the_mark_of_a_deletion_is_not_found(
    objects: Objects, bucket: Bucket
) -> None:
    await bucket.put("report.csv", BODY)
    mark = await bucket.call("delete_object", Key="report.csv")
    with refused("not_found"):
        await objects.head(bucket.name, "report.csv")
    with refused("not_found"):
        await objects.head(bucket.name, "report.csv", version_id=mark["VersionId"])


@on("rights")
async def test_a_key_without_rights_has_no_access_to_anything(
    far_end: FarEnd, opened: Opener, objects: Objects, bucket: Bucket
) -> None:
    await bucket.put("report.csv", BODY)
    found = await objects.head(bucket.name, "report.csv")
    narrow = opened(key=far_end.narrow)
    with refused("no_access", again=False):
        await narrow.head(bucket.name, "report.csv")
    with refused("no_access"):
        await read(narrow, found)
    with refused("no_access"):
        await narrow.first(found, 10)
    with refused("no_access"):
        await narrow.tags(found)
    with refused("no_access"):
        await narrow.keys(bucket.name, "", most=10)


@on("rights")
async def test_a_link_made_by_a_key_without_rights_opens_nothing(
    far_end: FarEnd, opened: Opener, objects: Objects, bucket: Bucket
) -> None:
    await bucket.put("report.csv", BODY)
    found = await objects.head(bucket.name, "report.csv")
    link = await opened(key=far_end.narrow).link(found, seconds=60, name="report.csv")
    status, _, body = await fetch(link.url)
    assert status == 403
    assert BODY not in body


@pytest.mark.parametrize("change", [{"secret_key": "wrong"}, {"access_key": "AKIANOBODY"}])
@on()
async def test_wrong_credentials_have_no_access(
    far_end: FarEnd, opened: Opener, bucket: Bucket, change: dict[str, str]
) -> None:
    await bucket.put("report.csv", BODY)
    wrong = opened(key=replace(far_end.key, **change))
    with refused("no_access", again=False):
        await wrong.head(bucket.name, "report.csv")
    with refused("no_access", again=False):
        await wrong.keys(bucket.name, "", most=10)


@on("temporary keys")
async def test_temporary_keys_work_with_their_token_alone(
    far_end: FarEnd, opened: Opener, bucket: Bucket
) -> None:
    await bucket.put("report.csv", BODY)
    assert far_end.temporary is not None
    objects = opened(key=far_end.temporary)
    found = await objects.head(bucket.name, "report.csv")
    assert await read(objects, found) == BODY
    link = await objects.link(found, seconds=60, name="report.csv")
    assert (await fetch(link.url))[::2] == (200, BODY)
    for token in ("wrong", None):
        wrong = opened(key=replace(far_end.temporary, token=token))
        with refused("no_access", again=False):
            await wrong.head(bucket.name, "report.csv")
        with refused("no_access", again=False):
            await wrong.keys(bucket.name, "", most=10)


@on()
async def test_a_signature_of_another_hour_has_no_access(opened: Opener, bucket: Bucket) -> None:
    await bucket.put("report.csv", BODY)
    with refused("no_access"):
        await opened(seconds_ago=3600).head(bucket.name, "report.csv")


# --- keys -----------------------------------------------------------------------------------

KEYS: Final = (
    "with space and  two.csv",
    "a+b.csv",
    "100%.csv",
    "a%2Fb.csv",
    "a&b=c;d.csv",
    "what?.csv#part",
    "\"double\" and 'single'.csv",
    "a<b>`c`{d}|e^f~g.csv",
    "$price,@home:8!(1)*[2].csv",
    "back\\slash.csv",
    "Bericht für München.csv",
    "Cafe\u0301.csv",
    "報告書/第三四半期.csv",
    "📈 up.csv",
    ".hidden/..two",
    "tab\there.csv",
    "x" * 255,
)
ODD_KEYS: Final = ("//leading", "double//slash.csv", "folder/", "x/" * 500)


async def _goes_all_the_way(objects: Objects, bucket: Bucket, key: str) -> None:
    body = f"the bytes of {key}".encode()
    await bucket.put(key, body)
    found = await objects.head(bucket.name, key)
    assert found.key == key
    assert await read(objects, found) == body
    assert await objects.first(found, 9) == b"the bytes"
    assert await objects.keys(bucket.name, "", most=10) == [key]
    assert await objects.keys(bucket.name, key, most=10) == [key]
    link = await objects.link(found, seconds=60, name=found.name)
    status, _, fetched = await fetch(link.url)
    assert (status, fetched) == (200, body)


@pytest.mark.parametrize("key", KEYS)
@on()
async def test_whatever_stands_in_a_key_is_read_listed_and_linked(
    objects: Objects, bucket: Bucket, key: str
) -> None:
    await _goes_all_the_way(objects, bucket, key)


@pytest.mark.parametrize("key", ODD_KEYS)
@on("keys that no file can have")
async def test_a_key_that_no_file_could_have_is_read_listed_and_linked(
    objects: Objects, bucket: Bucket, key: str
) -> None:
    await _goes_all_the_way(objects, bucket, key)


# --- reading --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * MIB + 3])
@on()
async def test_reading_gives_every_byte_in_order(
    objects: Objects, bucket: Bucket, size: int
) -> None:
    body = (bytes(range(251)) * (size // 251 + 1))[:size]
    await bucket.put("report.bin", body)
    found = await objects.head(bucket.name, "report.bin")
    async with objects.open(found) as reading:
        chunks = [chunk async for chunk in reading.chunks()]
    assert b"".join(chunks) == body
    assert all(0 < len(chunk) <= CHUNK_BYTES for chunk in chunks)


@on()
async def test_what_is_stored_compressed_comes_as_it_is_stored(
    objects: Objects, bucket: Bucket
) -> None:
    body = zlib.compress(BODY, wbits=31)
    await bucket.put("report.csv.gz", body, ContentEncoding="gzip")
    found = await objects.head(bucket.name, "report.csv.gz")
    assert found.size == len(body)
    assert await read(objects, found) == body


@on()
async def test_the_first_bytes_are_at_most_those_asked_for(
    objects: Objects, bucket: Bucket
) -> None:
    await bucket.put("report.bin", BODY)
    found = await objects.head(bucket.name, "report.bin")
    assert await objects.first(found, 7) == BODY[:7]
    assert await objects.first(found, len(BODY)) == BODY
    assert await objects.first(found, len(BODY) + 100) == BODY
    assert await objects.first(found, 0) == b""


@on()
async def test_of_an_empty_object_there_are_no_first_bytes(
    objects: Objects, bucket: Bucket
) -> None:
    await bucket.put("empty", b"")
    found = await objects.head(bucket.name, "empty")
    assert await objects.first(found, 100) == b""


@on("versions")
async def test_an_object_is_read_as_it_was_found_though_it_was_overwritten_and_deleted(
    objects: Objects, bucket: Bucket
) -> None:
    await bucket.put("report.csv", b"first")
    found = await objects.head(bucket.name, "report.csv")
    await bucket.put("report.csv", b"other")
    assert await read(objects, found) == b"first"
    assert await objects.first(found, 3) == b"fir"
    await bucket.delete("report.csv")
    assert await read(objects, found) == b"first"


@on("versions")
async def test_an_object_that_must_be_current_is_not_read_once_another_version_follows(
    objects: Objects, bucket: Bucket
) -> None:
    await bucket.put("report.csv", b"first")
    found = await objects.head(bucket.name, "report.csv")
    async with objects.open(found, current=True) as reading:
        assert b"".join([chunk async for chunk in reading.chunks()]) == b"first"
    await bucket.put("report.csv", b"first")  # the same bytes
    with refused("changed", again=True):
        async with objects.open(found, current=True):
            pass
    await bucket.delete("report.csv")
    with refused("not_found"):
        async with objects.open(found, current=True):
            pass


@on()
async def test_without_versions_an_object_that_was_overwritten_is_not_read(
    objects: Objects, plain_bucket: Bucket
) -> None:
    await plain_bucket.put("report.csv", b"first")
    found = await objects.head(plain_bucket.name, "report.csv")
    await plain_bucket.put("report.csv", b"other")  # as long as the first
    with refused("changed", again=True):
        await read(objects, found)
    with refused("changed", again=True):
        await objects.first(found, 3)


@on()
async def test_without_versions_an_object_that_was_deleted_is_not_found(
    objects: Objects, plain_bucket: Bucket
) -> None:
    await plain_bucket.put("report.csv", b"first")
    found = await objects.head(plain_bucket.name, "report.csv")
    await plain_bucket.delete("report.csv")
    with refused("not_found"):
        await read(objects, found)


@on()
async def test_many_are_read_at_the_same_time(objects: Objects, bucket: Bucket) -> None:
    bodies = {f"{number}.bin": bytes([number]) * (300_000 + number) for number in range(8)}
    for key, body in bodies.items():
        await bucket.put(key, body)
    async with contextlib.AsyncExitStack() as stack:
        readings = {}
        for key in bodies:
            found = await objects.head(bucket.name, key)
            readings[key] = await stack.enter_async_context(objects.open(found))
        for key, reading in readings.items():
            assert b"".join([chunk async for chunk in reading.chunks()]) == bodies[key]


# --- tags -----------------------------------------------------------------------------------


@on("tags")
async def test_tags_are_told_as_they_were_set(objects: Objects, bucket: Bucket) -> None:
    await bucket.put("report.csv", BODY)
    found = await objects.head(bucket.name, "report.csv")
    assert await objects.tags(found) == {}
    tags = {"GuardDutyMalwareScanStatus": "NO_THREATS_FOUND", "team": "für & <alle>"}
    await bucket.call(
        "put_object_tagging",
        Key="report.csv",
        Tagging={"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]},
    )
    assert await objects.tags(found) == tags


@on("versions", "tags")
async def test_tags_are_those_of_the_version(objects: Objects, bucket: Bucket) -> None:
    await bucket.put("report.csv", BODY, Tagging="state=old")
    found = await objects.head(bucket.name, "report.csv")
    await bucket.put("report.csv", BODY, Tagging="state=new")
    assert await objects.tags(found) == {"state": "old"}


# --- listing --------------------------------------------------------------------------------


@on()
async def test_keys_are_those_below_the_prefix_in_the_order_of_their_bytes(
    objects: Objects, bucket: Bucket
) -> None:
    keys = ["a/1.png", "a/10.png", "a/2.png", "a/Z.png", "a/b/c.png", "a/é.png", "b/1.png"]
    for key in reversed(keys):
        await bucket.put(key, b"x")
    assert await objects.keys(bucket.name, "a/", most=100) == sorted(keys[:-1], key=str.encode)
    assert await objects.keys(bucket.name, "a/1", most=100) == ["a/1.png", "a/10.png"]
    assert await objects.keys(bucket.name, "nothing/", most=100) == []


@on()
async def test_one_key_more_than_asked_for_says_that_there_are_more(
    objects: Objects, bucket: Bucket
) -> None:
    for number in range(5):
        await bucket.put(f"{number}.png", b"x")
    for most in (1, 2, 4):
        assert len(await objects.keys(bucket.name, "", most=most)) == most + 1
    assert len(await objects.keys(bucket.name, "", most=5)) == 5


@on(long=("dev", "rclone"))  # which take seconds to write so many
async def test_a_listing_of_several_pages_is_whole(objects: Objects, bucket: Bucket) -> None:
    keys = await bucket.fill(1200)
    assert await objects.keys(bucket.name, "many/", most=2000) == keys
    assert await objects.keys(bucket.name, "many/", most=1000) == keys[:1001]
    assert await objects.keys(bucket.name, "many/", most=1100) == keys[:1101]


# --- links ----------------------------------------------------------------------------------

NAMES: Final = (
    "report.csv",
    "Bericht für München.csv",
    "📈 up.csv",
    "\"quoted\" & 'single'; a=b.csv",
    "100% + more, (1)*.csv",
    "‮gpj.exe",
)


async def _saves_under_the_name(objects: Objects, bucket: Bucket, name: str) -> None:
    await bucket.put("q3/report.html", BODY, ContentType="text/html")
    found = await objects.head(bucket.name, "q3/report.html")
    link = await objects.link(found, seconds=600, name=name)
    status, headers, body = await fetch(link.url)
    assert (status, body) == (200, BODY)
    kind, _, saved = headers["Content-Disposition"].partition("; filename*=UTF-8''")
    assert kind == "attachment"
    assert saved.isascii()
    assert unquote(saved, errors="strict") == name


@pytest.mark.parametrize("name", NAMES)
@on()
async def test_a_link_saves_the_bytes_under_the_name(
    objects: Objects, plain_bucket: Bucket, name: str
) -> None:
    await _saves_under_the_name(objects, plain_bucket, name)


@on("names for versions")
async def test_a_link_to_a_version_saves_the_bytes_under_the_name(
    objects: Objects, bucket: Bucket
) -> None:
    await _saves_under_the_name(objects, bucket, NAMES[1])


@on()
async def test_a_link_tells_when_it_ends(opened: Opener, bucket: Bucket) -> None:
    await bucket.put("report.csv", BODY)
    objects = opened()
    found = await objects.head(bucket.name, "report.csv")
    link = await objects.link(found, seconds=600, name="report.csv")
    assert link.expires_at == pytest.approx(time.time() + 600, abs=60)
    assert not link.shortened
    assert link.url not in repr(link)


@on()
async def test_a_link_that_has_ended_opens_nothing(opened: Opener, bucket: Bucket) -> None:
    await bucket.put("report.csv", BODY)
    found = await opened().head(bucket.name, "report.csv")
    link = await opened(seconds_ago=7200).link(found, seconds=3600, name="report.csv")
    assert link.expires_at < time.time()
    status, _, body = await fetch(link.url)
    assert status in (400, 403)
    assert BODY not in body


def _other_key(url: str) -> str:
    return url.replace("report.csv?", "secret.csv?", 1)


def _other_name(url: str) -> str:
    return url.replace("UTF-8%27%27report", "UTF-8%27%27secret", 1)


def _longer(url: str) -> str:
    return url.replace("X-Amz-Expires=600", "X-Amz-Expires=6000", 1)


def _other_signature(url: str) -> str:
    return url[:-1] + ("0" if url[-1] != "0" else "1")


def _no_signature(url: str) -> str:
    return url.partition("&X-Amz-Signature")[0]


def _one_more(url: str) -> str:
    return url + "&response-content-type=text%2Fhtml"


@pytest.mark.parametrize(
    "change", [_other_key, _other_name, _longer, _other_signature, _no_signature, _one_more]
)
@on()
async def test_a_link_that_was_changed_opens_nothing(
    objects: Objects, bucket: Bucket, change: Callable[[str], str]
) -> None:
    for key in ("report.csv", "secret.csv"):
        await bucket.put(key, BODY)
    found = await objects.head(bucket.name, "report.csv")
    link = await objects.link(found, seconds=600, name="report.csv")
    assert change(link.url) != link.url
    status, _, body = await fetch(change(link.url))
    assert status in (400, 403)
    assert BODY not in body


@on("versions")
async def test_a_link_goes_on_giving_what_it_was_made_for(objects: Objects, bucket: Bucket) -> None:
    await bucket.put("report.csv", b"first")
    found = await objects.head(bucket.name, "report.csv")
    link = await objects.link(found, seconds=600, name="report.csv")
    await bucket.put("report.csv", b"other")
    status, _, body = await fetch(link.url)
    assert (status, body) == (200, b"first")
    await bucket.delete("report.csv")
    status, _, body = await fetch(link.url)
    assert (status, body) == (200, b"first")


@on("versions")
async def test_a_link_cannot_be_turned_to_another_version(objects: Objects, bucket: Bucket) -> None:
    await bucket.put("report.csv", b"first")
    found = await objects.head(bucket.name, "report.csv")
    link = await objects.link(found, seconds=600, name="report.csv")
    other = await bucket.put("report.csv", b"other")
    assert found.version_id is not None
    changed = re.sub(r"versionId=[^&]+", f"versionId={other['VersionId']}", link.url)
    assert changed != link.url
    status, _, _ = await fetch(changed)
    assert status == 403


# --- what is kept to itself -----------------------------------------------------------------


@on()
async def test_neither_errors_nor_logs_hold_a_secret(
    far_end: FarEnd, opened: Opener, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await bucket.put("report.csv", BODY)
    caplog.clear()  # botocore's own are not ours
    objects = opened()
    found = await objects.head(bucket.name, "report.csv")
    link = await objects.link(found, seconds=600, name="report.csv")
    await read(objects, found)
    errors = []
    for key, name in ((far_end.key, "none.csv"), (replace(far_end.key, secret_key="x"), "report")):
        with pytest.raises(ObjectsError) as raised:
            await opened(key=key).head(bucket.name, name)
        errors.append(repr(raised.value) + str(raised.value.__cause__))
    said = caplog.text + "".join(errors)
    signature = link.url.rpartition("=")[2]
    for secret in (far_end.key.secret_key, far_end.key.token or "\0", signature, "Signature="):
        assert secret not in said
