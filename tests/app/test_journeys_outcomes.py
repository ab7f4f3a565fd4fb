"""What an answer, or the lack of one, means: from the click to the words in Slack."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.ports import free_port
from tests.service import Answer, Script, Seen, Service, done, says, slow
from tests.stand import GatewayProcess, Stand, buttons, stand
from tidegate_dev.slack.blocks import find

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN = "outcome unknown"
ALLOW = {"users": ["U0ADA", "U0GRACE"]}
PARAMS = {"namespace": {"required": True}, "deployment": {"required": True}}
OPERATION = "/api/v1/deploy/operations/x"


def action(trigger: str, **keys: Any) -> dict[str, Any]:
    return {
        "match": {"action_id": [trigger]},
        "pathway": "cluster",
        "request": {"method": "POST", "path": "/api/v1/deploy"},
        "params": PARAMS,
        "allow": ALLOW,
        "idempotent": True,
    } | keys


@dataclass
class Shared:
    """One gateway for many journeys, told apart by their deployments."""

    stand: Stand
    script: Script
    absent_port: int

    async def press(self, trigger: str, deployment: str) -> str:
        """Press a button of its own and return its message."""
        s = self.stand
        ts = s.message(blocks=buttons((trigger, deployment)))
        delivery = await s.click(ts, action_id=trigger)
        assert delivery.acked
        return ts

    def answers(self, deployment: str, *posts: Answer) -> None:
        self.script.posts[deployment] = list(posts)

    def polls(self, deployment: str, *polls: Answer) -> None:
        self.script.polls[deployment] = list(polls)

    def sent(self, deployment: str) -> list[Seen]:
        return self.stand.service.posts_for(deployment)

    def keys(self, deployment: str) -> set[str]:
        return {seen.key for seen in self.sent(deployment)}

    def looks(self, deployment: str) -> list[Seen]:
        keys = self.keys(deployment)
        seen = self.stand.service.seen
        return [each for each in seen if each.method == "GET" and each.key in keys]

    async def told(self, ts: str, text: str, *, seconds: float = 20.0) -> str:
        return await self.stand.told(ts, text, seconds=seconds)

    def blocks(self, ts: str) -> list[dict[str, Any]]:
        return self.stand.slack.message("C0OPS", ts).blocks


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    script = Script()
    absent = free_port()

    def change(config: dict[str, Any]) -> None:
        auth = {"type": "none"}
        config["pathways"]["cluster"] |= {"timeout_seconds": 1.5, "concurrency": 64}
        config["pathways"]["absent"] = {
            "type": "direct",
            "url": f"http://127.0.0.1:{absent}",
            "auth": auth,
        }
        config["actions"] = {
            "sure": action("k8s_sure"),
            "once": action("k8s_once", idempotent=False),
            "short": action("k8s_short", deadline_seconds=2),
            "absent": action("k8s_absent", pathway="absent"),
            "soon": action("k8s_soon", pathway="absent", start_within_seconds=1),
        }

    folder = tmp_path_factory.mktemp("outcomes")
    async with stand(folder, change=change, answer=script) as s:
        yield Shared(s, script, absent)


# --- nothing was done ---------------------------------------------------------------------


async def test_a_service_that_cannot_be_reached_is_called_once_it_can(shared: Shared) -> None:
    ts = await shared.press("k8s_absent", "web-refused")
    await shared.told(ts, "trying again")
    service = Service(_port=shared.absent_port)
    await service.start()
    try:
        await shared.told(ts, "· done")
    finally:
        await service.stop()
    assert len(service.effects) == 1


async def test_a_run_that_cannot_be_started_in_time_expires_and_is_told(shared: Shared) -> None:
    ts = await shared.press("k8s_soon", "web-late")
    text = await shared.told(ts, "expired")
    assert "The service could not be reached. Nothing was done." in text
    assert '"action_id": "k8s_soon"' in text  # nothing was done: it may be pressed again


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "The service refused it."),
        (401, "did not accept the proof of who asked"),
        (403, "did not permit it"),
        (404, "does not know what was asked for"),
        (409, "something else is in the way"),
        (422, "The service refused it."),
        (307, "pointed elsewhere"),
    ],
)
async def test_a_refusal_by_the_service_is_told_and_not_repeated(
    shared: Shared, status: int, words: str
) -> None:
    name = f"web-refused-{status}"
    headers = {"Location": "/elsewhere"} if status == 307 else {}
    shared.answers(name, says(status, {"message": "not like this"}, **headers))
    ts = await shared.press("k8s_once", name)
    text = await shared.told(ts, "· failed")
    assert words in text
    assert "Nothing was done." in text
    assert "not like this" in text
    assert '"action_id": "k8s_once"' in text
    assert len(shared.sent(name)) == 1
    assert not any(seen.path == "/elsewhere" for seen in shared.stand.service.seen)


@pytest.mark.parametrize("trigger", ["k8s_sure", "k8s_once"])
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("retry_after", ["1", None])
async def test_a_busy_service_is_called_again_later(
    shared: Shared, trigger: str, status: int, retry_after: str | None
) -> None:
    name = f"web-busy-{trigger}-{status}-{retry_after}"
    headers = {} if retry_after is None else {"Retry_After": retry_after}
    times: list[float] = []

    def timed(answer: Answer) -> Answer:
        def take(seen: Seen) -> Any:
            times.append(time.monotonic())
            return answer(seen)

        return take

    shared.answers(name, timed(says(status, **headers)), timed(done))
    ts = await shared.press(trigger, name)
    await shared.told(ts, "· done")
    assert len(shared.sent(name)) == 2
    assert len(shared.keys(name)) == 1
    assert retry_after is None or times[1] - times[0] >= 1.0


# --- not known whether it was done --------------------------------------------------------


def ambiguous(shared: Shared, how: str) -> Answer:
    if how == "timeout":
        return slow(4.0)
    if how == "reset":
        return shared.stand.service.cut
    return says(int(how))


@pytest.mark.parametrize("how", ["500", "502", "408", "timeout", "reset"])
async def test_after_an_unclear_end_an_idempotent_action_is_sent_again_with_its_key(
    shared: Shared, how: str
) -> None:
    name = f"web-again-{how}"
    shared.answers(name, ambiguous(shared, how), done)
    ts = await shared.press("k8s_sure", name)
    text = await shared.told(ts, "· done")
    assert len(shared.sent(name)) == 2
    assert len(shared.keys(name)) == 1
    first, second = shared.sent(name)
    assert first.body == second.body
    assert first.headers["tidegate-identity"] != second.headers["tidegate-identity"]
    assert '"action_id": "k8s_sure"' not in text


@pytest.mark.parametrize("how", ["500", "502", "408", "timeout", "reset"])
async def test_after_an_unclear_end_another_action_is_unknown(shared: Shared, how: str) -> None:
    name = f"web-unknown-{how}"
    shared.answers(name, ambiguous(shared, how), done)
    ts = await shared.press("k8s_once", name)
    text = await shared.told(ts, UNKNOWN)
    assert "It may or may not have been done." in text
    assert "Check status" in text
    assert '"action_id": "k8s_once"' not in text
    assert len(shared.sent(name)) == 1


async def test_an_idempotent_action_is_unknown_at_its_deadline(shared: Shared) -> None:
    shared.answers("web-deadline", says(500))
    began = time.monotonic()
    ts = await shared.press("k8s_short", "web-deadline")
    await shared.told(ts, UNKNOWN)
    assert time.monotonic() - began >= 2.0
    assert len(shared.sent("web-deadline")) >= 2
    assert len(shared.keys("web-deadline")) == 1


# --- long work ----------------------------------------------------------------------------

ACCEPTED = says(202, {"message": "began"}, Location=OPERATION)
HALF = says(200, {"phase": "running", "message": "rolling", "progress": {"done": 1, "total": 3}})


@pytest.mark.parametrize(
    ("phase", "words"),
    [("succeeded", "· done"), ("failed", "· failed"), ("cancelled", "· called off")],
)
async def test_long_work_is_followed_to_its_end_and_never_sent_again(
    shared: Shared, phase: str, words: str
) -> None:
    name = f"web-long-{phase}"
    shared.answers(name, ACCEPTED)
    shared.polls(name, HALF, says(200, {"phase": phase, "message": f"it {phase}"}))
    ts = await shared.press("k8s_once", name)
    await shared.told(ts, "working, 1 of 3")
    text = await shared.told(ts, words)
    assert f"it {phase}" in text
    assert len(shared.sent(name)) == 1
    assert [seen.path for seen in shared.looks(name)] == [OPERATION, OPERATION]


async def test_a_poll_that_fails_is_made_again(shared: Shared) -> None:
    shared.answers("web-blind", ACCEPTED)
    found = says(200, {"phase": "succeeded"})
    shared.polls("web-blind", says(500), shared.stand.service.cut, says(404), found)
    ts = await shared.press("k8s_once", "web-blind")
    await shared.told(ts, "· done")
    assert len(shared.sent("web-blind")) == 1


@pytest.mark.parametrize(
    "location",
    [
        "//127.0.0.1/api/v1/deploy",
        "/api/v1/../deploy",
        "/api/v1/%2e%2e/deploy",
        "/api/v1%2fdeploy",
        "/api/v1/deploy?as=admin",
        "operations/1",
        "/api\\v1",
    ],
)
async def test_a_location_that_leads_elsewhere_is_not_followed(
    shared: Shared, location: str
) -> None:
    name = f"web-leads-{abs(hash(location))}"
    shared.answers(name, says(202, Location=location))
    ts = await shared.press("k8s_sure", name)
    text = await shared.told(ts, UNKNOWN)
    assert "did not say where it can be followed" in text
    assert shared.looks(name) == []
    assert len(shared.sent(name)) == 1


async def test_a_location_on_another_host_is_not_followed(shared: Shared) -> None:
    other = Service()
    await other.start()
    try:
        shared.answers("web-host", says(202, Location=f"{other.url}/operations/1"))
        ts = await shared.press("k8s_sure", "web-host")
        await shared.told(ts, UNKNOWN)
        assert other.seen == []
    finally:
        await other.stop()


async def test_a_redirect_to_another_host_is_not_followed(shared: Shared) -> None:
    other = Service()
    await other.start()
    try:
        shared.answers("web-redirect", says(307, Location=f"{other.url}/api/v1/deploy"))
        ts = await shared.press("k8s_sure", "web-redirect")
        text = await shared.told(ts, "· failed")
        assert "pointed elsewhere" in text
        assert other.seen == []
    finally:
        await other.stop()


# --- unknown, settled ---------------------------------------------------------------------


async def unknown(shared: Shared, name: str) -> tuple[str, str]:
    """Return the message and the run of a press whose outcome is unknown."""
    shared.answers(name, says(500))
    ts = await shared.press("k8s_once", name)
    await shared.told(ts, "Check status")
    (key,) = shared.keys(name)
    return ts, key


@pytest.mark.parametrize(
    ("phase", "words"), [("succeeded", "· done"), ("failed", "· failed"), ("cancelled", "· failed")]
)
async def test_check_status_settles_what_was_unknown(
    shared: Shared, phase: str, words: str
) -> None:
    name = f"web-check-{phase}"
    shared.polls(name, says(200, {"phase": phase, "message": "looked it up"}))
    ts, run = await unknown(shared, name)
    assert (await shared.stand.click(ts, action_id="tidegate:check")).acked
    text = await shared.told(ts, words)
    assert "looked it up" in text
    assert "Check status" not in text
    assert [seen.path for seen in shared.looks(name)] == [f"/api/v1/deploy/operations/{run}"]
    assert len(shared.sent(name)) == 1


async def test_check_status_leaves_unknown_what_the_service_does_not_know(shared: Shared) -> None:
    shared.polls("web-nobody", says(404), says(200, {"phase": "succeeded"}))
    ts, _ = await unknown(shared, "web-nobody")
    assert (await shared.stand.click(ts, action_id="tidegate:check")).acked
    await shared.stand.service.wait_for(lambda: len(shared.looks("web-nobody")) == 1)
    assert (await shared.stand.click(ts, action_id="tidegate:check")).acked
    await shared.told(ts, "· done")


async def test_check_status_is_for_those_who_may_use_the_action(shared: Shared) -> None:
    slack = shared.stand.slack
    slack.add_user("U0MALLORY")
    ts, _ = await unknown(shared, "web-mallory")
    await shared.stand.click(ts, action_id="tidegate:check", user="U0MALLORY")
    await slack.wait_for(lambda: bool(slack.ephemerals("U0MALLORY")))
    assert "not among the people" in slack.ephemerals("U0MALLORY")[-1].text
    assert shared.looks("web-mallory") == []


async def test_our_own_button_counts_only_with_our_seal_and_in_its_channel(shared: Shared) -> None:
    slack = shared.stand.slack
    ts, run = await unknown(shared, "web-forged")
    found = find(shared.blocks(ts), action_id="tidegate:check", block_id=None)
    assert found is not None
    real = found[1]["value"]
    for channel, value in (("C0OPS", f"{run}.{'0' * 40}"), ("C0REPORTS", real)):
        button = {
            "type": "button",
            "action_id": "tidegate:check",
            "text": {"type": "plain_text", "text": "Check"},
            "value": value,
        }
        forged = slack.post_as_other(channel, "?", [{"type": "actions", "elements": [button]}])
        before = len(slack.ephemerals("U0GRACE"))
        await slack.click(channel=channel, ts=forged, action_id="tidegate:check", user="U0GRACE")
        await slack.wait_for(lambda before=before: len(slack.ephemerals("U0GRACE")) > before)  # type: ignore[misc]
        assert "does not belong here" in slack.ephemerals("U0GRACE")[-1].text
    assert shared.looks("web-forged") == []


async def test_an_operator_settles_an_unknown_run(shared: Shared) -> None:
    ts, run = await unknown(shared, "web-resolve")
    code, out, _ = await shared.stand.gateway.command(
        "runs", "resolve", run, "succeeded", "--note", "seen in the cluster", "--json"
    )
    assert code == 0
    assert json.loads(out)["run"]["state"] == "succeeded"
    text = await shared.told(ts, "· done")
    assert "seen in the cluster" in text
    code, _, err = await shared.stand.gateway.command("runs", "resolve", run, "failed")
    assert code == 1
    assert "only an unknown one" in err


async def test_an_operator_starts_a_failed_run_anew(shared: Shared) -> None:
    shared.answers("web-retry", says(409), done)
    ts = await shared.press("k8s_once", "web-retry")
    await shared.told(ts, "· failed")
    (run,) = shared.keys("web-retry")
    code, out, _ = await shared.stand.gateway.command("runs", "retry", run, "--json")
    assert code == 0
    again = json.loads(out)["run"]["id"]
    await shared.told(ts, "· done")
    assert [seen.key for seen in shared.sent("web-retry")] == [run, again]
    code, _, _ = await shared.stand.gateway.command("runs", "retry", "01NOSUCHRUN")
    assert code == 1


# --- what the service says ----------------------------------------------------------------


async def test_what_the_service_says_is_escaped(shared: Shared) -> None:
    body = {"message": "<!channel> <@U0ADA> *bold* & <https://evil|here>", "status": "<!here>"}
    shared.answers("web-loud", says(200, body))
    ts = await shared.press("k8s_sure", "web-loud")
    text = await shared.told(ts, "· done")
    assert "&lt;!channel&gt; &lt;@U0ADA&gt;" in text
    assert "&lt;!here&gt;" in text
    for raw in ("<!channel", "<!here", "<https://evil"):
        assert raw not in text


async def test_a_long_answer_is_cut(shared: Shared) -> None:
    shared.answers("web-long", says(200, {"message": "ä" * 100_000, "status": "s" * 5000}))
    ts = await shared.press("k8s_sure", "web-long")
    text = await shared.told(ts, "· done")
    assert text.count("ä") < 8000
    assert "ää…" in text


async def test_of_an_answer_that_is_far_too_long_the_status_counts(shared: Shared) -> None:
    shared.answers("web-huge", says(200, {"message": "x" * 3_000_000}))
    ts = await shared.press("k8s_sure", "web-huge")
    text = await shared.told(ts, "· done")
    assert "xxx" not in text


async def test_what_is_no_json_is_not_shown(shared: Shared) -> None:
    shared.answers("web-list", says(200, ["a list", {"message": "hidden"}]))
    ts = await shared.press("k8s_sure", "web-list")
    assert "hidden" not in await shared.told(ts, "· done")


# --- a queue ------------------------------------------------------------------------------


async def test_what_waits_too_long_for_its_turn_expires_and_is_told(tmp_path: Path) -> None:
    def narrow(config: dict[str, Any]) -> None:
        config["pathways"]["cluster"]["concurrency"] = 1
        config["actions"]["deploy"]["start_within_seconds"] = 1

    async with stand(tmp_path, change=narrow, answer=slow(4.0)) as s:
        first, second = s.message(), s.message()
        await s.click(first)
        await s.service.wait_for(lambda: len(s.service.posts) == 1)
        await s.click(second)
        assert "Nothing was done." in await s.told(second, "expired")
        await s.told(first, "· done")
        assert len(s.service.posts) == 1


# --- a gateway that stops -----------------------------------------------------------------


async def test_sigterm_finishes_what_is_in_flight_and_hands_the_rest_back(tmp_path: Path) -> None:
    def one_at_a_time(config: dict[str, Any]) -> None:
        config["pathways"]["cluster"]["concurrency"] = 1

    async with stand(tmp_path, change=one_at_a_time, answer=slow(1.0)) as s:
        first, second = s.message(), s.message()
        await s.click(first)
        await s.service.wait_for(lambda: len(s.service.posts) == 1)
        await s.click(second)
        assert await s.gateway.end(signal.SIGTERM) == 0
        await s.told(first, "· done", seconds=0.1)
        assert len(s.service.posts) == 1
        await s.gateway.start()
        await s.told(second, "· done")
        assert sorted(s.service.effects.values()) == [1, 1]


async def test_sigterm_hands_back_what_takes_too_long(tmp_path: Path) -> None:
    def hurried(config: dict[str, Any]) -> None:
        config["server"]["drain_seconds"] = 1
        config["pathways"]["cluster"]["timeout_seconds"] = 60
        config["actions"]["once"] = action("other", params={}, idempotent=False)

    def never(_seen: Seen) -> Any:
        return asyncio.sleep(600, done(_seen))

    async with stand(tmp_path, change=hurried, answer=never) as s:
        sure, once = s.message(), s.message()
        await s.click(sure)
        await s.click(once, action_id="other")
        await s.service.wait_for(lambda: len(s.service.posts) == 2)
        began = time.monotonic()
        assert await s.gateway.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < 8.0
        await s.told(once, UNKNOWN, seconds=0.1)
        s.service.answer = done
        await s.gateway.start()
        await s.told(sure, "· done")
        assert sorted(s.service.effects.values()) == [1, 2]


async def test_what_leads_elsewhere_by_now_is_not_done_there_as_well(tmp_path: Path) -> None:
    """A service knows nothing of the keys that another one was sent."""
    other = Service(answer=done)
    await other.start()

    def hurried(config: dict[str, Any]) -> None:
        config["server"]["drain_seconds"] = 1
        config["pathways"]["other"] = config["pathways"]["cluster"] | {"url": other.url}

    def never(_seen: Seen) -> Any:
        return asyncio.sleep(600, done(_seen))

    try:
        async with stand(tmp_path, change=hurried, answer=never) as s:
            ts = s.message()
            await s.click(ts)
            await s.service.wait_for(lambda: len(s.service.posts) == 1)
            assert await s.gateway.end(signal.SIGTERM) == 0
            s.gateway.config["actions"]["deploy"]["pathway"] = "other"
            await s.gateway.start()
            await s.told(ts, UNKNOWN)
            assert (len(s.service.posts), other.posts) == (1, [])
    finally:
        await other.stop()


async def test_a_late_answer_settles_an_unknown_run(tmp_path: Path) -> None:
    """A gateway that was held up beyond its lease comes back with the answer."""
    release = asyncio.Event()

    async def held(seen: Seen) -> Any:
        await release.wait()
        return done(seen)

    def patient(config: dict[str, Any]) -> None:
        config["worker"] = {"lease_seconds": 2}
        config["pathways"]["cluster"]["timeout_seconds"] = 300

    async with stand(tmp_path, change=patient, answer=held, idempotent=False) as s:
        ts = s.message()
        await s.click(ts)
        await s.service.wait_for(lambda: len(s.service.posts) == 1)
        await s.gateway.hold()
        folder = tmp_path / "second"
        folder.mkdir()
        config = s.gateway.config | {
            "server": s.gateway.config["server"] | {"port": free_port()},
            "admin": {"port": free_port()},
        }
        second = GatewayProcess(config, folder, s.gateway.environment)
        await second.start()
        try:
            await s.told(ts, UNKNOWN)
            release.set()
            s.gateway.go_on()
            await s.told(ts, "· done")
        finally:
            await second.end()
        assert len(s.service.posts) == 1
