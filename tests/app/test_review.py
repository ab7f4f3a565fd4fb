"""What is easily got wrong between the parts: reasons told, facts gone old, messages given up."""

import asyncio
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from msgspec import structs
from typing_extensions import override

from tests.app.test_directory import Scene
from tests.app.test_errand import Notes
from tests.contract.clock import StillClock
from tests.core import values
from tests.core.values import NOW, an_interaction
from tidegate.adapters.journal import LINGER_SECONDS, EventJournal
from tidegate.adapters.slack_api import SlackApi, SlackClient
from tidegate.app import attempt
from tidegate.app.attempt import Moment
from tidegate.app.directory import AT_HAND_SECONDS, FIRST_ASK_SECONDS, STALE_SECONDS
from tidegate.app.worker import Pathway, Worker
from tidegate.core import blocks, keys, notices, policy
from tidegate.core.blocks import Ink
from tidegate.core.model import Change, Kind, Leased, Run, State
from tidegate.core.routes import Router, Rule
from tidegate.entry.admin import run_as_json
from tidegate.ports import Answered, NotSent, Response, Upstream, Workspace

AT = Moment(now=NOW + 10, jitter=0.5)
LATE = Moment(now=NOW + 4000, jitter=0.5)


# --- no reason says «nothing was done» where something may have been ------------------------

DID_NOTHING = [NotSent(reason="connect"), Answered(status=503, body=b"")]


@pytest.mark.parametrize("response", DID_NOTHING)
@pytest.mark.parametrize("at", [AT, LATE])
def test_a_resend_that_did_nothing_keeps_the_reason_of_the_try_before(
    response: Response, at: Moment
) -> None:
    run = values.a_run(state=State.SENDING, reason="timeout")
    change = attempt.after_send(run, response, base_path="", at=at)
    told = run.reason if change.reason is None else change.reason
    assert "may or may not" in notices.reason(told)


def test_a_resend_after_a_death_that_did_nothing_is_told_as_interrupted() -> None:
    run = values.a_run(state=State.SENDING)
    change = attempt.after_send(run, NotSent(reason="connect"), base_path="", at=LATE)
    assert (change.state, change.reason) == (State.UNKNOWN, "interrupted")


def test_a_refusal_of_a_resend_does_not_say_that_nothing_was_done() -> None:
    run = values.a_run(state=State.SENDING, reason="timeout")
    change = attempt.after_send(run, Answered(status=401, body=b""), base_path="", at=AT)
    assert change.state is State.FAILED
    assert "may or may not" in notices.reason(change.reason or "")


def test_a_service_that_says_now_is_not_asked_without_a_pause() -> None:
    now = Answered(status=503, body=b"", retry_after="0")
    for run in (values.a_run(), values.a_run(state=State.SENDING), values.a_run(attempts=9)):
        change = attempt.after_send(run, now, base_path="", at=AT)
        assert change.next_at is not None
        assert 0.2 < change.next_at - AT.now <= attempt.MIN_WAIT_SECONDS


def test_who_asks_what_became_of_it_is_told_when_the_service_cannot_say() -> None:
    run = values.a_run(state=State.UNKNOWN, reason="timeout")
    change = attempt.after_poll(run, Answered(status=404, body=b""), at=AT)
    assert (change.state, change.reason) == (None, "untraceable")
    assert "could not tell" in notices.reason("untraceable")


# --- the worker -----------------------------------------------------------------------------


@dataclass
class Bench:
    """What a worker needs for one run, and keeps of what it did."""

    run: Run
    clock: StillClock = field(default_factory=StillClock)
    written: list[Change] = field(default_factory=list)
    asked_since: list[float] = field(default_factory=list)

    async def advance(self, leased: Leased, change: Change) -> Run:
        self.written.append(change)
        return structs.replace(leased.run, state=change.state or leased.run.state)

    async def known_workspace(self) -> Workspace:
        return Workspace(team_id="T0TEAM", bot_id="B1", user_id="UB")

    async def decide(self, *_: Any, moment: float, **__: Any) -> policy.Decision:
        self.asked_since.append(moment)
        return policy.Allowed(rule=0)

    def groups_of(self, _: str) -> frozenset[str]:
        return frozenset()

    def sign(self, _: Any) -> str:
        return "signed"

    async def send(self, _: Any) -> Response:
        return Answered(status=200, body=b"")

    async def carry(self, *, pathways: tuple[str, ...] = ("cluster",)) -> None:
        route = values.a_route(rules=(Rule(users=frozenset({"U0ADA"})),))
        given: dict[str, Any] = {
            "store": self,
            "slack": None,
            "errands": None,
            "directory": self,
            "router": Router([route]),
            "pathways": {
                name: Pathway(
                    name=name,
                    upstream=cast(Upstream, self),
                    audience=name,
                    base_path="",
                    stage=False,
                    concurrency=1,
                    auth="none",
                )
                for name in pathways
            },
            "shares": None,
            "signer": self,
            "clock": self.clock,
            "journal": Notes(),
            "issuer": "tidegate",
            "concurrency": 1,
            "lease_seconds": 10.0,
        }
        await Worker(**given)._carry(Leased(run=self.run, token="t"))


async def test_a_new_try_forgets_why_the_one_before_did_nothing() -> None:
    clock = StillClock()
    run = values.a_run(reason="busy", attempts=1, start_by=clock.now() + 600)
    bench = Bench(run, clock)
    await bench.carry()
    sending, _ = bench.written
    assert (sending.state, sending.reason) == (State.SENDING, "")


async def test_a_resend_keeps_why_the_one_before_is_unclear() -> None:
    clock = StillClock()
    run = values.a_run(state=State.SENDING, reason="timeout", deadline_at=clock.now() + 600)
    bench = Bench(run, clock)
    await bench.carry()
    sending, _ = bench.written
    assert (sending.state, sending.reason) == (None, None)


@pytest.mark.parametrize("age", [5.0, 1800.0])
async def test_a_run_that_waited_long_is_not_judged_by_what_was_true_at_its_click(
    age: float,
) -> None:
    clock = StillClock()
    run = values.a_run(created_at=clock.now() - age, start_by=clock.now() + 600)
    bench = Bench(run, clock)
    await bench.carry()
    assert bench.asked_since == [clock.now() - min(age, AT_HAND_SECONDS)]


async def test_long_work_on_a_pathway_that_is_gone_is_not_told_as_not_done() -> None:
    bench = Bench(values.a_run(state=State.RUNNING, location="/operations/1"))
    await bench.carry(pathways=())
    (change,) = bench.written
    assert change.state is State.UNKNOWN
    assert "may or may not" in notices.reason(change.reason or "")


# --- keys -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.BLOCK_ACTIONS, Kind.MESSAGE_ACTION])
def test_a_runs_effect_key_can_be_told_after_it_was_given_back(kind: Kind) -> None:
    pressed = an_interaction(kind=kind)
    run = values.a_run(
        kind=kind,
        message_ts=pressed.container_id,
        value_digest=keys.value_digest(pressed.value),
        effect_key=None,
    )
    assert keys.effect_key_of(run) == keys.effect_key(pressed)


def test_what_never_had_an_effect_key_gets_none() -> None:
    assert keys.effect_key_of(values.a_run(kind=Kind.COMMAND, effect_key=None)) is None
    assert keys.effect_key_of(values.a_run(message_ts=None, effect_key=None)) is None


# --- secrets of actions that are gone -------------------------------------------------------


def test_params_of_an_action_that_is_not_configured_any_more_are_not_shown() -> None:
    run = values.a_run(action="renamed", params={"password": "hunter2"})
    ink = Ink(secret=b"s", hidden={"deploy": frozenset()}, questions={}, now=NOW)
    assert "hunter2" not in blocks.line(run, ink)
    assert "hunter2" not in json.dumps(run_as_json(run, {"deploy": frozenset()}))
    assert run_as_json(run, {"renamed": frozenset()})["params"] == {"password": "hunter2"}


# --- facts ----------------------------------------------------------------------------------


async def test_a_first_start_knows_the_workspace_before_it_listens() -> None:
    scene = Scene()
    directory = scene.directory()
    await directory.open()
    assert directory.workspace == scene.slack.us


async def test_a_first_start_does_not_wait_long_for_slack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert FIRST_ASK_SECONDS <= 2
    monkeypatch.setattr("tidegate.app.directory.FIRST_ASK_SECONDS", 0.05)
    scene = Scene()
    scene.slack.may_answer.clear()
    directory = scene.directory()
    async with asyncio.timeout(1):
        await directory.open()
    assert directory.workspace is None


async def test_the_service_is_told_the_groups_that_the_worker_decided_on() -> None:
    scene = Scene()
    directory = scene.directory()
    await directory._groups.since("all", scene.clock.now())
    scene.clock.go_on(AT_HAND_SECONDS + 1)
    assert directory.groups_of("U0ADA") == {"S0SRE"}
    scene.clock.go_on(STALE_SECONDS)
    assert directory.groups_of("U0ADA") == frozenset()


# --- the rim --------------------------------------------------------------------------------


class _Full(io.RawIOBase):
    """A disk that is full."""

    def __init__(self) -> None:
        self.tries = 0

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, _: Any) -> int:
        self.tries += 1
        raise OSError(28, "No space left on device")


async def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    full = _Full()
    raised: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    stream = io.TextIOWrapper(io.BufferedWriter(full, 1))
    journal = EventJournal(stream)
    journal.note("told", run="01HZ")
    await asyncio.sleep(4 * LINGER_SECONDS)
    assert full.tries > 0
    assert raised == []
    stream.detach().raw.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "[::1]"])
async def test_response_urls_of_any_loopback_slack_are_its_own(host: str) -> None:
    slack = SlackApi(SlackClient(api_url=f"http://{host}:9001/api/", token="t"))
    may: Callable[[str], bool] = slack._may_respond
    assert may(f"http://{host}:9001/response/1")
    assert not may(f"http://{host}:9002/response/1")
    assert not may("http://127.0.0.9:9001/response/1")


async def test_groups_that_slack_garbles_are_no_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    slack = SlackApi(SlackClient(api_url="http://127.0.0.1:9001/api/", token="t"))

    async def answer(_: Any) -> dict[str, Any]:
        _.close()
        return {"ok": True, "usergroups": 7}

    monkeypatch.setattr(slack._client, "call", answer)
    try:
        assert await slack.groups(frozenset({"S1"})) == {}
    finally:
        await slack.close()
