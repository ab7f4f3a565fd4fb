"""Who asked the API for what, as whom, and what came of it.

The fields are those of an audit event:
https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tidegate_dev.kubernetes.requests import Attributes
from tidegate_dev.kubernetes.users import User

MAX_ENTRIES: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One request that was answered.

    Attributes:
        at: When it came, in seconds since the Unix epoch.
        user: Who sent it; None if nobody is known by the token.
        acting_as: Whom they acted as, where they did.
        dry_run: Whether nothing was to be kept of it.
    """

    at: float
    user: User | None
    acting_as: User | None
    wanted: Attributes
    code: int
    dry_run: bool = False
    user_agent: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        wanted = self.wanted
        return {
            "at": self.at,
            "user": None if self.user is None else self.user.to_dict(),
            "acting_as": None if self.acting_as is None else self.acting_as.to_dict(),
            "verb": wanted.verb,
            "group": wanted.group,
            "resource": wanted.resource,
            "subresource": wanted.subresource,
            "namespace": wanted.namespace,
            "name": wanted.name,
            "path": wanted.path,
            "code": self.code,
            "dry_run": self.dry_run,
            "user_agent": self.user_agent,
        }


class Audit:
    """The latest requests, oldest first."""

    def __init__(self, limit: int = MAX_ENTRIES) -> None:
        self._entries: deque[AuditEntry] = deque(maxlen=limit)
        self._callbacks: list[Callable[[AuditEntry], None]] = []

    def __iter__(self) -> Iterator[AuditEntry]:
        """Iterate over what there is now."""
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._entries)

    def add(self, entry: AuditEntry) -> None:
        """The request is remembered, and told."""
        self._entries.append(entry)
        for callback in tuple(self._callbacks):
            callback(entry)

    def subscribe(self, callback: Callable[[AuditEntry], None]) -> Callable[[], None]:
        """*callback* is called for every request from now on; return what ends that."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)
