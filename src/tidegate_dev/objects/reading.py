"""HeadObject, GetObject, DeleteObject and the tags."""

from typing import Final
from urllib.parse import parse_qsl

from tidegate_dev.objects.answers import Answer, FilePart, Headers
from tidegate_dev.objects.buckets import Bucket, Tags, existing
from tidegate_dev.objects.checksums import HEADER_PREFIX
from tidegate_dev.objects.conditions import (
    NotModifiedError,
    check_conditions,
    http_date,
    part_of,
)
from tidegate_dev.objects.documents import (
    NAMESPACE,
    NotXmlError,
    element,
    leaf,
    read_tagging,
    render,
)
from tidegate_dev.objects.errors import S3Error
from tidegate_dev.objects.requests import Request, invalid
from tidegate_dev.objects.versions import Version

_MAX_TAGS: Final = 10


def get_object(bucket: Bucket, request: Request, *, show_tag_count: bool) -> Answer:
    """Return the object, or for HEAD what would come with it."""
    version = existing(bucket, request.key, request.version_id)
    headers = _identity(bucket, version)
    try:
        check_conditions(request, version)
    except NotModifiedError:
        return Answer(status=304, headers=headers)
    part = part_of(request.header("range"), version.size)
    start, length = part or (0, version.size)
    headers += [("accept-ranges", "bytes"), ("content-length", str(length))]
    headers += list({**version.headers, **_overridden(request)}.items())
    if show_tag_count and version.tags:
        headers.append(("x-amz-tagging-count", str(len(version.tags))))
    if part is not None:
        headers.append(("content-range", f"bytes {start}-{start + length - 1}/{version.size}"))
    elif (request.header("x-amz-checksum-mode") or "").upper() == "ENABLED":
        headers += checksum_headers(version)
    status = 200 if part is None else 206
    if request.head.method == "HEAD":
        return Answer(status=status, headers=headers)
    file = bucket.open(version)
    if file is None:
        raise S3Error("NoSuchKey", details=[("Key", request.key)])
    body = FilePart(file=file, start=start, length=length)
    return Answer(status=status, headers=headers, body=body)


def checksum_headers(version: Version) -> Headers:
    """Return the checksum that the object was uploaded with."""
    if version.checksum is None:
        return []
    algorithm, text = version.checksum
    return [(HEADER_PREFIX + algorithm, text), ("x-amz-checksum-type", "FULL_OBJECT")]


def delete_object(bucket: Bucket, request: Request) -> Answer:
    """The object, or one version of it, is gone."""
    headers: Headers = []
    if request.version_id is not None:
        gone = bucket.delete_version(request.key, request.version_id)
        headers.append(("x-amz-version-id", request.version_id))
    else:
        gone = bucket.delete(request.key)
        if gone is not None:
            headers.append(("x-amz-version-id", gone.id))
    if gone is not None and gone.is_marker:
        headers.append(("x-amz-delete-marker", "true"))
    return Answer(status=204, headers=headers)


def get_tagging(bucket: Bucket, request: Request) -> Answer:
    """Return the object's tags."""
    version = existing(bucket, request.key, request.version_id)
    tags = (element("Tag", leaf("Key", key), leaf("Value", text)) for key, text in version.tags)
    root = element("Tagging", element("TagSet", *tags), namespace=NAMESPACE)
    return Answer(headers=_version_header(bucket, version), body=render(root))


def put_tagging(bucket: Bucket, request: Request, body: bytes) -> Answer:
    """The object has the tags that *body* lists."""
    version = existing(bucket, request.key, request.version_id)
    try:
        tags = read_tagging(body)
    except NotXmlError:
        raise S3Error("MalformedXML") from None
    bucket.tag(version, accepted_tags(tags))
    return Answer(headers=_version_header(bucket, version))


def delete_tagging(bucket: Bucket, request: Request) -> Answer:
    """The object has no tags."""
    version = existing(bucket, request.key, request.version_id)
    bucket.tag(version, ())
    return Answer(status=204, headers=_version_header(bucket, version))


def tags_of_header(text: str) -> Tags:
    """Return the tags in an `x-amz-tagging` header.

    Raises:
        S3Error: They are none that S3 takes.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict")
    except ValueError:
        raise invalid(
            "x-amz-tagging",
            text,
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query "
            "parameters without tag name duplicates.",
        ) from None
    return accepted_tags(pairs)


def accepted_tags(tags: list[tuple[str, str]]) -> Tags:
    """Return the tags when S3 takes them.

    Raises:
        S3Error: It does not.
    """
    if len(tags) > _MAX_TAGS:
        raise S3Error("InvalidTag", "Object tags cannot be greater than 10")
    if len({key for key, _ in tags}) < len(tags):
        raise S3Error("InvalidTag", "Cannot provide multiple Tags with the same key")
    for key, text in tags:
        if not 1 <= len(key) <= 128 or key.startswith("aws:"):
            raise S3Error("InvalidTag")
        if len(text) > 256:
            raise S3Error("InvalidTag", "The TagValue you have provided is invalid")
    return tuple(tags)


def _identity(bucket: Bucket, version: Version) -> Headers:
    return [
        ("last-modified", http_date(version.modified)),
        ("etag", f'"{version.etag}"'),
        *_version_header(bucket, version),
    ]


def _version_header(bucket: Bucket, version: Version) -> Headers:
    return [("x-amz-version-id", version.id)] if bucket.versioned else []


def _overridden(request: Request) -> dict[str, str]:
    overrides = request.overrides
    for name, text in overrides.items():
        if not all(" " <= char <= "ÿ" and char != "\x7f" for char in text):
            raise invalid(
                f"response-{name}",
                text,
                "Header value cannot be represented using ISO-8859-1.",
            )
    return overrides
