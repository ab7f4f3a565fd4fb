"""What every method is given, and how a method says what it needs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tidegate_dev.slack.arguments import Arguments
from tidegate_dev.slack.errors import ApiError
from tidegate_dev.slack.file_store import FileStore
from tidegate_dev.slack.people import Channel
from tidegate_dev.slack.pictures import Pictures
from tidegate_dev.slack.state import Workspace
from tidegate_dev.slack.triggers import Triggers


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: the workspace it is made on and its arguments."""

    workspace: Workspace
    arguments: Arguments
    triggers: Triggers
    files: FileStore
    pictures: Pictures
    take_post: Callable[[str], None]

    @property
    def bot_user(self) -> str:
        """Return the id of the user who calls."""
        return self.workspace.identity.bot_user_id

    def channel(self, name: str = "channel", *, by_name: bool = False) -> Channel:
        """Return the channel that the argument *name* gives, if the app may know of it.

        Raises:
            ApiError: `channel_not_found`, also for a private channel without the bot.
        """
        wanted = self.arguments.text(name)
        workspace = self.workspace
        channel = workspace.channel_named(wanted) if by_name else workspace.channels.get(wanted)
        return self._known(channel)

    def known_channel(self, channel_id: str) -> Channel:
        """Return the channel of that id, if the app may know of it.

        Raises:
            ApiError: `channel_not_found`, also for a private channel without the bot.
        """
        return self._known(self.workspace.channels.get(channel_id))

    def _known(self, channel: Channel | None) -> Channel:
        if channel is None:
            raise ApiError("channel_not_found")
        if channel.kind != "public_channel" and not self.bot_is_in(channel):
            raise ApiError("channel_not_found")
        return channel

    def bot_is_in(self, channel: Channel) -> bool:
        """Whether the app's bot user is a member of *channel*."""
        return self.bot_user in channel.members

    async def blocks(self, channel: Channel) -> list[dict[str, Any]] | None:
        """Return the argument `blocks` as it is stored in *channel*; None if there is none.

        Raises:
            ApiError: The blocks are not what Slack takes, or an image in them cannot be had.
        """
        given = self.arguments.nested("blocks", "invalid_blocks_format")
        if given is None:
            return None
        return await self.pictures.accepted(given, user=self.bot_user, channel=channel.id)

    def needs(self, *scopes: str) -> None:
        """Return if the token has one of *scopes*, else raise `missing_scope`."""
        granted = self.workspace.scopes
        if scopes and not granted.intersection(scopes):
            provided = ",".join(sorted(granted))
            raise ApiError("missing_scope", fields={"needed": scopes[0], "provided": provided})


Handler = Callable[[Call], dict[str, Any] | Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method with its rate limit tier; any one of *scopes* suffices."""

    run: Handler
    tier: int
    scopes: tuple[str, ...] = ()
