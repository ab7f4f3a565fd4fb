"""People, channels, messages and response URLs."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from tidegate.adapters.slack_api.client import SlackClient, items, mapping, text_of, unanswered
from tidegate.core.model import RunId
from tidegate.core.web_address import is_loopback
from tidegate.errors import (
    SlackAmbiguousError,
    SlackBusyError,
    SlackError,
)
from tidegate.ports import Group, Person, Workspace

METADATA_EVENT: Final = "tidegate_run"
HISTORY_LIMIT: Final = 100
MAX_TOGETHER: Final = 100  # people in one direct message; Slack has fewer
#: Slack sends both for every channel; of a direct message with one person it sends neither.
_EXTERNAL_FLAGS: Final = ("is_ext_shared", "is_pending_ext_shared")
_RESPONSE_HOSTS: Final = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})


class SlackApi:
    """Speaks to Slack with a bot token."""

    def __init__(self, client: SlackClient) -> None:
        self._client = client
        self._ours: Workspace | None = None

    async def workspace(self) -> Workspace:
        """Return whom the token speaks for."""
        found = await self._client.call(self._client.web.auth_test())
        self._ours = Workspace(
            team_id=text_of(found.get("team_id")),
            bot_id=text_of(found.get("bot_id")),
            user_id=text_of(found.get("user_id")),
            enterprise_id=found.get("enterprise_id") or None,
            enterprise_install=bool(found.get("is_enterprise_install")),
        )
        return self._ours

    async def person(self, user_id: str) -> Person:
        """Return a user."""
        found = await self._client.call(self._client.web.users_info(user=user_id))
        user = mapping(found.get("user"), "users.info without a user")
        enterprise = user.get("enterprise_user")
        return Person(
            user_id=user_id,
            name=text_of(user.get("name")),
            team_id=user.get("team_id") or None,
            enterprise_id=(
                enterprise.get("enterprise_id") if isinstance(enterprise, Mapping) else None
            ),
            guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
            stranger=bool(user.get("is_stranger")),
            active=not (user.get("deleted") or user.get("is_bot")),
        )

    async def channel_external(self, channel_id: str) -> bool:
        """Tell whether people outside the workspace are in a channel.

        A direct message does not say so itself: then the people in it are asked for.

        Raises:
            SlackError: It cannot be told.
        """
        found = await self._client.call(self._client.web.conversations_info(channel=channel_id))
        channel = mapping(found.get("channel"), "conversations.info without a channel")
        direct = bool(channel.get("is_im") or channel.get("is_mpim"))
        if any(_flag(channel, name, needed=not direct) for name in _EXTERNAL_FLAGS):
            return True
        if channel.get("is_im"):
            return await self._outside([channel.get("user")])
        if channel.get("is_mpim"):
            return await self._outside(await self._members(channel_id))
        return False

    async def _members(self, channel_id: str) -> list[Any]:
        found = await self._client.call(
            self._client.web.conversations_members(channel=channel_id, limit=MAX_TOGETHER)
        )
        metadata = found.get("response_metadata")
        if isinstance(metadata, Mapping) and metadata.get("next_cursor"):
            raise SlackError("too many in a direct message")
        return items(found.get("members"))

    async def _outside(self, user_ids: Sequence[Any]) -> bool:
        """Tell whether one of the people in a direct message is from elsewhere."""
        if not user_ids or not all(map(text_of, user_ids)):
            raise SlackError("direct message without people")
        ours = self._ours or await self.workspace()
        for user_id in user_ids:
            if user_id == ours.user_id:
                continue
            person = await self.person(user_id)
            if not person.team_id:
                raise SlackError("users.info without a team_id")
            organisation = ours.enterprise_id is not None and ours.enterprise_id in (
                person.enterprise_id,
                person.team_id,
            )
            if person.stranger or not (person.team_id == ours.team_id or organisation):
                return True
        return False

    async def groups(self, group_ids: frozenset[str]) -> Mapping[str, Group]:
        """Return those of the user groups that exist."""
        found = await self._client.call(self._client.web.usergroups_list(include_users=True))
        groups: dict[str, Group] = {}
        for entry in items(found.get("usergroups")):
            group = mapping(entry, "usergroups.list without groups")
            group_id = text_of(group.get("id"))
            if group_id not in group_ids or group.get("date_delete"):
                continue
            users = group.get("users")
            if not isinstance(users, list):
                answer = await self._client.call(
                    self._client.web.usergroups_users_list(usergroup=group_id)
                )
                users = items(answer.get("users"))
            groups[group_id] = Group(
                group_id=group_id,
                members=frozenset(user for user in users if isinstance(user, str)),
                locked=bool(group.get("is_idp_group") or group.get("is_membership_locked")),
            )
        return groups

    async def post(
        self,
        *,
        channel_id: str,
        text: str,
        blocks: Sequence[Mapping[str, Any]],
        thread_ts: str | None,
        run_id: RunId,
    ) -> tuple[str, str]:
        """Post a message that carries the run id as metadata; return channel id and ts."""
        found = await self._client.call(
            self._client.web.chat_postMessage(
                channel=channel_id,
                text=text,
                blocks=[dict(block) for block in blocks] or None,
                thread_ts=thread_ts,
                metadata={"event_type": METADATA_EVENT, "event_payload": {"run": run_id}},
                unfurl_links=False,
                unfurl_media=False,
            )
        )
        ts = found.get("ts")
        if not isinstance(ts, str) or not ts:
            raise SlackAmbiguousError("posted without a ts")
        return text_of(found.get("channel")) or channel_id, ts

    async def update(
        self, *, channel_id: str, ts: str, text: str, blocks: Sequence[Mapping[str, Any]]
    ) -> None:
        """Replace a message of ours."""
        await self._client.call(
            self._client.web.chat_update(
                channel=channel_id, ts=ts, text=text, blocks=[dict(block) for block in blocks]
            )
        )

    async def find(
        self, *, channel_id: str, thread_ts: str | None, run_id: RunId, since: float
    ) -> str | None:
        """Return the ts of our message that carries the run id, or None if there is none."""
        cursor = ""
        for _ in range(5):
            found = await self._client.call(self._page(channel_id, thread_ts, since, cursor))
            for message in items(found.get("messages")):
                if not isinstance(message, Mapping) or not _carries(message, run_id):
                    continue
                if _is_of(message, self._ours or await self.workspace()):
                    return text_of(message.get("ts")) or None
            metadata = found.get("response_metadata")
            cursor = text_of(metadata.get("next_cursor")) if isinstance(metadata, Mapping) else ""
            if not cursor:
                return None
        raise SlackAmbiguousError("history too long")

    def _page(
        self, channel_id: str, thread_ts: str | None, since: float, cursor: str
    ) -> Awaitable[Any]:
        options: dict[str, Any] = {
            "channel": channel_id,
            "oldest": f"{since:.6f}",
            "limit": HISTORY_LIMIT,
            "include_all_metadata": True,
        }
        if cursor:
            options["cursor"] = cursor
        if thread_ts is not None:
            return self._client.web.conversations_replies(ts=thread_ts, **options)
        return self._client.web.conversations_history(**options)

    async def ephemeral(
        self,
        *,
        channel_id: str | None,
        user_id: str,
        text: str,
        blocks: Sequence[Mapping[str, Any]] = (),
        thread_ts: str | None = None,
    ) -> None:
        """Show a message to one person in a channel, or in a direct message."""
        shown: dict[str, Any] = {"text": text, "thread_ts": thread_ts}
        shown["blocks"] = [dict(block) for block in blocks] or None
        if channel_id is None or channel_id.startswith("D"):
            asked = self._client.web.chat_postMessage(channel=channel_id or user_id, **shown)
        else:
            asked = self._client.web.chat_postEphemeral(channel=channel_id, user=user_id, **shown)
        await self._client.call(asked)

    async def respond(self, response_url: str, body: Mapping[str, Any]) -> None:
        """Use a response URL; one outside Slack's own hosts is refused."""
        if not self._may_respond(response_url):
            raise SlackError("response_url not Slack's")
        try:
            async with self._client.http.post(
                response_url, json=body, allow_redirects=False
            ) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise unanswered(error) from None
        if status == 429:
            raise SlackBusyError(1.0)
        if status >= 500:
            raise SlackAmbiguousError(f"http {status}")
        if status != 200:
            raise SlackError(f"response_url http {status}")

    async def close(self) -> None:
        """Let connections go."""
        await self._client.close()

    def _may_respond(self, url: str) -> bool:
        """Tell whether a response URL is Slack's: nobody else's address is followed."""
        try:
            there, ours = urlsplit(url), urlsplit(self._client.api_url)
            ports = (there.port, ours.port)
        except ValueError:
            return False
        if there.username is not None or there.password is not None:
            return False
        if there.scheme == "https" and there.hostname in _RESPONSE_HOSTS:
            return ports[0] in (None, 443)
        loopback = is_loopback(ours.hostname or "")
        same = (there.scheme, there.hostname, ports[0]) == (ours.scheme, ours.hostname, ports[1])
        return loopback and same


def _carries(message: Mapping[str, Any], run_id: RunId) -> bool:
    metadata = message.get("metadata")
    if not isinstance(metadata, Mapping) or metadata.get("event_type") != METADATA_EVENT:
        return False
    content = metadata.get("event_payload")
    return isinstance(content, Mapping) and content.get("run") == run_id


def _is_of(message: Mapping[str, Any], ours: Workspace) -> bool:
    """Tell whether a message is our app's: any other can carry our mark as well."""
    marks = (("bot_id", ours.bot_id), ("user", ours.user_id))
    return any(mark and message.get(name) == mark for name, mark in marks)


def _flag(channel: Mapping[str, Any], name: str, *, needed: bool) -> bool:
    value = channel.get(name)
    if isinstance(value, bool):
        return value
    if value is None and not needed:
        return False
    raise SlackError(f"conversations.info without {name}")
