"""Objects in S3: signed requests over one aiohttp session, read as a stream.

An object is read in the state in which it was found, by its version or else by its ETag, and what
arrives is held against the length and the checksum that S3 declares. No temporary file, no more
than a chunk in memory.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

import asyncio
import base64
import contextlib
import hashlib
import re
import zlib
from codecs import getincrementaldecoder
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol
from urllib.parse import quote, unquote_plus
from xml.etree.ElementTree import ParseError, XMLParser

import aiohttp
from yarl import URL

from tidegate.core.bucket import Address
from tidegate.core.share import Checksum, Object, disposition, lifetime
from tidegate.core.sigv4 import Credentials, Signer
from tidegate.errors import ObjectsError
from tidegate.ports import Clock, Link

CHUNK_BYTES: Final = 262_144
MAX_ANSWER_BYTES: Final = 8_388_608  # of a listing: a thousand keys of a kilobyte, encoded
MAX_TAGS: Final = 65_536  # of an answer, beginnings and ends: a thousand keys have some 30,000
MAX_RUN: Final = 16_384  # characters between two of them; a key has 3,072 when it is encoded
XML_BYTES: Final = 65_536
MAX_CONNECTIONS: Final = 128  # each file on its way to Slack holds one
STALL_SECONDS: Final = 30.0  # for an answer to begin, and without a byte of it
SLOWEST: Final = 16_384  # bytes for each second of waiting, once the stall is used up
RESUMES: Final = 3  # of one reading that broke off
SPARE_PAGES: Final = 10  # of a listing, that bring nothing
_EMPTY: Final = hashlib.sha256(b"").hexdigest()
_REGION: Final = "x-amz-bucket-region"
_REGION_NAME: Final = re.compile(r"[a-z0-9-]{1,40}")
_ARCHIVES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_NAMES: Final = ("sha256", "sha1", "crc64nvme", "crc32c", "crc32")


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
            return _found(bucket, key, response.headers)

    @contextlib.asynccontextmanager
    async def open(self, found: Object, *, current: bool = False) -> AsyncIterator["_Reading"]:
        """Read an object as it was found; another state of it is refused."""
        async with contextlib.AsyncExitStack() as stack:
            asked = self._get(found, start=0, pinned=not current)
            response = await stack.enter_async_context(asked)
            if _length(response.headers) != found.size:
                raise ObjectsError("changed", again=True)
            yield _Reading(self, found, response, stack)

    async def first(self, found: Object, size: int) -> bytes:
        """Return an object's first bytes, at most *size*."""
        size = min(size, found.size)
        head = b""
        async with self._get(found, start=0, stop=size) as response:
            # Some S3s pass over Range and send all of it: no more is read than was asked for.
            with contextlib.suppress(_BrokenOffError):
                async for chunk in _chunks(response, CHUNK_BYTES):
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
            tagged = await _read(response, "Tagging", "Tag")
        return {tag.get("Key", ""): tag.get("Value", "") for tag in tagged.entries}

    async def keys(self, bucket: str, prefix: str, *, most: int) -> Sequence[str]:
        """Return keys that begin so, in S3's order; one more than *most* if there are more."""
        found: list[str] = []
        query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
        for _ in range(most // 1000 + SPARE_PAGES):
            query["max-keys"] = str(min(1000, most + 1 - len(found)))
            async with self._ask("GET", bucket, "", query) as response:
                listed = await _read(response, "ListBucketResult", "Contents")
            found += _keys(listed)
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
                same = same and _version(response.headers) == found.version_id
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
    ) -> aiohttp.ClientResponse:
        address = self._address(bucket)
        url = address.url(key)
        if query:
            pairs = "&".join(
                f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
                for name, value in query.items()
            )
            url = f"{url}?{pairs}"
        signed = self._signer.sign(
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
            headers={**headers, **signed},
            allow_redirects=False,
        )
        try:
            async with asyncio.timeout(STALL_SECONDS):
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


class _Reading:
    """An object that is being read, once."""

    def __init__(
        self,
        s3: S3,
        found: Object,
        response: aiohttp.ClientResponse,
        stack: contextlib.AsyncExitStack,
    ) -> None:
        self._s3 = s3
        self._found = found
        self._response = response
        self._stack = stack

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield its bytes, to the last one or an `ObjectsError`; they are those S3 declared."""
        declared = self._found.checksum
        check = _checks(declared.algorithm) if declared is not None else None
        size, resumes = 0, RESUMES
        while True:
            try:
                async for chunk in _chunks(self._response, CHUNK_BYTES):
                    size += len(chunk)
                    if size > self._found.size:
                        raise ObjectsError("changed", again=True)
                    if check is not None:
                        check.update(chunk)
                    yield chunk
            except _BrokenOffError:
                if resumes == 0:
                    raise ObjectsError("broken_off", again=True) from None
                resumes -= 1
                self._response = await self._stack.enter_async_context(
                    self._s3._get(self._found, start=size)
                )
                continue
            break
        if size != self._found.size:
            raise ObjectsError("broken_off", again=True)
        if check is not None and declared is not None and check.digest() != declared.digest:
            raise ObjectsError("damaged", again=True)


class _BrokenOffError(Exception):
    """The connection ended before the answer."""


async def _chunks(response: aiohttp.ClientResponse, size: int) -> AsyncIterator[bytes]:
    """Yield a body as it comes. Who takes it may be slow; who sends it may not, for long."""
    clock = asyncio.get_running_loop().time
    patience = STALL_SECONDS
    while True:
        began = clock()
        try:
            async with asyncio.timeout(patience):
                chunk = await response.content.read(size)
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise _BrokenOffError from None
        if not chunk:
            return
        patience = min(STALL_SECONDS, patience - (clock() - began) + len(chunk) / SLOWEST)
        yield chunk


def _found(bucket: str, key: str, headers: Mapping[str, str]) -> Object:
    etag = headers.get("ETag", "")
    version = _version(headers)
    # Both are sent back to S3.
    if not etag or not f"{etag}{version or ''}".isascii():
        raise ObjectsError("not_understood")
    cold = headers.get("x-amz-storage-class") in _ARCHIVES or "x-amz-archive-status" in headers
    restored = 'ongoing-request="false"' in headers.get("x-amz-restore", "")
    return Object(
        bucket=bucket,
        key=key,
        size=_length(headers),
        etag=etag,
        version_id=version,
        checksum=_declared(headers),
        archived=cold and not restored,
    )


def _version(headers: Mapping[str, str]) -> str | None:
    version = headers.get("x-amz-version-id", "")
    return version if version not in ("", "null") else None


def _length(headers: Mapping[str, str]) -> int:
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


# --- checksums -----------------------------------------------------------------------------


class _Check(Protocol):
    def update(self, chunk: bytes) -> None: ...
    def digest(self) -> str: ...


@dataclass(slots=True)
class _Cyclic:
    """A cyclic redundancy check, fed bit by bit."""

    step: Callable[[bytes, int], int]
    size: int
    value: int = 0

    def update(self, chunk: bytes) -> None:
        self.value = self.step(chunk, self.value)

    def digest(self) -> str:
        return base64.b64encode(self.value.to_bytes(self.size, "big")).decode()


class _Hash:
    """A cryptographic digest, fed bit by bit."""

    def __init__(self, name: str) -> None:
        self._hash = hashlib.new(name, usedforsecurity=False)

    def update(self, chunk: bytes) -> None:
        self._hash.update(chunk)

    def digest(self) -> str:
        return base64.b64encode(self._hash.digest()).decode()


def _checks(algorithm: str) -> _Check:
    if algorithm.startswith("sha"):
        return _Hash(algorithm)
    if algorithm == "crc32":
        return _Cyclic(zlib.crc32, 4)
    # Only those pay for the import whose objects carry such a checksum: it takes 60 ms.
    from awscrt import checksums

    if algorithm == "crc32c":
        return _Cyclic(checksums.crc32c, 4)
    return _Cyclic(checksums.crc64nvme, 8)


# --- XML -----------------------------------------------------------------------------------


class _Sieve:
    """Takes an answer's elements as they are parsed, and keeps the words that are asked for.

    Attributes:
        root: The name of its outermost element.
        words: What the elements in that one say; of a name that comes twice, the first.
        entries: The same of each element of one name.
    """

    def __init__(self, entry: str) -> None:
        self.root = ""
        self.words: dict[str, str] = {}
        self.entries: list[dict[str, str]] = []
        self._entry = entry
        self._open: list[dict[str, str] | None] = []
        self._saying: tuple[dict[str, str], str] | None = None

    def start(self, tag: str, _: Mapping[str, str]) -> None:
        """An element begins."""
        name = tag.rpartition("}")[2]  # without its namespace
        outer = self._open[-1] if self._open else None
        self._saying = (outer, name) if outer is not None and name not in outer else None
        if outer is not None:
            outer.setdefault(name, "")
        inside: dict[str, str] | None = None
        if not self._open:
            self.root, inside = name, self.words
        elif name == self._entry:
            inside = {}
            self.entries.append(inside)
        self._open.append(inside)

    def data(self, text: str) -> None:
        """There is text in it."""
        if self._saying is not None:
            words, name = self._saying
            words[name] += text

    def end(self, _: str) -> None:
        """It ends."""
        self._open.pop()
        self._saying = None


class _Answer:
    """An answer's XML, piece by piece. S3's defines no entities, so what could is refused."""

    def __init__(self, entry: str) -> None:
        self.found = _Sieve(entry)
        self._parser = XMLParser(target=self.found)  # noqa: S314 - no document type, no entities
        self._text = getincrementaldecoder("utf-8")()
        self._size = self._tags = self._run = 0
        self._last = ""

    def feed(self, piece: bytes) -> None:
        """Read on. Raises `ObjectsError`."""
        self._size += len(piece)
        # In another encoding the document type would not be seen, and UTF-16 is taken for what it
        # is whatever is said of it.
        with _understood():
            text = self._text.decode(piece)
            if "<!" in self._last + text or "\0" in text or not self._bounded(text):
                raise ObjectsError("not_understood")
            self._last = text[-1:] or self._last
            self._parser.feed(text)

    def end(self, root: str) -> _Sieve:
        """Return what was found in it, if it is whole and called *root*."""
        with _understood():
            self._text.decode(b"", final=True)
            self._parser.close()
        if self.found.root != root:
            raise ObjectsError("not_understood")
        return self.found

    def _bounded(self, text: str) -> bool:
        """Return whether it stays within what S3 sends: an element takes memory, however short."""
        first, *others = text.split("<")
        longest = max(self._run + len(first), *map(len, others), 0)
        self._run = len(others[-1]) if others else self._run + len(first)
        self._tags += len(others)
        return self._size <= MAX_ANSWER_BYTES and self._tags <= MAX_TAGS and longest <= MAX_RUN


@contextlib.contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except (UnicodeDecodeError, ParseError):
        raise ObjectsError("not_understood") from None


async def _read(response: aiohttp.ClientResponse, root: str, entry: str) -> _Sieve:
    """Return what an answer's XML says in its root, and in each entry. Raises `ObjectsError`."""
    answer = _Answer(entry)
    try:
        async for piece in _chunks(response, XML_BYTES):
            answer.feed(piece)
            await asyncio.sleep(0)  # others go on meanwhile
    except _BrokenOffError:
        raise ObjectsError("broken_off", again=True) from None
    return answer.end(root)


def _keys(listed: _Sieve) -> list[str]:
    """Return a listing's keys. Not every S3 encodes them when it is asked to."""
    keys = [entry.get("Key", "") for entry in listed.entries]
    return list(map(unquote_plus, keys)) if listed.words.get("EncodingType") == "url" else keys
