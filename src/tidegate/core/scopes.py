"""Which rights a Slack app needs for a configuration, and why each.

A right (a scope) is needed because a method of the Web API is called, or because a feature of the
app asks for it. So what a configuration makes the gateway do is told as uses: which methods, in
which kinds of conversations, and what for. Nothing is asked for that no use asks for.

Source: https://docs.slack.dev/reference/scopes/
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tidegate.core.plan import group_ids
from tidegate.core.presets import SHARE_MODES
from tidegate.core.settings import Action, Settings


class Place(StrEnum):
    """A kind of conversation, by what its scopes begin with."""

    PUBLIC = "channels"
    PRIVATE = "groups"
    GROUP = "mpim"  # a direct message of several people
    DIRECT = "im"


#: Every method of the Web API that is called, and its scope; `*` stands for the kind of
#: conversation, an empty text for none.
#: Source: https://docs.slack.dev/reference/methods/ and there each method's own page.
METHOD_SCOPES: Final[Mapping[str, str]] = {
    "api.test": "",
    "auth.test": "",
    "chat.postEphemeral": "chat:write",
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "conversations.history": "*:history",
    "conversations.info": "*:read",
    "conversations.list": "*:read",
    "conversations.members": "*:read",
    "conversations.replies": "*:history",
    "files.completeUploadExternal": "files:write",
    "files.getUploadURLExternal": "files:write",
    "files.info": "files:read",
    "usergroups.list": "usergroups:read",
    "usergroups.users.list": "usergroups:read",
    "users.info": "users:read",
}

#: Slash commands and shortcuts ask for it, and no method.
#: Source: https://docs.slack.dev/reference/scopes/commands
COMMANDS: Final = "commands"

#: Of the app-level token.
#: Source: https://docs.slack.dev/reference/scopes/connections.write
CONNECTIONS: Final = "connections:write"

_CHANNELS: Final = frozenset({Place.PUBLIC, Place.PRIVATE})  # an id does not tell which it is
_UPLOADS: Final = ("files.getUploadURLExternal", "files.completeUploadExternal", "files.info")
_LOOKED_UP: Final = ("conversations.history", "conversations.replies")
_UPLOADING: Final = frozenset({"upload", "image", "gallery"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A scope, and why it is needed.

    Attributes:
        scope: Its name, such as `users:read`.
        methods: The methods that are called with it; none for what a feature of the app asks for.
        reasons: What for, in plain words.
        required: Whether something fails without it. If not, the reasons say what is lost.
    """

    scope: str
    methods: tuple[str, ...]
    reasons: tuple[str, ...]
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Use:
    """What is done, by which methods, and where."""

    why: str
    methods: tuple[str, ...]
    places: frozenset[Place] = frozenset()
    required: bool = True

    def scopes(self) -> Iterator[tuple[str, str]]:
        """Yield each scope with the method that is called with it."""
        for method in self.methods:
            scope = METHOD_SCOPES[method]
            if "*" not in scope:
                yield scope, method
            for place in self.places if "*" in scope else ():
                yield scope.replace("*", place.value), method


def needed_scopes(settings: Settings, *, send_files: bool = False) -> tuple[Need, ...]:
    """Return the scopes that the bot token needs, by name.

    Args:
        settings: What the gateway shall do.
        send_files: Whether files are sent by `tidegate send` too, which no configuration says.
    """
    uses = [_speaking(settings), *_of_actions(settings), *_of_sharing(settings)]
    if send_files:
        uses.append(_Use(why="tidegate send sends files", methods=_UPLOADS))
        uses.append(_by_name("tidegate send"))
    needs = _merged(uses)
    if _has_commands(settings):
        why = "the configuration has slash commands or shortcuts"
        needs.append(Need(scope=COMMANDS, methods=(), reasons=(why,), required=True))
    return tuple(sorted(needs, key=lambda need: need.scope))


def app_scopes(settings: Settings) -> tuple[Need, ...]:
    """Return the scopes that the app-level token needs; none where there is no such token."""
    if settings.slack.app_token is None:
        return ()
    why = "Socket Mode: what people do arrives over a connection that the gateway opens"
    return (Need(scope=CONNECTIONS, methods=(), reasons=(why,), required=True),)


def missing_scopes(
    settings: Settings, granted: Collection[str], *, send_files: bool = False
) -> tuple[Need, ...]:
    """Return what the bot token needs and has not; `Need.required` tells how bad that is."""
    needed = needed_scopes(settings, send_files=send_files)
    return tuple(need for need in needed if need.scope not in granted)


def spare_scopes(
    settings: Settings, granted: Collection[str], *, send_files: bool = False
) -> tuple[str, ...]:
    """Return what the bot token has and nothing uses, by name."""
    needed = {need.scope for need in needed_scopes(settings, send_files=send_files)}
    return tuple(sorted(set(granted) - needed))


def active_actions(settings: Settings) -> Mapping[str, Action]:
    """Return the actions that lead somewhere: to a service, or to a bucket."""
    found: dict[str, Action] = {}
    for name, action in settings.actions.items():
        shares = action.request is None and action.use in SHARE_MODES and settings.s3 is not None
        if shares or (action.request is not None and action.pathway is not None):
            found[name] = action
    return found


# --- what is done ---------------------------------------------------------------------------


def _speaking(settings: Settings) -> _Use:
    says = "messages say what became of what people asked for"
    why = says if settings.actions or settings.s3 else "tidegate send sends messages"
    return _Use(why=why, methods=("chat.postMessage", "chat.update", "chat.postEphemeral"))


def _of_actions(settings: Settings) -> Iterator[_Use]:
    actions = active_actions(settings).values()
    if not actions:
        return
    yield _Use(
        why="guests, people from elsewhere and accounts that are gone are told apart",
        methods=("users.info",),
    )
    places = _places([channels for action in actions for channels in _channels_of(action)])
    if places & _CHANNELS:
        yield _Use(
            why="what is asked for in a channel that is shared with outsiders is told apart",
            methods=("conversations.info",),
            places=places & _CHANNELS,
        )
        yield _looked_up(places & _CHANNELS)
    if Place.GROUP in places:
        yield _Use(
            why="without it, what is asked for in a direct message of several people is refused",
            methods=("conversations.info", "conversations.members"),
            places=frozenset({Place.GROUP}),
            required=False,
        )
    if group_ids(settings):
        yield _Use(
            why="rules admit user groups, and who is in them is asked",
            methods=("usergroups.list", "usergroups.users.list"),
        )


def _of_sharing(settings: Settings) -> Iterator[_Use]:
    buckets = settings.s3.buckets.values() if settings.s3 is not None else ()
    if any(_UPLOADING & set(bucket.modes) for bucket in buckets):
        yield _Use(why="objects are uploaded to Slack, and waited for there", methods=_UPLOADS)
    shared = [bucket.channels for bucket in buckets if bucket.channels]
    if shared and _places(shared) & _CHANNELS:
        yield _looked_up(_places(shared) & _CHANNELS)
        yield _by_name("tidegate share and s3-to-slack")
    guarded = _places([bucket.channels for bucket in buckets if not bucket.external])
    if guarded & _CHANNELS:
        yield _Use(
            why="nothing is shared in a channel that outsiders are in",
            methods=("conversations.info",),
            places=guarded & _CHANNELS,
        )
    if Place.GROUP in guarded or Place.DIRECT in guarded:
        people = ("users.info", "conversations.info")
        members = ("conversations.members",) if Place.GROUP in guarded else ()
        yield _Use(
            why="nothing is shared in a direct message with people from elsewhere",
            methods=(*people, *members),
            places=guarded - _CHANNELS,
        )


def _looked_up(places: frozenset[Place]) -> _Use:
    # What is said in direct messages is nothing to read for it: there, the end is said anew.
    return _Use(
        why="a message whose posting broke off is looked for, so that it is not posted twice; "
        "without it, how things ended comes as a message of its own",
        methods=_LOOKED_UP,
        places=places,
        required=False,
    )


def _by_name(who: str) -> _Use:
    return _Use(
        why=f"{who} take a channel's name as well as its id",
        methods=("conversations.list",),
        places=_CHANNELS,
        required=False,
    )


def _channels_of(action: Action) -> Iterator[Sequence[str] | None]:
    """Yield for each rule its channels; None for one that holds everywhere."""
    for rule in action.allow:
        yield rule.channels or None


def _places(named: Sequence[Sequence[str] | None]) -> frozenset[Place]:
    """Return the kinds that channels may be of: by their ids, or all where none are named.

    Source: https://docs.slack.dev/apis/web-api/using-the-conversations-api (an id's first letter
    tells direct messages apart, and nothing else for certain).
    """
    found: set[Place] = set()
    for channels in named:
        if channels is None:
            # Of a direct message with the app it is known who is there.
            found |= {*_CHANNELS, Place.GROUP}
        for channel in channels or ():
            if channel.startswith("D"):
                found.add(Place.DIRECT)
            else:
                found |= {Place.PRIVATE, Place.GROUP} if channel.startswith("G") else _CHANNELS
    return frozenset(found)


def _has_commands(settings: Settings) -> bool:
    matches = [action.match for action in active_actions(settings).values()]
    return any(match is not None and (match.command or match.shortcut) for match in matches)


def _merged(uses: Sequence[_Use]) -> list[Need]:
    """Return one need for each scope of all the uses."""
    found: dict[str, Need] = {}
    for use in uses:
        for scope, method in use.scopes():
            old = found.get(scope)
            found[scope] = Need(
                scope=scope,
                methods=tuple(sorted({*(old.methods if old else ()), method})),
                reasons=tuple(dict.fromkeys([*(old.reasons if old else ()), use.why])),
                required=use.required or (old is not None and old.required),
            )
    found.pop("", None)
    return list(found.values())
