"""Slack's client against a Slack far end that really listens, and listeners that misbehave."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.adapters.wire import Connection, Wire, answering, wired
from tidegate.adapters.slack_api import SlackApi, SlackClient, messages
from tidegate.adapters.slack_api import client as slack_client
from tidegate.core.model import RunId
from tidegate.errors import (
    SlackAmbiguousError,
    SlackBusyError,
    SlackError,
    SlackUnreachableError,
)
from tidegate.ports import Group, Person, Workspace
from tidegate_dev.slack.far_end import SlackFarEnd
from tidegate_dev.slack.messages import Message
from tidegate_dev.slack.people import UserGroup

RUN = RunId("01HZ0000000000000000000001")
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "*done*"}}
Call = Callable[[SlackApi], Awaitable[object]]


@contextlib.asynccontextmanager
async def slack(**options: Any) -> AsyncIterator[tuple[SlackFarEnd, SlackApi]]:
    async with SlackFarEnd(limits_enabled=False, **options) as far_end:
        api = SlackApi(SlackClient(api_url=far_end.api_url, token=far_end.bot_token))
        try:
            yield far_end, api
        finally:
            await api.close()


@contextlib.asynccontextmanager
async def client(api_url: str) -> AsyncIterator[SlackApi]:
    api = SlackApi(SlackClient(api_url=api_url, token="xoxb-1"))
    try:
        yield api
    finally:
        await api.close()


async def post(api: SlackApi, channel_id: str = "C0OPS", **changes: Any) -> tuple[str, str]:
    fields: dict[str, Any] = {"text": "done", "blocks": [SECTION], "thread_ts": None}
    return await api.post(channel_id=channel_id, run_id=RUN, **(fields | changes))


# --- each method ----------------------------------------------------------------------------


async def test_whom_the_token_speaks_for() -> None:
    async with slack() as (far_end, api):
        assert await api.workspace() == Workspace(
            team_id=far_end.team_id,
            bot_id=far_end.bot_id,
            user_id=far_end.workspace.identity.bot_user_id,
        )


async def test_a_person_as_slack_knows_them() -> None:
    async with slack() as (far_end, api):
        far_end.add_user("U0GONE", deleted=True)
        far_end.add_user("U0STRANGER", is_stranger=True, team_id="T0OTHER")
        assert await api.person("U0ADA") == Person(
            user_id="U0ADA",
            name="ada",
            team_id=far_end.team_id,
            enterprise_id=None,
            guest=False,
            stranger=False,
            active=True,
        )
        assert (await api.person("U0GUEST")).guest
        assert not (await api.person("U0GONE")).active
        assert not (await api.person("U0TIDEGATE")).active
        stranger = await api.person("U0STRANGER")
        assert (stranger.stranger, stranger.team_id) == (True, "T0OTHER")
        with pytest.raises(SlackError, match="user_not_found"):
            await api.person("U0NOBODY")


async def test_whether_outsiders_are_in_a_channel() -> None:
    async with slack() as (far_end, api):
        far_end.add_channel("C0SHARED", is_ext_shared=True)
        assert not await api.channel_external("C0OPS")
        assert await api.channel_external("C0SHARED")


async def test_a_direct_message_is_as_external_as_who_is_in_it() -> None:
    async with slack() as (far_end, api):
        far_end.workspace.scopes |= {"im:read"}
        far_end.add_user("U0STRANGER", is_stranger=True)
        far_end.add_user("U0ELSEWHERE", team_id="T0OTHER")
        direct = far_end.workspace.direct_channel
        assert await api.channel_external(direct("U0STRANGER").id)
        assert await api.channel_external(direct("U0ELSEWHERE").id)
        assert not await api.channel_external(direct("U0ADA").id)
        far_end.workspace.scopes -= {"users:read"}
        with pytest.raises(SlackError, match="missing_scope"):
            await api.channel_external(direct("U0ADA").id)


async def test_one_from_elsewhere_makes_a_direct_message_of_several_external() -> None:
    async with slack() as (far_end, api):
        far_end.workspace.scopes |= {"mpim:read"}
        far_end.add_user("U0STRANGER", is_stranger=True)
        us = {"U0ADA", "U0GRACE", "U0TIDEGATE"}
        far_end.add_channel("C0US", is_mpim=True, members=us)
        far_end.add_channel("C0THEM", is_mpim=True, members=us | {"U0STRANGER"})
        assert not await api.channel_external("C0US")
        assert await api.channel_external("C0THEM")


def told(**answers: dict[str, Any]) -> Callable[[Connection, Wire], Awaitable[None]]:
    """Answer each method by its name, with `_` for the dot."""

    async def behave(connection: Connection, wire: Wire) -> None:
        while True:
            wire.seen.append(await connection.request())
            method = wire.seen[-1].line.split()[1].partition("?")[0].rpartition("/")[2]
            answer = {"ok": True, **answers[method.replace(".", "_")]}
            await connection.answer(http("200 OK", json.dumps(answer)))

    return behave


@pytest.mark.parametrize(
    "channel",
    [
        {},
        {"id": "C1"},
        {"is_ext_shared": False},
        {"is_pending_ext_shared": False},
        {"is_ext_shared": "false", "is_pending_ext_shared": False},
        {"is_ext_shared": None, "is_pending_ext_shared": False},
        {"is_ext_shared": 0, "is_pending_ext_shared": False},
        {"is_ext_shared": float("nan"), "is_pending_ext_shared": False},
        {"is_im": True},
        {"is_im": True, "user": ["U1"]},
        {"is_im": True, "user": "U1", "is_ext_shared": "no"},
        {"is_mpim": True},
        {"is_im": True, "user": "U1"},
    ],
)
async def test_what_slack_does_not_tell_of_a_channel_is_no_no(channel: dict[str, Any]) -> None:
    answers: dict[str, dict[str, Any]] = {
        "conversations_info": {"channel": channel},
        "conversations_members": {"members": []},
        "auth_test": {"team_id": "T1", "bot_id": "B1", "user_id": "UB"},
        "users_info": {"user": {"id": "U1"}},  # of which team?
    }
    async with wired(told(**answers)) as wire, client(f"{wire.url()}/api/") as api:
        with pytest.raises(SlackError) as refused:
            await api.channel_external("C1")
    assert type(refused.value) is SlackError


@pytest.mark.parametrize(
    ("user", "external"),
    [
        ({"team_id": "T1"}, False),
        ({"team_id": "T2", "enterprise_user": {"enterprise_id": "E1"}}, False),
        ({"team_id": "E1"}, False),
        ({"team_id": "T2", "enterprise_user": {"enterprise_id": "E2"}}, True),
        ({"team_id": "T2"}, True),
        ({"team_id": "T1", "is_stranger": True}, True),
    ],
)
async def test_who_is_of_the_same_organisation_is_no_outsider(
    user: dict[str, Any], external: bool
) -> None:
    ours = {"team_id": "T1", "bot_id": "B1", "user_id": "UB", "enterprise_id": "E1"}
    answers: dict[str, dict[str, Any]] = {
        "conversations_info": {"channel": {"is_im": True, "user": "U1"}},
        "auth_test": ours,
        "users_info": {"user": user},
    }
    async with wired(told(**answers)) as wire, client(f"{wire.url()}/api/") as api:
        assert await api.channel_external("D1") is external


async def test_the_groups_that_are_asked_for_and_exist() -> None:
    async with slack() as (far_end, api):
        groups = far_end.workspace
        groups.add_group(UserGroup(id="S0OPEN", handle="o", name="O", users=["U1"], locked=False))
        groups.add_group(UserGroup(id="S0IDP", handle="i", name="I", locked=False, idp=True))
        groups.add_group(UserGroup(id="S0OFF", handle="f", name="F", users=["U1"], disabled=True))
        asked = frozenset({"S0SRE", "S0OPEN", "S0IDP", "S0OFF", "S0NONE"})
        assert await api.groups(asked) == {
            "S0SRE": Group(group_id="S0SRE", members=frozenset({"U0GRACE"}), locked=True),
            "S0OPEN": Group(group_id="S0OPEN", members=frozenset({"U1"}), locked=False),
            "S0IDP": Group(group_id="S0IDP", members=frozenset(), locked=True),
        }


async def test_a_post_carries_its_run_and_is_found_by_it() -> None:
    async with slack() as (far_end, api):
        far_end.say("C0OPS", "U0ADA", "hello")
        channel_id, ts = await post(api)
        message = far_end.message(channel_id, ts)
        assert (channel_id, message.text) == ("C0OPS", "done")
        since = float(ts) - 60
        found = await api.find(channel_id="C0OPS", thread_ts=None, run_id=RUN, since=since)
        assert found == ts
        other = RunId("01HZ0000000000000000000002")
        assert not await api.find(channel_id="C0OPS", thread_ts=None, run_id=other, since=since)


async def test_a_message_of_another_app_that_carries_our_mark_is_not_ours() -> None:
    async with slack() as (far_end, api):
        since = far_end.workspace.clock.now() - 60
        for bot_id, user in (("B0EVIL", "U0EVIL"), (None, "U0ADA")):
            forged = Message(
                channel="C0OPS",
                ts=far_end.workspace.clock.ts(),
                user=user,
                bot_id=bot_id,
                app_id="A0EVIL",
                metadata={"event_type": "tidegate_run", "event_payload": {"run": RUN}},
            )
            far_end.workspace.post(forged)
        where: dict[str, Any] = {"channel_id": "C0OPS", "thread_ts": None, "since": since}
        assert await api.find(run_id=RUN, **where) is None
        _, ts = await post(api)
        far_end.say("C0OPS", "U0ADA", "hello")
        assert await api.find(run_id=RUN, **where) == ts
        asked = [call.method for call in far_end.calls]
        assert asked.count("auth.test") == 1  # who we are does not change


async def test_looking_for_a_message_that_is_not_there_is_one_call() -> None:
    async with slack() as (far_end, api):
        far_end.post_as_bot("C0OPS", "hello")
        assert not await api.find(channel_id="C0OPS", thread_ts=None, run_id=RUN, since=0.0)
        assert [call.method for call in far_end.calls] == ["conversations.history"]


async def test_a_post_in_a_thread_is_found_there() -> None:
    async with slack() as (far_end, api):
        parent = far_end.say("C0OPS", "U0ADA", "hello")
        _, ts = await post(api, thread_ts=parent)
        assert far_end.message("C0OPS", ts).thread_ts == parent
        found = await api.find(
            channel_id="C0OPS", thread_ts=parent, run_id=RUN, since=float(parent) - 60
        )
        assert found == ts


async def test_a_post_is_found_on_a_later_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "HISTORY_LIMIT", 2)
    async with slack() as (far_end, api):
        _, ts = await post(api)
        for n in range(5):
            far_end.say("C0OPS", "U0ADA", f"{n}")
        since = float(ts) - 60
        assert await api.find(channel_id="C0OPS", thread_ts=None, run_id=RUN, since=since) == ts
        for n in range(10):
            far_end.say("C0OPS", "U0ADA", f"{n}")
        with pytest.raises(SlackAmbiguousError):
            await api.find(channel_id="C0OPS", thread_ts=None, run_id=RUN, since=since)


async def test_a_post_to_a_person_says_in_which_channel_it_is() -> None:
    async with slack() as (_, api):
        channel_id, _ = await post(api, "U0ADA")
    assert channel_id.startswith("D")


async def test_an_update_replaces_text_and_blocks() -> None:
    async with slack() as (far_end, api):
        ts = far_end.post_as_bot("C0OPS", "old", [SECTION])
        await api.update(channel_id="C0OPS", ts=ts, text="new", blocks=())
        assert (far_end.message("C0OPS", ts).text, far_end.message("C0OPS", ts).blocks) == (
            "new",
            [],
        )
        with pytest.raises(SlackError, match="message_not_found"):
            await api.update(channel_id="C0OPS", ts="1.000002", text="new", blocks=())


async def test_a_notice_is_seen_by_one_person_alone() -> None:
    async with slack() as (far_end, api):
        await api.ephemeral(channel_id="C0OPS", user_id="U0ADA", text="not you")
        assert [message.text for message in far_end.ephemerals("U0ADA")] == ["not you"]
        assert far_end.ephemerals("U0GRACE") == []
        assert far_end.messages("C0OPS") == []


async def test_a_notice_without_a_channel_is_a_direct_message() -> None:
    async with slack() as (far_end, api):
        await api.ephemeral(channel_id=None, user_id="U0ADA", text="not you")
        (call,) = [call for call in far_end.calls if call.method == "chat.postMessage"]
        assert call.arguments["channel"] == "U0ADA"
        assert call.ok


async def test_a_response_url_is_used() -> None:
    async with slack() as (far_end, api):
        url = far_end.response_urls.make(channel="C0OPS", user="U0ADA", source=None)
        await api.respond(url, {"response_type": "ephemeral", "text": "hello"})
        assert [message.text for message in far_end.ephemerals("U0ADA")] == ["hello"]
        far_end.response_urls.expire()
        with pytest.raises(SlackError, match="response_url http 404"):
            await api.respond(url, {"text": "hello"})


# --- what a failure means -------------------------------------------------------------------

CALLS: dict[str, Call] = {
    "auth.test": lambda api: api.workspace(),
    "users.info": lambda api: api.person("U0ADA"),
    "conversations.info": lambda api: api.channel_external("C0OPS"),
    "usergroups.list": lambda api: api.groups(frozenset({"S0SRE"})),
    "chat.postMessage": post,
    "chat.update": lambda api: api.update(channel_id="C0OPS", ts="1.1", text="x", blocks=()),
    "chat.postEphemeral": lambda api: api.ephemeral(channel_id="C0OPS", user_id="U0ADA", text="x"),
    "conversations.history": lambda api: api.find(
        channel_id="C0OPS", thread_ts=None, run_id=RUN, since=0.0
    ),
    "response_url": lambda api: api.respond(f"{api._client.api_url}x", {"text": "x"}),
}
each_call = pytest.mark.parametrize("method", CALLS)
each_api_call = pytest.mark.parametrize("method", [name for name in CALLS if "." in name])


@each_api_call
async def test_when_slack_asks_to_wait_nothing_was_done(method: str) -> None:
    async with slack() as (far_end, api):
        far_end.faults.methods = method
        far_end.faults.rate_limited = True
        far_end.faults.retry_after_seconds = 7
        with pytest.raises(SlackBusyError) as busy:
            await CALLS[method](api)
        assert busy.value.retry_after == 7.0
        assert len([call for call in far_end.calls if call.method == method]) == 1


@each_call
async def test_without_a_connection_nothing_was_done(method: str) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        async with client(f"http://127.0.0.1:{port}/api/") as api:
            with pytest.raises(SlackUnreachableError):
                await CALLS[method](api)


@each_call
async def test_a_slack_that_hangs_leaves_it_open(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_client, "TIMEOUT_SECONDS", 0.3)

    async def hangs(connection: Connection, wire: Wire) -> None:
        wire.seen.append(await connection.request())
        await connection.reader.read()

    async with wired(hangs) as wire, client(f"{wire.url()}/api/") as api:
        with pytest.raises(SlackAmbiguousError, match="timeout"):
            await CALLS[method](api)
    assert len(wire.seen) == 1


@each_call
async def test_a_broken_connection_leaves_it_open(method: str) -> None:
    async def breaks(connection: Connection, wire: Wire) -> None:
        wire.seen.append(await connection.request())

    async with wired(breaks) as wire, client(f"{wire.url()}/api/") as api:
        with pytest.raises(SlackAmbiguousError):
            await CALLS[method](api)
    writes = [seen for seen in wire.seen if seen.line.startswith("POST")]
    assert len(writes) == (1 if wire.seen == writes else 0)  # aiohttp looks twice by itself


def http(status: str, body: str, kind: str = "application/json") -> bytes:
    raw = body.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(raw)}\r\n\r\n"
    return head.encode() + raw


@each_api_call
@pytest.mark.parametrize(
    "raw",
    [
        http("500 Oops", "stream timeout", "text/plain"),
        http("502 Bad Gateway", "<html>secret", "text/html"),
        http("503 Service Unavailable", '{"ok":false,"error":"service_unavailable"}'),
        http("200 OK", "<html>secret</html>", "text/html"),
        http("200 OK", "secret", "text/plain"),
        http("200 OK", "secret{"),
        http("200 OK", ""),
        http("200 OK", "[]"),
        http("200 OK", "null"),
        http("200 OK", '{"ok":false}'),
        http("200 OK", '{"ok":false,"error":5}'),
        http("200 OK", '{"ok":false,"error":"internal_error"}'),
        http("200 OK", '{"ok":false,"error":"fatal_error"}'),
        http("200 OK", '{"ok":false,"error":"request_timeout"}'),
        http("200 OK", '{"ok":true,"channel":' + "[" * 200_000),
        http("200 OK", '{"ok":true,"x":' * 20_000 + "1" + "}" * 20_000),
        http("200 OK", f'{{"ok":true,"channel":{"1" * 5000}}}'),
        http("200 OK", '{"ok":true}', "text/html"),
        b"nonsense\r\n\r\n",
    ],
)
async def test_an_answer_that_is_not_slacks_no_leaves_it_open(method: str, raw: bytes) -> None:
    async with wired(answering(raw)) as wire, client(f"{wire.url()}/api/") as api:
        with pytest.raises(SlackAmbiguousError) as unclear:
            await CALLS[method](api)
    assert "secret" not in str(unclear.value)
    assert len(wire.seen) == 1


@each_api_call
async def test_slacks_no_is_told_by_its_code(method: str) -> None:
    raw = http("200 OK", '{"ok":false,"error":"missing_scope","needed":"x"}')
    async with wired(answering(raw)) as wire, client(f"{wire.url()}/api/") as api:
        with pytest.raises(SlackError) as refused:
            await CALLS[method](api)
    assert type(refused.value) is SlackError
    assert refused.value.code == "missing_scope"
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("code", ["a\nb", "é", "x" * 500])
async def test_a_code_that_is_none_is_not_repeated_whole(code: str) -> None:
    raw = http("200 OK", json.dumps({"ok": False, "error": code}))
    async with wired(answering(raw)) as wire, client(f"{wire.url()}/api/") as api:
        with pytest.raises(SlackError) as refused:
            await api.workspace()
    assert len(refused.value.code) <= 80
    assert refused.value.code.isprintable()
    assert refused.value.code.isascii()


@pytest.mark.parametrize(
    ("header", "wait"),
    [("", 1.0), ("soon", 1.0), ("0", 1.0), ("5", 5.0), ("9" * 9, 3600), ("9" * 5000, 3600)],
)
async def test_how_long_to_wait_keeps_inside_an_hour(header: str, wait: float) -> None:
    raw = f"HTTP/1.1 429 Slow\r\nRetry-After: {header}\r\nContent-Length: 0\r\n\r\n".encode()
    async with wired(answering(raw)) as wire, client(f"{wire.url()}/api/") as api:
        with pytest.raises(SlackBusyError) as busy:
            await api.workspace()
    assert busy.value.retry_after == wait


async def test_a_post_that_arrived_and_was_never_answered_is_not_posted_again() -> None:
    async with slack() as (far_end, api):
        far_end.faults.once("chat.postMessage", "drop_after")
        with pytest.raises(SlackAmbiguousError):
            await post(api)
        (message,) = far_end.messages("C0OPS")
        since = float(message.ts) - 60
        found = await api.find(channel_id="C0OPS", thread_ts=None, run_id=RUN, since=since)
        assert found == message.ts


@pytest.mark.parametrize("what", ["drop_before", "error_before", "error_after"])
async def test_one_broken_moment_is_one_try(what: Any) -> None:
    async with slack() as (far_end, api):
        far_end.faults.once("chat.postMessage", what)
        with pytest.raises(SlackAmbiguousError):
            await post(api)
        assert len(far_end.messages("C0OPS")) == (1 if what == "error_after" else 0)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (http("429 Slow", ""), SlackBusyError),
        (http("500 Oops", ""), SlackAmbiguousError),
        (http("404 Gone", "used_url"), SlackError),
        (http("302 Found", ""), SlackError),
    ],
)
async def test_what_a_response_url_may_answer(raw: bytes, kind: type[SlackError]) -> None:
    async with wired(answering(raw)) as wire, client(f"{wire.url()}/api/") as api:
        with pytest.raises(SlackError) as refused:
            await api.respond(f"{wire.url()}/response/x", {"text": "x"})
    assert type(refused.value) is kind
    assert "used_url" not in str(refused.value)


async def test_a_redirect_of_a_response_url_is_not_followed() -> None:
    async with wired(answering()) as elsewhere:
        raw = f"HTTP/1.1 307 Go\r\nLocation: {elsewhere.url()}\r\nContent-Length: 0\r\n\r\n"
        async with wired(answering(raw.encode())) as wire, client(f"{wire.url()}/api/") as api:
            with pytest.raises(SlackError):
                await api.respond(f"{wire.url()}/x", {"text": "x"})
    assert elsewhere.connections == 0


async def test_a_proxy_in_the_environment_does_not_see_what_stays_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with wired(answering()) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        async with slack() as (far_end, api):
            assert (await api.workspace()).team_id == far_end.team_id
    assert proxy.connections == 0


async def test_calls_at_once_do_not_wait_for_one_another() -> None:
    async with slack() as (far_end, api):
        far_end.faults.hanging = True
        hanging = asyncio.ensure_future(post(api))
        await api.workspace()
        assert not hanging.done()
        far_end.faults.hanging = False
        await hanging


# --- whose response URLs are used -----------------------------------------------------------

REAL = "https://slack.com/api/"
LOCAL = "http://127.0.0.1:9001/api/"


def may(api_url: str, url: str) -> bool:
    return SlackApi(SlackClient(api_url=api_url, token="x"))._may_respond(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/actions/T/1/x",
        "https://HOOKS.slack.com/actions/T/1/x",
        "https://hooks.slack.com:443/commands/1/2",
        "https://hooks.slack-gov.com/app/1/2",
    ],
)
@pytest.mark.parametrize("api_url", [REAL, LOCAL])
def test_slacks_own_response_urls_are_used(api_url: str, url: str) -> None:
    assert may(api_url, url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.slack.com/actions",
        "//hooks.slack.com/actions",
        "http://hooks.slack.com/actions",
        "ftp://hooks.slack.com/actions",
        "https://hooks.slack.com:8443/actions",
        "https://hooks.slack.com:0/actions",
        "https://hooks.slack.com:99999/actions",
        "https://hooks.slack.com:abc/actions",
        "https://hooks.slack.com./actions",
        "https://hooks.slack.com.evil.example/actions",
        "https://evil.example/hooks.slack.com",
        "https://evil.example#@hooks.slack.com/",
        "https://evil.example?@hooks.slack.com/",
        "https://evil.example\\@hooks.slack.com/",
        "https://hooks.slack.com@evil.example/",
        "https://hooks.slack.com:443@evil.example/",
        "https://user@hooks.slack.com/",
        "https://user:pass@hooks.slack.com/",
        "https://@hooks.slack.com/",
        "https://:@hooks.slack.com/",
        "https://xhooks.slack.com/",
        "https://slack.com/",
        "https://a.hooks.slack.com/",
        "https://hooks.slack.com%2eevil.example/",
        "https://hooks.slack.com\n.evil.example/",
        "https://[hooks.slack.com]/",
        "https://[::1]/",
        "https://hooks。slack。com/",
        "http://127.0.0.1:9001/",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
    ],
)
def test_nobody_elses_address_is_used(url: str) -> None:
    assert not may(REAL, url)


@pytest.mark.parametrize(
    ("url", "used"),
    [
        ("http://127.0.0.1:9001/response/x", True),
        ("http://127.0.0.1:9001", True),
        ("http://127.0.0.1:9002/response/x", False),
        ("http://127.0.0.1/response/x", False),
        ("https://127.0.0.1:9001/response/x", False),
        ("http://localhost:9001/response/x", False),
        ("http://127.0.0.2:9001/response/x", False),
        ("http://[::1]:9001/response/x", False),
        ("http://user@127.0.0.1:9001/response/x", False),
        ("http://127.0.0.1:9001@evil.example/", False),
        ("http://evil.example:9001/", False),
        ("http://2130706433:9001/", False),
    ],
)
def test_on_loopback_only_the_very_place_of_the_api_is_used(url: str, used: bool) -> None:
    assert may(LOCAL, url) is used


def test_only_a_loopback_api_makes_its_own_place_one_to_respond_to() -> None:
    assert not may("https://slack.example:8443/api/", "https://slack.example:8443/x")
    assert may("http://localhost:9001/api/", "http://localhost:9001/x")
    assert may("http://[::1]:9001/api/", "http://[::1]:9001/x")


async def test_what_is_refused_is_not_asked() -> None:
    async with wired(answering()) as wire, client(LOCAL) as api:
        with pytest.raises(SlackError, match="not Slack's"):
            await api.respond(f"{wire.url()}/x", {"text": "secret"})
    assert wire.connections == 0


async def test_a_token_that_was_replaced_where_it_is_kept_is_read_anew() -> None:
    asked: list[str] = []

    async with SlackFarEnd(limits_enabled=False) as far_end:

        async def read() -> str:
            asked.append(far_end.bot_token)
            return far_end.bot_token

        connection = SlackClient(api_url=far_end.api_url, token="xoxb-old", read_token=read)
        api = SlackApi(connection)
        try:
            with pytest.raises(SlackBusyError):  # nothing was done: again, in a moment
                await post(api)
            await post(api)
            assert len(far_end.messages("C0OPS")) == 1
            assert len(asked) == 1
        finally:
            await api.close()


async def test_a_token_that_stays_wrong_is_not_read_at_every_call() -> None:
    asked: list[str] = []

    async def read() -> str:
        asked.append("read")
        return "xoxb-old"

    async with SlackFarEnd(limits_enabled=False) as far_end:
        api = SlackApi(SlackClient(api_url=far_end.api_url, token="xoxb-old", read_token=read))
        try:
            for _ in range(3):
                with pytest.raises(SlackError, match="invalid_auth"):
                    await post(api)
            assert asked == ["read"]
        finally:
            await api.close()
