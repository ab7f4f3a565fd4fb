"""What Slack sends to an app, and what the person sees of the app's answer."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from tests.dev.slack_app import SlackApp
from tests.ports import free_port
from tidegate_dev.slack import NotThereError, SlackFarEnd
from tidegate_dev.slack.deliveries import sign

BUTTONS = [
    {
        "type": "actions",
        "block_id": "what",
        "elements": [
            {
                "type": "button",
                "action_id": "k8s_deploy",
                "text": {"type": "plain_text", "text": "Deploy"},
                "value": '{"namespace":"staging"}',
                "style": "primary",
            },
            {
                "type": "static_select",
                "action_id": "k8s_scale",
                "placeholder": {"type": "plain_text", "text": "Scale"},
                "options": [
                    {"text": {"type": "plain_text", "text": f"{n} replicas"}, "value": str(n)}
                    for n in (1, 3)
                ],
            },
            {
                "type": "external_select",
                "action_id": "pick",
                "placeholder": {"type": "plain_text", "text": "Pick"},
            },
        ],
    }
]


@pytest.fixture
async def app() -> AsyncIterator[SlackApp]:
    async with SlackApp() as app:
        yield app


@pytest.fixture
async def slack(app: SlackApp) -> AsyncIterator[SlackFarEnd]:
    async with SlackFarEnd(gateway_url=app.url) as slack:
        yield slack


def test_the_signature_is_the_one_that_slack_publishes_as_an_example() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
        b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
        b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
        b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015"
        b".47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    secret = "8f742231b10e8888abcd99yyyzzz85a5"
    expected = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    assert sign(body, secret=secret, timestamp=1531420618) == expected


async def test_a_click_arrives_signed_as_one_form_field(slack: SlackFarEnd, app: SlackApp) -> None:
    ts = slack.post_as_bot("C0OPS", "Deploy?", BUTTONS)
    delivery = await slack.click(channel="C0OPS", ts=ts, action_id="k8s_deploy")
    assert delivery.status == "acked"
    (received,) = app.received
    assert received.path == "/slack/actions"
    assert received.headers["content-type"] == "application/x-www-form-urlencoded"
    assert list(received.form) == ["payload"]
    assert received.signed_with(slack.signing_secret)
    assert not received.signed_with("another secret")


async def test_a_click_says_who_where_and_what(slack: SlackFarEnd, app: SlackApp) -> None:
    ts = slack.post_as_bot("C0OPS", "Deploy?", BUTTONS, metadata=None)
    await slack.click(channel="C0OPS", ts=ts, action_id="k8s_deploy", user="U0GRACE")
    payload = app.received[0].payload
    assert payload["type"] == "block_actions"
    assert payload["user"]["id"] == "U0GRACE"
    assert payload["user"]["team_id"] == payload["team"]["id"] == slack.team_id
    assert payload["channel"] == {"id": "C0OPS", "name": "ops"}
    assert payload["container"] == {
        "type": "message",
        "message_ts": ts,
        "channel_id": "C0OPS",
        "is_ephemeral": False,
    }
    assert payload["message"]["bot_id"] == slack.bot_id
    assert payload["message"]["blocks"][0]["block_id"] == "what"
    assert payload["enterprise"] is None
    assert payload["is_enterprise_install"] is False
    assert payload["response_url"].startswith(slack.api_url.removesuffix("/api/"))
    (action,) = payload["actions"]
    assert action["value"] == '{"namespace":"staging"}'
    assert action["text"] == {"type": "plain_text", "text": "Deploy", "emoji": True}
    assert abs(float(action["action_ts"]) - time.time()) < 5


async def test_a_choice_in_a_menu_is_in_the_action_and_in_the_state(
    slack: SlackFarEnd, app: SlackApp
) -> None:
    ts = slack.post_as_bot("C0OPS", "Scale?", BUTTONS)
    delivery = await slack.click(channel="C0OPS", ts=ts, action_id="k8s_scale", choice="3")
    payload = app.received[0].payload
    assert payload["actions"][0]["selected_option"]["value"] == "3"
    state = payload["state"]["values"]["what"]["k8s_scale"]
    assert state["selected_option"]["text"]["text"] == "3 replicas"
    assert delivery.title == "Scale · 3 replicas"
    await slack.click(channel="C0OPS", ts=ts, action_id="k8s_deploy")
    later = app.received[1].payload["state"]["values"]["what"]
    assert later["k8s_scale"]["selected_option"]["value"] == "3"


async def test_a_press_on_what_only_another_person_sees_is_not_possible(slack: SlackFarEnd) -> None:
    message = slack.workspace.bot_message("C0OPS", text="psst", ephemeral_for="U0GRACE")
    slack.workspace.post(message)
    with pytest.raises(NotThereError, match="does not see"):
        await slack.click(channel="C0OPS", ts=message.ts, action_id="k8s_deploy", user="U0ADA")
    with pytest.raises(NotThereError, match="no element"):
        await slack.click(channel="C0OPS", ts=message.ts, action_id="x", user="U0GRACE")


async def test_what_the_gateway_calls_the_request_and_the_run_is_kept(
    slack: SlackFarEnd, app: SlackApp
) -> None:
    app.headers = {"X-Request-Id": "r1", "X-Tidegate-Run": "run1"}
    ts = slack.post_as_bot("C0OPS", "Deploy?", BUTTONS)
    delivery = await slack.click(channel="C0OPS", ts=ts, action_id="k8s_deploy")
    assert (delivery.request, delivery.run) == ("r1", "run1")
    assert delivery.ack_ms is not None
    assert delivery.ack_ms > 0


async def test_no_answer_within_three_seconds_is_a_timeout_and_is_not_tried_again(
    app: SlackApp,
) -> None:
    app.delay = 0.5
    async with SlackFarEnd(gateway_url=app.url, ack_seconds=0.1) as slack:
        ts = slack.post_as_bot("C0OPS", "Deploy?", BUTTONS)
        delivery = await slack.click(channel="C0OPS", ts=ts, action_id="k8s_deploy")
    assert delivery.status == "timeout"
    assert delivery.note == "Operation timed out. Apps need to respond within three seconds."
    assert len(app.received) == 1
    assert SlackFarEnd().courier.ack_seconds == 3.0


async def test_an_app_that_is_not_there_is_unreachable(slack: SlackFarEnd) -> None:
    slack.gateway_url = f"http://127.0.0.1:{free_port()}"
    ts = slack.post_as_bot("C0OPS", "Deploy?", BUTTONS)
    delivery = await slack.click(channel="C0OPS", ts=ts, action_id="k8s_deploy")
    assert delivery.status == "unreachable"
    assert delivery.note


@pytest.mark.parametrize(
    "answer", [b"", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"]
)
async def test_an_app_that_hangs_up_or_talks_nonsense_is_unreachable(
    slack: SlackFarEnd, answer: bytes
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        slack.gateway_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        delivery = await slack.command("/status")
    assert delivery.status == "unreachable"


async def test_an_answer_in_chunks_is_read_whole(slack: SlackFarEnd) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\non\r\n")
        await writer.drain()
        writer.write(b"3\r\n it\r\n0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        slack.gateway_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        delivery = await slack.command("/status")
    assert (delivery.status, delivery.answer) == ("acked", b"on it")


async def test_any_body_can_be_sent_signed_wrongly_or_late(
    slack: SlackFarEnd, app: SlackApp
) -> None:
    await slack.deliver_body("/slack/events", b"{}", headers={"Content-Type": "application/json"})
    await slack.deliver_body("/slack/actions", b"x", secret="another")
    await slack.deliver_body("/slack/actions", b"x", timestamp=int(time.time()) - 301)
    good, wrong, late = app.received
    assert good.signed_with(slack.signing_secret)
    assert good.headers["content-type"] == "application/json"
    assert wrong.signed_with("another")
    assert not late.signed_with(slack.signing_secret)


async def test_any_answer_but_200_is_an_error(slack: SlackFarEnd, app: SlackApp) -> None:
    app.status = 503
    ts = slack.post_as_bot("C0OPS", "Deploy?", BUTTONS)
    delivery = await slack.click(channel="C0OPS", ts=ts, action_id="k8s_deploy")
    assert (delivery.status, delivery.http_status) == ("error", 503)
    assert delivery.note == "This app responded with Status Code 503."


async def test_a_redelivery_is_the_same_bytes_under_the_same_signature(
    slack: SlackFarEnd, app: SlackApp
) -> None:
    ts = slack.post_as_bot("C0OPS", "Deploy?", BUTTONS)
    await slack.redeliver(await slack.click(channel="C0OPS", ts=ts, action_id="k8s_deploy"))
    first, second = app.received
    assert first.body == second.body
    assert first.headers["x-slack-signature"] == second.headers["x-slack-signature"]


async def test_a_command_arrives_as_slack_s_form(slack: SlackFarEnd, app: SlackApp) -> None:
    await slack.command("/deploy", "web 2.4.1", channel="C0OPS", user="U0ADA")
    (received,) = app.received
    assert received.path == "/slack/commands"
    assert received.signed_with(slack.signing_secret)
    form = received.form
    assert (form["command"], form["text"]) == ("/deploy", "web 2.4.1")
    assert (form["user_id"], form["channel_id"]) == ("U0ADA", "C0OPS")
    assert form["is_enterprise_install"] == "false"
    assert {"team_id", "team_domain", "response_url", "trigger_id", "api_app_id"} <= set(form)


async def test_a_command_s_answer_is_shown_to_the_person_only(
    slack: SlackFarEnd, app: SlackApp
) -> None:
    app.answer = b"on it"
    await slack.command("/deploy", "web 2.4.1")
    assert [message.text for message in slack.ephemerals("U0ADA")] == ["on it"]
    assert slack.messages("C0OPS") == []


async def test_a_command_s_answer_in_json_can_be_for_the_channel(
    slack: SlackFarEnd, app: SlackApp
) -> None:
    app.answer_type = "application/json"
    app.answer = json.dumps({"response_type": "in_channel", "text": "deploying"}).encode()
    await slack.command("/deploy", "web 2.4.1")
    assert [message.text for message in slack.messages("C0OPS")] == ["deploying"]
    app.answer = b""
    await slack.command("/deploy", "web 2.4.1")
    assert len(slack.messages("C0OPS")) == 1
    assert slack.ephemerals("U0ADA") == []


async def test_a_command_that_fails_is_told_in_slack_s_words(
    slack: SlackFarEnd, app: SlackApp
) -> None:
    app.status = 500
    await slack.command("/deploy")
    slack.courier.ack_seconds, app.delay = 0.05, 0.3
    await slack.command("/deploy")
    told = [message.text for message in slack.ephemerals("U0ADA")]
    assert told == [
        '/deploy failed with the error "dispatch_failed"',
        '/deploy failed with the error "operation_timeout"',
    ]


async def test_options_are_asked_for_where_menus_are_filled(
    slack: SlackFarEnd, app: SlackApp
) -> None:
    app.answer_type = "application/json"
    app.answer = b'{"options":[]}'
    ts = slack.post_as_bot("C0OPS", "Pick", BUTTONS)
    delivery = await slack.options(channel="C0OPS", ts=ts, action_id="pick", typed="we")
    assert app.received[0].path == "/slack/options"
    payload = app.received[0].payload
    assert (payload["type"], payload["value"]) == ("block_suggestion", "we")
    assert delivery.answer_json() == {"options": []}


async def test_waiting_ends_with_the_change_that_was_waited_for(
    slack: SlackFarEnd, app: SlackApp
) -> None:
    slack.launch(slack.begin_command("/status", "web"))
    await slack.wait_for(lambda: slack.deliveries[-1].acked)
    assert len(app.received) == 1
    with pytest.raises(TimeoutError):
        await slack.wait_for(lambda: False, seconds=0.02)


def test_it_serves_from_a_thread_too() -> None:
    with SlackFarEnd() as slack:
        delivery = slack.call(slack.command("/status"))
        assert delivery.status == "unreachable"
