"""What the agent holds to: settings, checked when they are made."""

import re
from dataclasses import dataclass, field
from typing import Final

from tidegate_agent.core import roles
from tidegate_agent.core.image import ANY
from tidegate_agent.core.roles import Roles
from tidegate_agent.errors import ConfigError

_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_REGISTRY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9._/-]*[a-z0-9])?")
#: No record is removed sooner: with it would go the memory that a key has been used.
MIN_KEPT_SECONDS: Final = 86_400
_BOUNDS: Final = (
    ("max_replicas", 0, 10_000),
    ("max_log_lines", 1, 5_000),
    ("max_log_bytes", 1024, 1024 * 1024),
    ("rollout_seconds", 1, 86_400),
    ("lease_seconds", 5, 600),
    ("retention_seconds", MIN_KEPT_SECONDS, 365 * 86_400),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the agent holds to.

    Raises:
        ConfigError: Something in it cannot be; every problem is listed.
    """

    audience: str = "cluster"
    """The name that statements must be addressed to: the pathway's `audience`, or its name."""

    issuer: str = "tidegate"
    """Who makes the statements: `identity.issuer` of the gateway."""

    home: str = "tidegate"
    """The agent's own namespace, where the records of operations are."""

    default_namespace: str | None = None
    """Where a request acts that does not say so; None is where the person has their one role."""

    roles: Roles = field(default_factory=Roles)
    """Who may act where. Nobody, to begin with."""

    impersonate: bool = True
    """Whether the agent acts as the person's role; else as itself, once an access review allows."""

    registries: tuple[str, ...] = ()
    """Where images may come from; none is: only the repository a container's image is from."""

    digest_required: bool = False
    """Whether an image needs a digest."""

    max_replicas: int = 50
    """The most replicas that anybody can scale to."""

    max_log_lines: int = 500
    """The most lines that one request shows; one that asks for more gets so many."""

    max_log_bytes: int = 65_536
    """The most bytes of a log that one request reads."""

    rollout_seconds: int = 900
    """After so long a change that is not finished has failed, where Kubernetes does not say so.

    A Deployment has a deadline of its own (`progressDeadlineSeconds`, 600), which comes first.
    """

    lease_seconds: int = 30
    """How long an agent may be silent before another takes over what it had begun."""

    retention_seconds: int = 7 * 86_400
    """How long the record of an ended operation is kept. Longer than Tidegate may resend."""

    max_records: int = 2_000
    """How many records of ended operations are kept, the newest; none goes within a day."""

    @property
    def send_seconds(self) -> float:
        """Return how long a change may be on its way: it ends before the lease that covers it."""
        return self.lease_seconds / 2

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        found = [*roles.problems(self.roles), *self._problems()]
        if found:
            raise ConfigError(found)

    def _problems(self) -> list[str]:
        found = [
            f"{name}: not from {least} to {most}"
            for name, least, most in _BOUNDS
            if not least <= getattr(self, name) <= most
        ]
        if not self.audience or not self.issuer:
            found.append("audience and issuer: neither can be empty")
        if not _LABEL.fullmatch(self.home):
            found.append("home: not the name of a namespace")
        for each in self.registries:
            if each != ANY and not _REGISTRY.fullmatch(each):
                found.append(f"registries: {each!r} is not a registry or a part of one")
        if not 10 <= self.max_records <= 100_000:
            found.append("max_records: not from 10 to 100000")
        served = {each for role in self.roles.roles for each in role.namespaces}
        if self.default_namespace is not None and self.default_namespace not in served:
            found.append("default_namespace: no role counts there")
        if self.home in served:
            found.append(f"roles: nobody may have one in the agent's own namespace, {self.home}")
        return found
