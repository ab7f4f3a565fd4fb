"""The keys that statements may be signed with, from a file that may be written anew.

A ConfigMap or Secret that is mounted changes in place when somebody rotates or revokes keys. What
the file says counts within seconds, with no restart, and if it is that there are no keys. A file
that says nothing, being gone or no key set, leaves the old keys for a few minutes and no longer:
whoever took them out may have meant it.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from typing_extensions import override

from tidegate_agent.core.identity import Keys
from tidegate_agent.errors import ConfigError, IdentityError, UnavailableError
from tidegate_agent.ports import Clock, Journal

LOOK_SECONDS: Final = 5.0
KEEP_SECONDS: Final = 300.0  # how long the old keys count when the file cannot be used
_MAX_BYTES: Final = 262_144


class JwksFile(Keys):
    """The keys that a file holds now.

    Args:
        path: The file.
        usable: Told after each look whether the file can be used.

    Raises:
        ConfigError: To begin with, it cannot be used, or holds no keys.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        journal: Journal,
        usable: Callable[[bool], None] | None = None,
    ) -> None:
        self._path = path
        self._clock = clock
        self._journal = journal
        self._usable = usable
        self._state = _state(path)
        self._now = read_keys(path)
        self._looked_at = clock.monotonic()
        self._good_at = self._looked_at  # when the file could last be used
        self._lost = self._given_up = False

    @override
    def find(self, kid: object) -> Ed25519PublicKey:
        """Return the key of that id.

        Raises:
            IdentityError: There is none.
            UnavailableError: Nobody can tell: the file could not be used for too long.
        """
        now = self._clock.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._look(now)
        if self._lost and now - self._good_at >= KEEP_SECONDS:
            self._give_up()
            raise UnavailableError("Nobody can tell who asks, for now.", retry_after=5.0)
        return self._now.find(kid)

    def _look(self, now: float) -> None:
        state = _state(self._path)
        changed, self._state = state != self._state, state
        if changed or self._lost:
            self._lost = not self._read(told=changed)
            if self._usable is not None:
                self._usable(not self._lost)
        if not self._lost:
            self._good_at, self._given_up = now, False

    def _read(self, *, told: bool) -> bool:
        """Return whether the file could be used; what it says counts then."""
        try:
            self._now = _keys(_listed(self._path))
        except ConfigError as error:
            if told:
                self._journal.note("keys_not_read", level="error", problems=error.problems)
            return False
        self._journal.note("keys_read")
        return True

    def _give_up(self) -> None:
        if not self._given_up:
            self._given_up = True
            self._journal.note("keys_given_up", level="error", seconds=KEEP_SECONDS)


class _NoKeys(Keys):
    """A key set without keys: nobody is believed."""

    def __init__(self) -> None:
        """Hold none, where a set to begin with has to hold some."""

    @override
    def find(self, kid: object) -> Ed25519PublicKey:
        raise IdentityError("unknown_key")


def read_keys(path: Path) -> Keys:
    """Return the keys in a file. Raises `ConfigError`, also where there are none."""
    return Keys({"keys": _listed(path)})


def _keys(listed: list[Any]) -> Keys:
    return Keys({"keys": listed}) if listed else _NoKeys()


def _listed(path: Path) -> list[Any]:
    """Return the Ed25519 keys of a file, as it lists them.

    A set may hold keys for others to use: those of another type are passed over.
    https://www.rfc-editor.org/rfc/rfc7517#section-5

    Raises:
        ConfigError: The file cannot be read, or is no key set.
    """
    try:
        with path.open("rb") as file:
            content: Any = json.loads(file.read(_MAX_BYTES))
    except OSError as error:
        raise ConfigError([f"{path.name} cannot be read: {error.strerror}"]) from error
    except (ValueError, RecursionError):
        raise ConfigError([f"{path.name} is not JSON"]) from None
    listed = content.get("keys") if isinstance(content, Mapping) else None
    if not isinstance(listed, list):
        raise ConfigError([f"{path.name} is not a key set"])
    return [each for each in listed if not _is_other(each)]


def _is_other(entry: object) -> bool:
    """Return whether an entry is a key, and none of ours."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("kty"), str):
        return False
    return bool(entry["kty"] != "OKP" or entry.get("crv") != "Ed25519")


def _state(path: Path) -> tuple[int, int, int]:
    """Return what is another when the file is another."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)
