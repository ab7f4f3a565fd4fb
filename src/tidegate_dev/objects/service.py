"""S3's protocol as an ASGI application over a store of buckets."""

import asyncio
import inspect
import logging
import os
import secrets
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, TypeVar

from starlette.types import Message, Receive, Scope, Send

from tidegate_dev.objects import listings, reading
from tidegate_dev.objects.access import AccessKey
from tidegate_dev.objects.answers import Answer, FilePart, Headers, send_answer
from tidegate_dev.objects.buckets import Bucket
from tidegate_dev.objects.errors import S3Error
from tidegate_dev.objects.faults import S3Faults
from tidegate_dev.objects.requests import (
    UNKNOWN,
    Request,
    check_served,
    read_request,
)
from tidegate_dev.objects.signatures import Signed, verified
from tidegate_dev.objects.store import ObjectStore
from tidegate_dev.objects.uploads import DisconnectedError, check_body, put_object

Result = TypeVar("Result")

MAX_SMALL_BODY_BYTES: Final = 64 * 1024
_KEPT: Final = 1_000
_log: Final = logging.getLogger(__name__)
_CODES: Final = {"slow_down": "SlowDown", "internal_error": "InternalError"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One request and what became of it; nothing of it is secret.

    Attributes:
        operation: S3's name for it, such as `GetObject`.
        access_key: Who signed it; empty unless the signature holds.
        code: S3's code of the error; empty for none.
        body_bytes: How much of a body went out.
    """

    operation: str
    bucket: str = ""
    key: str = ""
    version_id: str | None = None
    range: str | None = None
    presigned: bool = False
    access_key: str = ""
    status: int = 0
    code: str = ""
    body_bytes: int = 0


class S3Service:
    """Answers S3's requests; every one of them must be signed.

    Attributes:
        counts: How many requests came, by operation.
        served: The latest requests that were answered, oldest first.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        region: str,
        keys: Mapping[str, AccessKey],
        faults: S3Faults,
        threads: Executor,
        hang_up: Callable[[tuple[str, int] | None], None],
        tell: Callable[[Served], None],
        now: Callable[[], float],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.served: deque[Served] = deque(maxlen=_KEPT)
        self._store = store
        self._region = region
        self._keys = keys
        self._faults = faults
        self._threads = threads
        self._hang_up = hang_up
        self._tell = tell
        self._now = now
        # A path names its bucket, whatever there is; a host is looked up.
        self._is_bucket = lambda name: (store.root / name).is_dir()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] != "http":
            return
        exchange = _Exchange()
        try:
            answer = await self._answered(exchange, scope, exchange.noting(receive))
        except S3Error as error:
            answer = exchange.error(error, scope["path"])
        except OSError:  # the disk is full, or what is on it is not ours to touch
            _log.exception("the request was not carried out")
            answer = exchange.error(S3Error("InternalError"), scope["path"])
        except DisconnectedError:
            return
        headers = [*exchange.ids(), *_framed(answer, scope["method"])]
        if not exchange.read and (b"expect", b"100-continue") in scope["headers"]:
            # The body was not asked for, and nobody can say whether it still comes.
            headers.append(("connection", "close"))
        answer = replace(answer, headers=headers)
        sent = await send_answer(
            answer,
            method=scope["method"],
            faults=self._faults,
            receive=receive,
            send=send,
            in_thread=lambda *arguments: self._in_thread(os.pread, *arguments),
            hang_up=lambda: self._hang_up(scope["client"]),
        )
        served = replace(exchange.served, status=answer.status, code=answer.code, body_bytes=sent)
        self.served.append(served)
        self._tell(served)

    async def _answered(self, exchange: "_Exchange", scope: Scope, receive: Receive) -> Answer:
        try:
            request = read_request(scope, region=self._region, is_bucket=self._is_bucket)
        except S3Error:
            self.counts[UNKNOWN] += 1
            raise
        self.counts[request.operation] += 1
        exchange.served = Served(
            operation=request.operation,
            bucket=request.bucket,
            key=request.key,
            version_id=request.version_id,
            range=request.header("range"),
        )
        fault = self._faults.next_for(request.operation)
        if fault == "drop":
            self._hang_up(scope["client"])
            while (await receive())["type"] != "http.disconnect":
                pass
            raise DisconnectedError
        if fault is not None:
            raise S3Error(_CODES[fault])
        signed = self._signed(request)
        exchange.served = replace(
            exchange.served, presigned=signed.presigned, access_key=signed.key.access_key
        )
        return await self._answer(request, signed, receive)

    def _signed(self, request: Request) -> Signed:
        """Return who signed it."""
        now = datetime.fromtimestamp(self._now(), UTC)
        signed = verified(request.head, keys=self._keys, region=self._region, now=now)
        if signed is None:
            if request.overrides:
                raise S3Error(
                    "InvalidRequest",
                    "Request specific response headers cannot be used for anonymous GET requests.",
                )
            raise S3Error("AccessDenied")
        return signed

    async def _answer(self, request: Request, signed: Signed, receive: Receive) -> Answer:
        check_served(request)
        key = signed.key
        if not request.bucket:
            await _small_body(request, signed, receive)
            _allow(key, request, request.action)
            buckets = await self._in_thread(self._store.buckets)
            return listings.list_buckets(buckets, self._region)
        bucket = await self._in_thread(self._store.bucket, request.bucket)
        _allow(key, request, request.action)
        if request.operation == "PutObject":
            if request.header("x-amz-tagging") is not None:
                _allow(key, request, "s3:PutObjectTagging")
            return await put_object(bucket, request, signed, receive, self._in_thread)
        body = await _small_body(request, signed, receive)
        hook = self._faults.before_get
        if request.operation == "GetObject" and hook is not None:
            done = hook(request.bucket, request.key)
            if inspect.isawaitable(done):
                await done
        try:
            return await self._in_thread(self._carried_out, bucket, request, key, body)
        except S3Error as error:
            if error.code == "NoSuchKey" and not key.may("s3:ListBucket", request.bucket):
                # Who may not list must not learn what is there.
                raise S3Error("AccessDenied", _denial(key, "s3:ListBucket", request)) from None
            raise

    def _carried_out(self, bucket: Bucket, request: Request, key: AccessKey, body: bytes) -> Answer:
        match request.operation:
            case "GetObject" | "HeadObject":
                may_see = key.may("s3:GetObjectTagging", request.bucket)
                return reading.get_object(bucket, request, show_tag_count=may_see)
            case "PutObjectTagging":
                return reading.put_tagging(bucket, request, body)
            case "GetBucketLocation":
                return listings.bucket_location(self._region)
            case "HeadBucket":
                return Answer(headers=[("x-amz-bucket-region", self._region)])
            case operation:
                return _PLAIN[operation](bucket, request)

    async def _in_thread(self, call: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)


_PLAIN: Final[Mapping[str, Callable[[Bucket, Request], Answer]]] = {
    "DeleteObject": reading.delete_object,
    "GetObjectTagging": reading.get_tagging,
    "DeleteObjectTagging": reading.delete_tagging,
    "ListObjectsV2": listings.list_objects,
    "ListObjectVersions": listings.list_versions,
    "GetBucketVersioning": listings.bucket_versioning,
}


@dataclass(slots=True)
class _Exchange:
    served: Served = field(default_factory=lambda: Served(operation=UNKNOWN))
    request_id: str = field(default_factory=lambda: secrets.token_hex(8).upper())
    host_id: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    read: bool = False

    def noting(self, receive: Receive) -> Receive:
        async def noted() -> Message:
            self.read = True
            return await receive()

        return noted

    def ids(self) -> Headers:
        return [
            ("x-amz-id-2", self.host_id),
            ("x-amz-request-id", self.request_id),
            ("server", "AmazonS3"),
        ]

    def error(self, error: S3Error, resource: str) -> Answer:
        document = error.document(
            resource=resource, request_id=self.request_id, host_id=self.host_id
        )
        headers = [(name, text) for name, text in error.headers]
        return Answer(status=error.status, headers=headers, body=document, code=error.code)


def _framed(answer: Answer, method: str) -> Headers:
    """Return the headers together with those that say what the body is."""
    headers = list(answer.headers)
    if isinstance(answer.body, FilePart) or answer.status in (204, 304):
        return headers
    if answer.body:
        headers.append(("content-type", "application/xml"))
    if method != "HEAD":  # which has no error document to tell the length of
        headers.append(("content-length", str(len(answer.body))))
    return headers


def _allow(key: AccessKey, request: Request, action: str) -> None:
    if not key.may(action, request.bucket):
        raise S3Error("AccessDenied", _denial(key, action, request))


def _denial(key: AccessKey, action: str, request: Request) -> str:
    resource = f"arn:aws:s3:::{request.bucket or '*'}"
    if request.key and action != "s3:ListBucket":
        resource += f"/{request.key}"
    return (
        f'User: {key.principal} is not authorized to perform: {action} on resource: "{resource}" '
        f"because no identity-based policy allows the {action} action"
    )


async def _small_body(request: Request, signed: Signed, receive: Receive) -> bytes:
    """Return the body of a request that has a small one, or none; it is as it was signed."""
    body, more = bytearray(), _has_body(request)
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_SMALL_BODY_BYTES:
            raise S3Error("EntityTooLarge")
    check_body(request, signed, bytes(body))
    return bytes(body)


def _has_body(request: Request) -> bool:
    if request.header("transfer-encoding") is not None:
        return True
    return request.header("content-length") not in (None, "0")
