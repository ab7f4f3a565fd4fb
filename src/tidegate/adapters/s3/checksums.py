"""The checksums that S3 keeps over all bytes of an object.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

import base64
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Check(Protocol):
    """A checksum that is computed while bytes come."""

    def update(self, chunk: bytes) -> None:
        """Take more bytes."""

    def digest(self) -> str:
        """Return it as S3 writes it: in base64."""


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


def check_of(algorithm: str) -> Check:
    """Return what computes a checksum, by S3's name for it."""
    if algorithm.startswith("sha"):
        return _Hash(algorithm)
    if algorithm == "crc32":
        return _Cyclic(zlib.crc32, 4)
    # Only those pay for the import whose objects carry such a checksum: it takes 60 ms.
    from awscrt import checksums

    if algorithm == "crc32c":
        return _Cyclic(checksums.crc32c, 4)
    return _Cyclic(checksums.crc64nvme, 8)
