"""Which channel has which name, now: a name may go to another channel at any moment."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from tidegate.adapters.slack_api.client import SlackClient, items, text_of
from tidegate.errors import SlackAmbiguousError, SlackBusyError, SlackError, SlackUnreachableError

MAX_PAGES: Final = 50  # of a thousand channels each
#: After all channels were listed: so long a name that was not among them is not looked for again.
MISSED_SECONDS: Final = 10.0


class ChannelNames:
    """Finds channels by their names.

    The channels of the last list are remembered, at most `MAX_PAGES` pages of them; and each is
    asked for its name before it is trusted: *finance* is the channel that is called so now.
    What Slack makes of a name (`name_normalized`) counts where no channel has that very name.
    """

    def __init__(self, client: SlackClient) -> None:
        self._client = client
        self._ids: dict[str, str] = {}
        self._normalized: dict[str, str] = {}
        self._listed_at: float | None = None  # all of them
        self._one_by_one = asyncio.Lock()

    async def id_of(self, name: str) -> str | None:
        """Return the id of the channel of that name, or None."""
        wanted = name.removeprefix("#").lower()
        async with self._one_by_one:  # many who ask for a name at once are one list
            known = self._ids.get(wanted)
            if known is not None and await self._is_called(known, wanted):
                return known
            if known is None and self._was_missed(wanted):
                return None
            await self._list(wanted)
            return self._ids.get(wanted) or self._normalized.get(wanted) or None

    def _was_missed(self, wanted: str) -> bool:
        if self._listed_at is None or self._normalized.get(wanted):
            return False
        return asyncio.get_running_loop().time() - self._listed_at < MISSED_SECONDS

    async def _is_called(self, channel_id: str, wanted: str) -> bool:
        try:
            found = await self._client.call(self._client.web.conversations_info(channel=channel_id))
        except (SlackBusyError, SlackUnreachableError, SlackAmbiguousError):
            raise
        except SlackError:
            return False  # gone, or not to be seen any more
        channel = found.get("channel")
        return (
            isinstance(channel, Mapping)
            and text_of(channel.get("name")).lower() == wanted
            and not channel.get("is_archived")
        )

    async def _list(self, wanted: str) -> None:
        """Remember the channels, as far as the wanted one."""
        began = asyncio.get_running_loop().time()
        self._ids, self._normalized, self._listed_at = {}, {}, None
        cursor = ""
        for _ in range(MAX_PAGES):
            found = await self._client.call(
                self._client.web.conversations_list(
                    types="public_channel,private_channel",
                    exclude_archived=True,
                    limit=1000,
                    cursor=cursor or None,
                )
            )
            for channel in items(found.get("channels")):
                if isinstance(channel, Mapping):
                    self._remember(channel)
            metadata = found.get("response_metadata")
            cursor = text_of(metadata.get("next_cursor")) if isinstance(metadata, Mapping) else ""
            if wanted in self._ids:
                return
            if not cursor:
                break
        self._listed_at = began

    def _remember(self, channel: Mapping[str, Any]) -> None:
        channel_id = text_of(channel.get("id"))
        name = text_of(channel.get("name")).lower()
        plain = text_of(channel.get("name_normalized")).lower()
        if channel_id and name:
            self._ids.setdefault(name, channel_id)
        if channel_id and plain and plain != name:
            # Of two that look alike it is not known which is meant.
            other = self._normalized.setdefault(plain, channel_id)
            self._normalized[plain] = channel_id if other == channel_id else ""
