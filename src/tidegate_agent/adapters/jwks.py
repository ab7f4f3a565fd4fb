"""The keys that statements may be signed with, from a file that may be written anew.

A ConfigMap or Secret that is mounted changes in place when somebody rotates the keys. The new
ones count within seconds, with no restart; a new file that cannot be used leaves the old ones.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from typing_extensions import override

from tidegate_agent.core.identity import Keys
from tidegate_agent.errors import ConfigError
from tidegate_agent.ports import Clock, Journal

LOOK_SECONDS: Final = 5.0
_MAX_BYTES: Final = 262_144


class JwksFile(Keys):
    """The keys that a file holds now.

    Raises:
        ConfigError: To begin with, it cannot be used.
    """

    def __init__(self, path: Path, *, clock: Clock, journal: Journal) -> None:
        self._path = path
        self._clock = clock
        self._journal = journal
        self._state = _state(path)
        self._now = read_keys(path)
        self._looked_at = clock.monotonic()

    @override
    def find(self, kid: object) -> Ed25519PublicKey:
        now = self._clock.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._look()
        return self._now.find(kid)

    def _look(self) -> None:
        state = _state(self._path)
        if state == self._state:
            return
        self._state = state
        try:
            self._now = read_keys(self._path)
        except ConfigError as error:
            self._journal.note("keys_not_read", level="error", problems=error.problems)
        else:
            self._journal.note("keys_read")


def read_keys(path: Path) -> Keys:
    """Return the keys in a file. Raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            content: Any = json.loads(file.read(_MAX_BYTES))
    except OSError as error:
        raise ConfigError([f"{path.name} cannot be read: {error.strerror}"]) from error
    except (ValueError, RecursionError):
        raise ConfigError([f"{path.name} is not JSON"]) from None
    if not isinstance(content, Mapping):
        raise ConfigError([f"{path.name} is not a key set"])
    return Keys(content)


def _state(path: Path) -> tuple[int, int, int]:
    """Return what is another when the file is another."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)
