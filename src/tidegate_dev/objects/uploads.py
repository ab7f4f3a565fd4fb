"""PutObject: the body goes to disk as it comes, and counts once all of it is as it was declared.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol, TypeVar

from starlette.types import Receive

from tidegate_dev.objects.answers import Answer, Headers
from tidegate_dev.objects.aws_chunked import ChunkedBody, NotChunkedError
from tidegate_dev.objects.blobs import Blob, BlobWriter
from tidegate_dev.objects.buckets import Bucket
from tidegate_dev.objects.checksums import ALGORITHMS, HEADER_PREFIX, UNKNOWN_HERE, decoded, encoded
from tidegate_dev.objects.conditions import check_upload_conditions
from tidegate_dev.objects.errors import S3Error
from tidegate_dev.objects.reading import checksum_headers, tags_of_header
from tidegate_dev.objects.requests import Request, invalid
from tidegate_dev.objects.signatures import STREAMING_TRAILER, UNSIGNED_PAYLOAD, Signed

Result = TypeVar("Result")

MAX_UPLOAD_BYTES: Final = 5 * 1024**3
MAX_METADATA_BYTES: Final = 2048
_GATHERED_BYTES: Final = 1024 * 1024
_KEPT_HEADERS: Final = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
)
_DEFAULT_TYPE: Final = "binary/octet-stream"
_SHA256_OF_NOTHING: Final = sha256().hexdigest()
_NOT_SUMS: Final = frozenset({"x-amz-checksum-mode", "x-amz-checksum-algorithm"})


class InThread(Protocol):
    """Runs a blocking call off the event loop."""

    async def __call__(self, call: Callable[..., Result], *arguments: object) -> Result:
        """Return what the call returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Declared:
    """What the head says about the body.

    Attributes:
        size: Of the content.
        payload: SHA-256 in hex, or empty where it was not signed.
        checksum: The algorithm, and the sum in base64 unless it comes after the body.
    """

    size: int
    payload: str
    md5: bytes | None
    checksum: tuple[str, str | None] | None
    chunked: bool


class DisconnectedError(Exception):
    """Whoever sent the body went away."""


async def put_object(
    bucket: Bucket, request: Request, signed: Signed, receive: Receive, in_thread: InThread
) -> Answer:
    """The body is the object's new version.

    Raises:
        S3Error: The body, or the moment, is not as declared; nothing has changed.
        DisconnectedError: The body did not come to an end.
    """
    declared = _declared(request, signed)
    headers, tags = _headers(request), tags_of_header(request.header("x-amz-tagging") or "")

    def check_now() -> None:
        check_upload_conditions(request, bucket.find(request.key))

    await in_thread(check_now)  # before gigabytes are taken in for nothing
    algorithms = {"sha256"} if declared.payload else set()
    if declared.checksum is not None:
        algorithms.add(declared.checksum[0])
    writer = await in_thread(bucket.writer, algorithms)
    try:
        trailers = await _take_in(writer, declared, receive, in_thread)
        blob = await in_thread(writer.finish)
        checksum = _verified(declared, blob, trailers)
    except BaseException:
        await in_thread(writer.discard)
        raise

    def put() -> Answer:
        try:
            version = bucket.put(
                request.key,
                blob,
                headers=headers,
                tags=tags,
                checksum=checksum,
                condition=lambda current: check_upload_conditions(request, current),
            )
        except BaseException:
            writer.discard()
            raise
        ids: Headers = [("x-amz-version-id", version.id)] if bucket.versioned else []
        return Answer(headers=[("etag", f'"{version.etag}"'), *checksum_headers(version), *ids])

    return await in_thread(put)


def check_body(request: Request, signed: Signed, body: bytes) -> None:
    """A body that is all there is what the head declares.

    Raises:
        S3Error: It is not.
    """
    if body or request.head.method == "PUT":
        declared = _declared(request, signed)
        sums = {name: make() for name, make in ALGORITHMS.items()}
        for running in sums.values():
            running.update(body)
        digests = {name: running.digest() for name, running in sums.items()}
        if declared.chunked:
            raise S3Error("NotImplemented", details=[("Header", "x-amz-content-sha256")])
        _verified(declared, Blob(name="", size=len(body), sums=digests), {})
    elif signed.payload not in (UNSIGNED_PAYLOAD, _SHA256_OF_NOTHING):
        raise S3Error("XAmzContentSHA256Mismatch")


async def _take_in(
    writer: BlobWriter, declared: _Declared, receive: Receive, in_thread: InThread
) -> Mapping[str, str]:
    """Return the trailers once the writer has all of the content."""
    body = ChunkedBody() if declared.chunked else None

    def write(data: bytes) -> None:
        for piece in [data] if body is None else body.decode(data):
            writer.write(piece)
        if writer.size > declared.size:
            raise S3Error("IncompleteBody")

    gathered, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        gathered += message.get("body", b"")
        more = message.get("more_body", False)
        if gathered and (not more or len(gathered) >= _GATHERED_BYTES):
            try:
                await in_thread(write, bytes(gathered))
            except NotChunkedError:
                raise S3Error("IncompleteBody") from None
            gathered.clear()
    if writer.size != declared.size or (body is not None and not body.complete):
        raise S3Error("IncompleteBody")
    return {} if body is None else body.trailers


def _declared(request: Request, signed: Signed) -> _Declared:
    chunked = signed.payload == STREAMING_TRAILER
    encodings = (request.header("content-encoding") or "").replace(" ", "").split(",")
    if not chunked and "aws-chunked" in encodings:
        raise invalid(
            "x-amz-content-sha256",
            signed.payload,
            "aws-chunked needs a streaming x-amz-content-sha256.",
        )
    if request.header("transfer-encoding") is not None and not chunked:
        raise S3Error("NotImplemented", details=[("Header", "Transfer-Encoding")])
    length = request.header("x-amz-decoded-content-length" if chunked else "content-length")
    if length is None or not length.isascii() or not length.isdigit():
        raise S3Error("MissingContentLength")
    if len(length) > 15 or int(length) > MAX_UPLOAD_BYTES:
        raise S3Error(
            "EntityTooLarge",
            details=[("ProposedSize", length), ("MaxSizeAllowed", str(MAX_UPLOAD_BYTES))],
        )
    return _Declared(
        size=int(length),
        payload="" if signed.payload in (UNSIGNED_PAYLOAD, STREAMING_TRAILER) else signed.payload,
        md5=_md5(request.header("content-md5")),
        checksum=_declared_checksum(request, chunked=chunked),
        chunked=chunked,
    )


def _md5(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        value = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise S3Error("InvalidDigest") from None
    if len(value) != 16:
        raise S3Error("InvalidDigest")
    return value


def _declared_checksum(request: Request, *, chunked: bool) -> tuple[str, str | None] | None:
    """Return the algorithm, and the sum when a header has it."""
    names = {name.decode("latin-1") for name, _ in request.head.headers}
    sums: dict[str, str | None] = {
        name: request.header(name)
        for name in names - _NOT_SUMS
        if name.startswith(HEADER_PREFIX) and name != "x-amz-checksum-type"
    }
    if chunked:
        for name in (request.header("x-amz-trailer") or "").split(","):
            if name.strip():
                sums[name.strip().lower()] = None
    if len(sums) > 1:
        raise S3Error(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    if not sums:
        if request.header("x-amz-sdk-checksum-algorithm") is not None:
            raise S3Error(
                "InvalidRequest",
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
                "x-amz-trailer headers were found.",
            )
        return None
    [(name, text)] = sums.items()
    algorithm = name.removeprefix(HEADER_PREFIX)
    if algorithm in UNKNOWN_HERE:
        raise S3Error("NotImplemented", details=[("Header", name)])
    if not name.startswith(HEADER_PREFIX) or algorithm not in ALGORITHMS:
        raise S3Error("InvalidRequest", f"The value specified in the {name} header is invalid.")
    if text is not None and decoded(text, algorithm) is None:
        raise S3Error("InvalidRequest", f"Value for {name} header is invalid.")
    return algorithm, text


def _verified(
    declared: _Declared, blob: Blob, trailers: Mapping[str, str]
) -> tuple[str, str] | None:
    """Return the checksum that the object keeps, once all that was declared is true."""
    if declared.payload and blob.sums["sha256"].hex() != declared.payload:
        raise S3Error(
            "XAmzContentSHA256Mismatch",
            details=[
                ("ClientComputedContentSHA256", declared.payload),
                ("S3ComputedContentSHA256", blob.sums["sha256"].hex()),
            ],
        )
    if declared.md5 is not None and blob.sums["md5"] != declared.md5:
        raise S3Error(
            "BadDigest",
            details=[
                ("ExpectedDigest", declared.md5.hex()),
                ("CalculatedDigest", encoded(blob.sums["md5"])),
            ],
        )
    if declared.checksum is None:
        return None
    algorithm, text = declared.checksum
    text = trailers.get(HEADER_PREFIX + algorithm) if text is None else text
    if text is None:
        raise S3Error("MalformedTrailerError")
    if decoded(text, algorithm) is None:
        raise S3Error(
            "InvalidRequest", f"Value for {HEADER_PREFIX}{algorithm} trailing header is invalid."
        )
    if decoded(text, algorithm) != blob.sums[algorithm]:
        raise S3Error(
            "BadDigest",
            f"The {algorithm.upper()} you specified did not match the calculated checksum.",
        )
    return algorithm, text


def _headers(request: Request) -> dict[str, str]:
    """Return what is kept to be sent with the object."""
    kept = {name: request.header(name) or "" for name in _KEPT_HEADERS}
    kept["content-type"] = kept["content-type"] or _DEFAULT_TYPE
    encodings = [part.strip() for part in kept["content-encoding"].split(",")]
    kept["content-encoding"] = ",".join(part for part in encodings if part != "aws-chunked")
    metadata = {
        name.decode("latin-1"): request.header(name.decode("latin-1")) or ""
        for name, _ in request.head.headers
        if name.startswith(b"x-amz-meta-")
    }
    size = sum(len(name) - len("x-amz-meta-") + len(text) for name, text in metadata.items())
    if size > MAX_METADATA_BYTES:
        raise S3Error(
            "MetadataTooLarge",
            details=[("Size", str(size)), ("MaxSizeAllowed", str(MAX_METADATA_BYTES))],
        )
    return {**{name: text for name, text in kept.items() if text}, **metadata}
