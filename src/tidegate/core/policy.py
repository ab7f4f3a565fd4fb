"""Decide who may use an action: deny by default.

Asked twice with one set of rules: at intake on what is at hand, where what is not known
lets the run be recorded; and by the worker, where what is not known denies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from tidegate.core.routes import Rule


class Reason(StrEnum):
    """Why somebody is not admitted; each has its words in `tidegate.core.notices`."""

    NO_RULE = "no_rule"
    NOT_LISTED = "not_listed"
    WRONG_CHANNEL = "wrong_channel"
    WRONG_PARAMS = "wrong_params"
    GUEST = "guest"
    EXTERNAL = "external"
    INACTIVE = "inactive"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about a person and a place; None means: not known.

    Attributes:
        guest: A guest account.
        external: Of another workspace, or unknown to ours.
        active: Neither deleted nor a bot.
        channel_external: People outside the workspace are in the channel.
        memberships: For each group whether the person is in it. A group that does not
            exist, or whose membership anyone can edit, counts as no.
    """

    guest: bool | None = None
    external: bool | None = None
    active: bool | None = None
    channel_external: bool | None = None
    memberships: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Admitted, by the rule with this position."""

    rule: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """Not admitted, whatever else may be learnt."""

    reason: Reason
    groups: frozenset[str] = frozenset()  # that would have admitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """It depends on what is not known yet."""


Decision = Allowed | Denied | Undecided


def decide(
    rules: Sequence[Rule],
    *,
    user_id: str,
    channel_id: str | None,
    params: Mapping[str, Any],
    facts: Facts,
) -> Decision:
    """Return whether any of *rules* admits the person here, with these params."""
    best: Reason = Reason.NO_RULE
    groups: set[str] = set()
    undecided = False
    for position, rule in enumerate(rules):
        verdict = _holds(rule, user_id, channel_id, params, facts)
        if verdict is None:
            undecided = True
        elif isinstance(verdict, Allowed):
            return Allowed(rule=position)
        else:
            best = max(best, verdict, key=_NEARNESS.index)
            if verdict is Reason.NOT_LISTED:
                groups |= rule.groups
    if undecided:
        return Undecided()
    return Denied(reason=best, groups=frozenset(groups))


#: Of several reasons the one is told that came nearest to being admitted.
_NEARNESS: Final = (
    Reason.NO_RULE,
    Reason.UNVERIFIED,
    Reason.NOT_LISTED,
    Reason.INACTIVE,
    Reason.EXTERNAL,
    Reason.GUEST,
    Reason.WRONG_PARAMS,
    Reason.WRONG_CHANNEL,
)


def _holds(
    rule: Rule, user_id: str, channel_id: str | None, params: Mapping[str, Any], facts: Facts
) -> Allowed | Reason | None:
    """Allowed, why not, or None: it depends on what is not known."""
    listed = _listed(rule, user_id, facts)
    if listed is False:
        return Reason.NOT_LISTED
    if rule.channels and channel_id not in rule.channels:
        return Reason.WRONG_CHANNEL
    if any(params.get(name) not in values for name, values in rule.params.items()):
        return Reason.WRONG_PARAMS
    if facts.active is False:
        return Reason.INACTIVE
    outside = (facts.external, facts.channel_external if channel_id else False)
    if not rule.external and True in outside:
        return Reason.EXTERNAL
    if not rule.guests and facts.guest is True:
        return Reason.GUEST
    unknown = (
        listed is None
        or facts.active is None
        or (not rule.external and None in outside)
        or (not rule.guests and facts.guest is None)
    )
    return None if unknown else Allowed(rule=0)


def _listed(rule: Rule, user_id: str, facts: Facts) -> bool | None:
    if rule.anyone or user_id in rule.users:
        return True
    known = [facts.memberships.get(group) for group in rule.groups]
    if True in known:
        return True
    return None if None in known else False
