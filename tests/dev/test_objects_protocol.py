"""S3's operations, their headers and their errors, as botocore and plain HTTP see them."""

import asyncio
import base64
import hashlib
import http.client
import re
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from tests.dev.objects_client import (
    BUCKET,
    KEY,
    NARROW,
    REGION,
    Stage,
    botocore_client,
    staged,
)
from tidegate_dev.objects import Served

NASTY_KEYS = [
    "with space & more.txt",
    "a+b.txt",
    "100%2Fsure.txt",
    "grün/名前🙂.txt",
    "a//b.txt",
    "/leading.txt",
    "folder/",
    "a/../b.txt",
    "../../outside.txt",
    "./here.txt",
    ".hidden",
    "nul\0and\nnewline",
    "/",
    "..",
    "k" * 1024,
    "ü" * 512,
    ".encoded/x",
    "a" * 300 + "/b",
]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path / "s3") as stage:
        yield stage


@pytest.fixture
async def narrow(stage: Stage) -> AsyncIterator[Any]:
    client = botocore_client(stage.s3.url, NARROW)
    yield client
    client.close()


async def raw(
    stage: Stage,
    method: str,
    target: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    sign: bool = True,
    context: dict[str, Any] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """Return the answer to a request that is sent as it is, signed by botocore."""
    url = stage.s3.url + target
    request = AWSRequest(method=method, url=url, headers=dict(headers or {}), data=body)
    request.context.update(context or {})
    if sign:
        credentials = Credentials(KEY.access_key, KEY.secret_key, KEY.session_token)
        S3SigV4Auth(credentials, "s3", REGION).add_auth(request)

    def exchange() -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
        try:
            connection.request(method, target, body=body, headers=dict(request.headers.items()))
            answer = connection.getresponse()
            sent = {name.lower(): text for name, text in answer.getheaders()}
            return answer.status, sent, answer.read()
        finally:
            connection.close()

    return await asyncio.to_thread(exchange)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def target_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


async def test_an_object_comes_back_as_it_was_put(stage: Stage) -> None:
    body = bytes(range(256)) * 4
    put = await stage.put(
        "q3/report.pdf",
        body,
        ContentType="application/pdf",
        CacheControl="no-store",
        Metadata={"origin": "ci"},
    )
    got = await stage.get("q3/report.pdf")
    head = await stage.call("head_object", Key="q3/report.pdf")
    assert got["Body"] == body
    for answer in (got, head):
        assert answer["ContentLength"] == len(body)
        assert answer["ETag"] == put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
        assert answer["VersionId"] == put["VersionId"]
        assert answer["ContentType"] == "application/pdf"
        assert answer["CacheControl"] == "no-store"
        assert answer["Metadata"] == {"origin": "ci"}
        assert answer["AcceptRanges"] == "bytes"
        assert len(answer["ResponseMetadata"]["RequestId"]) == 16
    assert got["LastModified"] == head["LastModified"]


@pytest.mark.parametrize("key", NASTY_KEYS)
async def test_every_key_keeps_its_name_and_stays_inside_the_root(
    stage: Stage, tmp_path: Path, key: str
) -> None:
    await stage.put(key, b"content")
    await stage.put("other", b"other")
    assert (await stage.get(key))["Body"] == b"content"
    assert await stage.keys() == sorted([key, "other"])
    versions = await stage.call("list_object_versions", Prefix=key)
    assert [entry["Key"] for entry in versions["Versions"]] == [key]
    assert names_in(tmp_path) == ["s3"]
    assert names_in(stage.root) == [".s3", BUCKET]
    await stage.call("delete_object", Key=key)
    assert await stage.keys() == ["other"]


async def test_a_key_that_is_too_long_is_refused(stage: Stage) -> None:
    assert await stage.refusal("put_object", Key="k" * 1025, Body=b"") == (400, "KeyTooLongError")


async def test_a_key_may_stand_where_another_has_a_folder(stage: Stage) -> None:
    await stage.put("a/b", b"below")
    await stage.put("a", b"above")
    await stage.put("a/b/c", b"deeper")
    assert await stage.keys() == ["a", "a/b", "a/b/c"]
    assert [(await stage.get(key))["Body"] for key in ("a", "a/b", "a/b/c")] == [
        b"above",
        b"below",
        b"deeper",
    ]


async def test_an_upload_without_a_type_gets_the_one_that_s3_gives(stage: Stage) -> None:
    await stage.put("q3/report.pdf", b"x")
    assert (await stage.get("q3/report.pdf"))["ContentType"] == "binary/octet-stream"


@pytest.mark.parametrize(
    ("asked", "body", "content_range"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=8-100", b"89", "bytes 8-9/10"),
        ("bytes=-100", b"0123456789", "bytes 0-9/10"),
    ],
)
async def test_a_range_is_a_part(stage: Stage, asked: str, body: bytes, content_range: str) -> None:
    await stage.put("k", b"0123456789")
    got = await stage.get("k", Range=asked)
    head = await stage.call("head_object", Key="k", Range=asked)
    assert got["Body"] == body
    for answer in (got, head):
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert answer["ContentRange"] == content_range
        assert answer["ContentLength"] == len(body)
        assert "ChecksumCRC32" not in answer


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=11-12", "bytes=-0"])
async def test_a_range_with_nothing_in_it_is_416(stage: Stage, asked: str) -> None:
    await stage.put("k", b"0123456789")
    assert await stage.refusal("get_object", Key="k", Range=asked) == (416, "InvalidRange")


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=5-2", "lines=1-2"])
async def test_several_ranges_or_none_at_all_are_the_whole(stage: Stage, asked: str) -> None:
    await stage.put("k", b"0123456789")
    got = await stage.get("k", Range=asked)
    assert got["Body"] == b"0123456789"
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 200


async def test_preconditions_hold_or_the_object_is_not_sent(stage: Stage) -> None:
    etag = (await stage.put("k", b"one"))["ETag"]
    modified = (await stage.get("k", IfMatch=etag))["LastModified"]
    assert (await stage.get("k", IfNoneMatch='"other"'))["Body"] == b"one"
    assert await stage.refusal("get_object", Key="k", IfMatch='"other"') == (
        412,
        "PreconditionFailed",
    )
    for condition in ({"IfNoneMatch": etag}, {"IfModifiedSince": modified}):
        assert await stage.refusal("get_object", Key="k", **condition) == (304, "304")
    status, headers, body = await raw(stage, "GET", f"/{BUCKET}/k", headers={"If-None-Match": etag})
    assert (status, body, headers["etag"]) == (304, b"", etag)
    assert await stage.refusal("head_object", Key="k", IfMatch='"other"') == (412, "412")


async def test_an_upload_may_depend_on_what_is_there(stage: Stage) -> None:
    etag = (await stage.put("k", b"one", IfNoneMatch="*"))["ETag"]
    failed = (412, "PreconditionFailed")
    assert await stage.refusal("put_object", Key="k", Body=b"2", IfNoneMatch="*") == failed
    assert await stage.refusal("put_object", Key="k", Body=b"2", IfMatch='"other"') == failed
    await stage.put("k", b"two", IfMatch=etag)
    assert (await stage.get("k"))["Body"] == b"two"


async def test_a_version_that_was_superseded_can_be_had_by_its_id(stage: Stage) -> None:
    first = await stage.put("k", b"one")
    second = await stage.put("k", b"two")
    assert first["VersionId"] != second["VersionId"]
    old = await stage.get("k", VersionId=first["VersionId"])
    assert (old["Body"], old["VersionId"], old["ETag"]) == (
        b"one",
        first["VersionId"],
        first["ETag"],
    )
    assert (await stage.get("k"))["Body"] == b"two"
    unknown = "0" * 32
    for call, code in (("get_object", "NoSuchVersion"), ("head_object", "404")):
        assert await stage.refusal(call, Key="k", VersionId=unknown) == (404, code)


async def test_a_deletion_leaves_a_marker_and_the_versions(stage: Stage) -> None:
    put = await stage.put("k", b"one")
    marker = await stage.call("delete_object", Key="k")
    assert marker["DeleteMarker"] is True
    status, headers, body = await raw(stage, "GET", f"/{BUCKET}/k")
    assert status == 404
    assert b"<Code>NoSuchKey</Code>" in body
    assert headers["x-amz-delete-marker"] == "true"
    assert headers["x-amz-version-id"] == marker["VersionId"]
    assert (await stage.get("k", VersionId=put["VersionId"]))["Body"] == b"one"
    assert await stage.refusal("get_object", Key="k", VersionId=marker["VersionId"]) == (
        405,
        "MethodNotAllowed",
    )
    assert not (stage.folder / "k").exists()


async def test_a_marker_that_is_deleted_brings_the_object_back(stage: Stage) -> None:
    await stage.put("sub/k", b"one")
    marker = await stage.call("delete_object", Key="sub/k")
    gone = await stage.call("delete_object", Key="sub/k", VersionId=marker["VersionId"])
    assert gone["DeleteMarker"] is True
    assert (await stage.get("sub/k"))["Body"] == b"one"
    assert (stage.folder / "sub/k").read_bytes() == b"one"


async def test_a_version_that_is_deleted_is_gone_and_the_one_before_it_is_current(
    stage: Stage,
) -> None:
    first = await stage.put("k", b"one")
    second = await stage.put("k", b"two")
    await stage.call("delete_object", Key="k", VersionId=second["VersionId"])
    got = await stage.get("k")
    assert (got["Body"], got["VersionId"]) == (b"one", first["VersionId"])
    assert await stage.refusal("get_object", Key="k", VersionId=second["VersionId"]) == (
        404,
        "NoSuchVersion",
    )
    await stage.call("delete_object", Key="k", VersionId=first["VersionId"])
    assert await stage.refusal("get_object", Key="k") == (404, "NoSuchKey")


async def test_a_bucket_without_versions_keeps_only_what_is_there(stage: Stage) -> None:
    stage.s3.add_bucket("plain-bucket", versioned=False)
    answer = await stage.call("get_bucket_versioning", Bucket="plain-bucket")
    assert "Status" not in answer
    assert (await stage.call("get_bucket_versioning"))["Status"] == "Enabled"
    for body in (b"one", b"two"):
        assert "VersionId" not in await stage.put("k", body, Bucket="plain-bucket")
    got = await stage.get("k", Bucket="plain-bucket")
    assert got["Body"] == b"two"
    assert "VersionId" not in got
    listed = await stage.call("list_object_versions", Bucket="plain-bucket")
    assert [entry["VersionId"] for entry in listed["Versions"]] == ["null"]
    assert "DeleteMarker" not in await stage.call("delete_object", Bucket="plain-bucket", Key="k")
    assert await stage.refusal("get_object", Bucket="plain-bucket", Key="k") == (404, "NoSuchKey")


async def test_the_answer_to_a_signed_request_has_the_headers_that_it_asks_for(
    stage: Stage,
) -> None:
    await stage.put("k", b"<html>", ContentType="text/html")
    url = stage.client.generate_presigned_url(
        "get_object",
        {
            "Bucket": BUCKET,
            "Key": "k",
            "ResponseContentDisposition": "attachment; filename*=UTF-8''gr%C3%BCn%20a.html",
            "ResponseContentType": "application/octet-stream",
            "ResponseCacheControl": "no-store",
            "ResponseContentLanguage": "de",
            "ResponseContentEncoding": "identity",
            "ResponseExpires": "0",
        },
        ExpiresIn=60,
    )
    status, headers, body = await raw(stage, "GET", target_of(url), sign=False)
    assert (status, body) == (200, b"<html>")
    assert headers["content-disposition"] == "attachment; filename*=UTF-8''gr%C3%BCn%20a.html"
    assert headers["content-type"] == "application/octet-stream"
    assert headers["cache-control"] == "no-store"
    assert headers["content-language"] == "de"
    assert headers["content-encoding"] == "identity"
    assert headers["expires"] == "Thu, 01 Jan 1970 00:00:00 GMT"


async def test_a_header_that_cannot_be_sent_is_refused(stage: Stage) -> None:
    await stage.put("k", b"one")
    for text in ("a\r\nx-evil: 1", "snow ☃"):
        refused = await stage.refusal("get_object", Key="k", ResponseContentDisposition=text)
        assert refused == (400, "InvalidArgument")


async def test_who_is_nobody_gets_nothing(stage: Stage) -> None:
    await stage.put("k", b"one")
    for method, target in [
        ("GET", f"/{BUCKET}/k"),
        ("HEAD", f"/{BUCKET}/k"),
        ("PUT", f"/{BUCKET}/k"),
        ("DELETE", f"/{BUCKET}/k"),
        ("GET", f"/{BUCKET}?list-type=2"),
        ("GET", "/"),
        ("GET", "/no-such-bucket/k"),
        ("PATCH", "/"),
    ]:
        status, _, body = await raw(stage, method, target, sign=False)
        assert status == 403, method
        assert method == "HEAD" or b"<Code>AccessDenied</Code>" in body
    status, _, body = await raw(stage, "GET", f"/{BUCKET}/k?response-content-type=a/b", sign=False)
    assert status == 400
    assert b"cannot be used for anonymous GET" in body


async def test_an_error_is_s3_s_document_and_names_the_request(stage: Stage) -> None:
    status, headers, body = await raw(stage, "GET", f"/{BUCKET}/q3/a%26b%3C")
    assert status == 404
    assert headers["content-type"] == "application/xml"
    assert b"<Key>q3/a&amp;b&lt;</Key>" in body
    assert f"<RequestId>{headers['x-amz-request-id']}</RequestId>".encode() in body
    assert headers["x-amz-id-2"] in body.decode()


async def test_an_error_for_head_has_no_body(stage: Stage) -> None:
    status, headers, body = await raw(stage, "HEAD", f"/{BUCKET}/none")
    assert (status, body) == (404, b"")
    assert "content-length" not in headers
    assert await stage.refusal("head_object", Key="none") == (404, "404")


async def test_a_bucket_that_is_not_there_is_named(stage: Stage) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        ("get_object", {"Key": "k"}),
        ("put_object", {"Key": "k", "Body": b""}),
        ("list_objects_v2", {}),
        ("get_bucket_location", {}),
    ]
    for operation, arguments in calls:
        refused = await stage.refusal(operation, Bucket="no-such-bucket", **arguments)
        assert refused == (404, "NoSuchBucket")
    assert await stage.refusal("head_bucket", Bucket="no-such-bucket") == (404, "404")
    await stage.call("head_bucket")


async def test_what_this_end_does_not_have_it_says_so(stage: Stage) -> None:
    not_here = (501, "NotImplemented")
    assert await stage.refusal("create_multipart_upload", Key="k") == not_here
    assert await stage.refusal("get_bucket_acl") == not_here
    copied = {"Bucket": BUCKET, "Key": "k"}
    assert await stage.refusal("copy_object", Key="l", CopySource=copied) == not_here
    status, _, body = await raw(stage, "PATCH", f"/{BUCKET}/k")
    assert status == 405
    assert b"<Code>MethodNotAllowed</Code>" in body


async def test_buckets_and_their_place_are_told(stage: Stage) -> None:
    stage.s3.add_bucket("another.bucket-1")
    answer = await asyncio.to_thread(stage.client.list_buckets)
    assert [bucket["Name"] for bucket in answer["Buckets"]] == [BUCKET, "another.bucket-1"]
    assert (await stage.call("get_bucket_location"))["LocationConstraint"] == REGION


@pytest.mark.parametrize("name", ["ab", "UPPER", "a..b", "-a-", "a/b", "..", ".s3", "a" * 64])
def test_a_name_that_s3_would_not_take_makes_no_bucket(stage: Stage, name: str) -> None:
    with pytest.raises(ValueError, match="not a bucket's name"):
        stage.s3.add_bucket(name)


@pytest.mark.parametrize("host", ["localhost", "s3.localhost", f"s3.{REGION}.amazonaws.com", "box"])
async def test_a_host_that_is_s3_s_own_leaves_the_bucket_to_the_path(
    stage: Stage, host: str
) -> None:
    await stage.put("k", b"one")
    _, _, body = await raw(stage, "GET", f"/{BUCKET}/k", headers={"Host": f"{host}:80"})
    assert body == b"one"


@pytest.mark.parametrize("end", ["localhost", f"s3.{REGION}.amazonaws.com", "s3.example.test"])
async def test_a_host_may_name_the_bucket(stage: Stage, end: str) -> None:
    await stage.put("/q3//k", b"one")
    stage.s3.add_bucket("dotted.bucket")
    await stage.put("k", b"two", Bucket="dotted.bucket")
    headers = {"Host": f"{BUCKET}.{end}:{stage.s3.port}"}
    _, _, body = await raw(stage, "GET", "//q3//k", headers=headers)
    assert body == b"one"
    _, _, body = await raw(stage, "GET", "/k", headers={"Host": f"dotted.bucket.{end}"})
    assert body == b"two"
    _, _, body = await raw(stage, "GET", "/?list-type=2", headers=headers)
    assert b"<Key>/q3//k</Key>" in body
    status, _, body = await raw(stage, "GET", "/k", headers={"Host": f"other-bucket.{end}"})
    assert (status, b"NoSuchBucket" in body) == (404, True)


async def test_botocore_s_virtual_addresses_work(stage: Stage) -> None:
    url = f"http://localhost:{stage.s3.port}"
    client = botocore_client(url, style="virtual")
    address = client.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "a b"})
    client.close()
    assert f"{BUCKET}.localhost" in address
    await stage.put("a b", b"one")
    host = urlsplit(address).netloc
    status, _, body = await raw(
        stage, "GET", target_of(address), headers={"Host": host}, sign=False
    )
    assert (status, body) == (200, b"one")


# What is told of requests


async def test_whoever_asks_is_told_of_every_request_once_it_is_answered(stage: Stage) -> None:
    await stage.put("a", b"one")
    told: list[Served] = []
    end = stage.s3.requests(told.append)
    await stage.get("a")
    await stage.refusal("get_object", Key="b")
    end()
    await stage.get("a")
    found = [(one.operation, one.key, one.status, one.code, one.body_bytes) for one in told]
    assert found[0] == ("GetObject", "a", 200, "", 3)
    assert found[1][:4] == ("GetObject", "b", 404, "NoSuchKey")
    assert len(found) == 2


# Presigned


@pytest.mark.parametrize("key", ["a b+c%2F/ü//.txt", "folder/", "x/../y"])
async def test_a_presigned_address_opens_what_it_was_made_for(stage: Stage, key: str) -> None:
    put = await stage.put(key, b"one")
    await stage.put(key, b"two")
    parameters = {"Bucket": BUCKET, "Key": key, "VersionId": put["VersionId"]}
    url = stage.client.generate_presigned_url("get_object", parameters, ExpiresIn=60)
    status, _, body = await raw(stage, "GET", target_of(url), sign=False)
    assert (status, body) == (200, b"one")
    assert stage.s3.served[-1].presigned
    status, _, _ = await raw(stage, "HEAD", target_of(url), sign=False)
    assert status == 403


@pytest.mark.parametrize(("later", "status", "code"), [(59, 200, ""), (61, 403, "AccessDenied")])
async def test_a_presigned_address_expires(
    tmp_path: Path, later: int, status: int, code: str
) -> None:
    ahead = [0.0]
    async with staged(tmp_path, now=lambda: time.time() + ahead[0]) as stage:
        await stage.put("k", b"one")
        parameters = {"Bucket": BUCKET, "Key": "k"}
        url = stage.client.generate_presigned_url("get_object", parameters, ExpiresIn=60)
        ahead[0] = later
        answered, _, body = await raw(stage, "GET", target_of(url), sign=False)
        assert answered == status
        assert f"<Code>{code}</Code>".encode() in body or not code
        ahead[0] = 16 * 60
        assert await stage.refusal("get_object", Key="k") == (403, "RequestTimeTooSkewed")


async def test_a_presigned_upload_takes_an_unsigned_body(stage: Stage) -> None:
    url = stage.client.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "k"})
    status, _, body = await raw(stage, "PUT", target_of(url), body=b"one", sign=False)
    assert status == 200, body
    assert (await stage.get("k"))["Body"] == b"one"


# What an upload declares


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512"])
async def test_a_declared_checksum_is_verified_kept_and_told(stage: Stage, algorithm: str) -> None:
    put = await stage.put("k", b"some content", ChecksumAlgorithm=algorithm)
    head = await stage.call("head_object", Key="k", ChecksumMode="ENABLED")
    got = await stage.get("k", ChecksumMode="ENABLED")
    name = f"Checksum{algorithm}"
    assert put[name] == head[name] == got[name]
    assert head["ChecksumType"] == "FULL_OBJECT"
    assert name not in await stage.call("head_object", Key="k")


async def test_a_checksum_that_is_not_the_content_s_changes_nothing(stage: Stage) -> None:
    wrong = base64.b64encode(zlib.crc32(b"other").to_bytes(4, "big")).decode()
    for declared, code in (
        ({"ChecksumCRC32": wrong}, "BadDigest"),
        ({"ChecksumCRC32": "AAAA"}, "InvalidRequest"),
        ({"ContentMD5": base64.b64encode(hashlib.md5(b"x").digest()).decode()}, "BadDigest"),
        ({"ContentMD5": "nonsense"}, "InvalidDigest"),
    ):
        refused = await stage.refusal("put_object", Key="k", Body=b"content", **declared)
        assert refused == (400, code)
    assert await stage.keys() == []
    assert list((stage.root / ".s3" / BUCKET / "blobs").iterdir()) == []


async def test_a_body_that_was_changed_on_the_way_is_refused(stage: Stage) -> None:
    headers = {"x-amz-checksum-md5": base64.b64encode(hashlib.md5(b"one").digest()).decode()}
    status, _, _ = await raw(stage, "PUT", f"/{BUCKET}/k", body=b"one", headers=headers)
    assert status == 200
    for target in (f"/{BUCKET}/k", f"/{BUCKET}/k?tagging"):
        request = AWSRequest(method="PUT", url=stage.s3.url + target, data=b"signed")
        credentials = Credentials(KEY.access_key, KEY.secret_key, KEY.session_token)
        S3SigV4Auth(credentials, "s3", REGION).add_auth(request)
        signed = dict(request.headers.items())
        status, _, body = await raw(
            stage, "PUT", target, body=b"forged", headers=signed, sign=False
        )
        assert (status, b"XAmzContentSHA256Mismatch" in body) == (400, True)
    assert (await stage.get("k"))["Body"] == b"one"


async def test_an_unsigned_payload_is_taken_when_that_was_signed(stage: Stage) -> None:
    client_config = Config(s3={"payload_signing_enabled": False})
    context = {"client_config": client_config, "has_streaming_input": True}
    request_headers = {"Content-MD5": base64.b64encode(hashlib.md5(b"one").digest()).decode()}
    url = stage.s3.url.replace("http", "https") + f"/{BUCKET}/k"
    request = AWSRequest(method="PUT", url=url, headers=request_headers, data=b"one")
    request.context.update(context)
    credentials = Credentials(KEY.access_key, KEY.secret_key, KEY.session_token)
    S3SigV4Auth(credentials, "s3", REGION).add_auth(request)
    signed = dict(request.headers.items())
    assert signed["X-Amz-Content-SHA256"] == "UNSIGNED-PAYLOAD"
    status, _, body = await raw(
        stage, "PUT", f"/{BUCKET}/k", body=b"one", headers=signed, sign=False
    )
    assert status == 200, body


def chunked(content: bytes, trailer: bytes, *, size: int = 7) -> bytes:
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return framed + b"0\r\n" + trailer + b"\r\n"


async def put_chunked(
    stage: Stage, body: bytes, *, length: int, headers: Mapping[str, str] | None = None
) -> tuple[int, str]:
    sent = {
        "Content-Encoding": "gzip,aws-chunked",
        "X-Amz-Trailer": "x-amz-checksum-crc32",
        "X-Amz-Decoded-Content-Length": str(length),
        **(headers or {}),
    }
    context = {"checksum": {"request_algorithm": {"in": "trailer"}}}
    status, _, answer = await raw(
        stage, "PUT", f"/{BUCKET}/k", body=body, headers=sent, context=context
    )
    found = re.search("<Code>(.*)</Code>", answer.decode())
    return status, found[1] if found else ""


def crc32_trailer(content: bytes) -> bytes:
    sum_ = base64.b64encode(zlib.crc32(content).to_bytes(4, "big"))
    return b"x-amz-checksum-crc32:" + sum_ + b"\r\n"


@pytest.mark.parametrize("size", [1, 7, 4096, 300_000])
async def test_a_checksum_may_come_after_the_body(stage: Stage, size: int) -> None:
    content = bytes(range(256)) * 1200
    content = content if size > 7 else content[:700]
    body = chunked(content, crc32_trailer(content), size=size)
    assert await put_chunked(stage, body, length=len(content)) == (200, "")
    got = await stage.get("k", ChecksumMode="ENABLED")
    assert got["Body"] == content
    assert got["ContentEncoding"] == "gzip"
    assert got["ChecksumCRC32"] == crc32_trailer(content)[21:-2].decode()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (chunked(b"content", crc32_trailer(b"other")), "BadDigest"),
        (chunked(b"content", b""), "MalformedTrailerError"),
        (chunked(b"content", b"x-amz-checksum-crc32:nonsense\r\n"), "InvalidRequest"),
        (chunked(b"content", crc32_trailer(b"content"))[:-2], "IncompleteBody"),
        (chunked(b"content and more", crc32_trailer(b"content")), "IncompleteBody"),
        (chunked(b"short", crc32_trailer(b"short")), "IncompleteBody"),
        (b"content", "IncompleteBody"),
        (b"-7\r\ncontent\r\n0\r\n\r\n", "IncompleteBody"),
        (b"3\r\ncontent\r\n0\r\n\r\n", "IncompleteBody"),
        (chunked(b"content", crc32_trailer(b"content")) + b"more", "IncompleteBody"),
        (b"7" * 2000, "IncompleteBody"),
    ],
)
async def test_a_chunked_body_that_is_not_what_it_says_changes_nothing(
    stage: Stage, body: bytes, code: str
) -> None:
    assert await put_chunked(stage, body, length=7) == (400, code)
    assert await stage.keys() == []


async def test_an_upload_says_how_long_it_is(stage: Stage) -> None:
    body = chunked(b"content", crc32_trailer(b"content"))
    refused = await put_chunked(stage, body, length=7, headers={"x-amz-decoded-content-length": ""})
    assert refused == (411, "MissingContentLength")
    refused = await put_chunked(stage, body, length=5 * 1024**3 + 1, headers={})
    assert refused == (400, "EntityTooLarge")


# Tags


async def test_tags_are_kept_with_their_version(stage: Stage) -> None:
    first = await stage.put("k", b"one", Tagging="scan=clean&a%20b=%C3%BC")
    got = await stage.call("get_object_tagging", Key="k")
    assert got["TagSet"] == [{"Key": "scan", "Value": "clean"}, {"Key": "a b", "Value": "ü"}]
    assert (await stage.get("k"))["TagCount"] == 2
    await stage.put("k", b"two")
    assert (await stage.call("get_object_tagging", Key="k"))["TagSet"] == []
    tags = {"TagSet": [{"Key": "GuardDutyMalwareScanStatus", "Value": "THREATS_FOUND <&>"}]}
    await stage.call("put_object_tagging", Key="k", VersionId=first["VersionId"], Tagging=tags)
    old = await stage.call("get_object_tagging", Key="k", VersionId=first["VersionId"])
    assert old["TagSet"] == tags["TagSet"]
    assert (await stage.call("get_object_tagging", Key="k"))["TagSet"] == []
    assert await stage.refusal("get_object_tagging", Key="none") == (404, "NoSuchKey")


@pytest.mark.parametrize(
    "tags",
    [
        [(f"t{number}", "") for number in range(11)],
        [("a", "1"), ("a", "2")],
        [("k" * 129, "")],
        [("k", "v" * 257)],
        [("aws:x", "")],
    ],
)
async def test_tags_that_s3_does_not_take_are_refused(
    stage: Stage, tags: list[tuple[str, str]]
) -> None:
    await stage.put("k", b"one")
    sent = {"TagSet": [{"Key": key, "Value": text} for key, text in tags]}
    refused = await stage.refusal("put_object_tagging", Key="k", Tagging=sent)
    assert refused == (400, "InvalidTag")


@pytest.mark.parametrize(
    "document",
    [
        b"nonsense",
        b"<Tagging/><Tagging/>",
        b"<Other/>",
        b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><Tagging><TagSet/></Tagging>',
    ],
)
async def test_a_document_that_holds_no_tags_is_malformed(stage: Stage, document: bytes) -> None:
    await stage.put("k", b"one")
    status, _, body = await raw(stage, "PUT", f"/{BUCKET}/k?tagging", body=document)
    assert (status, b"<Code>MalformedXML</Code>" in body) == (400, True)


# What a key may do


async def test_who_may_not_list_does_not_learn_what_is_missing(stage: Stage, narrow: Any) -> None:
    await stage.put("k", b"one", Tagging="a=b")
    denied = (403, "AccessDenied")
    got = await stage.call("get_object", by=narrow, Key="k")
    assert got["Body"] == b"one"
    assert "TagCount" not in got
    assert await stage.refusal("get_object", by=narrow, Key="none") == denied
    assert await stage.refusal("head_object", by=narrow, Key="none") == (403, "403")
    assert await stage.refusal("list_objects_v2", by=narrow) == denied
    assert await stage.refusal("get_object", Key="none") == (404, "NoSuchKey")


async def test_a_single_action_can_be_denied(stage: Stage, narrow: Any) -> None:
    await stage.put("k", b"one")
    assert await stage.refusal("get_object_tagging", by=narrow, Key="k") == (403, "AccessDenied")


async def test_a_key_reaches_its_own_buckets_only(stage: Stage, narrow: Any) -> None:
    stage.s3.add_bucket("another-bucket")
    await stage.put("k", b"one", Bucket="another-bucket")
    calls: list[tuple[str, dict[str, Any]]] = [("get_object", {}), ("put_object", {"Body": b""})]
    for operation, arguments in calls:
        refused = await stage.refusal(
            operation, by=narrow, Bucket="another-bucket", Key="k", **arguments
        )
        assert refused == (403, "AccessDenied")


async def test_another_secret_does_not_match(stage: Stage) -> None:
    wrong = botocore_client(stage.s3.url, replace(KEY, secret_key="other"))
    assert await stage.refusal("get_object", by=wrong, Key="k") == (403, "SignatureDoesNotMatch")
    wrong.close()


async def test_a_client_that_is_told_the_region_comes_back_with_it(stage: Stage) -> None:
    await stage.put("k", b"one")
    far = botocore_client(stage.s3.url, region="us-west-2")
    got = await stage.call("get_object", by=far, Key="k")
    far.close()
    assert got["Body"] == b"one"
    codes = [served.code for served in stage.s3.served if served.operation == "GetObject"]
    assert codes == ["AuthorizationHeaderMalformed", ""]
