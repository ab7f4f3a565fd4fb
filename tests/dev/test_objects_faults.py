"""What can be made to go wrong at the S3 far end, and large objects."""

import asyncio
import hashlib
import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    IncompleteReadError,
    ResponseStreamingError,
)

from tests.dev.objects_client import BUCKET, Stage, staged

MIB = 1024 * 1024


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path / "s3") as stage:
        yield stage


def presigned(stage: Stage, key: str) -> str:
    parameters = {"Bucket": BUCKET, "Key": key}
    return str(stage.client.generate_presigned_url("get_object", parameters, ExpiresIn=600))


async def read_into(received: list[bytes], answer: aiohttp.ClientResponse) -> None:
    while chunk := await answer.content.readany():
        received.append(chunk)


@pytest.mark.parametrize("after", [0, 1, 300_000])
async def test_a_body_ends_after_so_many_bytes(stage: Stage, after: int) -> None:
    await stage.put("k", bytes(MIB))
    stage.s3.faults.drop_after_bytes = after
    async with aiohttp.ClientSession() as session, session.get(presigned(stage, "k")) as answer:
        assert answer.status == 200
        received: list[bytes] = []
        with pytest.raises(aiohttp.ClientPayloadError):
            await read_into(received, answer)
    assert sum(map(len, received)) == after
    assert stage.s3.served[-1].body_bytes == after
    with pytest.raises((IncompleteReadError, ResponseStreamingError)):
        await stage.get("k")
    stage.s3.faults.calm()
    assert len((await stage.get("k"))["Body"]) == MIB


async def test_an_object_that_is_no_longer_than_that_comes_whole(stage: Stage) -> None:
    await stage.put("k", b"0123456789")
    stage.s3.faults.drop_after_bytes = 10
    assert (await stage.get("k"))["Body"] == b"0123456789"


async def test_a_slow_body_takes_its_time_and_comes_whole(stage: Stage) -> None:
    await stage.put("k", bytes(30_000))
    stage.s3.faults.body_bytes_per_second = 60_000
    begun = time.monotonic()
    assert len((await stage.get("k"))["Body"]) == 30_000
    assert time.monotonic() - begun > 0.3


async def test_nothing_is_sent_to_who_has_gone(stage: Stage) -> None:
    await stage.put("k", bytes(8 * MIB))
    stage.s3.faults.body_bytes_per_second = 100_000
    async with aiohttp.ClientSession() as session, session.get(presigned(stage, "k")) as answer:
        await answer.content.readany()
        answer.close()
    async with asyncio.timeout(5):
        while not (gets := [s for s in stage.s3.served if s.operation == "GetObject"]):
            await stage.call("head_bucket")
    assert gets[0].body_bytes < MIB


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("slow_down", 503, "SlowDown"), ("internal_error", 500, "InternalError")],
)
async def test_errors_of_s3_can_be_switched_on_for_some_operations(
    stage: Stage, fault: str, status: int, code: str
) -> None:
    await stage.put("k", b"one")
    stage.s3.faults.operations = "Get"
    setattr(stage.s3.faults, fault, True)
    assert await stage.refusal("get_object", Key="k") == (status, code)
    await stage.call("head_object", Key="k")
    stage.s3.faults.operations = ""
    assert await stage.refusal("put_object", Key="k", Body=bytes(MIB)) == (status, code)
    assert await stage.refusal("head_object", Key="k") == (status, str(status))
    stage.s3.faults.calm()
    assert (await stage.get("k"))["Body"] == b"one"


async def test_a_fault_can_be_for_the_next_requests_only(stage: Stage) -> None:
    await stage.put("k", b"one")
    stage.s3.faults.once("GetObject", "slow_down", times=2)
    for _ in range(2):
        assert await stage.refusal("get_object", Key="k") == (503, "SlowDown")
    assert (await stage.get("k"))["Body"] == b"one"
    stage.s3.faults.once("HeadObject", "drop")
    with pytest.raises(ConnectionClosedError):
        await stage.call("head_object", Key="k")
    await stage.call("head_object", Key="k")


async def test_an_object_can_be_replaced_between_head_and_get(stage: Stage) -> None:
    reviewed = await stage.put("k", b"reviewed")
    asked: list[tuple[str, str]] = []

    def replace(bucket: str, key: str) -> None:
        asked.append((bucket, key))
        stage.drop("k", b"something else")

    head = await stage.call("head_object", Key="k")
    stage.s3.faults.before_get = replace
    assert await stage.refusal("get_object", Key="k", IfMatch=head["ETag"]) == (
        412,
        "PreconditionFailed",
    )
    assert asked == [(BUCKET, "k")]
    assert (await stage.get("k"))["Body"] == b"something else"
    pinned = await stage.get("k", VersionId=reviewed["VersionId"])
    assert pinned["Body"] == b"reviewed"


async def test_an_object_can_be_deleted_between_head_and_get(stage: Stage) -> None:
    await stage.put("k", b"one")

    async def delete(_: str, key: str) -> None:
        (stage.folder / key).unlink()

    stage.s3.faults.before_get = delete
    await stage.call("head_object", Key="k")
    assert await stage.refusal("get_object", Key="k") == (404, "NoSuchKey")


async def test_a_body_under_way_is_not_touched_by_what_happens_to_the_object(
    stage: Stage,
) -> None:
    content = bytes(range(256)) * 4096 * 4
    stage.drop("k", content)
    async with aiohttp.ClientSession() as session, session.get(presigned(stage, "k")) as answer:
        first = await answer.content.readexactly(1000)
        stage.drop("k", b"short")
        await stage.put("k", b"shorter")
        await stage.call("delete_object", Key="k")
        assert first + await answer.read() == content


async def test_requests_are_counted_by_operation(stage: Stage) -> None:
    await stage.put("k", b"one")
    await stage.get("k")
    await stage.get("k", Range="bytes=0-0")
    await stage.refusal("get_object", Key="none")
    assert stage.s3.counts["GetObject"] == 3
    assert stage.s3.counts["PutObject"] == 1
    codes = [(served.range, served.status, served.code) for served in stage.s3.served][1:]
    assert codes == [(None, 200, ""), ("bytes=0-0", 206, ""), (None, 404, "NoSuchKey")]


async def test_a_large_object_is_never_held_as_a_whole(stage: Stage, tmp_path: Path) -> None:
    size = 192 * MIB
    source = tmp_path / "large"
    with source.open("wb") as file:
        for number in range(size // MIB):
            file.write(number.to_bytes(4, "big") * (MIB // 4))
    source.rename(stage.folder / "large.bin")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    digest, received = hashlib.md5(), 0
    async with aiohttp.ClientSession() as session, session.get(presigned(stage, "large.bin")) as a:
        async for chunk in a.content.iter_chunked(MIB):
            digest.update(chunk)
            received += len(chunk)
        assert received == size
        assert a.headers["ETag"] == f'"{digest.hexdigest()}"'
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 48 * 1024  # kB


async def test_a_large_upload_is_never_held_as_a_whole(stage: Stage) -> None:
    size, chunk = 192, bytes(MIB)
    parameters = {"Bucket": BUCKET, "Key": "large.bin"}
    url = stage.client.generate_presigned_url("put_object", parameters)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(size):
            yield chunk

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    headers = {"Content-Length": str(size * MIB)}
    async with (
        aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as session,
        session.put(url, data=body(), headers=headers) as answer,
    ):
        assert answer.status == 200, await answer.text()
    assert (stage.folder / "large.bin").stat().st_size == size * MIB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48 * 1024  # kB


async def test_an_upload_that_breaks_off_leaves_nothing(stage: Stage) -> None:
    parameters = {"Bucket": BUCKET, "Key": "k"}
    url = stage.client.generate_presigned_url("put_object", parameters)

    async def body() -> AsyncIterator[bytes]:
        yield bytes(3 * MIB)
        raise ConnectionAbortedError

    async with aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as session:
        with pytest.raises((ConnectionAbortedError, aiohttp.ClientError)):
            await session.put(url, data=body(), headers={"Content-Length": str(5 * MIB)})
    blobs = stage.root / ".s3" / BUCKET / "blobs"
    async with asyncio.timeout(5):
        while list(blobs.iterdir()):
            await stage.call("head_bucket")
    assert await stage.keys() == []
