"""What every journey needs, and how operations are noted in the log."""

import asyncio
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from tidegate_agent.app.cluster import Cluster
from tidegate_agent.app.records import Records
from tidegate_agent.core import request, roles
from tidegate_agent.core.access import Impersonation
from tidegate_agent.core.identity import Keys, Statement
from tidegate_agent.core.operation import Operation
from tidegate_agent.core.request import Order, Target
from tidegate_agent.core.rules import Rules
from tidegate_agent.ports import Clock, Journal, Kubernetes


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What every journey needs.

    Attributes:
        keys: Whose statements are believed; where there are none, no kept one is.
        holder: What this agent goes by in leases; another for each start.
        busy: The keys that this agent is at right now.
        turns: Whose turn it is with a workload: one after the other, rather than in each other's
            way. Kept for as long as somebody waits.
    """

    kubernetes: Kubernetes
    records: Records
    clock: Clock
    journal: Journal
    rules: Rules
    keys: Keys | None
    holder: str
    busy: set[str] = field(default_factory=set)
    turns: WeakValueDictionary[Target, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def cluster(self, who: Statement, namespace: str) -> Cluster:
        """Return the cluster as somebody may see it there. Raises `NotAllowedError`."""
        acting = self.acting(who, namespace)
        return Cluster(self.kubernetes, acting, impersonate=self.rules.impersonate)

    def acting(self, who: Statement, namespace: str) -> Impersonation:
        """Return as whom somebody acts there. Raises `NotAllowedError`."""
        return roles.acting_as(self.rules.roles, who, namespace)

    def order(self, verb: str, body: bytes, who: Statement) -> Order:
        """Return what a body asks for. Raises `InputError`."""
        served = roles.namespaces(self.rules.roles, who)
        only = served[0] if len(served) == 1 else None
        given = request.params(body, key=who.run)
        return request.order(verb, given, namespace=self.rules.default_namespace or only)

    def turn(self, target: Target) -> asyncio.Lock:
        """Return what to hold while a workload is being changed."""
        return self.turns.setdefault(target, asyncio.Lock())

    def lease_end(self) -> float:
        """Return until when a lease lasts that is taken now."""
        return self.clock.now() + self.rules.lease_seconds

    def takeable(self, left: Operation) -> bool:
        """Return whether this agent may go on with what another, or itself, has left."""
        if left.key in self.busy:
            return False
        return left.holder == self.holder or left.lease_until <= self.clock.now()

    def note(self, event: str, current: Operation, *, level: str = "info", **more: object) -> None:
        """Note what happened to an operation."""
        self.journal.note(
            event,
            level=level,
            run=current.key,
            verb=request.verb_of(current.asked),
            namespace=current.asked.target.namespace,
            # Before it was found in the cluster, a name is no more than what somebody typed.
            workload=current.asked.target.name if current.noted else None,
            by=current.who.subject,
            **more,
        )
