"""The machine's clock and chance."""

import random
import secrets
import threading
import time
from typing import Final

_POOL_BYTES: Final = 4096


class SystemClock:
    """Reads the system's clocks, and keeps some of its randomness at hand."""

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0
        self._lock = threading.Lock()

    def now(self) -> float:
        """Return seconds since the Unix epoch, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""
        return time.monotonic()

    def entropy(self, size: int) -> bytes:
        """Return *size* random bytes fit for secrets."""
        if size > _POOL_BYTES:
            return secrets.token_bytes(size)
        # Each byte is given out once; a system call for every id would cost more than the id.
        with self._lock:
            if self._used + size > len(self._pool):
                self._pool, self._used = secrets.token_bytes(_POOL_BYTES), 0
            self._used += size
            return self._pool[self._used - size : self._used]

    def jitter(self) -> float:
        """Return a number in [0, 1), fit for spreading waits only."""
        return random.random()  # noqa: S311 - spreads retries, guards nothing
