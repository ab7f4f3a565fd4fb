"""Which configured action an interaction means."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from tidegate.core.keys import OWN_PREFIX
from tidegate.core.model import Interaction, Kind
from tidegate.core.params import Param


class Surface(StrEnum):
    """The kinds of thing an action may be matched on."""

    ACTION_ID = "action_id"
    COMMAND = "command"
    SHORTCUT = "shortcut"
    VIEW = "view"


#: Stands for a pathway in runs that share from S3. No pathway of a configuration is named so.
SHARES: Final = "s3 share"

SURFACES: Final[Mapping[Kind, Surface]] = {
    Kind.BLOCK_ACTIONS: Surface.ACTION_ID,
    Kind.COMMAND: Surface.COMMAND,
    Kind.SHORTCUT: Surface.SHORTCUT,
    Kind.MESSAGE_ACTION: Surface.SHORTCUT,
    Kind.VIEW_SUBMISSION: Surface.VIEW,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One way to be admitted: all that it names has to hold.

    `users` and `groups` say who; either admits. `channels` and `params` narrow.
    """

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    params: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    guests: bool = False
    external: bool = False

    @property
    def anyone(self) -> bool:
        """Whether everybody in the workspace is meant."""
        return "any" in self.users


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A configured action: what it matches, who may use it, which pathway and request."""

    name: str
    surface: Surface
    patterns: tuple[str, ...]
    pathway: str
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    params: Mapping[str, Param] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    rate: tuple[int, float] | None = None  # count, seconds
    repeat: bool = False
    max_age_seconds: float = 30 * 86400.0
    idempotent: bool = False
    start_within_seconds: float = 600.0
    deadline_seconds: float = 3600.0
    confirm: str | None = None  # what the person is asked before it goes on
    share: str = ""  # how an object of S3 is shared, instead of a request to a service
    connected: bool = True  # else it leads nowhere yet, and nothing else takes what it matches


class Router:
    """Finds the route of an interaction: exact beats the longest prefix."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes: dict[str, Route] = {}
        self._exact: dict[tuple[Surface, str], Route] = {}
        prefixes: list[tuple[Surface, str, Route]] = []
        for route in routes:
            self.routes[route.name] = route
            for pattern in route.patterns:
                if pattern.endswith("*"):
                    prefixes.append((route.surface, pattern[:-1], route))
                else:
                    self._exact[route.surface, pattern] = route
        self._prefixes = sorted(prefixes, key=lambda entry: -len(entry[1]))

    def find(self, found: Interaction) -> Route | None:
        """Return the route that matches, or None: what no route names is refused."""
        surface = SURFACES.get(found.kind)
        if surface is None or found.trigger.startswith(OWN_PREFIX):
            return None
        exact = self._exact.get((surface, found.trigger))
        if exact is not None:
            return exact
        for kind, prefix, route in self._prefixes:
            if kind is surface and found.trigger.startswith(prefix):
                return route
        return None
