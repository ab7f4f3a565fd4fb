"""Slack's Web API and response URLs, by slack_sdk over one aiohttp session.

No call is made twice in here: slack_sdk's own retries are off, because a post that was
repeated after a broken connection is a second message. Each failure is told apart by what
it means: nothing done, wait, or not known.

Source: https://docs.slack.dev/apis/web-api/
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from tidegate.core.fields import is_loopback
from tidegate.core.model import RunId
from tidegate.errors import (
    SlackAmbiguousError,
    SlackBusyError,
    SlackError,
    SlackUnreachableError,
)
from tidegate.ports import Group, Person, Workspace

TIMEOUT_SECONDS: Final = 10.0
METADATA_EVENT: Final = "tidegate_run"
HISTORY_LIMIT: Final = 100
_RESPONSE_HOSTS: Final = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
#: Slack says of these that something may have been done all the same.
_AMBIGUOUS_CODES: Final = frozenset(
    {"fatal_error", "internal_error", "request_timeout", "service_unavailable", "team_added_to_org"}
)


class SlackApi:
    """Speaks to Slack with a bot token."""

    def __init__(self, *, api_url: str, token: str) -> None:
        self._api_url = api_url
        self._token = token
        self._session: aiohttp.ClientSession | None = None
        self._client: AsyncWebClient | None = None

    async def workspace(self) -> Workspace:
        """Return whom the token speaks for."""
        found = await self._call(self._web.auth_test())
        return Workspace(
            team_id=_text(found.get("team_id")),
            bot_id=_text(found.get("bot_id")),
            user_id=_text(found.get("user_id")),
            enterprise_id=found.get("enterprise_id") or None,
            enterprise_install=bool(found.get("is_enterprise_install")),
        )

    async def person(self, user_id: str) -> Person:
        """Return a user."""
        found = await self._call(self._web.users_info(user=user_id))
        user = _object(found.get("user"), "users.info without a user")
        enterprise = user.get("enterprise_user")
        return Person(
            user_id=user_id,
            name=_text(user.get("name")),
            team_id=user.get("team_id") or None,
            enterprise_id=(
                enterprise.get("enterprise_id") if isinstance(enterprise, Mapping) else None
            ),
            guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
            stranger=bool(user.get("is_stranger")),
            active=not (user.get("deleted") or user.get("is_bot")),
        )

    async def channel_external(self, channel_id: str) -> bool:
        """Tell whether people outside the workspace are in a channel."""
        found = await self._call(self._web.conversations_info(channel=channel_id))
        channel = _object(found.get("channel"), "conversations.info without a channel")
        return bool(channel.get("is_ext_shared") or channel.get("is_pending_ext_shared"))

    async def groups(self, group_ids: frozenset[str]) -> Mapping[str, Group]:
        """Return those of the user groups that exist."""
        found = await self._call(self._web.usergroups_list(include_users=True))
        groups: dict[str, Group] = {}
        for entry in _list(found.get("usergroups")):
            group = _object(entry, "usergroups.list without groups")
            group_id = _text(group.get("id"))
            if group_id not in group_ids or group.get("date_delete"):
                continue
            users = group.get("users")
            if not isinstance(users, list):
                answer = await self._call(self._web.usergroups_users_list(usergroup=group_id))
                users = _list(answer.get("users"))
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
        found = await self._call(
            self._web.chat_postMessage(
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
        return _text(found.get("channel")) or channel_id, ts

    async def update(
        self, *, channel_id: str, ts: str, text: str, blocks: Sequence[Mapping[str, Any]]
    ) -> None:
        """Replace a message of ours."""
        await self._call(
            self._web.chat_update(
                channel=channel_id, ts=ts, text=text, blocks=[dict(block) for block in blocks]
            )
        )

    async def find(
        self, *, channel_id: str, thread_ts: str | None, run_id: RunId, since: float
    ) -> str | None:
        """Return the ts of the message that carries the run id, or None if there is none."""
        cursor = ""
        for _ in range(5):
            found = await self._call(self._page(channel_id, thread_ts, since, cursor))
            for message in _list(found.get("messages")):
                if isinstance(message, Mapping) and _carries(message, run_id):
                    return _text(message.get("ts")) or None
            metadata = found.get("response_metadata")
            cursor = _text(metadata.get("next_cursor")) if isinstance(metadata, Mapping) else ""
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
            return self._web.conversations_replies(ts=thread_ts, **options)
        return self._web.conversations_history(**options)

    async def ephemeral(self, *, channel_id: str | None, user_id: str, text: str) -> None:
        """Show a text to one person in a channel, or in a direct message."""
        if channel_id is None or channel_id.startswith("D"):
            await self._call(self._web.chat_postMessage(channel=channel_id or user_id, text=text))
        else:
            await self._call(
                self._web.chat_postEphemeral(channel=channel_id, user=user_id, text=text)
            )

    async def respond(self, response_url: str, body: Mapping[str, Any]) -> None:
        """Use a response URL; one outside Slack's own hosts is refused."""
        if not self._may_respond(response_url):
            raise SlackError("response_url not Slack's")
        try:
            async with self._http.post(response_url, json=body, allow_redirects=False) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unanswered(error) from None
        if status == 429:
            raise SlackBusyError(1.0)
        if status >= 500:
            raise SlackAmbiguousError(f"http {status}")
        if status != 200:
            raise SlackError(f"response_url http {status}")

    async def close(self) -> None:
        """Let connections go."""
        if self._session is not None:
            await self._session.close()

    def _may_respond(self, url: str) -> bool:
        """Tell whether a response URL is Slack's: nobody else's address is followed."""
        try:
            there, ours = urlsplit(url), urlsplit(self._api_url)
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

    @property
    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS, sock_connect=5.0),
                connector=aiohttp.TCPConnector(limit=64),
                trust_env=False,
            )
        return self._session

    @property
    def _web(self) -> AsyncWebClient:
        if self._client is None:
            self._client = AsyncWebClient(
                token=self._token,
                base_url=self._api_url,
                timeout=int(TIMEOUT_SECONDS),
                session=self._http,
                retry_handlers=[],
            )
            if is_loopback(urlsplit(self._api_url).hostname or ""):
                self._client.proxy = None  # the environment's proxy does not lead to this machine
        return self._client

    async def _call(self, asked: Awaitable[Any]) -> Mapping[str, Any]:
        try:
            answer = await asked
        except SlackApiError as error:
            raise _refused(error) from None  # the vendor's error carries the answer's content
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unanswered(error) from None
        except (SlackClientError, ValueError, TypeError, AttributeError, KeyError):
            # slack_sdk meets an answer that is not Slack's in several ways.
            raise SlackAmbiguousError("answer not understood") from None
        data = answer.data
        if not isinstance(data, Mapping):
            raise SlackAmbiguousError("answer not understood")
        return data


def _refused(error: SlackApiError) -> SlackError:
    response: Any = error.response
    status: int = getattr(response, "status_code", 0) or getattr(response, "status", 0)
    headers = getattr(response, "headers", None) or {}
    data = getattr(response, "data", None)
    code = data.get("error") if isinstance(data, Mapping) else None
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return SlackBusyError(_seconds(headers.get("Retry-After")))
    if status >= 500 or status == 408 or code in _AMBIGUOUS_CODES or not isinstance(code, str):
        return SlackAmbiguousError(code if isinstance(code, str) else f"http {status}")
    return SlackError(code if code.isprintable() and code.isascii() else "unreadable")


def _unanswered(error: Exception) -> SlackError:
    """What a broken exchange means: without a connection nothing was done."""
    nothing_sent = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
    if isinstance(error, nothing_sent):
        return SlackUnreachableError()
    return SlackAmbiguousError("timeout" if isinstance(error, asyncio.TimeoutError) else "broken")


def _seconds(value: object) -> float:
    text = str(value or "")
    # At least a second: «now» would be asked again without a pause.
    return float(max(1, min(int(text[:9]), 3600))) if text.isascii() and text.isdigit() else 1.0


def _carries(message: Mapping[str, Any], run_id: RunId) -> bool:
    metadata = message.get("metadata")
    if not isinstance(metadata, Mapping) or metadata.get("event_type") != METADATA_EVENT:
        return False
    content = metadata.get("event_payload")
    return isinstance(content, Mapping) and content.get("run") == run_id


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SlackError(what)
    return value


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
