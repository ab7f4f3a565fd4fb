r"""The `aws-chunked` encoding: an upload whose checksum comes after it.

    1f4\r\n…500 bytes…\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

import re
from typing import Final

_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,12}")
_MAX_LINE: Final = 1024
_MAX_TRAILERS: Final = 16


class NotChunkedError(Exception):
    """The body is not `aws-chunked`."""


class ChunkedBody:
    """Takes the body apart as it comes.

    Attributes:
        trailers: What came after the last chunk; names in lower case.
        complete: Whether the end was seen.
    """

    def __init__(self) -> None:
        self.trailers: dict[str, str] = {}
        self.complete = False
        self._waiting = bytearray()
        self._left = 0  # of the chunk that is being read
        self._in_chunk = False
        self._in_trailers = False

    def decode(self, data: bytes) -> list[bytes]:
        """Return the pieces of content that *data* brought.

        Raises:
            NotChunkedError: It cannot be read so.
        """
        self._waiting += data
        pieces: list[bytes] = []
        while self._step(pieces):
            pass
        return pieces

    def _step(self, pieces: list[bytes]) -> bool:
        if self.complete:
            if self._waiting:
                raise NotChunkedError("something comes after the end")
            return False
        if self._left:
            return self._content(pieces)
        line = self._line()
        if line is None:
            return False
        if self._in_trailers:
            self._trailer(line)
        elif self._in_chunk:
            if line:
                raise NotChunkedError("a chunk is longer than it said")
            self._in_chunk = False
        else:
            self._size(line)
        return True

    def _content(self, pieces: list[bytes]) -> bool:
        piece = bytes(self._waiting[: self._left])
        if not piece:
            return False
        del self._waiting[: len(piece)]
        self._left -= len(piece)
        pieces.append(piece)
        return True

    def _line(self) -> bytes | None:
        end = self._waiting.find(b"\r\n", 0, _MAX_LINE)
        if end < 0:
            if len(self._waiting) >= _MAX_LINE:
                raise NotChunkedError("a line is too long")
            return None
        line = bytes(self._waiting[:end])
        del self._waiting[: end + 2]
        return line

    def _size(self, line: bytes) -> None:
        size = line.partition(b";")[0]
        if not _SIZE.fullmatch(size):
            raise NotChunkedError("a chunk does not say its size")
        self._left = int(size, 16)
        self._in_chunk = self._left > 0
        self._in_trailers = self._left == 0

    def _trailer(self, line: bytes) -> None:
        if not line:
            self.complete = True
            return
        name, colon, value = line.partition(b":")
        if not colon or len(self.trailers) >= _MAX_TRAILERS:
            raise NotChunkedError("a trailer is not well formed")
        self.trailers[name.strip().lower().decode("latin-1")] = value.strip().decode("latin-1")
