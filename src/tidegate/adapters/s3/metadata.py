"""What S3 says of an object in the headers of an answer."""

from collections.abc import Mapping
from typing import Final

from tidegate.core.share import Checksum, Object
from tidegate.errors import ObjectsError

_ARCHIVES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_NAMES: Final = ("sha256", "sha1", "crc64nvme", "crc32c", "crc32")


def found_in(bucket: str, key: str, headers: Mapping[str, str]) -> Object:
    """Return the object that an answer is about. Raises `ObjectsError`."""
    etag = headers.get("ETag", "")
    version = version_in(headers)
    # Both are sent back to S3.
    if not etag or not f"{etag}{version or ''}".isascii():
        raise ObjectsError("not_understood")
    cold = headers.get("x-amz-storage-class") in _ARCHIVES or "x-amz-archive-status" in headers
    restored = 'ongoing-request="false"' in headers.get("x-amz-restore", "")
    return Object(
        bucket=bucket,
        key=key,
        size=length_in(headers),
        etag=etag,
        version_id=version,
        checksum=_declared(headers),
        archived=cold and not restored,
    )


def version_in(headers: Mapping[str, str]) -> str | None:
    """Return its version; None where none is kept."""
    version = headers.get("x-amz-version-id", "")
    return version if version not in ("", "null") else None


def length_in(headers: Mapping[str, str]) -> int:
    """Return how many bytes there are. Raises `ObjectsError`."""
    text = headers.get("Content-Length", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ObjectsError("not_understood")
    return int(text)


def _declared(headers: Mapping[str, str]) -> Checksum | None:
    """Return what S3 declares over all bytes; a checksum over parts' checksums is none.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
    """
    if headers.get("x-amz-checksum-type", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    for name in _NAMES:
        digest = headers.get(f"x-amz-checksum-{name}")
        if digest and "-" not in digest:  # «…-3» stands for three parts
            return Checksum(algorithm=name, digest=digest)
    return None
