"""An object's bytes as they come: all of them, in order, and those that were declared."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

import aiohttp

from tidegate.adapters.s3.checksums import check_of
from tidegate.core.share import Object
from tidegate.errors import ObjectsError

CHUNK_BYTES: Final = 262_144
STALL_SECONDS: Final = 30.0  # for an answer to begin, and without a byte of it
SLOWEST: Final = 16_384  # bytes for each second of waiting, once the stall is used up
RESUMES: Final = 3  # of one reading that broke off


class Reading:
    """An object that is being read, once.

    Args:
        found: What is read.
        response: Its bytes from the first one on.
        stack: Holds the connections until the reading has ended.
        resume: Asks for the bytes from that one on, where a connection broke off.
    """

    def __init__(
        self,
        found: Object,
        response: aiohttp.ClientResponse,
        stack: contextlib.AsyncExitStack,
        *,
        resume: Callable[[int], contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]],
    ) -> None:
        self._resume = resume
        self._found = found
        self._response = response
        self._stack = stack

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield its bytes, to the last one or an `ObjectsError`; they are those S3 declared."""
        declared = self._found.checksum
        check = check_of(declared.algorithm) if declared is not None else None
        size, resumes = 0, RESUMES
        while True:
            try:
                async for chunk in chunks(self._response, CHUNK_BYTES):
                    size += len(chunk)
                    if size > self._found.size:
                        raise ObjectsError("changed", again=True)
                    if check is not None:
                        check.update(chunk)
                    yield chunk
            except BrokenOffError:
                if resumes == 0:
                    raise ObjectsError("broken_off", again=True) from None
                resumes -= 1
                self._response = await self._stack.enter_async_context(self._resume(size))
                continue
            break
        if size != self._found.size:
            raise ObjectsError("broken_off", again=True)
        if check is not None and declared is not None and check.digest() != declared.digest:
            raise ObjectsError("damaged", again=True)


class BrokenOffError(Exception):
    """The connection ended before the answer."""


async def chunks(response: aiohttp.ClientResponse, size: int) -> AsyncIterator[bytes]:
    """Yield a body as it comes. Who takes it may be slow; who sends it may not, for long."""
    clock = asyncio.get_running_loop().time
    patience = STALL_SECONDS
    while True:
        began = clock()
        try:
            async with asyncio.timeout(patience):
                chunk = await response.content.read(size)
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise BrokenOffError from None
        if not chunk:
            return
        patience = min(STALL_SECONDS, patience - (clock() - began) + len(chunk) / SLOWEST)
        yield chunk
