"""Who may act where, and as whom the cluster sees them.

A role of the agent's table gives people, by the groups in their statement or by name, a group of
the cluster (`tidegate:<role>`) in some namespaces. What that group may do there is RBAC's to say.

The agent impersonates one user for everybody, or a person's own where the table lists them. It
never takes a `system:` name: those are the cluster's own, and some of them may do everything.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#user-facing-roles
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from tidegate_agent.core.access import Impersonation
from tidegate_agent.core.identity import Statement
from tidegate_agent.errors import NotAllowedError

USER: Final = "tidegate"
GROUP_PREFIX: Final = "tidegate:"
PERSON_KEY: Final = "tidegate.dev/person"
RUN_KEY: Final = "tidegate.dev/run"
_RESERVED: Final = "system:"
_ROLE: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@/+-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One row of the table.

    Attributes:
        name: The cluster's group is `tidegate:<name>`.
        namespaces: Where it counts.
        groups: Groups of statements (Slack user group ids) that have it.
        people: Subjects of statements (`slack:T123:U456`) that have it.
    """

    name: str
    namespaces: tuple[str, ...]
    groups: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()

    def admits(self, who: Statement) -> bool:
        """Return whether somebody has the role."""
        return who.subject in self.people or not self.groups.isdisjoint(who.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The table.

    Attributes:
        roles: In the order in which their groups are sent.
        individuals: The cluster's user names of those who act as themselves, by subject.
    """

    roles: tuple[Role, ...] = ()
    individuals: Mapping[str, str] = field(default_factory=dict)


def problems(table: Roles) -> Iterator[str]:
    """Yield what is wrong with a table, so that it is refused at start."""
    names = [role.name for role in table.roles]
    for role in table.roles:
        if not _ROLE.fullmatch(role.name):
            yield f"role {role.name!r}: not a name of lower-case letters, digits and hyphens"
        if names.count(role.name) > 1:
            yield f"role {role.name!r}: there are two of that name"
        if not role.namespaces:
            yield f"role {role.name!r}: counts in no namespace"
        if not role.groups and not role.people:
            yield f"role {role.name!r}: nobody has it"
    for subject, user in table.individuals.items():
        if not _USER.fullmatch(user):
            yield f"individual {subject!r}: {user!r} is not a user name"
        if user.startswith(_RESERVED):
            yield f"individual {subject!r}: the agent never acts as a `system:` user"


def namespaces(table: Roles, who: Statement) -> tuple[str, ...]:
    """Return where somebody has any role at all, in the table's order."""
    held = [each for role in table.roles if role.admits(who) for each in role.namespaces]
    return tuple(dict.fromkeys(held))


def acting_as(table: Roles, who: Statement, namespace: str) -> Impersonation:
    """Return as whom somebody acts in a namespace.

    The person and the run go along as extras, so that the cluster's audit log names the human.

    Raises:
        NotAllowedError: They have no role there.
    """
    held = [r.name for r in table.roles if namespace in r.namespaces and r.admits(who)]
    if not held:
        raise NotAllowedError(_no_role(namespaces(table, who), namespace), field="namespace")
    acting = Impersonation(
        user=table.individuals.get(who.subject, USER),
        groups=tuple(f"{GROUP_PREFIX}{name}" for name in held),
        extra={PERSON_KEY: (who.subject,), RUN_KEY: (who.run,)},
    )
    if any(name.startswith(_RESERVED) for name in (acting.user, *acting.groups)):
        raise NotAllowedError("The agent never acts as a `system:` user or group.")
    return acting


def _no_role(elsewhere: tuple[str, ...], namespace: str) -> str:
    if not elsewhere:
        return "You have no role in this cluster: whoever runs the agent can give you one."
    return f"You have no role in {namespace}; you have one in {', '.join(elsewhere)}."
