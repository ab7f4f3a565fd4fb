"""What a configuration means: its routes, compiled once."""

from collections.abc import Mapping
from typing import Final

from tidegate.core.arrival_rule import ArrivalRule
from tidegate.core.params import Param
from tidegate.core.presets import SHARE_MODES
from tidegate.core.routes import SHARES, Route, Router, Rule, Surface
from tidegate.core.settings import S3, Action, AllowRule, Bucket, Match, Settings
from tidegate.core.settings import Param as ParamSettings
from tidegate.core.share import Mode, Rules, Scan
from tidegate.core.share_body import Caller

DAY_SECONDS: Final = 86400.0
QUESTION: Final = "Please confirm: go on with this?"


def router(settings: Settings) -> Router:
    """Return the routes of every action, those that lead nowhere yet included.

    What such an action matches is its own: it must not fall to a wildcard of another.
    """
    s3 = settings.s3
    actions = [_route(name, action, s3) for name, action in settings.actions.items()]
    actions += [_unattended(caller.action, "api") for caller in callers(settings)]
    actions += [_unattended(rule.action, rule.mode) for rule in arrival_rules(settings)]
    return Router(actions)


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
    found = {
        name: frozenset(param for param, rule in action.params.items() if rule.secret)
        for name, action in settings.actions.items()
    }
    unattended = [caller.action for caller in callers(settings)]
    unattended += [rule.action for rule in arrival_rules(settings)]
    return found | dict.fromkeys(unattended, frozenset())


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


def callers(settings: Settings) -> tuple[Caller, ...]:
    """Return who may share over the API, and what; of two tokens of a name, what either may."""
    found: dict[str, Caller] = {}
    for token in settings.api.tokens:
        rate = token.rate_limit
        caller = Caller(
            name=token.name,
            buckets=frozenset(token.buckets),
            channels=frozenset(token.channels),
            modes=frozenset(token.modes),
            rate=(rate.count, float(rate.seconds)) if rate else None,
        )
        before = found.get(token.name)
        found[token.name] = caller if before is None else before.joined(caller)
    return tuple(found.values())


def arrival_rules(settings: Settings) -> tuple[ArrivalRule, ...]:
    """Return what is shared by itself when it appears."""
    s3 = settings.s3
    if s3 is None or s3.events is None:
        return ()
    return tuple(
        ArrivalRule(
            name=rule.name,
            alias=rule.bucket,
            bucket=s3.buckets[rule.bucket].name,
            prefixes=(s3.buckets[rule.bucket].prefix, rule.prefix),
            suffix=rule.suffix,
            channel_id=rule.channel,
            mode=Mode(rule.mode),
            title=rule.title,
            comment=rule.comment,
        )
        for rule in s3.events.rules
    )


def _unattended(action: str, share: str) -> Route:
    return Route(
        name=action,
        surface=Surface.ACTION_ID,
        patterns=(),  # nothing that comes from Slack leads here
        pathway=SHARES,
        method="",
        path="",
        share=share,
        idempotent=True,
    )


def bucket_rules(s3: S3 | None, name: str, key: str) -> Rules | None:
    """Return the rules of a bucket that is given by its alias, or by its name.

    Of several that share from one bucket, those count whose prefix the key begins with, the
    longest first. None if the configuration does not know the bucket.
    """
    buckets = s3.buckets if s3 is not None else {}
    if name in buckets:
        return _rules(name, buckets[name])
    named = [(alias, bucket) for alias, bucket in buckets.items() if bucket.name == name]
    # `sorted` is stable: of two with one prefix, the first in the file.
    fitting = sorted(
        (each for each in named if key.startswith(each[1].prefix)),
        key=lambda each: len(each[1].prefix),
        reverse=True,
    )
    chosen = next(iter(fitting or named), None)
    return None if chosen is None else _rules(*chosen)


def _rules(alias: str, bucket: Bucket) -> Rules:
    scan = bucket.scan
    return Rules(
        alias=alias,
        bucket=bucket.name,
        prefix=bucket.prefix,
        channels=frozenset(bucket.channels),
        modes=frozenset(map(Mode, bucket.modes)),
        types=bucket.types,
        max_bytes=bucket.max_bytes,
        external=bucket.external,
        unversioned=bucket.unversioned,
        scan=None
        if scan is None
        else Scan(clamd=scan.clamd, guardduty=bool(scan.guardduty), max_bytes=scan.max_bytes),
        expires_seconds=bucket.expires_seconds,
        front=bucket.cloudfront is not None,
    )


def _route(name: str, action: Action, s3: S3 | None) -> Route:
    surface, patterns = _patterns(action.match or Match())
    request = action.request
    share = SHARE_MODES.get(action.use or "", "") if request is None else ""
    serves = action.pathway is not None and request is not None
    connected = serves or (share != "" and s3 is not None)
    rate = action.rate_limit
    return Route(
        name=name,
        surface=surface,
        patterns=patterns,
        pathway=SHARES if share else action.pathway or "",
        method=request.method if request else "",
        path=request.path if request else "",
        share=share,
        connected=connected,
        body=action.body,
        params={key: _param(key, rule) for key, rule in action.params.items()},
        rules=tuple(_rule(rule) for rule in action.allow),
        rate=(rate.count, float(rate.seconds)) if rate else None,
        repeat=action.repeat == "allow",
        max_age_seconds=action.button_max_age_days * DAY_SECONDS,
        # A share goes on from what is written down of it, however often it is taken up.
        idempotent=action.idempotent or share != "",
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
