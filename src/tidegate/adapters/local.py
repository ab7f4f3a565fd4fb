"""Files that whoever asks has at hand: at a path, in memory, or coming in.

They are read as objects of S3 are, so that they go the same way with the same checks. A file at a
path is read in pieces by a thread, never as a whole; what comes in is read once.
"""

import asyncio
import contextlib
import itertools
import os
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, Protocol, TypeVar

from tidegate.core.content import HEAD_BYTES
from tidegate.core.share import Object, file_name
from tidegate.errors import ObjectsError
from tidegate.ports import Link, Reading

T = TypeVar("T")

PIECE_BYTES: Final = 262_144
#: What all of them count as lying in; it is no bucket's name.
PLACE: Final = "(local)"


class Local:
    """Files of the caller's own, each under a key that ends in its name."""

    def __init__(self) -> None:
        self._files: dict[str, _Source] = {}
        self._numbers = itertools.count(1)

    def add_path(self, path: Path, name: str = "") -> str:
        """Return the key of the file at a path; it is looked for when it is read."""
        return self._add(_AtPath(path), name or path.name)

    def add_bytes(self, content: bytes | bytearray, name: str) -> str:
        """Return the key of a file that is in memory."""
        return self._add(_InMemory(content), name)

    def add_stream(self, pieces: AsyncIterator[bytes], size: int, name: str) -> str:
        """Return the key of a file of exactly *size* bytes that is still coming in."""
        return self._add(_ComingIn(pieces, size), name)

    def _add(self, source: "_Source", name: str) -> str:
        key = f"{next(self._numbers)}/{file_name(name)}"
        self._files[key] = source
        return key

    async def head(self, bucket: str, key: str, *, version_id: str | None = None) -> Object:
        """Return a file as it is now."""
        del version_id
        size, etag = await self._source(key).state()
        return Object(bucket=bucket, key=key, size=size, etag=etag)

    @contextlib.asynccontextmanager
    async def open(self, found: Object, *, current: bool = False) -> AsyncIterator[Reading]:
        """Read a file as it was found; another state of it is refused."""
        del current  # a file has one state only
        async with self._source(found.key).open(found) as chunks:
            yield _Chunks(chunks)

    async def first(self, found: Object, size: int) -> bytes:
        """Return a file's first bytes, at most *size*."""
        begun = bytearray()
        async with self._source(found.key).open(found) as chunks:
            async for chunk in chunks:
                begun += chunk
                if len(begun) >= size:
                    break
        return bytes(begun[:size])

    async def tags(self, found: Object) -> Mapping[str, str]:
        """Return no tags: a file has none."""
        del found
        return {}

    async def keys(self, bucket: str, prefix: str, *, most: int) -> Sequence[str]:
        """Return keys that begin so."""
        del bucket
        return [key for key in self._files if key.startswith(prefix)][: most + 1]

    async def link(self, found: Object, *, seconds: int, name: str) -> Link:
        """Raise `ObjectsError`: there is no link to a file."""
        del found, seconds, name
        raise ObjectsError("no_link")

    async def close(self) -> None:
        """Forget the files."""
        self._files.clear()

    def _source(self, key: str) -> "_Source":
        if key not in self._files:
            raise ObjectsError("no_file")
        return self._files[key]


class _Chunks:
    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the file's bytes."""
        return self._chunks


class _Source(Protocol):
    async def state(self) -> tuple[int, str]:
        """Return the size, and what changes when the content does."""

    def open(self, found: Object) -> contextlib.AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Read it, in the state in which it was found."""


class _AtPath:
    """A file at a path; written to meanwhile, it counts as changed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def state(self) -> tuple[int, str]:
        with _told():
            return _state(await asyncio.to_thread(os.stat, self._path))

    @contextlib.asynccontextmanager
    async def open(self, found: Object) -> AsyncIterator[AsyncIterator[bytes]]:
        await self.state()  # before it is opened: to open a pipe waits for who writes into it
        with _told():
            stream = await asyncio.to_thread(self._path.open, "rb")
        with stream:
            _expect(stream, found)
            yield _whole(stream, found)


def _expect(stream: BinaryIO, found: Object) -> None:
    if _state(os.fstat(stream.fileno())) != (found.size, found.etag):
        raise ObjectsError("changed")


async def _whole(stream: BinaryIO, found: Object) -> AsyncIterator[bytes]:
    left = found.size
    while left:
        with _told():
            piece = await asyncio.to_thread(stream.read, min(left, PIECE_BYTES))
        if not piece:
            raise ObjectsError("changed")
        left -= len(piece)
        if not left:  # written to while it was read, it is neither what it was nor what it is
            with _told():
                _expect(stream, found)
        yield piece


def _state(found: os.stat_result) -> tuple[int, str]:
    if not stat.S_ISREG(found.st_mode):
        raise ObjectsError("not_a_file")
    return found.st_size, f'"{found.st_dev}-{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"'


class _InMemory:
    """A file that is in memory."""

    def __init__(self, content: bytes | bytearray) -> None:
        self._content = content

    async def state(self) -> tuple[int, str]:
        return len(self._content), '"memory"'

    @contextlib.asynccontextmanager
    async def open(self, found: Object) -> AsyncIterator[AsyncIterator[bytes]]:
        del found
        yield self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._content), PIECE_BYTES):
            yield bytes(self._content[start : start + PIECE_BYTES])


class _ComingIn:
    """A file that comes in piece by piece, and can be begun anew until its head has gone out."""

    def __init__(self, pieces: AsyncIterator[bytes], size: int) -> None:
        self._pieces = pieces
        self._size = size
        self._begun: list[bytes] = []
        self._ended = False
        self._spent = False

    async def state(self) -> tuple[int, str]:
        return self._size, '"coming in"'

    @contextlib.asynccontextmanager
    async def open(self, found: Object) -> AsyncIterator[AsyncIterator[bytes]]:
        del found
        if self._spent:
            raise ObjectsError("spent")
        # A piece more than the head: `_exact` holds one back.
        while not self._ended and sum(map(len, self._begun[:-1])) < HEAD_BYTES:
            piece = await anext(self._pieces, None)
            if piece is None:
                self._ended = True
            else:
                self._begun.append(piece)
        yield self._exact()

    async def _exact(self) -> AsyncIterator[bytes]:
        """Yield the pieces, the last one only when it is certain that it is the last."""
        seen, held = 0, b""
        async for piece in self._all():
            seen += len(piece)
            if seen > self._size:
                raise ObjectsError("wrong_length")
            if held:
                yield held
            held = piece
        if seen != self._size:
            raise ObjectsError("wrong_length")
        if held:
            yield held

    async def _all(self) -> AsyncIterator[bytes]:
        for piece in self._begun:
            yield piece
        if self._ended:
            return
        self._spent = True
        self._begun.clear()
        async for piece in self._pieces:
            yield piece


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn what the system says of a file into an `ObjectsError`."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise ObjectsError("no_file") from None
    except IsADirectoryError:
        raise ObjectsError("not_a_file") from None
    except PermissionError:
        raise ObjectsError("not_readable") from None
    except (OSError, ValueError):  # of a name that no file can have, too
        raise ObjectsError("broken_off") from None


# --- what comes in -------------------------------------------------------------------------


async def incoming(descriptor: int) -> AsyncIterator[bytes]:
    """Yield what comes in at a file descriptor, to its end. Raises `ObjectsError`."""
    while True:
        with _told():
            piece = await beside(lambda: os.read(descriptor, PIECE_BYTES))
        if not piece:
            return
        yield piece


def known_length(descriptor: int) -> int | None:
    """Return how many bytes a file descriptor has left to give; None if only its end tells.

    Raises:
        ObjectsError: It is not open.
    """
    with _told():
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return None
        return max(0, found.st_size - os.lseek(descriptor, 0, os.SEEK_CUR))


async def gathered(pieces: AsyncIterator[bytes], most: int) -> bytearray | None:
    """Return all that comes in; None if it is more than *most* bytes."""
    content = bytearray()
    async for piece in pieces:
        content += piece
        if len(content) > most:
            return None
    return content


async def beside(work: Callable[[], T]) -> T:
    """Return what *work* returns, without keeping the process from its end while it waits."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def settle(settling: Callable[[], None]) -> None:
        if not ended.done():
            settling()

    def run() -> None:
        try:
            result = work()
        except (OSError, ValueError) as error:
            settling = partial(ended.set_exception, error)
        else:
            settling = partial(ended.set_result, result)
        with contextlib.suppress(RuntimeError):  # nobody waits any more: the loop has ended
            loop.call_soon_threadsafe(settle, settling)

    threading.Thread(target=run, daemon=True).start()
    return await ended
