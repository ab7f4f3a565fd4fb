"""Who may, and how Slack is told: with a Slack that refuses, limits, hangs and forgets."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.service import Script, Seen, done, says
from tests.stand import Stand, buttons, stand
from tidegate_dev.slack.messages import Message
from tidegate_dev.slack.people import UserGroup

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARAMS = {"namespace": {"default": "staging"}, "deployment": {"required": True}}
WORD = {"deployment": {"required": True, "from": "text[0]"}}
OPERATION = "/api/v1/deploy/operations/x"


def action(trigger: str, **keys: Any) -> dict[str, Any]:
    return {
        "match": {"action_id": [trigger]},
        "pathway": "cluster",
        "request": {"method": "POST", "path": "/api/v1/deploy"},
        "params": PARAMS,
        "allow": {"users": ["any"]},
    } | keys


def configure(config: dict[str, Any]) -> None:
    config["actions"] = {
        "deploy": action("k8s_deploy"),
        "sre": action("k8s_sre", allow={"user_groups": ["S0SRE"]}),
        "loose": action("k8s_loose", allow={"user_groups": ["S0LOOSE"]}),
        "guests": action("k8s_guests", allow={"users": ["any"], "guests": True}),
        "soon": action("k8s_soon", start_within_seconds=2),
        "asks": action("k8s_asks", confirm="Really to staging?"),
        "asks-briefly": action("k8s_asks_briefly", confirm=True, start_within_seconds=1),
        "command": action("", match={"command": ["/deploy"]}, params=WORD),
        "global": action("", match={"shortcut": ["deploy_now"]}, params={}),
    }


@dataclass
class Shared:
    """One gateway for many journeys, told apart by their deployments and people."""

    stand: Stand
    script: Script
    read: Counter[str] = field(default_factory=Counter)

    async def press(
        self, trigger: str, deployment: str, *, user: str = "U0ADA", channel: str = "C0OPS"
    ) -> str:
        blocks = buttons((trigger, deployment))
        ts = self.stand.slack.post_as_bot(channel, "Deploy?", blocks)
        delivery = await self.stand.click(ts, action_id=trigger, user=user, channel=channel)
        assert delivery.acked
        return ts

    async def foreign(self, deployment: str, *, channel: str = "C0OPS", user: str = "U0ADA") -> str:
        """Press a button that another app posted, and return the run."""
        blocks = buttons(("k8s_deploy", deployment))
        ts = self.stand.slack.post_as_other(channel, "Deploy?", blocks)
        delivery = await self.stand.click(ts, channel=channel, user=user)
        assert delivery.acked
        run: str = delivery.run
        return run

    def content(self, ts: str) -> str:
        message = self.stand.slack.message("C0OPS", ts)
        return json.dumps([message.text, message.blocks], ensure_ascii=False)

    def sent(self, deployment: str) -> list[Seen]:
        return self.stand.service.posts_for(deployment)

    def posted(self, run: str, *, channel: str = "C0OPS") -> list[Message]:
        """Return the messages that carry a run."""
        return [
            message
            for message in self.stand.slack.messages(channel)
            if (message.metadata or {}).get("event_payload", {}).get("run") == run
        ]

    async def post_told(self, run: str, text: str, *, seconds: float = 20.0) -> None:
        """Return once some message of a run says *text*."""

        def said() -> bool:
            return any(text in message.text for message in self.posted(run))

        await self.stand.slack.wait_for(said, seconds=seconds)

    def calls(self, method: str, run: str) -> int:
        """How often a run was posted or updated."""
        wanted = [call for call in self.stand.slack.calls if call.method == method]
        return sum(run in json.dumps(dict(call.arguments), default=str) for call in wanted)

    async def notice(self, user: str, text: str, *, seconds: float = 10.0) -> str:
        """Return what only *user* sees, once something new says *text*."""
        slack = self.stand.slack

        def found() -> list[str]:
            new = slack.ephemerals(user)[self.read[user] :]
            return [message.text for message in new if text in message.text]

        await slack.wait_for(lambda: bool(found()), seconds=seconds)
        told = found()[-1]
        self.read[user] = len(slack.ephemerals(user))
        return told

    def gate(self, deployment: str) -> asyncio.Event:
        """Have the service wait with its answer until the event is set."""
        event = asyncio.Event()

        async def answer(seen: Seen) -> Any:
            await event.wait()
            return done(seen)

        self.script.posts[deployment] = [answer]
        return event


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_stand(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    script = Script()
    folder = tmp_path_factory.mktemp("slack")
    async with stand(folder, change=configure, answer=script, start=False) as s:
        loose = UserGroup(id="S0LOOSE", handle="l", name="Loose", users=["U0ADA"], locked=False)
        s.slack.workspace.add_group(loose)
        s.slack.workspace.groups["S0SRE"].users.append("U0LEFT")
        await s.gateway.start()
        yield Shared(s, script)


@pytest_asyncio.fixture(loop_scope="module")
async def shared(module_stand: Shared) -> AsyncIterator[Shared]:
    """The shared stand, with Slack back in order afterwards."""
    workspace = module_stand.stand.slack.workspace
    scopes = set(workspace.scopes)
    yield module_stand
    workspace.scopes = scopes
    module_stand.stand.slack.faults.calm()
    module_stand.stand.slack.faults.methods = "chat."


# --- who may: decided again by the worker -------------------------------------------------


async def test_a_guest_is_denied_although_everybody_is_listed(shared: Shared) -> None:
    ts = await shared.press("k8s_deploy", "web-guest", user="U0GUEST")
    await shared.notice("U0GUEST", "Guests may not use this")
    assert '"action_id": "k8s_deploy"' in shared.content(ts)  # others may still press it
    assert shared.sent("web-guest") == []


async def test_a_guest_is_admitted_where_the_rule_says_so(shared: Shared) -> None:
    ts = await shared.press("k8s_guests", "web-welcome", user="U0GUEST")
    await shared.stand.told(ts, "· done")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"deleted": True}, "This account is not active"),
        ({"is_stranger": True}, "people from outside the workspace"),
        ({"is_ultra_restricted": True}, "Guests may not use this"),
        ({"team_id": "T0OTHER"}, "people from outside the workspace"),
    ],
)
async def test_whoever_slack_says_is_not_one_of_us_is_denied(
    shared: Shared, fields: dict[str, Any], words: str
) -> None:
    (name,) = fields
    user = f"U0{name.replace('_', '').upper()}"
    shared.stand.slack.add_user(user, **fields)
    blocks = buttons(("k8s_deploy", f"web-{name}"))
    ts = shared.stand.message(blocks=blocks)
    assert (await shared.stand.click(ts, user=user)).acked
    await shared.notice(user, words)
    assert shared.sent(f"web-{name}") == []


async def test_nobody_acts_from_a_channel_shared_with_others(shared: Shared) -> None:
    channel = shared.stand.slack.add_channel("C0SHARED", is_ext_shared=True).id
    await shared.press("k8s_deploy", "web-shared", channel=channel)
    await shared.notice("U0ADA", "in a channel shared with them")
    assert shared.sent("web-shared") == []


async def test_a_member_of_the_group_is_admitted_and_others_are_told_which(shared: Shared) -> None:
    ts = await shared.press("k8s_sre", "web-member", user="U0GRACE")
    await shared.stand.told(ts, "· done")
    await shared.press("k8s_sre", "web-outside", user="U0ADA")
    assert "<!subteam^S0SRE>" in await shared.notice("U0ADA", "not among the people")
    assert shared.sent("web-outside") == []


async def test_who_left_the_group_after_it_was_fetched_is_denied(shared: Shared) -> None:
    slack = shared.stand.slack
    slack.add_user("U0LEFT")
    slack.workspace.groups["S0SRE"].users.remove("U0LEFT")
    await shared.press("k8s_sre", "web-left", user="U0LEFT")
    await shared.notice("U0LEFT", "not among the people")
    assert shared.sent("web-left") == []


async def test_a_group_that_anyone_can_join_does_not_count(shared: Shared) -> None:
    await shared.press("k8s_loose", "web-loose")
    await shared.notice("U0ADA", "not among the people")
    assert shared.sent("web-loose") == []


async def test_a_group_that_anyone_can_join_counts_where_it_is_trusted(tmp_path: Path) -> None:
    def trusting(config: dict[str, Any]) -> None:
        configure(config)
        config["trust_unlocked_groups"] = True

    async with stand(tmp_path, change=trusting, start=False) as s:
        loose = UserGroup(id="S0LOOSE", handle="l", name="Loose", users=["U0ADA"], locked=False)
        s.slack.workspace.add_group(loose)
        await s.gateway.start()
        ts = s.message(blocks=buttons(("k8s_loose", "web-trusted")))
        await s.click(ts, action_id="k8s_loose")
        await s.told(ts, "· done")


async def test_without_an_answer_on_who_they_are_nobody_acts(shared: Shared) -> None:
    slack = shared.stand.slack
    slack.add_user("U0UNKNOWN")
    slack.workspace.scopes.discard("users:read")
    await shared.press("k8s_deploy", "web-unverified", user="U0UNKNOWN")
    await shared.notice("U0UNKNOWN", "Slack did not tell whether you may use this")
    assert shared.sent("web-unverified") == []


async def test_while_slack_hangs_a_run_waits_and_expires_without_effect(shared: Shared) -> None:
    slack = shared.stand.slack
    slack.add_user("U0WAITING")
    slack.faults.methods, slack.faults.hanging = "users.", True
    ts = await shared.press("k8s_soon", "web-hanging", user="U0WAITING")
    text = await shared.stand.told(ts, "expired", seconds=25.0)
    assert "Nothing was done." in text
    assert shared.sent("web-hanging") == []


async def test_when_slack_answers_again_a_waiting_run_goes_on(shared: Shared) -> None:
    slack = shared.stand.slack
    slack.add_user("U0PATIENT")
    slack.faults.once("users.info", "error_before", times=2)
    ts = await shared.press("k8s_deploy", "web-patient", user="U0PATIENT")
    await shared.stand.told(ts, "· done")
    assert len(shared.sent("web-patient")) == 1


# --- our own message ----------------------------------------------------------------------


async def test_what_slack_limits_is_told_later(shared: Shared) -> None:
    slack = shared.stand.slack
    slack.faults.rate_limited, slack.faults.retry_after_seconds = True, 2
    slack.faults.methods = "chat.update"
    before = len(slack.calls)
    ts = await shared.press("k8s_deploy", "web-limited")

    def limited() -> int:
        return sum(call.status == 429 for call in slack.calls[before:])

    await slack.wait_for(lambda: limited() > 0)
    await shared.stand.service.wait_for(lambda: len(shared.sent("web-limited")) == 1)
    assert "· done" not in slack.message("C0OPS", ts).text
    slack.faults.calm()
    await shared.stand.told(ts, "· done")
    assert limited() == 1  # asked to wait, it waited


async def test_an_update_whose_answer_was_lost_is_made_again(shared: Shared) -> None:
    shared.stand.slack.faults.once("chat.update", "error_after")
    shared.stand.slack.faults.once("chat.update", "drop_before")
    ts = await shared.press("k8s_deploy", "web-update")
    await shared.stand.told(ts, "· done")
    assert len(shared.sent("web-update")) == 1


async def test_when_our_message_was_deleted_a_new_one_tells(shared: Shared) -> None:
    slack = shared.stand.slack
    release = shared.gate("web-deleted")
    ts = await shared.press("k8s_deploy", "web-deleted")
    await shared.stand.told(ts, "working")
    message = slack.message("C0OPS", ts)
    slack.workspace.delete(message)
    release.set()

    def new() -> list[Message]:
        return [m for m in slack.messages("C0OPS") if "web-deleted" in m.text]

    await slack.wait_for(lambda: any("· done" in each.text for each in new()), seconds=20.0)
    assert len(new()) == 1
    assert len(shared.sent("web-deleted")) == 1


# --- elsewhere: posted once, then updated -------------------------------------------------


async def test_a_command_is_told_by_one_message_that_is_updated(shared: Shared) -> None:
    release = shared.gate("web-command")
    delivery = await shared.stand.slack.command("/deploy", "web-command")
    assert delivery.run is not None
    run = delivery.run
    await shared.post_told(run, "working")
    release.set()
    await shared.post_told(run, "· done")
    assert len(shared.posted(run)) == 1
    assert shared.calls("chat.postMessage", run) == 1
    assert delivery.answer == b""


@pytest.mark.parametrize("fault", ["drop_after", "error_after", "drop_before", "error_before"])
async def test_after_an_unclear_post_there_is_one_message(shared: Shared, fault: Any) -> None:
    slack = shared.stand.slack
    name = f"web-{fault}"
    release = shared.gate(name)
    before = len(slack.calls)
    slack.faults.once("chat.postMessage", fault)
    run = await shared.foreign(name)
    await slack.wait_for(
        lambda: any(call.method == "conversations.history" for call in slack.calls[before:])
    )
    release.set()
    await shared.post_told(run, "· done")
    assert len(shared.posted(run)) == 1
    assert len(shared.sent(name)) == 1


async def test_without_a_look_into_the_channel_nothing_is_posted_twice(shared: Shared) -> None:
    slack = shared.stand.slack
    slack.workspace.scopes.discard("channels:history")
    slack.workspace.scopes.discard("groups:history")
    slack.faults.once("chat.postMessage", "error_after")
    release = shared.gate("web-blind")
    run = await shared.foreign("web-blind")
    await slack.wait_for(lambda: len(shared.posted(run)) == 1)
    await slack.wait_for(
        lambda: any(call.error == "missing_scope" for call in slack.calls), seconds=10.0
    )
    release.set()
    await shared.post_told(run, "· done")
    texts = [message.text for message in shared.posted(run)]
    assert len(texts) == 2
    assert ["· done" in text for text in texts] == [False, True]
    assert len(shared.sent("web-blind")) == 1


async def test_a_post_that_outlasts_its_lease_is_still_one_message(tmp_path: Path) -> None:
    def brief(config: dict[str, Any]) -> None:
        configure(config)
        config["worker"] = {"lease_seconds": 2}

    async with stand(tmp_path, change=brief) as s:
        s.slack.faults.hanging, s.slack.faults.methods = True, "chat.postMessage"
        delivery = await s.slack.command("/deploy", "web-slow-post")
        assert delivery.run is not None
        await asyncio.sleep(4.0)  # the lease has run out twice, had nobody renewed it
        s.slack.faults.calm()
        await s.slack.wait_for(lambda: bool(s.slack.messages("C0OPS")))
        assert "· done" in s.slack.messages("C0OPS")[0].text
        assert await s.gateway.end() == 0
        assert len(s.slack.messages("C0OPS")) == 1
        assert s.gateway.events("view_lease_lost") == []
        assert not any("history" in call.method for call in s.slack.calls)


async def test_where_the_bot_is_not_the_person_alone_is_told(shared: Shared) -> None:
    slack = shared.stand.slack
    channel = slack.add_channel("C0ELSEWHERE", members={"U0ADA", "U0GRACE"}).id
    await shared.foreign("web-elsewhere", channel=channel)
    assert "web-elsewhere" in await shared.notice("U0ADA", "· done")
    assert [call.status for call in slack.response_calls if call.channel == channel] == [200]
    assert slack.messages(channel)[1:] == []
    assert len(shared.sent("web-elsewhere")) == 1


# --- notices to one person ----------------------------------------------------------------


async def test_a_notice_goes_to_the_response_url(shared: Shared) -> None:
    slack = shared.stand.slack
    before = len(slack.response_calls)
    await shared.press("nobody_knows", "web-x")
    await shared.notice("U0ADA", "not connected to anything")
    (call,) = slack.response_calls[before:]
    assert call.body["replace_original"] is False
    assert call.body["response_type"] == "ephemeral"


async def test_a_notice_finds_another_way_when_the_response_url_is_spent(shared: Shared) -> None:
    slack = shared.stand.slack
    ts = shared.stand.message(blocks=buttons(("nobody_knows", "web-x")))
    delivery = slack.begin_click(channel="C0OPS", ts=ts, action_id="nobody_knows")
    slack.response_urls.expire()
    before = len(slack.calls)
    await slack.finish(delivery)
    await shared.notice("U0ADA", "not connected to anything")
    assert [call.method for call in slack.calls[before:]] == ["chat.postEphemeral"]


async def test_a_response_url_of_somebody_else_is_not_followed(shared: Shared) -> None:
    payload = json.dumps(
        {
            "type": "block_actions",
            "team": {"id": shared.stand.slack.team_id},
            "user": {"id": "U0ADA", "team_id": shared.stand.slack.team_id},
            "channel": {"id": "C0OPS"},
            "response_url": f"{shared.stand.service.url}/steal",
            "actions": [{"action_id": "nobody_knows", "block_id": "b", "action_ts": "1.5"}],
        }
    )
    assert (await shared.stand.slack.deliver_payload(json.loads(payload))).acked
    await shared.notice("U0ADA", "not connected to anything")
    assert not any(seen.path == "/steal" for seen in shared.stand.service.seen)


# --- asked before it acts -----------------------------------------------------------------


async def test_what_asks_first_goes_on_when_its_person_says_so(shared: Shared) -> None:
    ts = await shared.press("k8s_asks", "web-goes")
    text = await shared.stand.told(ts, "Really to staging?")
    assert "waiting for confirmation" in text
    await shared.stand.click(ts, action_id="tidegate:confirm", user="U0GRACE")
    await shared.notice("U0GRACE", "Only the person who asked for it")
    assert shared.sent("web-goes") == []
    await shared.stand.click(ts, action_id="tidegate:confirm")
    text = await shared.stand.told(ts, "· done")
    assert "Go on" not in text
    assert len(shared.sent("web-goes")) == 1


async def test_what_asks_first_can_be_called_off_and_pressed_again(shared: Shared) -> None:
    ts = await shared.press("k8s_asks", "web-off")
    await shared.stand.told(ts, "Call it off")
    late = shared.stand.slack.begin_click(channel="C0OPS", ts=ts, action_id="tidegate:confirm")
    await shared.stand.click(ts, action_id="tidegate:cancel")
    text = await shared.stand.told(ts, "called off")
    assert '"action_id": "k8s_asks"' in text
    await shared.stand.slack.finish(late)
    await shared.notice("U0ADA", "too late")
    assert shared.sent("web-off") == []


async def test_what_nobody_confirms_in_time_expires(shared: Shared) -> None:
    ts = await shared.press("k8s_asks_briefly", "web-silence")
    text = await shared.stand.told(ts, "expired")
    assert "It was not confirmed in time. Nothing was done." in text
    assert '"action_id": "k8s_asks_briefly"' in text
    assert shared.sent("web-silence") == []


# --- what else Slack sends ----------------------------------------------------------------

_numbers = itertools.count(1)


def envelope(shared: Shared, **fields: Any) -> dict[str, Any]:
    team = shared.stand.slack.team_id
    number = next(_numbers)
    return {
        "team": {"id": team},
        "user": {"id": "U0ADA", "username": "ada", "team_id": team},
        "trigger_id": f"{number}.trigger",
    } | fields


async def test_a_request_of_another_workspace_is_not_taken(shared: Shared) -> None:
    blocks = buttons(("k8s_deploy", "web-foreign-team"))
    payload = envelope(
        shared,
        type="block_actions",
        team={"id": "T0OTHER"},
        channel={"id": "C0OPS"},
        actions=[{**blocks[1]["elements"][0], "block_id": "b1", "action_ts": "1.0"}],
    )
    delivery = await shared.stand.slack.deliver_payload(payload)
    assert delivery.http_status == 401
    assert shared.sent("web-foreign-team") == []


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "shortcut", "callback_id": "unrouted", "action_ts": "1.1"},
        {
            "type": "message_action",
            "callback_id": "unrouted",
            "message_ts": "1.2",
            "channel": {"id": "C0OPS"},
            "message": {"ts": "1.2", "text": "hi"},
        },
        {"type": "view_submission", "view": {"id": "V0A", "hash": "1.a", "callback_id": "f"}},
        {"type": "view_closed", "view": {"id": "V0A", "hash": "1.a"}, "is_cleared": False},
        {"type": "workflow_step_edit", "callback_id": "x"},
        {"type": "dialog_submission", "callback_id": "x", "submission": {"a": "b"}},
        {"type": "something_new", "field": [1, 2, {"three": None}]},
    ],
)
async def test_every_type_of_interaction_is_answered(
    shared: Shared, fields: dict[str, Any]
) -> None:
    delivery = await shared.stand.slack.deliver_payload(envelope(shared, **fields))
    assert delivery.http_status == 200


async def test_a_global_shortcut_is_told_in_a_direct_message(shared: Shared) -> None:
    slack = shared.stand.slack
    before = len(shared.stand.service.posts)
    payload = envelope(shared, type="shortcut", callback_id="deploy_now", action_ts="2.1")
    assert (await slack.deliver_payload(payload)).acked
    await slack.wait_for(
        lambda: any("· done" in message.text for message in slack.messages("D00ADA")), seconds=10.0
    )
    assert len(shared.stand.service.posts) == before + 1


async def test_options_are_answered_with_none(shared: Shared) -> None:
    payload = envelope(
        shared,
        type="block_suggestion",
        action_id="pick",
        block_id="b",
        value="we",
        channel={"id": "C0OPS"},
    )
    delivery = await shared.stand.slack.deliver_payload(payload, path="/slack/options")
    assert delivery.http_status == 200
    assert delivery.answer_json() == {"options": []}


async def test_progress_reaches_a_posted_message(shared: Shared) -> None:
    progress = {"phase": "running", "progress": {"done": 2, "total": 5}}
    shared.script.posts["web-progress"] = [says(202, Location=OPERATION)]
    shared.script.polls["web-progress"] = [says(200, progress), says(200, {"phase": "succeeded"})]
    run = await shared.foreign("web-progress")
    await shared.post_told(run, "2 of 5")
    await shared.post_told(run, "· done")
    assert len(shared.posted(run)) == 1
