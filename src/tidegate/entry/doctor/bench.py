"""What the looks at a live set-up share, and what must not be shown of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from tidegate.adapters.caller_identity import CallerIdentity
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.line_probe import LineProbe
from tidegate.app.doctor.line import LineVisit
from tidegate.core.diagnosis.finding import Path
from tidegate.core.diagnosis.line import Line
from tidegate.core.settings import Settings
from tidegate.core.sigv4 import Credentials
from tidegate.core.web_address import is_loopback
from tidegate.entry.wiring import Configuration
from tidegate.ports import Clock

_PORTS: Final = {"http": 80, "https": 443}
MASK: Final = "(hidden)"
SHORTEST_MASKED: Final = 6  # characters: shorter ones would hide words


@dataclass(slots=True)
class Hidden:
    """What must not be shown, whatever words it got into."""

    texts: set[str] = field(default_factory=set)

    def add(self, *texts: str | None) -> None:
        """Hide these from now on."""
        self.texts |= {text for text in texts if text and len(text) >= SHORTEST_MASKED}

    def masked(self, text: str) -> str:
        """Return a text without them."""
        for each in sorted(self.texts, key=len, reverse=True):
            text = text.replace(each, MASK)
        return text


class Quiet:
    """Notes nothing: what is wrong stands in the diagnosis."""

    def note(self, event: str, /, *, level: str = "info", **fields: object) -> None:
        """Pass over it."""


@dataclass(slots=True, kw_only=True)
class Bench:
    """What the looks share.

    Attributes:
        secrets: Those that could be read, by their keys in the configuration.
        closing: What to close at the end.
    """

    configuration: Configuration
    environ: Mapping[str, str]
    hidden: Hidden = field(default_factory=Hidden)
    clock: Clock = field(default_factory=SystemClock)
    lines: LineProbe = field(default_factory=LineProbe)
    journal: Quiet = field(default_factory=Quiet)
    secrets: dict[str, str] = field(default_factory=dict)
    closing: list[Callable[[], Any]] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """The configuration's."""
        return self.configuration.settings

    def line(self, path: Path, url: str, *, inside: bool = False) -> LineVisit:
        """Return a look at the line to a URL."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        line = Line(
            host=host,
            port=parts.port or _PORTS.get(parts.scheme, 443),
            tls=parts.scheme == "https",
            name=host,
        )
        return LineVisit(path=path, line=line, lines=self.lines, clock=self.clock, inside=inside)

    def callers(self, region: str, url: str) -> CallerIdentity | None:
        """Return who tells whose keys they are; nobody, where all of AWS is a stand-in.

        Args:
            region: Whose STS is asked.
            url: Where the keys are used.
        """
        endpoint = self.environ.get("AWS_ENDPOINT_URL_STS") or None
        if endpoint is None and is_loopback(urlsplit(url).hostname or ""):
            return None
        return CallerIdentity(
            region=region, endpoint=endpoint.rstrip("/") if endpoint else None, clock=self.clock
        )

    def renews(self, role: str | None) -> bool:
        """Tell whether credentials renew themselves: not those that stand in the environment."""
        return role is not None or not self.environ.get("AWS_ACCESS_KEY_ID")


class _Source(Protocol):
    """Where credentials come from."""

    async def current(self) -> Credentials:
        """Return credentials that are valid now."""


class WatchedKeys:
    """Credentials, of which nothing is shown."""

    def __init__(self, keys: _Source, hidden: Hidden) -> None:
        self._keys = keys
        self._hidden = hidden

    @property
    def expires_in_seconds(self) -> float | None:
        """See `doctor_keys.Keys`; None as well where the source cannot tell."""
        left: float | None = getattr(self._keys, "expires_in_seconds", None)
        return left

    async def current(self) -> Credentials:
        """See `doctor_keys.Keys`."""
        found = await self._keys.current()
        self._hidden.add(found.secret_key, found.token)
        return found
