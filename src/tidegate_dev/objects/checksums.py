"""The checksums that S3 knows, as running sums over what passes.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable
from typing import Final, Protocol

HEADER_PREFIX: Final = "x-amz-checksum-"


class RunningSum(Protocol):
    """A checksum of what it was given so far."""

    def update(self, data: bytes, /) -> None:
        """Take *data* in."""

    def digest(self) -> bytes:
        """Return the sum as bytes, the most significant first."""


class _Crc32:
    def __init__(self) -> None:
        self._sum = 0

    def update(self, data: bytes, /) -> None:
        self._sum = zlib.crc32(data, self._sum)

    def digest(self) -> bytes:
        return self._sum.to_bytes(4, "big")


class _TableCrc:
    """A reflected CRC, byte by byte: a few MB a second, enough to verify what is declared."""

    def __init__(self, polynomial: int, bits: int) -> None:
        self._bytes = bits // 8
        self._ones = (1 << bits) - 1
        self._sum = self._ones
        self._table = [_table_entry(octet, polynomial) for octet in range(256)]

    def update(self, data: bytes, /) -> None:
        table, running = self._table, self._sum
        for octet in data:
            running = table[(running ^ octet) & 0xFF] ^ (running >> 8)
        self._sum = running

    def digest(self) -> bytes:
        return (self._sum ^ self._ones).to_bytes(self._bytes, "big")


def _table_entry(octet: int, polynomial: int) -> int:
    for _ in range(8):
        octet = (octet >> 1) ^ polynomial if octet & 1 else octet >> 1
    return octet


ALGORITHMS: Final[dict[str, Callable[[], RunningSum]]] = {
    "crc32": _Crc32,
    "crc32c": lambda: _TableCrc(0x82F63B78, 32),
    "crc64nvme": lambda: _TableCrc(0x9A6C9329AC4BC9B5, 64),
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
    "sha512": hashlib.sha512,
}
# S3 knows these as well; whoever sends one is told that they are missing here.
UNKNOWN_HERE: Final = frozenset({"xxhash64", "xxhash3", "xxhash128"})


def decoded(text: str, algorithm: str) -> bytes | None:
    """Return the sum that *text* declares in base64, or None if it cannot be one."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return value if len(value) == len(ALGORITHMS[algorithm]().digest()) else None


def encoded(value: bytes) -> str:
    """Return a sum as headers have it."""
    return base64.b64encode(value).decode()
