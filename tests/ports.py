"""Ports of loopback that nobody else is given while the tests run.

A port that was free a moment ago may be somebody else's when a gateway that died comes back to
it. So each process of tests takes a block of ports for itself, below those that the system
gives to outgoing connections, and goes through it in order.
"""

import fcntl
import itertools
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO, Final

from tidegate_dev.listener import PortInUseError, bind

_BLOCK: Final = 500
_BLOCKS: Final = range(12_000, 32_000, _BLOCK)

#: The locks of this process: its blocks are its own until it ends.
_locks: Final[list[IO[str]]] = []


def free_port() -> int:
    """Return a port on which nothing listens, and that is not handed out again soon."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """Return the first of *count* such ports in a row."""
    ports = _ports()
    for _ in range(_BLOCK):
        first = next(ports)
        if first % _BLOCK + count > _BLOCK:
            continue
        if all(_free(first + offset) for offset in range(count)):
            for _ in range(count - 1):
                next(ports)
            return first
    raise AssertionError(f"none of this process's {_BLOCK} ports is free")


def _free(port: int) -> bool:
    try:
        bind(port).close()
    except PortInUseError:
        return False
    return True


@cache
def _ports() -> Iterator[int]:
    folder = Path(tempfile.gettempdir()) / "tidegate-test-ports"
    folder.mkdir(exist_ok=True)
    for first in _BLOCKS:
        lock = (folder / str(first)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        _locks.append(lock)
        return itertools.cycle(range(first, first + _BLOCK))
    raise AssertionError("every block of ports is taken: end other runs of the tests")
