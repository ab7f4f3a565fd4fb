"""Listings, page by page, as botocore reads them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.dev.objects_client import BUCKET, Stage, staged

KEYS = ["a.txt", "q3/1.pdf", "q3/2.pdf", "q3/sub/3.pdf", "q4/4.pdf", "z &<>.txt", "ü+ü/5.pdf"]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    folder = tmp_path / BUCKET
    for key in KEYS:
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(key.encode())
    async with staged(tmp_path) as stage:
        yield stage


async def pages(stage: Stage, operation: str, **arguments: Any) -> list[dict[str, Any]]:
    def read() -> list[dict[str, Any]]:
        paginator = stage.client.get_paginator(operation)
        return list(paginator.paginate(Bucket=BUCKET, **arguments))

    return await asyncio.to_thread(read)


def keys_in(answer: dict[str, Any]) -> list[str]:
    return [entry["Key"] for entry in answer.get("Contents", [])]


def prefixes_in(answer: dict[str, Any]) -> list[str]:
    return [entry["Prefix"] for entry in answer.get("CommonPrefixes", [])]


async def test_a_listing_tells_what_a_head_request_would(stage: Stage) -> None:
    answer = await stage.call("list_objects_v2", Prefix="q3/1", FetchOwner=True)
    [entry] = answer["Contents"]
    head = await stage.call("head_object", Key="q3/1.pdf")
    assert entry["Size"] == head["ContentLength"]
    assert entry["ETag"] == head["ETag"]
    assert entry["LastModified"] == head["LastModified"]
    assert entry["StorageClass"] == "STANDARD"
    assert entry["Owner"]["ID"]
    assert answer["KeyCount"] == 1
    assert answer["IsTruncated"] is False


async def test_keys_come_in_the_order_of_their_bytes(stage: Stage) -> None:
    assert await stage.keys() == KEYS


async def test_a_prefix_and_a_delimiter_make_folders(stage: Stage) -> None:
    answer = await stage.call("list_objects_v2", Delimiter="/")
    assert keys_in(answer) == ["a.txt", "z &<>.txt"]
    assert prefixes_in(answer) == ["q3/", "q4/", "ü+ü/"]
    assert answer["KeyCount"] == 5
    answer = await stage.call("list_objects_v2", Delimiter="/", Prefix="q3/")
    assert keys_in(answer) == ["q3/1.pdf", "q3/2.pdf"]
    assert prefixes_in(answer) == ["q3/sub/"]
    answer = await stage.call("list_objects_v2", Delimiter=".pdf", Prefix="q")
    assert prefixes_in(answer) == ["q3/1.pdf", "q3/2.pdf", "q3/sub/3.pdf", "q4/4.pdf"]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("delimiter", ["", "/"])
async def test_pages_together_are_the_whole(stage: Stage, size: int, delimiter: str) -> None:
    arguments = {"Delimiter": delimiter} if delimiter else {}
    whole = await stage.call("list_objects_v2", **arguments)
    read = await pages(stage, "list_objects_v2", PaginationConfig={"PageSize": size}, **arguments)
    assert [key for page in read for key in keys_in(page)] == keys_in(whole)
    assert [name for page in read for name in prefixes_in(page)] == prefixes_in(whole)
    assert all(page["KeyCount"] <= size for page in read)
    assert [page["IsTruncated"] for page in read] == [True] * (len(read) - 1) + [False]


async def test_a_listing_may_start_after_a_key(stage: Stage) -> None:
    assert await stage.keys(StartAfter="q3/2.pdf") == KEYS[3:]
    assert await stage.keys(StartAfter="q3/15") == KEYS[2:]
    answer = await stage.call("list_objects_v2", MaxKeys=0)
    assert (answer["KeyCount"], answer["IsTruncated"]) == (0, False)


@pytest.mark.parametrize(
    "arguments",
    [
        {"ContinuationToken": "nonsense"},
        {"ContinuationToken": "WyJrZXkiXQ=="},
        {"MaxKeys": -1},
        {"EncodingType": "base64"},
    ],
)
async def test_arguments_that_make_no_sense_are_refused(
    stage: Stage, arguments: dict[str, Any]
) -> None:
    assert await stage.refusal("list_objects_v2", **arguments) == (400, "InvalidArgument")


@pytest.mark.parametrize("size", [1, 2, 1000])
async def test_every_version_and_marker_is_listed_newest_first(stage: Stage, size: int) -> None:
    await stage.put("a.txt", b"two")
    await stage.put("a.txt", b"three")
    await stage.call("delete_object", Key="a.txt")
    await stage.call("delete_object", Key="never-there")
    config = {"PageSize": size}
    read = await pages(stage, "list_object_versions", PaginationConfig=config, Prefix="")
    versions = [entry for page in read for entry in page.get("Versions", [])]
    markers = [entry for page in read for entry in page.get("DeleteMarkers", [])]
    assert [entry["Size"] for entry in versions if entry["Key"] == "a.txt"] == [5, 3, 5]
    assert [entry["Key"] for entry in markers] == ["a.txt", "never-there"]
    assert all(entry["IsLatest"] for entry in markers)
    latest = [entry["Key"] for entry in versions if entry["IsLatest"]]
    assert latest == KEYS[1:]


@pytest.mark.parametrize("size", [1, 2, 1000])
async def test_versions_are_rolled_up_as_objects_are(stage: Stage, size: int) -> None:
    config = {"PageSize": size}
    read = await pages(stage, "list_object_versions", PaginationConfig=config, Delimiter="/")
    assert [name for page in read for name in prefixes_in(page)] == ["q3/", "q4/", "ü+ü/"]
    versions = [entry["Key"] for page in read for entry in page.get("Versions", [])]
    assert versions == ["a.txt", "z &<>.txt"]
