"""One click, one effect: however often it is delivered, pressed, or tried again."""

import asyncio
import contextlib
import json
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.ports import free_port
from tests.service import Answer, Script, Seen, Service, done, says
from tests.stand import Stand, buttons, stand
from tidegate_dev.slack.deliveries import Delivery

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALLOW = {"users": ["U0ADA", "U0GRACE"]}
PARAMS = {"namespace": {"required": True}, "deployment": {"required": True}}


def action(trigger: str, **keys: Any) -> dict[str, Any]:
    return {
        "match": {"action_id": [trigger]},
        "pathway": "cluster",
        "request": {"method": "POST", "path": "/api/v1/deploy"},
        "params": PARAMS,
        "allow": ALLOW,
    } | keys


@dataclass
class Shared:
    """One gateway for many journeys, told apart by their deployments."""

    stand: Stand
    script: Script
    absent_port: int
    read: Counter[str] = field(default_factory=Counter)

    def message(self, trigger: str, deployment: str) -> str:
        return self.stand.message(blocks=buttons((trigger, deployment)))

    def begin(self, ts: str, trigger: str, user: str = "U0ADA") -> Delivery:
        """A press that is on its way already: the button may be gone when it arrives."""
        return self.stand.slack.begin_click(channel="C0OPS", ts=ts, action_id=trigger, user=user)

    async def finish(self, delivery: Delivery) -> Delivery:
        return await self.stand.slack.finish(delivery)

    def sent(self, deployment: str) -> list[Seen]:
        return self.stand.service.posts_for(deployment)

    def effects(self, deployment: str) -> int:
        return len({seen.key for seen in self.sent(deployment)})

    async def notice(self, user: str, text: str) -> str:
        """Return what only *user* sees, once something new says *text*."""
        slack = self.stand.slack

        def found() -> list[str]:
            new = slack.ephemerals(user)[self.read[user] :]
            return [message.text for message in new if text in message.text]

        await slack.wait_for(lambda: bool(found()))
        told = found()[-1]
        self.read[user] = len(slack.ephemerals(user))
        return told


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    script = Script()
    absent = free_port()

    def change(config: dict[str, Any]) -> None:
        config["pathways"]["absent"] = {
            "type": "direct",
            "url": f"http://127.0.0.1:{absent}",
            "auth": {"type": "none"},
        }
        config["actions"] = {
            "deploy": action("k8s_deploy"),
            "soon": action("k8s_soon", pathway="absent", start_within_seconds=1),
            "often": action("k8s_often", repeat="allow"),
            "limited": action("k8s_limited", rate_limit="2/hour"),
            "old": action("k8s_old", button_max_age_days=1),
            "picked": action("k8s_picked", params={"deployment": {"from": "selected"}}),
            "strict": action(
                "k8s_strict",
                params={
                    "namespace": {"enum": ["staging"]},
                    "deployment": {"required": True, "pattern": "[a-z0-9-]+", "max_length": 20},
                },
            ),
        }

    folder = tmp_path_factory.mktemp("effects")
    async with stand(folder, change=change, answer=script) as s:
        yield Shared(s, script, absent)


def gate() -> tuple[asyncio.Event, Answer]:
    """Return an answer that waits, and what lets it go."""
    event = asyncio.Event()

    async def answer(seen: Seen) -> Any:
        await event.wait()
        return done(seen)

    return event, answer


# --- the same delivery --------------------------------------------------------------------


async def test_a_request_sent_three_times_is_one_run_and_one_effect(shared: Shared) -> None:
    ts = shared.message("k8s_deploy", "web-thrice")
    first = await shared.finish(shared.begin(ts, "k8s_deploy"))
    again = [await shared.stand.slack.redeliver(first) for _ in range(2)]
    await shared.stand.told(ts, "· done")
    later = await shared.stand.slack.redeliver(first)
    assert {delivery.run for delivery in (first, *again, later)} == {first.run}
    assert all(delivery.acked for delivery in (first, *again, later))
    assert len(shared.sent("web-thrice")) == 1


async def test_a_request_sent_three_times_at_once_is_one_effect(shared: Shared) -> None:
    ts = shared.message("k8s_deploy", "web-at-once")
    delivery = shared.begin(ts, "k8s_deploy")
    slack = shared.stand.slack
    found = await asyncio.gather(
        slack.finish(delivery), slack.redeliver(delivery), slack.redeliver(delivery)
    )
    assert all(each.acked for each in found)
    assert len({each.run for each in found}) == 1
    await shared.stand.told(ts, "· done")
    assert len(shared.sent("web-at-once")) == 1


# --- the same intent ----------------------------------------------------------------------


@pytest.mark.parametrize("second", ["U0ADA", "U0GRACE"])
async def test_a_second_press_joins_the_first_and_its_person_is_told(
    shared: Shared, second: str
) -> None:
    name = f"web-twice-{second.lower()}"
    release, answer = gate()
    shared.script.posts[name] = [answer]
    ts = shared.message("k8s_deploy", name)
    presses = [shared.begin(ts, "k8s_deploy"), shared.begin(ts, "k8s_deploy", second)]
    late = shared.begin(ts, "k8s_deploy", second)
    both = [await shared.finish(press) for press in presses]
    assert [press.acked for press in both] == [True, True]
    assert both[0].run == both[1].run
    assert "already under way" in await shared.notice(second, "already under way")
    release.set()
    await shared.stand.told(ts, "· done")
    assert (await shared.finish(late)).run == both[0].run
    assert "already done" in await shared.notice(second, "already done")
    assert len(shared.sent(name)) == 1


async def test_two_presses_at_the_same_moment_are_one_effect(shared: Shared) -> None:
    ts = shared.message("k8s_deploy", "web-race")
    users = ("U0ADA", "U0GRACE", "U0ADA", "U0GRACE")
    presses = [shared.begin(ts, "k8s_deploy", user) for user in users]
    found = await asyncio.gather(*(shared.finish(press) for press in presses))
    assert all(press.acked for press in found)
    await shared.stand.told(ts, "· done")
    assert len({press.run for press in found}) == 1
    assert len(shared.sent("web-race")) == 1


async def test_after_a_refusal_by_the_service_the_button_can_be_pressed_again(
    shared: Shared,
) -> None:
    shared.script.posts["web-refused"] = [says(422), done]
    ts = shared.message("k8s_deploy", "web-refused")
    await shared.stand.click(ts)
    await shared.stand.told(ts, "· failed")
    assert (await shared.stand.click(ts, user="U0GRACE")).acked
    text = await shared.stand.told(ts, "· done")
    assert '"action_id": "k8s_deploy"' not in text
    assert shared.effects("web-refused") == 2


async def test_after_it_expired_the_button_can_be_pressed_again(shared: Shared) -> None:
    ts = shared.message("k8s_soon", "web-expired")
    await shared.stand.click(ts, action_id="k8s_soon")
    await shared.stand.told(ts, "expired")
    service = Service(_port=shared.absent_port)
    await service.start()
    try:
        await shared.stand.click(ts, action_id="k8s_soon")
        await shared.stand.told(ts, "· done")
    finally:
        await service.stop()
    assert len(service.posts) == 1


async def test_after_an_unclear_end_a_second_press_has_no_effect(shared: Shared) -> None:
    shared.script.posts["web-unclear"] = [says(500), done]
    ts = shared.message("k8s_deploy", "web-unclear")
    first, late = shared.begin(ts, "k8s_deploy"), shared.begin(ts, "k8s_deploy", "U0GRACE")
    await shared.finish(first)
    await shared.stand.told(ts, "outcome unknown")
    assert (await shared.finish(late)).acked
    await shared.notice("U0GRACE", "outcome unknown")
    assert len(shared.sent("web-unclear")) == 1


async def test_what_may_be_repeated_is_repeated_but_not_while_it_runs(shared: Shared) -> None:
    release, answer = gate()
    shared.script.posts["web-often"] = [answer, done]
    ts = shared.message("k8s_often", "web-often")
    await shared.stand.click(ts, action_id="k8s_often")
    await shared.stand.service.wait_for(lambda: shared.effects("web-often") == 1)
    joined = shared.begin(ts, "k8s_often", "U0GRACE")
    again = shared.begin(ts, "k8s_often", "U0GRACE")
    await shared.finish(joined)
    await shared.notice("U0GRACE", "already under way")
    release.set()
    await shared.stand.told(ts, "· done")
    assert (await shared.finish(again)).acked
    await shared.stand.service.wait_for(lambda: shared.effects("web-often") == 2)
    assert len(shared.sent("web-often")) == 2


async def test_buttons_of_one_message_are_apart(shared: Shared) -> None:
    blocks = buttons(("k8s_deploy", "web-left"), ("k8s_often", "web-right"))
    ts = shared.stand.message(blocks=blocks)
    await shared.stand.click(ts, action_id="k8s_deploy")
    text = await shared.stand.told(ts, "· done")
    assert '"action_id": "k8s_often"' in text
    await shared.stand.click(ts, action_id="k8s_often")
    await shared.stand.told(ts, "Press 2")
    await shared.stand.service.wait_for(lambda: shared.effects("web-right") == 1)
    assert shared.effects("web-left") == 1


async def test_each_choice_of_a_select_is_an_intent_of_its_own(shared: Shared) -> None:
    options = [
        {"text": {"type": "plain_text", "text": name.upper()}, "value": name}
        for name in ("web-red", "web-blue")
    ]
    placeholder = {"type": "plain_text", "text": "Which?"}
    select = {
        "type": "static_select",
        "action_id": "k8s_picked",
        "placeholder": placeholder,
        "options": options,
    }
    ts = shared.stand.message(
        blocks=[{"type": "actions", "block_id": "pick", "elements": [select]}]
    )
    for choice in ("web-red", "web-blue", "web-red"):
        assert (await shared.stand.click(ts, action_id="k8s_picked", choice=choice)).acked
        await shared.stand.service.wait_for(lambda name=choice: shared.effects(name) == 1)  # type: ignore[misc]
        await shared.stand.told(ts, choice)
    await shared.notice("U0ADA", "already")
    assert len(shared.sent("web-red")) == len(shared.sent("web-blue")) == 1
    assert '"action_id": "k8s_picked"' in json.dumps(shared.stand.slack.message("C0OPS", ts).blocks)


# --- refused before anything happens ------------------------------------------------------


async def test_whoever_presses_too_often_is_asked_to_wait(shared: Shared) -> None:
    for number in (1, 2, 3):
        ts = shared.message("k8s_limited", f"web-limited-{number}")
        delivery = await shared.stand.click(ts, action_id="k8s_limited")
        assert delivery.acked
    await shared.notice("U0ADA", "too often")
    ts = shared.message("k8s_limited", "web-limited-4")
    await shared.stand.click(ts, action_id="k8s_limited", user="U0GRACE")
    await shared.stand.told(ts, "· done")
    assert [shared.effects(f"web-limited-{number}") for number in (1, 2, 3, 4)] == [1, 1, 0, 1]


async def test_an_old_button_is_retired(shared: Shared) -> None:
    slack = shared.stand.slack
    message = slack.workspace.bot_message("C0OPS", text="old", blocks=buttons(("k8s_old", "web-o")))
    message.ts = f"{int(time.time()) - 2 * 86400}.000100"
    slack.workspace.post(message)
    assert (await shared.stand.click(message.ts, action_id="k8s_old")).acked
    await shared.notice("U0ADA", "too old")
    assert shared.effects("web-o") == 0
    fresh = shared.message("k8s_old", "web-fresh")
    await shared.stand.click(fresh, action_id="k8s_old")
    await shared.stand.told(fresh, "· done")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"namespace": "production", "deployment": "web"}, "must be one of: staging"),
        ({"namespace": "staging", "deployment": "Web!"}, "does not have the expected form"),
        ({"namespace": "staging", "deployment": "w" * 21}, "longer than 20 characters"),
        ({"namespace": "staging"}, "deployment"),
        ({"namespace": "staging", "deployment": "web", "replicas": 3}, "does not take"),
    ],
)
async def test_what_does_not_fit_the_params_is_refused_in_words(
    shared: Shared, value: dict[str, Any], words: str
) -> None:
    before = len(shared.stand.service.posts)
    blocks = buttons(("k8s_strict", "x"))
    blocks[1]["elements"][0]["value"] = json.dumps(value)
    ts = shared.stand.message(blocks=blocks)
    delivery = await shared.stand.click(ts, action_id="k8s_strict")
    assert delivery.acked
    assert delivery.run is None
    assert "Nothing was done." in await shared.notice("U0ADA", words)
    assert len(shared.stand.service.posts) == before


# --- too late for its answer --------------------------------------------------------------


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another process holds the store's write lock meanwhile."""
    connection = sqlite3.connect(folder / "tidegate.db", isolation_level=None, timeout=10.0)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


def modal(slack_team: str) -> dict[str, Any]:
    return {
        "type": "view_submission",
        "team": {"id": slack_team},
        "user": {"id": "U0ADA", "team_id": slack_team},
        "view": {
            "id": "V0FORM",
            "hash": "1.abc",
            "callback_id": "deploy_form",
            "blocks": [{"type": "input", "block_id": "what"}],
            "state": {
                "values": {"what": {"name": {"type": "plain_text_input", "value": "web-modal"}}}
            },
        },
    }


async def test_what_could_not_be_written_in_time_is_refused_and_never_happens(
    tmp_path: Path,
) -> None:
    def change(config: dict[str, Any]) -> None:
        config["server"]["ack_deadline_seconds"] = 0.5
        word = {"deployment": {"required": True, "from": "text[0]"}}
        field = {"deployment": {"required": True, "from": "state.what.name"}}
        config["actions"] = {
            "deploy": action("k8s_deploy"),
            "command": action("", match={"command": ["/deploy"]}, params=word),
            "modal": action("", match={"view": ["deploy_form"]}, params=field),
        }

    async with stand(tmp_path, change=change) as s:
        ts = s.message(blocks=buttons(("k8s_deploy", "web-button")))
        team = s.slack.team_id
        with locked(tmp_path):
            button, command, form = await asyncio.gather(
                s.click(ts),
                s.slack.command("/deploy", "web-command"),
                s.slack.deliver_payload(modal(team)),
            )
        assert button.http_status == 503
        assert command.http_status == 200
        answer = command.answer_json()
        assert answer["response_type"] == "ephemeral"
        assert "nothing was done" in answer["text"]
        assert form.http_status == 200
        refused = form.answer_json()
        assert refused["response_action"] == "errors"
        assert "nothing was done" in refused["errors"]["what"]
        # The store can be written again: what was refused stays refused, anew is anew.
        assert (await s.click(ts)).acked
        await s.told(ts, "· done")
        again = await s.slack.deliver_payload(modal(team))
        assert again.http_status == 200
        assert again.answer == b""
        await s.service.wait_for(lambda: len(s.service.posts_for("web-modal")) == 1)
        assert len(s.service.posts_for("web-button")) == 1
        assert s.service.posts_for("web-command") == []
