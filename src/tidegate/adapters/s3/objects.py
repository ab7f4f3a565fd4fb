"""The way to S3: each request signed, and sent again where the bucket really lies."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol
from urllib.parse import quote

import aiohttp
from yarl import URL

from tidegate.adapters.s3 import stream
from tidegate.adapters.s3.listing import keys_of, read
from tidegate.adapters.s3.metadata import found_in, length_in, version_in
from tidegate.adapters.s3.stream import CHUNK_BYTES, BrokenOffError, Reading, chunks
from tidegate.core.bucket import Address
from tidegate.core.diagnosis.objects import MAX_BODY, Look
from tidegate.core.share import Object, disposition, lifetime
from tidegate.core.sigv4 import Credentials, Signer
from tidegate.errors import ObjectsError
from tidegate.ports import Clock, Link

MAX_CONNECTIONS: Final = 128  # each file on its way to Slack holds one
SPARE_PAGES: Final = 10  # of a listing, that bring nothing
_REGION: Final = "x-amz-bucket-region"
_REGION_NAME: Final = re.compile(r"[a-z0-9-]{1,40}")


class KeysOfAws(Protocol):
    """Where credentials come from."""

    @property
    def expires_in_seconds(self) -> float | None:
        """Seconds until they end; None if they do not, or none were read yet."""

    async def current(self) -> Credentials:
        """Return credentials that are valid now."""


class S3:
    """Reads objects with the caller's own AWS rights."""

    def __init__(
        self,
        *,
        credentials: KeysOfAws,
        clock: Clock,
        region: str,
        endpoint: str | None = None,
        signer: Signer | None = None,
    ) -> None:
        self._credentials = credentials
        self._clock = clock
        self._region = region
        self._endpoint = endpoint.rstrip("/") if endpoint else None
        self._signer = signer or Signer()
        self._regions: dict[str, str] = {}  # of buckets that turned out to lie elsewhere
        self._session: aiohttp.ClientSession | None = None

    async def head(self, bucket: str, key: str, *, version_id: str | None = None) -> Object:
        """Return an object as it is now, or one of its versions."""
        query = {"versionId": version_id} if version_id else {}
        headers = {"x-amz-checksum-mode": "ENABLED"}
        async with self._ask("HEAD", bucket, key, query, headers) as response:
            return found_in(bucket, key, response.headers)

    @contextlib.asynccontextmanager
    async def open(self, found: Object, *, current: bool = False) -> AsyncIterator[Reading]:
        """Read an object as it was found; another state of it is refused."""
        async with contextlib.AsyncExitStack() as stack:
            asked = self._get(found, start=0, pinned=not current)
            response = await stack.enter_async_context(asked)
            if length_in(response.headers) != found.size:
                raise ObjectsError("changed", again=True)
            yield Reading(
                found, response, stack, resume=lambda start: self._get(found, start=start)
            )

    async def first(self, found: Object, size: int) -> bytes:
        """Return an object's first bytes, at most *size*."""
        size = min(size, found.size)
        head = b""
        async with self._get(found, start=0, stop=size) as response:
            # Some S3s pass over Range and send all of it: no more is read than was asked for.
            with contextlib.suppress(BrokenOffError):
                async for chunk in chunks(response, CHUNK_BYTES):
                    head += chunk
                    if len(head) >= size:
                        break
        # Less than there is would be judged as if it were all.
        if len(head) < size:
            raise ObjectsError("broken_off", again=True)
        return head[:size]

    async def tags(self, found: Object) -> Mapping[str, str]:
        """Return an object's tags."""
        query = {"tagging": ""}
        if found.version_id:
            query["versionId"] = found.version_id
        async with self._ask("GET", found.bucket, found.key, query) as response:
            # An S3 that knows no tags sends the object, and who wrote that may have made some up.
            if "ETag" in response.headers:
                raise ObjectsError("not_understood")
            tagged = await read(response, "Tagging", "Tag")
        return {tag.get("Key", ""): tag.get("Value", "") for tag in tagged.entries}

    async def keys(self, bucket: str, prefix: str, *, most: int) -> Sequence[str]:
        """Return keys that begin so, in S3's order; one more than *most* if there are more."""
        found: list[str] = []
        query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
        for _ in range(most // 1000 + SPARE_PAGES):
            query["max-keys"] = str(min(1000, most + 1 - len(found)))
            async with self._ask("GET", bucket, "", query) as response:
                listed = await read(response, "ListBucketResult", "Contents")
            found += keys_of(listed)
            query["continuation-token"] = listed.words.get("NextContinuationToken", "")
            ended = listed.words.get("IsTruncated") != "true" or not query["continuation-token"]
            if ended or len(found) > most:
                return found[: most + 1]
        raise ObjectsError("not_understood")

    async def link(self, found: Object, *, seconds: int, name: str) -> Link:
        """Return a link that saves the object under a name; it may have to live shorter."""
        credentials = await self._credentials.current()
        lives = lifetime(seconds, self._credentials.expires_in_seconds)
        query = [("response-content-disposition", disposition(name))]
        if found.version_id:
            query.append(("versionId", found.version_id))
        now = self._now()
        address = self._address(found.bucket)
        url = self._signer.presign(
            url=address.url(found.key),
            query=query,
            seconds=lives,
            credentials=credentials,
            region=address.region,
            now=now,
        )
        expires_at = float(int(now.timestamp()) + lives)
        return Link(url=url, expires_at=expires_at, shortened=lives < seconds)

    async def look(
        self,
        method: str,
        bucket: str,
        key: str = "",
        query: Mapping[str, str] | None = None,
        *,
        signed: bool = True,
    ) -> Look:
        """Return what is answered to a request that only reads, whatever it is.

        Of an object the first byte is asked for. Where the bucket lies elsewhere, it is asked
        there from then on. Raises `CredentialsError`.
        """
        headers = {"Range": "bytes=0-0"} if method == "GET" and key else {}
        async with contextlib.AsyncExitStack() as stack:
            try:
                response = await self._send(
                    stack, method, bucket, key, query or {}, headers, signed=signed
                )
            except ObjectsError:
                return Look(status=0)
            elsewhere = response.headers.get(_REGION, "")
            if _REGION_NAME.fullmatch(elsewhere):
                self._regions[bucket] = elsewhere
            return await _looked(response)

    async def opened(self, link: Link) -> Look:
        """Return what whoever has a link is answered: its first byte is asked for."""
        asked = self._http.get(
            URL(link.url, encoded=True), headers={"Range": "bytes=0-0"}, allow_redirects=False
        )
        try:
            async with asyncio.timeout(stream.STALL_SECONDS), asked as response:
                return await _looked(response)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return Look(status=0)

    def address_of(self, bucket: str) -> Address:
        """Return where a bucket is asked, as far as is known by now."""
        return self._address(bucket)

    async def close(self) -> None:
        """Let connections go."""
        if self._session is not None:
            await self._session.close()

    @contextlib.asynccontextmanager
    async def _get(
        self, found: Object, *, start: int, stop: int | None = None, pinned: bool = True
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask for an object's bytes from *start* on, of the state in which it was found.

        By its version, however old, if it is *pinned*; else only as long as it is the latest.
        """
        headers = {"If-Match": found.etag}
        if start or stop:
            headers["Range"] = f"bytes={start}-{stop - 1 if stop else ''}"
        query = {"versionId": found.version_id} if found.version_id and pinned else {}
        async with self._ask("GET", found.bucket, found.key, query, headers) as response:
            # Not every S3 knows If-Match, and what came instead is another object; or the same
            # bytes once more, as another version.
            same = response.headers.get("ETag") == found.etag
            if not pinned:
                same = same and version_in(response.headers) == found.version_id
            if not same:
                raise ObjectsError("changed", again=True)
            # Nor Range: then all of it came, of which only the beginning is any use.
            part = response.headers.get("Content-Range", "")
            fits = part.startswith(f"bytes {start}-") if response.status == 206 else start == 0
            if not fits:
                raise ObjectsError("broken_off", again=True)
            yield response

    @contextlib.asynccontextmanager
    async def _ask(
        self,
        method: str,
        bucket: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a signed request, a second time if the bucket lies in another region."""
        for _ in range(2):
            async with contextlib.AsyncExitStack() as stack:
                response = await self._send(stack, method, bucket, key, query, headers or {})
                elsewhere = response.headers.get(_REGION)
                asked = self._address(bucket).region
                moved = response.status in (301, 307, 400, 403) and elsewhere not in (None, asked)
                if moved and elsewhere is not None and _REGION_NAME.fullmatch(elsewhere):
                    self._regions[bucket] = elsewhere
                    continue
                if response.status not in (200, 206):
                    raise _failure(response.status)
                yield response
                return
        raise ObjectsError("not_understood")

    async def _send(
        self,
        stack: contextlib.AsyncExitStack,
        method: str,
        bucket: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        *,
        signed: bool = True,
    ) -> aiohttp.ClientResponse:
        address = self._address(bucket)
        url = address.url(key)
        if query:
            pairs = "&".join(
                f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
                for name, value in query.items()
            )
            url = f"{url}?{pairs}"
        proof: Mapping[str, str] = {}
        if signed:
            proof = self._signer.sign(
                method=method,
                url=url,
                headers=headers,
                body=b"",
                credentials=await self._credentials.current(),
                region=address.region,
                service="s3",
                now=self._now(),
            )
        asked = self._http.request(
            method,
            URL(url, encoded=True),
            headers={**headers, **proof},
            allow_redirects=False,
        )
        try:
            async with asyncio.timeout(stream.STALL_SECONDS):
                return await stack.enter_async_context(asked)
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise ObjectsError("unreachable", again=True) from None

    def _address(self, bucket: str) -> Address:
        region = self._regions.get(bucket, self._region)
        return Address(bucket=bucket, region=region, endpoint=self._endpoint)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), tz=UTC)

    @property
    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=5.0),
                read_bufsize=CHUNK_BYTES,
                auto_decompress=False,  # the bytes of the object, as they are kept
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept-Encoding",),
                trust_env=False,
            )
        return self._session


async def _looked(response: aiohttp.ClientResponse) -> Look:
    """Return an answer's head and the beginning of its body; what breaks off ends there."""
    body = b""
    with contextlib.suppress(BrokenOffError):
        async for chunk in chunks(response, MAX_BODY):
            body += chunk
            if len(body) >= MAX_BODY:
                break
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Look(status=response.status, headers=headers, body=body[:MAX_BODY])


def _failure(status: int) -> ObjectsError:
    match status:
        case 404:
            return ObjectsError("not_found")
        case 400 | 401 | 403:  # 400 is for a session token that has ended
            return ObjectsError("no_access")
        case 405:  # a version that is only the mark of a deletion
            return ObjectsError("not_found")
        case 412 | 416:
            return ObjectsError("changed", again=True)
        case 429 | 503:
            return ObjectsError("busy", again=True)
        case _ if status >= 500:
            return ObjectsError("unreachable", again=True)
        case _:
            return ObjectsError("not_understood")
