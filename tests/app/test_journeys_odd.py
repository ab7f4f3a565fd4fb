"""What is rare or hostile, and must come out right all the same."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from starlette.responses import Response

from tests.service import Seen, done
from tests.stand import BLOCKS, GatewayProcess, Stand, stand
from tidegate_dev.slack.deliveries import Delivery

pytestmark = pytest.mark.asyncio(loop_scope="module")


def payload(s: Stand, ts: str, **changes: Any) -> dict[str, Any]:
    """A click as Slack sends it, with some of it changed; None takes a key out."""
    now = time.time_ns()
    whole: dict[str, Any] = {
        "type": "block_actions",
        "team": {"id": s.slack.team_id},
        "user": {"id": "U0ADA", "username": "ada", "team_id": s.slack.team_id},
        "container": {"type": "message", "message_ts": ts, "channel_id": "C0OPS"},
        "channel": {"id": "C0OPS"},
        "message": {"bot_id": s.slack.bot_id, "ts": ts, "text": "Deploy?", "blocks": BLOCKS},
        "trigger_id": str(now),
        "actions": [
            {
                "type": "button",
                "action_id": "k8s_deploy",
                "block_id": "b1",
                "value": json.dumps({"namespace": "staging", "deployment": "web"}),
                "text": {"type": "plain_text", "text": "Deploy"},
                "action_ts": f"{now / 1e9:.6f}",
            }
        ],
    }
    whole |= changes
    return {key: value for key, value in whole.items() if value is not None}


def change(config: dict[str, Any]) -> None:
    base = {"pathway": "cluster", "request": {"method": "POST", "path": "/api/v1/deploy"}}
    anyone = {"users": ["any"]}
    config["actions"] |= {
        "asked": base | {"match": {"action_id": ["k8s_asked"]}, "allow": anyone, "confirm": True},
        "unclear": base | {"match": {"action_id": ["k8s_unclear"]}, "allow": anyone},
        "share": {"use": "s3_share_link", "allow": {"users": ["U0GRACE"]}},
        "idle": {"use": "k8s_scale"},
        "rest": base
        | {
            "match": {"action_id": ["*"]},
            "allow": anyone,
            "params": {"bucket": {}, "key": {}, "deployment": {}, "replicas": {}},
        },
        "command": base
        | {
            "match": {"command": ["/deploy"]},
            "allow": anyone,
            "params": {
                "deployment": {"from": "text[0]", "required": True},
                "image": {"from": "text[1]", "required": True},
                "wait": {"type": "boolean"},
            },
        },
        "at": base
        | {
            "match": {"action_id": ["k8s_at"]},
            "allow": anyone,
            "params": {"at": {}},
            "request": {"method": "POST", "path": "/ns/{params.at}/deploy"},
        },
    }
    for name in ("asked", "unclear"):
        config["actions"][name]["params"] = {"namespace": {}, "deployment": {}}


def answer(seen: Seen) -> Response:
    if seen.method == "GET":
        return Response(status_code=404)
    if b"k8s_unclear" in seen.body:
        return Response(status_code=500)
    return done(seen)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def s(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    folder = tmp_path_factory.mktemp("odd")
    async with stand(folder, change=change, answer=answer, idempotent=False) as found:
        yield found


def one_button(action_id: str, value: dict[str, Any]) -> list[dict[str, Any]]:
    text = {"type": "plain_text", "text": "Press"}
    button = {"type": "button", "action_id": action_id, "text": text, "value": json.dumps(value)}
    return [{"type": "actions", "block_id": "b1", "elements": [button]}]


async def press(s: Stand, action_id: str, value: dict[str, Any], **who: Any) -> Delivery:
    ts = s.message(blocks=one_button(action_id, value))
    return await s.slack.click(channel="C0OPS", ts=ts, action_id=action_id, **who)


async def told_alone(s: Stand, user: str, text: str) -> None:
    def texts() -> list[str]:
        return [message.text for message in s.slack.ephemerals(user)]

    await s.slack.wait_for(lambda: any(text in each for each in texts()), seconds=10)


async def own_run(s: Stand, ts: str, action_id: str, user: str, first: Delivery) -> Delivery:
    """Press until it is a run of its own: for two seconds a press joins one that is unsure."""
    async with asyncio.timeout(10):
        while True:
            press = s.slack.begin_click(channel="C0OPS", ts=ts, action_id=action_id, user=user)
            await s.slack.finish(press)
            assert press.acked
            if press.run != first.run:
                return press
            await asyncio.sleep(0.2)


# --- one effect, by whoever may -----------------------------------------------------------


async def test_who_may_not_press_does_not_take_the_button_from_who_may(s: Stand) -> None:
    """While Slack does not answer, nobody is known to be allowed: both are recorded."""
    ts = s.message(blocks=one_button("k8s_deploy", {"namespace": "n", "deployment": "web-both"}))
    s.slack.faults.methods, s.slack.faults.rate_limited = "users.info", True
    first = await s.slack.click(channel="C0OPS", ts=ts, action_id="k8s_deploy", user="U0GUEST")
    second = await own_run(s, ts, "k8s_deploy", "U0ADA", first)
    s.slack.faults.calm()
    await s.told(ts, "· done", seconds=30)
    assert [seen.key for seen in s.service.posts_for("web-both")] == [second.run]
    await told_alone(s, "U0GUEST", "Guests may not use this")


async def test_who_joined_what_was_not_allowed_is_told_to_press_again(s: Stand) -> None:
    s.slack.faults.methods, s.slack.faults.rate_limited = "users.info", True
    guest = s.slack.add_user("U0EARLY", is_restricted=True).id
    ada = s.slack.add_user("U0LATER").id
    ts = s.message(blocks=one_button("k8s_more", {"deployment": "web-again"}))
    first = await s.slack.click(channel="C0OPS", ts=ts, action_id="k8s_more", user=guest)
    second = s.slack.begin_click(channel="C0OPS", ts=ts, action_id="k8s_more", user=ada)
    await s.slack.finish(second)
    assert second.run == first.run
    s.slack.faults.calm()
    await told_alone(s, ada, "Please press it again.")
    assert (await s.slack.click(channel="C0OPS", ts=ts, action_id="k8s_more", user=ada)).acked
    await s.told(ts, "· done")


async def test_of_two_who_may_and_were_not_known_to_one_acts_and_one_is_told(s: Stand) -> None:
    s.slack.faults.methods, s.slack.faults.rate_limited = "users.info", True
    people = [s.slack.add_user(f"U0NEW{number}").id for number in range(2)]
    ts = s.message(blocks=one_button("k8s_other", {"deployment": "web-two"}))
    first = await s.slack.click(channel="C0OPS", ts=ts, action_id="k8s_other", user=people[0])
    presses = [first, await own_run(s, ts, "k8s_other", people[1], first)]
    s.slack.faults.calm()
    await s.told(ts, "· done", seconds=30)
    [sent] = s.service.posts_for("web-two")
    winner = next(each for each in presses if each.run == sent.key)
    loser = people[1 - presses.index(winner)]
    await s.slack.wait_for(
        lambda: any("by <@U0NEW" in message.text for message in s.slack.ephemerals(loser)),
        seconds=10,
    )
    assert "called off" not in json.dumps(s.slack.message("C0OPS", ts).blocks)


async def test_a_question_to_who_may_not_does_not_keep_others_from_being_asked(s: Stand) -> None:
    ts = s.message(blocks=one_button("k8s_asked", {"deployment": "web-asked"}))
    guest = s.slack.add_user("U0SLY", is_restricted=True).id
    first = await s.slack.click(channel="C0OPS", ts=ts, action_id="k8s_asked", user=guest)
    ada = s.slack.add_user("U0FAIR").id
    second = await own_run(s, ts, "k8s_asked", ada, first)
    await s.told(ts, f"<@{ada}> · waiting for confirmation")
    await s.slack.click(channel="C0OPS", ts=ts, action_id="tidegate:confirm", user=ada)
    await s.told(ts, "· done")
    assert [seen.key for seen in s.service.posts_for("web-asked")] == [second.run]


async def test_check_status_is_for_who_may_use_the_action(s: Stand) -> None:
    ts = s.message(blocks=one_button("k8s_unclear", {"deployment": "web-unclear"}))
    await s.slack.click(channel="C0OPS", ts=ts, action_id="k8s_unclear")
    await s.told(ts, "outcome unknown")
    asked = len(s.service.seen)
    guest = s.slack.add_user("U0CURIOUS", is_restricted=True).id
    pressed = await s.slack.click(channel="C0OPS", ts=ts, action_id="tidegate:check", user=guest)
    assert pressed.acked
    await told_alone(s, guest, "Guests may not use this")
    assert len(s.service.seen) == asked
    await s.slack.click(channel="C0OPS", ts=ts, action_id="tidegate:check", user="U0ADA")
    await s.service.wait_for(lambda: len(s.service.seen) == asked + 1)


# --- what an action matches is its own ----------------------------------------------------


@pytest.mark.parametrize("action_id", ["s3_share_link", "k8s_scale", "scale_pods"])
async def test_an_action_that_leads_nowhere_yet_does_not_fall_to_a_wildcard(
    s: Stand, action_id: str
) -> None:
    before = len(s.service.seen)
    pressed = await press(s, action_id, {"deployment": "web"})
    assert pressed.acked
    assert pressed.run is None
    await told_alone(s, "U0ADA", "This button is not connected to anything")
    await press(s, "k8s_anything", {"deployment": f"after-{action_id}"})
    await s.service.wait_for(lambda: len(s.service.posts_for(f"after-{action_id}")) == 1)
    assert len(s.service.seen) == before + 1


async def test_a_step_in_the_path_is_refused_and_a_slash_is_not(s: Stand) -> None:
    before = len(s.service.seen)
    for at in ("..", "../../admin", "a/../x", "..;x", ""):
        assert (await press(s, "k8s_at", {"at": at})).run is None
    assert (await press(s, "k8s_at", {"at": "team/web"})).run is not None
    await s.service.wait_for(lambda: len(s.service.seen) > before)
    assert [seen.path for seen in s.service.seen[before:]] == ["/ns/team%2Fweb/deploy"]


async def test_a_button_that_carries_what_no_param_takes_is_refused(s: Stand) -> None:
    pressed = await press(s, "k8s_deploy", {"namespace": "n", "deployment": "w", "force": True})
    assert pressed.run is None
    await told_alone(s, "U0ADA", "It carries a param that this action does not take")


async def test_a_command_that_does_not_fit_says_how_it_is_written(s: Stand) -> None:
    for text in ("web", "web 1 2", "web 1 wait=perhaps"):
        delivery = await s.slack.command("/deploy", text, channel="C0OPS")
        said = json.loads(delivery.answer or "{}")["text"]
        assert "Nothing was done." in said
        assert "Write it so: `/deploy DEPLOYMENT IMAGE [wait=WAIT]`" in said


# --- odd messages -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "context", "elements": None},
        {"type": "actions", "elements": ["x"]},
        {"type": "section", "accessory": "x"},
        {"type": "section", "block_id": ["x"]},
    ],
)
async def test_a_block_of_an_odd_shape_keeps_nothing_from_being_told(
    s: Stand, odd: dict[str, Any]
) -> None:
    ts = s.message()
    message = {"bot_id": s.slack.bot_id, "ts": ts, "text": "Deploy?", "blocks": [odd, *BLOCKS]}
    delivery = await s.slack.deliver_payload(payload(s, ts, message=message))
    assert delivery.acked
    await s.told(ts, "· done")


async def test_our_own_message_without_its_blocks_is_still_ours(s: Stand) -> None:
    ts = s.message()
    posted = len(s.slack.messages("C0OPS"))
    message = {"bot_id": s.slack.bot_id, "ts": ts, "text": "Deploy?"}
    await s.slack.deliver_payload(payload(s, ts, message=message))
    text = await s.told(ts, "· done")
    assert "Deploy?" in text
    assert len(s.slack.messages("C0OPS")) == posted


async def test_two_presses_without_a_container_are_one_effect(s: Stand) -> None:
    ts = s.message()
    runs = set()
    for _ in range(2):
        delivery = await s.slack.deliver_payload(payload(s, ts, container=None))
        runs.add(delivery.run)
    assert len(runs) == 1
    await s.told(ts, "· done")


async def test_a_button_in_blocks_without_ids_gives_way_too(s: Stand) -> None:
    ts = s.message()
    bare = [{key: value for key, value in block.items() if key != "block_id"} for block in BLOCKS]
    message = {"bot_id": s.slack.bot_id, "ts": ts, "text": "Deploy?", "blocks": bare}
    click = payload(s, ts, message=message)
    del click["actions"][0]["block_id"]
    await s.slack.deliver_payload(click)
    text = await s.told(ts, "· done")
    assert '"action_id": "k8s_deploy"' not in text
    assert '"action_id": "other"' in text


async def test_no_id_mentions_a_channel(s: Stand) -> None:
    evil = "U0X>_<!channel"
    s.slack.add_user(evil)
    ts = s.message(blocks=one_button("k8s_any", {"deployment": "w"}))
    click = payload(s, ts, user={"id": evil, "team_id": s.slack.team_id})
    click["actions"][0] |= {"action_id": "k8s_any", "value": "{}"}
    await s.slack.deliver_payload(click)
    text = await s.told(ts, "· done")
    assert "<!channel" not in text


# --- nobody waits any more ----------------------------------------------------------------


async def test_what_slack_gave_up_on_does_not_happen_later(s: Stand) -> None:
    """The gateway stands still, Slack hangs up after its three seconds, the gateway goes on."""
    ts = s.message(blocks=one_button("k8s_deploy", {"namespace": "n", "deployment": "web-late"}))
    delivery = s.slack.begin_click(channel="C0OPS", ts=ts, action_id="k8s_deploy")
    await s.gateway.hold()
    try:
        await s.slack.finish(delivery)
    finally:
        s.gateway.go_on()
    assert not delivery.acked
    again = await press(s, "k8s_deploy", {"namespace": "n", "deployment": "web-next"})
    assert again.acked
    await s.service.wait_for(lambda: len(s.service.posts_for("web-next")) == 1)
    assert s.service.posts_for("web-late") == []
    reasons = [line.get("reason") for line in s.gateway.events("answered")]
    assert "hung up before the answer" in reasons


# --- starting -----------------------------------------------------------------------------


async def test_before_slack_says_who_we_are_a_bots_message_is_taken_for_ours(
    tmp_path: Path,
) -> None:
    async with stand(tmp_path, start=False) as early:
        early.slack.faults.methods, early.slack.faults.hanging = "auth.test", True
        await early.gateway.start()
        own, other = early.message(), early.slack.post_as_other("C0OPS", "Deploy?", BLOCKS)
        for ts in (own, other):
            assert (await early.click(ts)).acked
        early.slack.faults.calm()
        text = await early.told(own, "· done", seconds=30)
        assert '"action_id": "k8s_deploy"' not in text

        def posted() -> list[str]:
            found = early.slack.messages("C0OPS")
            return [each.text for each in found if each.metadata is not None]

        await early.slack.wait_for(lambda: any("· done" in text for text in posted()), seconds=20)
        assert len(posted()) == 1, "what was not ours was told once, in a message of its own"


async def test_a_gateway_that_is_stopped_while_it_starts_ends_well(tmp_path: Path) -> None:
    async with stand(tmp_path, start=False) as early:
        gateway: GatewayProcess = early.gateway
        await gateway.start(ready=False)
        await asyncio.sleep(0.25)  # somewhere among its imports: nothing tells of it
        assert await gateway.end(signal.SIGTERM) == 0


async def test_two_tokens_of_a_name_both_open_the_api(tmp_path: Path) -> None:
    def rotating(config: dict[str, Any]) -> None:
        names = ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET")
        config["api"] = {"tokens": [{"name": "ci", "secret": {"env": name}} for name in names]}

    async with stand(tmp_path, change=rotating) as found, aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{found.gateway.config['admin']['port']}/api/v1/runs"
        for token in found.gateway.environment.values():
            headers = {"Authorization": f"Bearer {token}"}
            async with http.get(url, headers=headers) as response:
                assert response.status == 200
