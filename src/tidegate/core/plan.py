"""What a configuration means: its routes, compiled once."""

from collections.abc import Mapping
from typing import Final

from tidegate.core.params import Param
from tidegate.core.routes import Route, Router, Rule, Surface
from tidegate.core.settings import Action, AllowRule, Match, Settings
from tidegate.core.settings import Param as ParamSettings

DAY_SECONDS: Final = 86400.0
QUESTION: Final = "Please confirm: go on with this?"


def router(settings: Settings) -> Router:
    """Return the routes of every action, those that lead nowhere yet included.

    What such an action matches is its own: it must not fall to a wildcard of another.
    """
    return Router(_route(name, action) for name, action in settings.actions.items())


def group_ids(settings: Settings) -> frozenset[str]:
    """Return every user group that some rule names."""
    return frozenset(
        group
        for action in settings.actions.values()
        for rule in action.allow
        for group in rule.user_groups
    )


def hidden_params(settings: Settings) -> Mapping[str, frozenset[str]]:
    """Return for each action the params that are never shown or logged."""
    return {
        name: frozenset(param for param, rule in action.params.items() if rule.secret)
        for name, action in settings.actions.items()
    }


def oldest_button_days(settings: Settings) -> int:
    """Return how old, in days, the oldest button is that some action still takes."""
    return max((action.button_max_age_days for action in settings.actions.values()), default=1)


def questions(settings: Settings) -> Mapping[str, str]:
    """Return for each action that asks before it acts what is asked."""
    return {
        name: asked
        for name, action in settings.actions.items()
        if (asked := _question(action)) is not None
    }


def _route(name: str, action: Action) -> Route:
    surface, patterns = _patterns(action.match or Match())
    request = action.request
    connected = action.pathway is not None and request is not None
    rate = action.rate_limit
    return Route(
        name=name,
        surface=surface,
        patterns=patterns,
        pathway=action.pathway or "",
        method=request.method if request else "",
        path=request.path if request else "",
        connected=connected,
        body=action.body,
        params={key: _param(key, rule) for key, rule in action.params.items()},
        rules=tuple(_rule(rule) for rule in action.allow),
        rate=(rate.count, float(rate.seconds)) if rate else None,
        repeat=action.repeat == "allow",
        max_age_seconds=action.button_max_age_days * DAY_SECONDS,
        idempotent=action.idempotent,
        start_within_seconds=action.start_within_seconds,
        deadline_seconds=action.deadline_seconds,
        confirm=_question(action),
    )


def _question(action: Action) -> str | None:
    if not action.confirm:
        return None
    return action.confirm if isinstance(action.confirm, str) else QUESTION


def _patterns(match: Match) -> tuple[Surface, tuple[str, ...]]:
    for surface in Surface:
        texts: tuple[str, ...] | None = getattr(match, surface.value)
        if texts is not None:
            return surface, texts
    return Surface.ACTION_ID, ()


def _param(name: str, rule: ParamSettings) -> Param:
    return Param(
        name=name,
        source=rule.from_,
        type=rule.type,
        required=rule.required,
        default=rule.default,
        enum=rule.enum or (),
        min=rule.min,
        max=rule.max,
        max_length=rule.max_length,
        pattern=rule.pattern,
        secret=rule.secret,
    )


def _rule(rule: AllowRule) -> Rule:
    return Rule(
        users=frozenset(rule.users),
        groups=frozenset(rule.user_groups),
        channels=frozenset(rule.channels),
        params=rule.params,
        guests=rule.guests,
        external=rule.external,
    )
