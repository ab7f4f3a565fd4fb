"""The Web API's methods, their errors and limits, over HTTP."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.dev.slack_app import api
from tidegate_dev.slack import SlackFarEnd
from tidegate_dev.slack.messages import Clock
from tidegate_dev.slack.seed import seeded_workspace

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}


@pytest.fixture
async def slack() -> AsyncIterator[SlackFarEnd]:
    async with SlackFarEnd() as slack:
        yield slack


class Client:
    """Calls methods of one far end."""

    def __init__(self, session: aiohttp.ClientSession, slack: SlackFarEnd) -> None:
        self.session = session
        self.slack = slack
        self.token: str | None = slack.bot_token

    async def __call__(self, method: str, **arguments: Any) -> dict[str, Any]:
        return await api(self.session, self.slack.api_url, method, self.token, **arguments)


@pytest.fixture
async def call(slack: SlackFarEnd) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(session, slack)


async def test_auth_test_names_the_team_and_the_bot(slack: SlackFarEnd, call: Client) -> None:
    answer = await call("auth.test")
    assert answer["ok"] is True
    assert answer["team_id"] == slack.team_id
    assert answer["bot_id"] == slack.bot_id


async def test_a_call_needs_the_bot_s_token(slack: SlackFarEnd, call: Client) -> None:
    call.token = "xoxb-wrong"
    assert (await call("auth.test"))["error"] == "invalid_auth"
    call.token = None
    assert (await call("auth.test"))["error"] == "not_authed"
    url = f"{slack.api_url}auth.test?token={slack.bot_token}"
    async with call.session.post(url) as response:
        assert (await response.json())["error"] == "not_authed"
    assert slack.bot_token not in repr(slack.calls)


async def test_a_method_that_does_not_exist_is_unknown(call: Client) -> None:
    answer = await call("chat.shout")
    assert (answer["ok"], answer["error"]) == (False, "unknown_method")


async def test_a_missing_scope_is_named(slack: SlackFarEnd, call: Client) -> None:
    slack.workspace.scopes.discard("chat:write")
    answer = await call("chat.postMessage", channel="C0OPS", text="x")
    assert answer["error"] == "missing_scope"
    assert answer["needed"] == "chat:write"
    assert "users:read" in answer["provided"].split(",")


async def test_arguments_come_in_every_content_type(slack: SlackFarEnd, call: Client) -> None:
    headers = {"Authorization": f"Bearer {slack.bot_token}"}
    url = f"{slack.api_url}chat.postMessage"
    fields = {"channel": "C0OPS", "text": "x", "blocks": json.dumps([SECTION])}
    multipart = aiohttp.FormData(fields)
    multipart.add_field("extra", b"1", filename="a.txt")
    for data in (fields, multipart):
        async with call.session.post(url, data=data, headers=headers) as response:
            assert (await response.json())["message"]["blocks"][0]["type"] == "section"
    async with call.session.get(url, params=fields, headers=headers) as response:
        assert (await response.json())["ok"] is True
    answer = await call("chat.postMessage", **fields)
    assert answer["message"]["blocks"][0]["block_id"]
    form = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
    for raw in (b"text=%FF", b"&".join(b"a=1" for _ in range(1001))):
        async with call.session.post(url, data=raw, headers=form) as response:
            assert (await response.json())["error"] == "invalid_form_data"
    odd = {**headers, "Content-Type": "application/xml"}
    async with call.session.post(url, data=b"<x/>", headers=odd) as response:
        assert (await response.json())["error"] == "invalid_post_type"
    bad = {**headers, "Content-Type": "application/json"}
    half = b'{"channel": "C0OPS", "text": "a", "blocks": "[{\\"type\\": \\"\\\\ud800\\"}]"}'
    for body, error in (
        *((b"{", "invalid_json"), (b"[]", "json_not_object")),
        *((b'{"text": "\\udcff"}', "invalid_json"), (half, "invalid_blocks_format")),
    ):
        async with call.session.post(url, data=body, headers=bad) as response:
            assert (await response.json())["error"] == error


async def test_json_without_a_charset_is_warned_about(slack: SlackFarEnd, call: Client) -> None:
    headers = {"Authorization": f"Bearer {slack.bot_token}", "Content-Type": "application/json"}
    url = f"{slack.api_url}auth.test"
    async with call.session.post(url, data=b"{}", headers=headers) as response:
        assert (await response.json())["warning"] == "missing_charset"
        assert "chat:write" in response.headers["x-oauth-scopes"]


async def test_slack_s_own_client_can_post_update_and_read(slack: SlackFarEnd) -> None:
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
    metadata = {"event_type": "tidegate_run", "event_payload": {"run": "01J"}}
    posted = await client.chat_postMessage(channel="C0OPS", text="one", metadata=metadata)
    ts = posted["ts"]
    await client.chat_update(channel="C0OPS", ts=ts, text="two", blocks=[SECTION])
    history = await client.conversations_history(channel="C0OPS", include_all_metadata=True)
    (message,) = history["messages"]
    assert message["text"] == "two"
    assert message["metadata"] == metadata
    assert message["edited"]["user"] == slack.workspace.identity.bot_user_id
    plain = await client.conversations_history(channel="C0OPS")
    assert plain["messages"][0]["metadata"] == {"event_type": "tidegate_run"}
    with pytest.raises(SlackApiError, match="message_not_found"):
        await client.chat_update(channel="C0OPS", ts="1.000000", text="x")


async def test_timestamps_are_unique_and_only_grow() -> None:
    clock = Clock(lambda: 1_700_000_000.0)
    made = [clock.ts() for _ in range(100)]
    assert made == sorted(set(made))
    assert made[0] == "1700000000.000000"


async def test_an_update_with_text_alone_removes_the_blocks(
    slack: SlackFarEnd, call: Client
) -> None:
    ts = slack.post_as_bot("C0OPS", "x", [SECTION])
    answer = await call("chat.update", channel="C0OPS", ts=ts, blocks=[SECTION, SECTION])
    assert len(answer["message"]["blocks"]) == 2
    await call("chat.update", channel="C0OPS", ts=ts, text="done")
    assert slack.message("C0OPS", ts).blocks == []


async def test_an_update_takes_4000_characters_and_a_post_cuts_at_40000(
    slack: SlackFarEnd, call: Client
) -> None:
    answer = await call("chat.postMessage", channel="C0OPS", text="x" * 40_001)
    ts = answer["ts"]
    assert len(slack.message("C0OPS", ts).text) == 40_000
    assert (await call("chat.update", channel="C0OPS", ts=ts, text="x" * 4_000))["ok"]
    long = await call("chat.update", channel="C0OPS", ts=ts, text="x" * 4_001)
    assert long["error"] == "msg_too_long"


async def test_only_the_bot_s_own_messages_can_be_changed(slack: SlackFarEnd, call: Client) -> None:
    ts = slack.post_as_other("C0OPS", "not yours")
    answer = await call("chat.update", channel="C0OPS", ts=ts, text="x")
    assert answer["error"] == "cant_update_message"
    assert (await call("chat.delete", channel="C0OPS", ts=ts))["error"] == "cant_delete_message"
    mine = slack.post_as_bot("C0OPS", "mine")
    assert (await call("chat.delete", channel="C0OPS", ts=mine))["ok"]
    assert [message.ts for message in slack.messages("C0OPS")] == [ts]


async def test_posting_asks_for_membership(slack: SlackFarEnd, call: Client) -> None:
    slack.add_channel("C0PUBLIC", members=set())
    slack.add_channel("C0SECRET", members=set(), is_private=True)
    slack.add_channel("C0OLD", is_archived=True)
    expected = {
        "C0PUBLIC": "not_in_channel",
        "C0SECRET": "channel_not_found",
        "C0OLD": "is_archived",
        "C0NONE": "channel_not_found",
    }
    for channel, error in expected.items():
        answer = await call("chat.postMessage", channel=channel, text="x")
        assert answer["error"] == error
    slack.workspace.scopes.add("chat:write.public")
    assert (await call("chat.postMessage", channel="C0PUBLIC", text="x"))["ok"]
    assert (await call("chat.postMessage", channel="#ops", text="x"))["channel"] == "C0OPS"


async def test_a_post_to_a_person_is_a_direct_message(slack: SlackFarEnd, call: Client) -> None:
    answer = await call("chat.postMessage", channel="U0ADA", text="hi")
    assert answer["channel"].startswith("D")
    opened = await call("conversations.open", users="U0ADA")
    assert opened["channel"]["id"] == answer["channel"]
    assert opened["already_open"] is True


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, "no_text"),
        ({"text": " "}, "no_text"),
        ({"blocks": "["}, "invalid_blocks_format"),
        ({"blocks": {"type": "section"}}, "invalid_blocks_format"),
        ({"blocks": [{"type": "nope"}]}, "invalid_blocks"),
        ({"text": "x", "metadata": {"event_type": 1}}, "invalid_metadata_format"),
        ({"text": "x", "markdown_text": "y"}, "markdown_text_conflict"),
        ({"text": "x", "thread_ts": "soon"}, "invalid_thread_ts"),
        ({"text": "x", "attachments": "no"}, "invalid_attachments"),
    ],
)
async def test_a_post_that_slack_would_refuse_is_refused(
    slack: SlackFarEnd, call: Client, arguments: dict[str, Any], error: str
) -> None:
    answer = await call("chat.postMessage", channel="C0OPS", **arguments)
    assert answer["error"] == error
    assert slack.messages("C0OPS") == []


async def test_an_ephemeral_message_is_for_one_person_and_cannot_be_updated(
    slack: SlackFarEnd, call: Client
) -> None:
    answer = await call("chat.postEphemeral", channel="C0OPS", user="U0ADA", text="no")
    ts = answer["message_ts"]
    assert [message.ts for message in slack.ephemerals("U0ADA")] == [ts]
    assert slack.ephemerals("U0GRACE") == []
    assert (await call("conversations.history", channel="C0OPS"))["messages"] == []
    update = await call("chat.update", channel="C0OPS", ts=ts, text="yes")
    assert update["error"] == "message_not_found"
    slack.workspace.channels["C0OPS"].members.discard("U0GUEST")
    answer = await call("chat.postEphemeral", channel="C0OPS", user="U0GUEST", text="no")
    assert answer["error"] == "user_not_in_channel"


def texts(answer: dict[str, Any]) -> list[str]:
    return [message["text"] for message in answer["messages"]]


async def test_history_is_newest_first_between_its_ends(slack: SlackFarEnd, call: Client) -> None:
    stamps = [slack.post_as_bot("C0OPS", str(n)) for n in range(4)]
    everything = await call("conversations.history", channel="C0OPS")
    assert texts(everything) == ["3", "2", "1", "0"]
    assert everything["has_more"] is False
    inner = await call("conversations.history", channel="C0OPS", oldest=stamps[0], latest=stamps[3])
    assert texts(inner) == ["2", "1"]
    one = await call(
        "conversations.history",
        channel="C0OPS",
        oldest=stamps[2],
        latest=stamps[2],
        inclusive=True,
        limit=1,
    )
    assert texts(one) == ["2"]
    page = await call("conversations.history", channel="C0OPS", limit=3)
    rest = await call(
        "conversations.history",
        channel="C0OPS",
        limit=3,
        cursor=page["response_metadata"]["next_cursor"],
    )
    assert page["has_more"] is True
    assert texts(rest) == ["0"]


async def test_replies_are_in_their_thread_only(slack: SlackFarEnd, call: Client) -> None:
    parent = slack.post_as_bot("C0OPS", "parent")
    slack.post_as_bot("C0OPS", "reply", thread_ts=parent)
    history = await call("conversations.history", channel="C0OPS")
    assert [message["text"] for message in history["messages"]] == ["parent"]
    assert history["messages"][0]["reply_count"] == 1
    replies = await call("conversations.replies", channel="C0OPS", ts=parent)
    assert [message["text"] for message in replies["messages"]] == ["parent", "reply"]
    none = await call("conversations.replies", channel="C0OPS", ts="1.000000")
    assert none["error"] == "thread_not_found"


async def test_people_groups_and_channels_can_be_looked_up(call: Client) -> None:
    guest = (await call("users.info", user="U0GUEST"))["user"]
    assert guest["is_restricted"] is True
    assert (await call("users.info", user="U0NOBODY"))["error"] == "user_not_found"
    assert len((await call("users.list"))["members"]) == 4
    groups = (await call("usergroups.list", include_users=True))["usergroups"]
    deployers = next(group for group in groups if group["handle"] == "deployers")
    assert deployers["users"] == ["U0ADA", "U0GRACE"]
    assert deployers["is_membership_locked"] is True
    assert "users" not in (await call("usergroups.list"))["usergroups"][0]
    members = await call("usergroups.users.list", usergroup="S0SRE")
    assert members["users"] == ["U0GRACE"]
    none = await call("usergroups.users.list", usergroup="S0NONE")
    assert none["error"] == "no_such_subteam"
    names = [channel["name"] for channel in (await call("conversations.list"))["channels"]]
    assert names == ["ops", "reports", "incidents"]
    assert (await call("conversations.info", channel="C0OPS"))["channel"]["is_ext_shared"] is False
    assert "U0ADA" in (await call("conversations.members", channel="C0OPS"))["members"]


async def test_the_channels_that_the_list_gives_are_those_that_info_knows(
    slack: SlackFarEnd, call: Client
) -> None:
    slack.add_channel("C0PRIVATE", is_private=True)
    slack.add_channel("C0HIDDEN", is_private=True, members={"U0ADA"})
    slack.add_channel("C0OLD", is_archived=True)
    kinds = {"types": "public_channel,private_channel", "limit": 2}
    found: list[dict[str, Any]] = []
    cursor = None
    while cursor != "":
        page = await call("conversations.list", **kinds, cursor=cursor)
        assert len(page["channels"]) <= 2
        found += page["channels"]
        cursor = page["response_metadata"]["next_cursor"]
    ids = ["C0OPS", "C0REPORTS", "C0INCIDENTS", "C0PRIVATE", "C0OLD"]
    assert [channel["id"] for channel in found] == ids
    for channel in found:
        info = await call("conversations.info", channel=channel["id"], include_num_members=True)
        assert info["channel"] == channel
    active = await call("conversations.list", exclude_archived=True)
    assert [channel["id"] for channel in active["channels"]] == ids[:3]
    slack.workspace.scopes.discard("groups:read")
    refused = await call("conversations.list", **kinds)
    assert (refused["error"], refused["needed"]) == ("missing_scope", "groups:read")


async def test_a_permalink_leads_to_the_message(slack: SlackFarEnd, call: Client) -> None:
    ts = slack.post_as_bot("C0OPS", "x")
    answer = await call("chat.getPermalink", channel="C0OPS", message_ts=ts)
    assert answer["permalink"].endswith(f"/archives/C0OPS/p{ts.replace('.', '')}")


async def test_a_trigger_is_good_for_three_seconds_and_one_use(call: Client) -> None:
    now = [1000.0]
    workspace = seeded_workspace(clock=Clock(lambda: now[0]))
    async with SlackFarEnd(workspace=workspace) as slack:
        client = Client(call.session, slack)
        trigger = slack.triggers.make()
        view = {"type": "modal"}
        first = await client("views.open", trigger_id=trigger, view=view)
        assert first["error"] == "feature_not_enabled"
        again = await client("views.open", trigger_id=trigger, view=view)
        assert again["error"] == "exchanged_trigger_id"
        late = slack.triggers.make()
        now[0] += 3.1
        answer = await client("views.open", trigger_id=late, view=view)
        assert answer["error"] == "expired_trigger_id"
        answer = await client("views.open", trigger_id="1.2.3", view=view)
        assert answer["error"] == "invalid_trigger_id"


async def test_one_channel_takes_one_message_a_second_after_a_small_burst(call: Client) -> None:
    now = [1000.0]
    workspace = seeded_workspace(clock=Clock(lambda: now[0]))
    async with SlackFarEnd(workspace=workspace) as slack:
        client = Client(call.session, slack)
        answers = [await client("chat.postMessage", channel="C0OPS", text="x") for _ in range(6)]
        assert [answer["ok"] for answer in answers] == [True] * 5 + [False]
        assert answers[-1]["error"] == "ratelimited"
        assert slack.calls[-1].status == 429
        assert (await client("chat.postMessage", channel="C0REPORTS", text="x"))["ok"]
        now[0] += 1.0
        assert (await client("chat.postMessage", channel="C0OPS", text="x"))["ok"]


async def test_a_rate_limited_slack_answers_429_with_retry_after(
    slack: SlackFarEnd, call: Client
) -> None:
    slack.faults.rate_limited = True
    slack.faults.retry_after_seconds = 7
    headers = {"Authorization": f"Bearer {slack.bot_token}"}
    url = f"{slack.api_url}chat.postMessage"
    data = {"channel": "C0OPS", "text": "x"}
    async with call.session.post(url, data=data, headers=headers) as response:
        assert response.status == 429
        assert response.headers["Retry-After"] == "7"
    assert (await call("auth.test"))["ok"]
    slack.faults.calm()
    assert (await call("chat.postMessage", channel="C0OPS", text="x"))["ok"]
    assert len(slack.messages("C0OPS")) == 1


async def test_a_hanging_slack_does_not_answer_and_does_nothing(
    slack: SlackFarEnd, call: Client
) -> None:
    slack.faults.hanging = True
    headers = {"Authorization": f"Bearer {slack.bot_token}"}
    url = f"{slack.api_url}chat.postMessage"
    data = {"channel": "C0OPS", "text": "x"}
    brief = aiohttp.ClientTimeout(total=0.2)
    with pytest.raises(TimeoutError):
        await call.session.post(url, data=data, headers=headers, timeout=brief)
    await slack.wait_for(lambda: [made.status for made in slack.calls] == [0])
    slack.faults.calm()
    assert (await call("auth.test"))["ok"]
    assert slack.messages("C0OPS") == []


@pytest.mark.parametrize(
    ("fault", "stored"),
    [("drop_before", 0), ("drop_after", 1), ("error_before", 0), ("error_after", 1)],
)
async def test_a_call_that_breaks_leaves_the_message_or_not(
    slack: SlackFarEnd, call: Client, fault: Any, stored: int
) -> None:
    slack.faults.once("chat.postMessage", fault)
    with pytest.raises(aiohttp.ClientError):
        await call("chat.postMessage", channel="C0OPS", text="x")
    assert len(slack.messages("C0OPS")) == stored
    assert (await call("chat.postMessage", channel="C0OPS", text="y"))["ok"]


async def test_calls_are_recorded_without_the_token(slack: SlackFarEnd, call: Client) -> None:
    data = {"token": slack.bot_token, "channel": "C0OPS", "text": "x"}
    async with call.session.post(f"{slack.api_url}chat.postMessage", data=data) as response:
        assert (await response.json())["ok"]
    (made,) = slack.calls
    assert made.method == "chat.postMessage"
    assert made.ok
    assert slack.bot_token not in repr(made)
