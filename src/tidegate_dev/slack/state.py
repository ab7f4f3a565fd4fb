"""The workspace: what Slack knows, and the one place where it changes."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tidegate_dev.slack.messages import Clock, Message, ts_order
from tidegate_dev.slack.people import Channel, User, UserGroup

SCOPES: Final = (
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "im:write",
    "usergroups:read",
    "users:read",
)

ChangeKind = Literal["message", "message_deleted", "call", "delivery", "file", "user", "read"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something in the workspace is different now."""

    kind: ChangeKind
    channel: str = ""
    ts: str = ""
    subject: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The workspace, the app in it, and the app's secrets: new ones for every workspace."""

    team_id: str = "T0TIDEGATE"
    team_name: str = "Tidegate workspace"
    team_domain: str = "tidegate"
    app_id: str = "A0TIDEGATE"
    bot_id: str = "B0TIDEGATE"
    bot_user_id: str = "U0TIDEGATE"
    bot_token: str = field(default_factory=lambda: f"xoxb-dev-{secrets.token_hex(20)}", repr=False)
    signing_secret: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    verification_token: str = field(default_factory=lambda: secrets.token_hex(12), repr=False)


class Workspace:
    """Users, channels and messages; every change is told to the listeners."""

    def __init__(self, identity: Identity | None = None, *, clock: Clock | None = None) -> None:
        self.identity = identity or Identity()
        self.clock = clock or Clock()
        self.scopes: set[str] = set(SCOPES)
        self.users: dict[str, User] = {}
        self.groups: dict[str, UserGroup] = {}
        self.channels: dict[str, Channel] = {}
        self.commands: list[dict[str, str]] = []
        self.listeners: list[Callable[[Change], None]] = []
        self._messages: dict[str, dict[str, Message]] = {}

    def tell(self, change: Change) -> None:
        """Every listener knows of *change*."""
        for listener in tuple(self.listeners):
            listener(change)

    # People and places

    def add_user(self, user: User) -> User:
        """*user* is a member of the workspace."""
        user.team_id = user.team_id or self.identity.team_id
        self.users[user.id] = user
        return user

    def add_group(self, group: UserGroup) -> UserGroup:
        """*group* is a user group of the workspace."""
        group.team_id = group.team_id or self.identity.team_id
        self.groups[group.id] = group
        return group

    def add_channel(self, channel: Channel) -> Channel:
        """*channel* exists and is empty."""
        self.channels[channel.id] = channel
        self._messages.setdefault(channel.id, {})
        return channel

    def channel_named(self, name: str) -> Channel | None:
        """Return the channel with this id or name (with or without `#`), or None."""
        found = self.channels.get(name)
        if found is not None:
            return found
        plain = name.removeprefix("#")
        return next((c for c in self.channels.values() if c.name == plain and not c.im_user), None)

    def direct_channel(self, user: str) -> Channel:
        """Return the bot's direct message with *user*, opened when it was not."""
        for channel in self.channels.values():
            if channel.im_user == user:
                return channel
        members = {user, self.identity.bot_user_id}
        made = Channel(id=f"D0{user[1:]}", name="", members=members, im_user=user)
        return self.add_channel(made)

    # Messages

    def post(self, message: Message) -> Message:
        """*message* is in its channel under the timestamp it carries."""
        message.team = message.team or self.identity.team_id
        self._messages[message.channel][message.ts] = message
        self.channels[message.channel].unread += 1
        self._told("message", message)
        return message

    def changed(self, message: Message) -> None:
        """Everyone who looks at *message* sees its new content."""
        self._told("message", message)

    def delete(self, message: Message) -> None:
        """*message* is gone."""
        self._messages[message.channel].pop(message.ts, None)
        self._told("message_deleted", message)

    def message(self, channel: str, ts: str) -> Message | None:
        """Return the message, an ephemeral one included, or None."""
        return self._messages.get(channel, {}).get(ts)

    def shown(self, channel: str) -> list[Message]:
        """Return everything in *channel*, oldest first, ephemeral messages included."""
        found = self._messages.get(channel, {})
        return sorted(found.values(), key=lambda message: ts_order(message.ts))

    def history(self, channel: str) -> list[Message]:
        """Return the messages of *channel* that are stored, oldest first."""
        return [message for message in self.shown(channel) if message.ephemeral_for is None]

    def ephemerals(self, user: str) -> list[Message]:
        """Return what only *user* sees, in all channels, oldest first."""
        found = [m for m in self._all() if m.ephemeral_for == user]
        return sorted(found, key=lambda message: ts_order(message.ts))

    def read(self, channel: str) -> None:
        """Nothing in *channel* is unread."""
        self.channels[channel].unread = 0
        self.tell(Change(kind="read", channel=channel))

    def bot_message(self, channel: str, **content: Any) -> Message:
        """Return a new message of the app's bot user, not yet posted."""
        return Message(
            channel=channel,
            ts=self.clock.ts(),
            user=self.identity.bot_user_id,
            bot_id=self.identity.bot_id,
            app_id=self.identity.app_id,
            team=self.identity.team_id,
            **content,
        )

    def _all(self) -> Iterator[Message]:
        for messages in self._messages.values():
            yield from messages.values()

    def _told(self, kind: ChangeKind, message: Message) -> None:
        self.tell(Change(kind=kind, channel=message.channel, ts=message.ts, subject=message))
