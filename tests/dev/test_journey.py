"""The journey of a click, put together from what the ends say, in whatever order they say it."""

import json
from typing import Any

import pytest

from tidegate.core.edge_answer import _BY_TYPE
from tidegate.core.remedy import _REMEDIES
from tidegate_dev import edge_steps
from tidegate_dev.edge.answers import WORDS
from tidegate_dev.journey import Journey
from tidegate_dev.journeys import Journeys
from tidegate_dev.masking import Masking
from tidegate_dev.reasons import reason_words
from tidegate_dev.slack.deliveries import Delivery, signed_headers
from tidegate_dev.slack.payloads import form

SECRET = "a-signing-secret"
VALUE = '{"namespace":"staging","deployment":"web","image":"web:2.4.1"}'


class Scene:
    """Journeys that are told by hand."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.journeys = Journeys(
            masking=Masking([SECRET]),
            on_change=lambda journey: self.changes.append(journey.id),
            rule_words=lambda action, rule: f"@{action}-{rule}",
        )
        self.count = 0

    def begin(self, kind: Any = "block_actions") -> Delivery:
        self.count += 1
        payload = {
            "actions": [{"action_id": "k8s_deploy", "value": VALUE}],
            "response_url": "http://127.0.0.1:8700/response/very-secret-address",
            "token": SECRET,
        }
        body = form(payload) if kind == "block_actions" else b"command=%2Fdeploy&text=web+2.4.1"
        delivery = Delivery(
            id=f"d{self.count}",
            kind=kind,
            path="/slack/actions",
            body=body,
            user="U0ADA",
            channel="C0OPS",
            message_ts="1.000000",
            title="Deploy" if kind == "block_actions" else "/deploy",
            headers=signed_headers(body, secret=SECRET, timestamp=1000),
        )
        self.journeys.delivered(delivery)
        return delivery

    def acked(self, delivery: Delivery, **outcome: Any) -> Journey:
        delivery.status = outcome.pop("status", "acked")
        delivery.http_status = outcome.pop("http_status", 200)
        delivery.ack_ms = 1.25
        for name, value in outcome.items():
            setattr(delivery, name, value)
        self.journeys.delivered(delivery)
        return self.of(delivery)

    def of(self, delivery: Delivery) -> Journey:
        journey = self.journeys.get(delivery.id)
        assert journey is not None
        return journey

    def answered(self, request: str = "r1", **fields: Any) -> None:
        line = {"event": "answered", "request": request, "status": 200, "outcome": "recorded"}
        times = {"verify_ms": 0.1, "decide_ms": 0.2, "record_ms": 0.6}
        self.journeys.logged({**line, "action": "deploy", **times, **fields})

    def log(self, event: str, **fields: Any) -> None:
        self.journeys.logged({"event": event, "run": "run1", **fields})

    def recorded(self) -> Journey:
        delivery = self.begin()
        journey = self.acked(delivery, request="r1", run="run1")
        self.answered(run="run1")
        return journey


@pytest.fixture
def scene() -> Scene:
    return Scene()


def told(journey: Journey) -> list[tuple[str, str]]:
    return [(step["key"], step["status"]) for step in journey.as_json()["steps"]]


def values(journey: Journey) -> dict[str, str]:
    return {step["key"]: step["value"] for step in journey.as_json()["steps"]}


def test_a_click_begins_with_everything_still_to_come(scene: Scene) -> None:
    journey = scene.of(scene.begin())
    assert journey.title == "Deploy · web → staging"
    assert told(journey) == [
        ("verified", "active"),
        ("matched", "waiting"),
        ("allowed", "waiting"),
        ("recorded", "waiting"),
        ("acked", "waiting"),
        ("sent", "waiting"),
        ("answered", "waiting"),
        ("told", "waiting"),
    ]


def test_a_command_is_named_by_its_words(scene: Scene) -> None:
    assert scene.of(scene.begin("command")).title == "/deploy web 2.4.1"


@pytest.mark.parametrize("log_comes_first", [True, False])
def test_the_first_pass_is_told_by_the_ack_and_the_log_in_either_order(
    scene: Scene, log_comes_first: bool
) -> None:
    delivery = scene.begin()
    if log_comes_first:
        scene.answered(run="run1")
    journey = scene.acked(delivery, request="r1", run="run1")
    if not log_comes_first:
        scene.answered(run="run1")
    assert told(journey) == [
        ("verified", "done"),
        ("matched", "done"),
        ("allowed", "done"),
        ("recorded", "done"),
        ("acked", "done"),
        ("sent", "active"),
        ("answered", "waiting"),
        ("told", "waiting"),
    ]
    assert journey.run == "run1"
    assert journey.acked_ms == 1.25
    assert journey.steps["verified"].ms == 0.1
    assert journey.steps["recorded"].ms == 0.6
    assert values(journey)["matched"] == "deploy"


def test_the_second_pass_follows_the_run_to_its_end(scene: Scene) -> None:
    journey = scene.recorded()
    scene.log("authorised", action="deploy", rule=0)
    assert values(journey)["allowed"] == "@deploy-0"
    scene.log("sending", attempt=1, method="POST", path="/api/v1/deploy", auth="sigv4")
    assert journey.steps["sent"].label == "signed SigV4 → edge"
    assert values(journey)["sent"] == "POST /api/v1/deploy"
    scene.log("outcome", state="running", status=202)
    assert values(journey)["sent"] == "202"
    scene.log("progress", phase="running", done=2, total=3)
    assert (values(journey)["progress"], journey.state) == ("2 of 3", "running")
    scene.log("outcome", state="succeeded", status=200, ms=3000.0)
    assert dict(told(journey))["told"] == "active"
    scene.log("told", state="succeeded", method="chat.update", ms=4.0)
    assert journey.is_over
    assert values(journey)["progress"] == "3 of 3"
    assert all(status == "done" for _, status in told(journey))


def test_a_refusal_ends_the_journey_with_its_reason(scene: Scene) -> None:
    journey = scene.acked(scene.begin(), request="r1")
    scene.answered(outcome="refused", reason="denied: guest")
    assert journey.state == "refused"
    assert told(journey) == [
        ("verified", "done"),
        ("matched", "done"),
        ("refused", "failed"),
        ("acked", "done"),
    ]
    assert values(journey)["refused"] == "guests may not use it"


def test_a_button_that_nothing_is_connected_to_stops_at_the_match(scene: Scene) -> None:
    journey = scene.acked(scene.begin(), request="r1")
    scene.answered(outcome="unrouted", reason="no route for 19 characters", action=None)
    assert dict(told(journey))["matched"] == "failed"
    assert journey.state == "refused"


def test_a_second_press_joins_the_run_and_claims_none_of_its_steps(scene: Scene) -> None:
    first = scene.recorded()
    second = scene.acked(scene.begin(), request="r2", run="run1")
    scene.answered("r2", outcome="joined", run="run1")
    assert second.state == "joined"
    assert "nothing is done twice" in values(second)["recorded"]
    assert second.as_json()["steps"][-1]["key"] == "acked"
    scene.log("outcome", state="succeeded", status=200)
    assert (first.state, second.state) == ("succeeded", "joined")


def test_the_worker_s_no_is_shown_after_intake_s_yes(scene: Scene) -> None:
    journey = scene.recorded()
    scene.log("denied", reason="not_listed")
    scene.log("outcome", state="denied", reason="not_listed")
    scene.log("told", state="denied", method="chat.update")
    assert journey.state == "denied"
    assert values(journey)["refused"] == "not among the people who may use it"
    assert [key for key, _ in told(journey)][-3:] == ["acked", "refused", "told"]
    assert values(journey)["told"] == "a notice, to this person only"
    assert "answered" not in journey.steps
    assert journey.is_over


def test_an_attempt_that_is_made_again_says_why(scene: Scene) -> None:
    journey = scene.recorded()
    scene.log("sending", attempt=1, method="POST", path="/x", auth="none")
    scene.log("outcome", state="queued", status=429, reason="busy")
    assert journey.steps["sent"].label == "to be tried again"
    assert values(journey)["sent"] == "the service is busy"
    scene.log("sending", attempt=2, method="POST", path="/x", auth="none")
    assert values(journey)["sent"] == "POST /x · attempt 2"


@pytest.mark.parametrize("state", ["failed", "unknown", "expired"])
def test_an_end_that_is_not_a_success_is_marked(scene: Scene, state: str) -> None:
    journey = scene.recorded()
    scene.log("outcome", state=state, reason="timeout")
    assert dict(told(journey))["answered"] == "failed"
    assert values(journey)["answered"].endswith(": no answer in time")


def test_a_click_that_did_not_arrive_goes_no_further(scene: Scene) -> None:
    journey = scene.acked(scene.begin(), status="unreachable", http_status=None, note="not there.")
    assert journey.state == "not_delivered"
    assert journey.steps["verified"].label == "not reached"
    assert told(journey) == [("verified", "failed"), ("acked", "failed")]


def test_what_slack_gave_up_on_waits_for_nothing(scene: Scene) -> None:
    journey = scene.acked(scene.begin(), status="timeout", http_status=None, note="Too late.")
    assert journey.state == "not_delivered"
    assert journey.is_over
    assert told(journey) == [("verified", "failed"), ("acked", "failed")]


def test_a_killed_gateway_is_told_where_the_journey_stands(scene: Scene) -> None:
    journey = scene.recorded()
    scene.journeys.interrupted()
    assert "killed" in values(journey)["sent"]
    scene.log("sending", attempt=2, method="POST", path="/x", auth="sigv4")
    scene.log("outcome", state="succeeded", status=200)
    scene.log("told", state="succeeded", method="chat.update")
    before = list(scene.changes)
    scene.journeys.interrupted()
    assert scene.changes == before


def test_the_ack_alone_carries_the_run_when_the_gateway_died_before_its_log_was_read(
    scene: Scene,
) -> None:
    journey = scene.acked(scene.begin(), request="r1", run="run1")
    later = scene.acked(scene.begin(), request="r2", run="run1")
    assert (journey.run, dict(told(journey))["recorded"]) == (None, "waiting")
    scene.log("outcome", state="succeeded", status=200)
    assert (journey.run, journey.state) == ("run1", "succeeded")
    assert dict(told(journey))["recorded"] == "done"
    assert later.state == "waiting"


def test_what_the_edge_saw_belongs_to_the_step_that_sent_it(scene: Scene) -> None:
    journey = scene.recorded()
    scene.log("sending", attempt=1, method="POST", path="/x", auth="sigv4")
    exchange = {"run_id": "run1", "method": "POST", "status": 202, "verdict": "accepted"}
    scene.journeys.exchanged({**exchange, "canonical_request": "POST\n/x"})
    scene.journeys.exchanged({**exchange, "run_id": "another"})
    details = journey.steps["sent"].details
    assert details is not None
    assert details["edge"]["canonical_request"] == "POST\n/x"
    assert len(scene.journeys.full(journey)["edge"]) == 1


@pytest.mark.parametrize(
    ("verdict", "message", "words"),
    [
        ("UnknownStage", "Not Found", "there is no such stage"),
        ("VpcLinkInactive", "Service Unavailable", "the VPC link was given up after 60 days"),
        ("AccessDeniedException", "User: x is not authorized", "no policy lets the gateway in"),
        ("InvalidSignatureException", "Signature expired: 1", "the clocks are too far apart"),
        (
            "InvalidSignatureException",
            "Credential should be scoped to a valid region. This one is 'us-east-1'.",
            "it was signed for another region",
        ),
        ("InvalidSignatureException", "The request signature we", "the signature does not match"),
    ],
)
def test_what_the_edge_turns_away_is_told_in_plain_words(
    scene: Scene, verdict: str, message: str, words: str
) -> None:
    journey = scene.recorded()
    scene.log("sending", attempt=1, method="POST", path="/x", auth="sigv4")
    exchange = {"run_id": "run1", "method": "POST", "status": 403, "verdict": verdict}
    scene.journeys.exchanged({**exchange, "message": message})
    assert values(journey)["sent"].startswith(f"turned away by the edge: {words}")
    scene.log("outcome", state="queued", status=403, reason="busy")
    assert values(journey)["sent"].startswith(f"turned away by the edge: {words}")
    scene.log("sending", attempt=2, method="POST", path="/x", auth="sigv4")
    assert values(journey)["sent"] == "POST /x · attempt 2"
    scene.journeys.exchanged({**exchange, "message": message})
    scene.log("outcome", state="failed", status=403, reason="no_route")
    assert values(journey)["sent"].startswith(f"turned away by the edge: {words}")
    assert dict(told(journey))["sent"] == "failed"
    assert values(journey)["answered"] == "failed: the edge has no such stage or route"


def test_what_the_edge_does_not_wait_for_was_not_turned_away(scene: Scene) -> None:
    journey = scene.recorded()
    scene.log("sending", attempt=1, method="POST", path="/x", auth="sigv4")
    exchange = {"run_id": "run1", "method": "POST", "status": 504, "forwarded": True}
    scene.journeys.exchanged({**exchange, "verdict": "IntegrationTimeout"})
    assert values(journey)["sent"] == (
        "given up by the edge: the service was asked, and its answer not waited for"
    )


def test_the_edge_may_be_heard_before_the_log_is(scene: Scene) -> None:
    journey = scene.recorded()
    exchange = {"run_id": "run1", "method": "POST", "status": 404, "verdict": "UnknownStage"}
    scene.journeys.exchanged(exchange)
    scene.log("sending", attempt=1, method="POST", path="/x", auth="sigv4")
    assert values(journey)["sent"] == "turned away by the edge: there is no such stage"
    scene.log("sending", attempt=2, method="POST", path="/x", auth="sigv4")
    assert values(journey)["sent"] == "POST /x · attempt 2"


@pytest.mark.parametrize("reason", sorted({*_REMEDIES, *_BY_TYPE.values()}))
def test_every_reason_of_a_pathway_has_words_of_the_page(reason: str) -> None:
    # What has no words of its own is told by its code, with blanks.
    assert reason_words(reason) != reason.replace("_", " ")


def test_whatever_stops_a_request_at_the_edge_has_words(scene: Scene) -> None:
    for verdict in {*WORDS, "AccessDeniedException", "ExpiredTokenException"}:
        journey = scene.recorded()
        edge_steps.answered(journey, {"verdict": verdict, "method": "POST"})
        assert verdict not in edge_steps.why(journey.steps["sent"])


def test_no_secret_is_shown(scene: Scene) -> None:
    journey = scene.acked(scene.begin(), request="r1")
    scene.answered(run="run1", reason=f"it was {SECRET}")
    scene.journeys.called("chat.update", {"arguments": {"ts": "1.000000", "text": SECRET}})
    shown = json.dumps([journey.as_json(), scene.journeys.full(journey)])
    assert SECRET not in shown
    assert "very-secret-address" not in shown
    full = scene.journeys.full(journey)
    assert full["request"]["payload"]["response_url"] == "•••"
    assert full["request"]["signature_base_string"].startswith("v0:1000:payload=")
    assert full["slack_calls"][0]["method"] == "chat.update"


def test_old_journeys_make_room_for_new_ones(scene: Scene) -> None:
    for _ in range(205):
        scene.begin()
    assert scene.journeys.get("d1") is None
    assert scene.journeys.latest()[0].id == "d205"
    assert len(scene.journeys.latest()) == 20


def test_lines_that_are_about_nothing_known_change_nothing(scene: Scene) -> None:
    scene.log("outcome", state="succeeded")
    scene.answered("r9", run="run9")
    scene.journeys.logged({"event": "started", "port": 1})
    assert scene.changes == []


@pytest.mark.parametrize(
    "text",
    [
        "trigger_id=17955.11.52{}&x=1",
        'payload={{"trigger_id":"17955.11.52{}","x":1}}',
        "payload=%7B%22trigger_id%22%3A%2217955.11.52{}%22%2C",
        "payload=%7B%22trigger_id%22%3A+%2217955.11.52{}%22%2C",
        'payload={{"trigger_id": "17955.11.52{}", "x": 1}}',
    ],
)
def test_a_trigger_is_masked_in_whatever_it_is_written(text: str) -> None:
    shown = Masking([]).text(text.format("7e"))
    assert "527e" not in shown
    assert "trigger_id" in shown
