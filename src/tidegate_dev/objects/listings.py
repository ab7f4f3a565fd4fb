"""The documents that tell what is there.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from tidegate_dev.objects.answers import Answer
from tidegate_dev.objects.buckets import Bucket
from tidegate_dev.objects.documents import NAMESPACE, element, leaf, render, timestamp
from tidegate_dev.objects.requests import Request, invalid
from tidegate_dev.objects.versions import Version

MAX_KEYS: Final = 1000
OWNER_ID: Final = "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a"
_OWNER: Final = element("Owner", leaf("ID", OWNER_ID), leaf("DisplayName", "tidegate-dev"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """Part of a listing: versions and common prefixes, at most as many as were asked for.

    Attributes:
        last: The key or the prefix at the end, when more comes after it.
    """

    versions: Sequence[Version]
    prefixes: Sequence[str]
    last: Version | str | None


def list_buckets(buckets: Iterable[Bucket], region: str) -> Answer:
    """Return the names of all buckets."""
    entries = (
        element(
            "Bucket",
            leaf("Name", bucket.name),
            leaf("CreationDate", timestamp(bucket.created)),
            leaf("BucketRegion", region),
        )
        for bucket in buckets
    )
    return _answer("ListAllMyBucketsResult", [element("Buckets", *entries), _OWNER])


def bucket_location(region: str) -> Answer:
    """Return where a bucket is; us-east-1 has no name here."""
    location = "" if region == "us-east-1" else region
    root = f'<LocationConstraint xmlns="{NAMESPACE}">{location}</LocationConstraint>'
    return Answer(body=render(root))


def bucket_versioning(bucket: Bucket, _: Request) -> Answer:
    """Return whether a bucket keeps versions; one that never did says nothing."""
    return _answer(
        "VersioningConfiguration", [leaf("Status", "Enabled")] if bucket.versioned else []
    )


def list_objects(bucket: Bucket, request: Request) -> Answer:
    """Return a page of what is there now."""
    query = request.query
    most = request.integer("max-keys", default=MAX_KEYS, most=MAX_KEYS)
    name = _naming(request)
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    token = query.get("continuation-token")
    after = _after_token(token) if token is not None else _after_key(query.get("start-after", ""))
    page = _page(filter(after, bucket.objects()), prefix, delimiter, most)
    inner = [leaf("Name", bucket.name), leaf("Prefix", name(prefix))]
    if token is not None:
        inner.append(leaf("ContinuationToken", token))
    elif "start-after" in query:
        inner.append(leaf("StartAfter", name(query["start-after"])))
    if page.last is not None:
        inner.append(leaf("NextContinuationToken", _token(page.last)))
    inner.append(leaf("KeyCount", len(page.versions) + len(page.prefixes)))
    inner += _common(request, most, page)
    owner = _OWNER if query.get("fetch-owner") == "true" else ""
    for version in page.versions:
        key, *facts = _facts(version, name)
        inner.append(element("Contents", key, *facts, owner, leaf("StorageClass", "STANDARD")))
    return _answer("ListBucketResult", [*inner, *_prefixes(page, name)])


def list_versions(bucket: Bucket, request: Request) -> Answer:
    """Return a page of every version and delete marker."""
    query = request.query
    most = request.integer("max-keys", default=MAX_KEYS, most=MAX_KEYS)
    name = _naming(request)
    history = bucket.history()
    latest = {version.key: version.id for version in reversed(history)}
    page = _page(
        _from_markers(history, query), query.get("prefix", ""), query.get("delimiter", ""), most
    )
    inner = [
        leaf("Name", bucket.name),
        leaf("Prefix", name(query.get("prefix", ""))),
        leaf("KeyMarker", name(query.get("key-marker", ""))),
        leaf("VersionIdMarker", query.get("version-id-marker", "")),
    ]
    if isinstance(page.last, Version):
        inner.append(leaf("NextKeyMarker", name(page.last.key)))
        inner.append(leaf("NextVersionIdMarker", page.last.id))
    elif page.last is not None:
        inner.append(leaf("NextKeyMarker", name(page.last)))
    inner += _common(request, most, page)
    for version in page.versions:
        key, *facts = _facts(version, name)
        ids = (leaf("VersionId", version.id), leaf("IsLatest", latest[version.key] == version.id))
        kind = "DeleteMarker" if version.is_marker else "Version"
        storage = "" if version.is_marker else leaf("StorageClass", "STANDARD")
        inner.append(element(kind, key, *ids, *facts, _OWNER, storage))
    return _answer("ListVersionsResult", [*inner, *_prefixes(page, name)])


def _page(versions: Iterable[Version], prefix: str, delimiter: str, most: int) -> _Page:
    found: list[Version] = []
    prefixes: list[str] = []
    last: Version | str | None = None
    for version in versions:
        if not version.key.startswith(prefix):
            continue
        rolled = _rolled_up(version.key, prefix, delimiter)
        if rolled is not None and prefixes and prefixes[-1] == rolled:
            continue
        if len(found) + len(prefixes) >= most:
            return _Page(versions=found, prefixes=prefixes, last=last)
        if rolled is None:
            found.append(version)
        else:
            prefixes.append(rolled)
        last = rolled or version
    return _Page(versions=found, prefixes=prefixes, last=None)


def _rolled_up(key: str, prefix: str, delimiter: str) -> str | None:
    end = key.find(delimiter, len(prefix)) if delimiter else -1
    return None if end < 0 else key[: end + len(delimiter)]


def _after_key(key: str) -> Callable[[Version], bool]:
    return lambda version: version.key > key


def _after_token(token: str) -> Callable[[Version], bool]:
    try:
        kind, last = json.loads(base64.urlsafe_b64decode(token.encode("ascii")))
    except (ValueError, TypeError, binascii.Error):
        kind, last = "", ""
    if kind not in ("key", "prefix") or not isinstance(last, str):
        raise invalid("continuation-token", token, "The continuation token provided is incorrect")
    if kind == "key":
        return _after_key(last)
    return lambda version: version.key > last and not version.key.startswith(last)


def _token(last: Version | str) -> str:
    pair = ["key", last.key] if isinstance(last, Version) else ["prefix", last]
    return base64.urlsafe_b64encode(json.dumps(pair).encode()).decode()


def _from_markers(history: Sequence[Version], query: Mapping[str, str]) -> Iterator[Version]:
    key, version_id = query.get("key-marker", ""), query.get("version-id-marker", "")
    if version_id and not key:
        raise invalid(
            "version-id-marker",
            version_id,
            "A version-id marker cannot be specified without a key marker.",
        )
    delimiter = query.get("delimiter", "")
    rolled_up = bool(delimiter) and key.endswith(delimiter) and not version_id
    passed = False
    for version in history:
        if version.key == key and version_id:
            if passed:
                yield version
            passed = passed or version.id == version_id
        elif version.key > key and not (rolled_up and version.key.startswith(key)):
            yield version


def _common(request: Request, most: int, page: _Page) -> list[str]:
    inner = [leaf("MaxKeys", most)]
    if request.query.get("delimiter"):
        inner.append(leaf("Delimiter", _naming(request)(request.query["delimiter"])))
    if "encoding-type" in request.query:
        inner.append(leaf("EncodingType", "url"))
    return [*inner, leaf("IsTruncated", page.last is not None)]


def _naming(request: Request) -> Callable[[str], str]:
    encoding = request.query.get("encoding-type")
    if encoding is None:
        return lambda key: key
    if encoding != "url":
        raise invalid("encoding-type", encoding, "Invalid Encoding Method specified in Request")
    return lambda key: quote(key, safe="/-_.*")


def _facts(version: Version, name: Callable[[str], str]) -> Iterator[str]:
    yield leaf("Key", name(version.key))
    yield leaf("LastModified", timestamp(version.modified))
    if version.is_marker:
        return
    yield leaf("ETag", f'"{version.etag}"')
    if version.checksum is not None:
        yield leaf("ChecksumAlgorithm", version.checksum[0].upper())
        yield leaf("ChecksumType", "FULL_OBJECT")
    yield leaf("Size", version.size)


def _prefixes(page: _Page, name: Callable[[str], str]) -> Iterator[str]:
    for prefix in page.prefixes:
        yield element("CommonPrefixes", leaf("Prefix", name(prefix)))


def _answer(name: str, inner: Sequence[str]) -> Answer:
    return Answer(body=render(element(name, *inner, namespace=NAMESPACE)))
