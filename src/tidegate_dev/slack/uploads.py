"""Upload URLs: each takes the bytes of one file once, straight to the disk.

Source: https://docs.slack.dev/messaging/working-with-files/#upload
A file of a gigabyte takes no more memory here than a small one.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from tidegate_dev.slack.faults import UPLOAD, SlackFaults
from tidegate_dev.slack.file_store import FileStore
from tidegate_dev.slack.file_types import HEAD_BYTES, guess
from tidegate_dev.slack.files import File

CHUNK_BYTES: Final = 1024 * 1024
_KEPT: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One POST to an upload URL: what came and how it was answered."""

    file: str
    size: int
    status: int
    at: float


class _WrongBytesError(Exception):
    """What came is not what was promised; the text says why."""


class Uploads:
    """Answers the upload URLs and keeps a record of what came to them."""

    def __init__(
        self,
        files: FileStore,
        faults: SlackFaults,
        *,
        now: Callable[[], float],
        cut: Callable[[Request], Response],
    ) -> None:
        self.made: deque[Upload] = deque(maxlen=_KEPT)
        self._files = files
        self._faults = faults
        self._now = now
        self._cut = cut

    async def endpoint(self, request: Request) -> Response:
        """Take the bytes of one file."""
        fault = self._faults.next_for(UPLOAD)
        if fault == "drop_before":
            return self._cut(request)
        refusal = self._faults.instead(fault)
        if refusal is not None:
            return refusal
        file = self._files.take_upload(request.path_params["secret"])
        if file is None:
            return PlainTextResponse("not found", status_code=404)
        answer = await self._take(file, request)
        if fault == "drop_after":
            return self._cut(request)
        if fault == "error_after":
            return PlainTextResponse("stream timeout", status_code=500)
        return answer

    async def _take(self, file: File, request: Request) -> Response:
        spool = _Spool(await asyncio.to_thread(self._files.path_for, file), announced=file.size)
        try:
            await _receive(request, spool)
            spool.check()
        except (ClientDisconnect, MultipartParseError, _WrongBytesError) as error:
            await asyncio.to_thread(spool.discard)
            self._files.broken(file)
            self._record(file, spool, 400)
            return PlainTextResponse(f"failed - {error}", status_code=400)
        await asyncio.to_thread(spool.close)
        self._record(file, spool, 200)
        self._files.uploaded(
            file,
            type_=guess(file.name, bytes(spool.head)),
            sha256=spool.hash.hexdigest(),
            path=spool.path,
        )
        return PlainTextResponse(f"OK - {spool.size}")

    def _record(self, file: File, spool: "_Spool", status: int) -> None:
        self.made.append(Upload(file=file.id, size=spool.size, status=status, at=self._now()))


class _Spool:
    """Takes bytes: counted, hashed and, where there is a path, written."""

    def __init__(self, path: Path | None, *, announced: int) -> None:
        self.path = path
        self.size = 0
        self.hash = hashlib.sha256()
        self.head = bytearray()
        self._announced = announced
        self._waiting = bytearray()
        self._file: BinaryIO | None = None

    async def write(self, data: bytes) -> None:
        """*data* is taken; the disk is written to in another thread."""
        self.size += len(data)
        if self.size > self._announced:
            raise _WrongBytesError(f"more than the announced {self._announced} bytes came")
        if len(self.head) < HEAD_BYTES:
            self.head += data[: HEAD_BYTES - len(self.head)]
        self._waiting += data
        if len(self._waiting) >= CHUNK_BYTES:
            await asyncio.to_thread(self._put)

    def check(self) -> None:
        """Return if as much came as was announced."""
        if self.size != self._announced:
            raise _WrongBytesError(f"{self._announced} bytes were announced, {self.size} came")

    def close(self) -> None:
        """Everything is written."""
        self._put()
        if self._file is not None:
            self._file.close()

    def discard(self) -> None:
        """Nothing is left of it."""
        if self._file is not None:
            self._file.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _put(self) -> None:
        self.hash.update(self._waiting)
        if self.path is not None:
            if self._file is None:
                self._file = self.path.open("wb")
            self._file.write(self._waiting)
        self._waiting = bytearray()


async def _receive(request: Request, spool: _Spool) -> None:
    """Every byte of the file is in *spool*, whether it came raw or as a form's file."""
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        async for chunk in request.stream():
            await spool.write(chunk)
        return
    part = _FilePart(options.get(b"boundary", b""))
    async for chunk in request.stream():
        await spool.write(part.feed(chunk))


class _FilePart:
    """Finds the file in a multipart form; its other fields are passed over."""

    def __init__(self, boundary: bytes) -> None:
        if not boundary:
            raise _WrongBytesError("the form has no boundary")
        self._name = b""
        self._value = b""
        self._is_file = False
        self._found = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_part_data": self._data,
            },
        )

    def feed(self, chunk: bytes) -> bytes:
        """Return what *chunk* holds of the file."""
        self._parser.write(chunk)
        found = bytes(self._found)
        self._found.clear()
        return found

    def _begin(self) -> None:
        self._is_file = False

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._is_file = b"filename" in parse_options_header(self._value)[1]
        self._name = self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._found += data[start:end]
