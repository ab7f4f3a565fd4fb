"""Slack, looked at: what the token may do, and which of the named channels it can use.

Only methods that read are called.
"""

from collections.abc import Mapping
from typing import Any, Final

from tidegate.adapters.slack_api.client import SlackClient, mapping, text_of
from tidegate.adapters.slack_api.granted import granted_scopes
from tidegate.adapters.slack_api.messages import SlackApi
from tidegate.core.diagnosis.slack import Channel
from tidegate.errors import SlackError
from tidegate.ports import Group, Person, Workspace

_NO_CHANNEL: Final = frozenset({"channel_not_found", "invalid_arguments"})
_NO_USER: Final = frozenset({"user_not_found", "users_not_found", "user_not_visible"})


class SlackLook:
    """Looks at Slack by the gateway's own connection. All may raise `SlackError`."""

    def __init__(self, client: SlackClient) -> None:
        self._client = client
        self._api = SlackApi(client)

    async def workspace(self) -> Workspace:
        """Return whom the token speaks for."""
        return await self._api.workspace()

    async def scopes(self) -> frozenset[str] | None:
        """Return what the token may do; None where Slack does not say."""
        return await granted_scopes(self._client)

    async def date(self) -> str | None:
        """Return what time it is for Slack: the header of an answer."""
        found: list[str] = []

        async def asked() -> Any:
            answer = await self._client.web.api_test()
            found.extend(value for name, value in answer.headers.items() if name.lower() == "date")
            return answer

        await self._client.call(asked())
        return found[0] if found else None

    async def channel(self, channel_id: str) -> Channel | None:
        """Return a channel, or None if there is none that the app may know of."""
        asked = self._client.web.conversations_info(channel=channel_id)
        try:
            answer = await self._client.call(asked)
        except SlackError as error:
            if error.code in _NO_CHANNEL:
                return None
            raise
        found: Mapping[str, Any] = mapping(answer.get("channel"), "no channel in the answer")
        direct = bool(found.get("is_im") or found.get("is_mpim"))
        return Channel(
            channel_id=channel_id,
            name=text_of(found.get("name")),
            member=bool(found.get("is_member")),
            archived=bool(found.get("is_archived")),
            external=bool(found.get("is_ext_shared") or found.get("is_pending_ext_shared")),
            direct=direct,
        )

    async def groups(self, group_ids: frozenset[str]) -> Mapping[str, Group]:
        """Return those of the user groups that exist."""
        return await self._api.groups(group_ids)

    async def person(self, user_id: str) -> Person | None:
        """Return a user, or None if there is none."""
        try:
            return await self._api.person(user_id)
        except SlackError as error:
            if error.code in _NO_USER:
                return None
            raise

    async def close(self) -> None:
        """Let connections go."""
        await self._client.close()
