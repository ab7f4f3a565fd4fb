"""Bytes that come piece by piece, for readers that wait for as many as they need.

A reader is a generator: it yields wherever more has to come first, and goes on when it has.
"""

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")
Waiting = Generator[None, None, T]


class Inflow:
    """What has come and was not taken yet."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._ended = False

    def add(self, piece: bytes) -> None:
        """*piece* has come."""
        self._kept += piece

    def end(self) -> None:
        """Nothing comes any more: readers get what is left, and then nothing."""
        self._ended = True

    def peek(self, size: int) -> Waiting[bytes]:
        """Return the next *size* bytes, which stay; fewer only at the end."""
        while len(self._kept) < size and not self._ended:
            yield
        return bytes(self._kept[:size])

    def take(self, size: int) -> Waiting[bytes]:
        """Return the next *size* bytes; fewer only at the end."""
        found = yield from self.peek(size)
        del self._kept[:size]
        return found

    def some(self, most: int) -> Waiting[bytes]:
        """Return what there is, at most *most* bytes; none only at the end."""
        while not self._kept and not self._ended:
            yield
        found = bytes(self._kept[:most])
        del self._kept[:most]
        return found

    def give_back(self, piece: bytes) -> None:
        """*piece* was taken, and comes once more."""
        self._kept[:0] = piece
