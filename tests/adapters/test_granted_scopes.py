"""What a bot token may do is read from Slack's answer, as Slack sends it."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.adapters.wire import answering, wired
from tests.ports import free_port
from tidegate.adapters.slack_api import SlackClient
from tidegate.adapters.slack_api.granted import MAX_SCOPES, granted_scopes
from tidegate.errors import SlackError, SlackUnreachableError
from tidegate_dev.slack.far_end import SlackFarEnd


@contextlib.asynccontextmanager
async def client(api_url: str, token: str = "xoxb-1") -> AsyncIterator[SlackClient]:
    found = SlackClient(api_url=api_url, token=token)
    try:
        yield found
    finally:
        await found.close()


def answer(*heads: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", "Content-Length: 11", *heads]
    return "\r\n".join([*lines, "", '{"ok":true}']).encode()


async def test_slack_says_what_its_token_may_do() -> None:
    async with SlackFarEnd() as slack, client(slack.api_url, slack.bot_token) as found:
        assert await granted_scopes(found) == frozenset(slack.workspace.scopes)
        slack.workspace.scopes.discard("users:read")
        granted = await granted_scopes(found)
        assert granted is not None
        assert "users:read" not in granted


async def test_a_token_that_is_none_is_told_by_slack_s_word() -> None:
    async with SlackFarEnd() as slack, client(slack.api_url, "xoxb-other") as found:
        with pytest.raises(SlackError) as refused:
            await granted_scopes(found)
    assert refused.value.code == "invalid_auth"


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        ((), None),
        (("X-OAuth-Scopes: chat:write , users:read,,",), frozenset({"chat:write", "users:read"})),
        (("x-oauth-scopes:",), frozenset()),
        (("x-oauth-scopes: a", "X-OAUTH-SCOPES: b"), frozenset({"a", "b"})),
    ],
)
async def test_the_head_is_read_however_it_is_written(
    heads: tuple[str, ...], expected: frozenset[str] | None
) -> None:
    async with wired(answering(answer(*heads))) as wire, client(f"{wire.url()}/api/") as found:
        assert await granted_scopes(found) == expected


async def test_no_more_scopes_are_taken_than_there_can_be() -> None:
    many = ",".join(f"s{number}" for number in range(MAX_SCOPES + 1))
    raw = answer(f"x-oauth-scopes: {many}")
    async with wired(answering(raw)) as wire, client(f"{wire.url()}/api/") as found:
        granted = await granted_scopes(found)
        assert granted is not None
        assert len(granted) == MAX_SCOPES


async def test_where_slack_is_not_reached_it_is_said() -> None:
    async with client(f"http://127.0.0.1:{free_port()}/api/") as found:
        with pytest.raises(SlackUnreachableError):
            await granted_scopes(found)
