"""Response URLs: five uses in thirty minutes, and what each of them does."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.webhook.async_client import AsyncWebhookClient

from tidegate_dev.slack import SlackFarEnd
from tidegate_dev.slack.messages import Clock
from tidegate_dev.slack.seed import seeded_workspace


class Scene:
    """A message in #ops, and Ada who clicked it."""

    def __init__(self, slack: SlackFarEnd, session: aiohttp.ClientSession) -> None:
        self.slack = slack
        self.session = session
        self.now = 0.0
        self.ts = slack.post_as_bot("C0OPS", "original", [{"type": "divider"}])
        self.url = slack.response_urls.make(channel="C0OPS", user="U0ADA", source=self.ts)

    async def respond(self, url: str | None = None, **body: Any) -> tuple[int, str]:
        async with self.session.post(url or self.url, json=body) as response:
            return response.status, await response.text()

    def public(self) -> list[str]:
        return [message.text for message in self.slack.messages("C0OPS")]

    def private(self) -> list[str]:
        return [message.text for message in self.slack.ephemerals("U0ADA")]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    now = [1000.0]
    workspace = seeded_workspace(clock=Clock(lambda: now[0]))
    async with SlackFarEnd(workspace=workspace) as slack, aiohttp.ClientSession() as session:
        scene = Scene(slack, session)
        scene.slack.workspace.clock._now = lambda: 1000.0 + scene.now
        yield scene


async def test_what_is_sent_is_for_the_person_unless_it_says_otherwise(scene: Scene) -> None:
    assert await scene.respond(text="psst") == (200, "ok")
    assert await scene.respond(text="hear", response_type="in_channel") == (200, "ok")
    assert scene.private() == ["psst"]
    assert scene.public() == ["original", "hear"]


async def test_the_original_can_be_replaced_and_deleted(scene: Scene) -> None:
    await scene.respond(text="changed", replace_original=True)
    assert scene.public() == ["changed"]
    assert scene.slack.message("C0OPS", scene.ts).blocks == []
    await scene.respond(delete_original=True)
    assert scene.public() == []


async def test_a_thread_needs_both_in_channel_and_no_replacement(scene: Scene) -> None:
    thread = {"thread_ts": scene.ts, "response_type": "in_channel"}
    await scene.respond(text="reply", replace_original=False, **thread)
    replies = [m for m in scene.slack.messages("C0OPS") if m.is_reply]
    assert [message.text for message in replies] == ["reply"]
    await scene.respond(text="oops", **thread)
    assert scene.slack.message("C0OPS", scene.ts).text == "oops"


async def test_the_sixth_use_is_refused(scene: Scene) -> None:
    for _ in range(5):
        assert (await scene.respond(text="x"))[0] == 200
    status, body = await scene.respond(text="x")
    assert (status, body) == (404, '{"ok":false,"error":"used_url"}')
    assert len(scene.private()) == 5


async def test_half_an_hour_is_the_end_of_it(scene: Scene) -> None:
    scene.now = 30 * 60
    assert (await scene.respond(text="x"))[0] == 200
    scene.now += 1
    assert await scene.respond(text="x") == (404, '{"ok":false,"error":"expired_url"}')
    unknown = scene.url[:-4] + "aaaa"
    assert await scene.respond(unknown, text="x") == (404, '{"ok":false,"error":"expired_url"}')


async def test_what_slack_would_not_show_is_refused_and_does_not_count(scene: Scene) -> None:
    for _ in range(6):
        status, body = await scene.respond(blocks=[{"type": "nope"}])
        assert (status, body) == (400, '{"ok":false,"error":"invalid_blocks"}')
    assert (await scene.respond(text=" "))[1] == '{"ok":false,"error":"no_text"}'
    form = {"payload": "{"}
    for data in (b"{", b"[]", form):
        async with scene.session.post(scene.url, data=data) as response:
            assert (response.status, (await response.json())["error"]) == (400, "invalid_payload")
    assert (await scene.respond(text="x"))[0] == 200


async def test_the_url_of_a_command_has_no_original(scene: Scene) -> None:
    url = scene.slack.response_urls.make(channel="C0OPS", user="U0ADA", source=None)
    await scene.respond(url, text="instead", replace_original=True)
    assert scene.private() == ["instead"]
    assert scene.public() == ["original"]


async def test_a_form_with_a_payload_is_taken_too(scene: Scene) -> None:
    form = {"payload": '{"text":"by form"}'}
    async with scene.session.post(scene.url, data=form) as response:
        assert response.status == 200
    assert scene.private() == ["by form"]


async def test_uses_are_recorded_without_the_address(scene: Scene) -> None:
    await scene.respond(text="x")
    (made,) = scene.slack.response_calls
    assert (made.user, made.status, made.body["text"]) == ("U0ADA", 200, "x")
    assert scene.url.rpartition("/")[2] not in repr(made)


async def test_slack_s_own_webhook_client_can_use_it(scene: Scene) -> None:
    client = AsyncWebhookClient(scene.url)
    response = await client.send(text="by the client", response_type="ephemeral")
    assert (response.status_code, response.body) == (200, "ok")
    assert scene.private() == ["by the client"]
