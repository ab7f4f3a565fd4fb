"""The outcome table, row by row, and the rules that it follows from."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.values import NOW, a_run
from tidegate.app import attempt
from tidegate.app.attempt import Moment
from tidegate.core.lifecycle import allowed
from tidegate.core.model import Change, Run, State
from tidegate.ports import Answered, NoAnswer, NotSent, Response

AT = Moment(now=NOW + 10, jitter=0.5)
LATE = Moment(now=NOW + 4000, jitter=0.5)


def answered(status: int, **changes: Any) -> Answered:
    fields: dict[str, Any] = {"status": status, "body": b"", "json": False}
    return Answered(**(fields | changes))


def sent(run: Run, response: Response, at: Moment = AT, base_path: str = "") -> Change:
    return attempt.after_send(run, response, base_path=base_path, at=at)


@dataclass(frozen=True)
class Row:
    """What is expected; None as a state: the run stays in `sending`, to be sent again."""

    response: Response
    idempotent: State | None
    once: State | None
    reason: str
    released: bool = False


QUEUED, UNKNOWN, FAILED = State.QUEUED, State.UNKNOWN, State.FAILED
TABLE = [
    *(Row(NotSent(reason=why), QUEUED, QUEUED, why) for why in ("connect", "dns", "tls")),
    *(Row(NotSent(reason=why), QUEUED, QUEUED, why) for why in ("token", "credentials")),
    *(Row(answered(n), State.SUCCEEDED, State.SUCCEEDED, "") for n in (200, 201, 202, 204, 299)),
    Row(answered(202, location="/operations/1"), State.RUNNING, State.RUNNING, ""),
    Row(answered(202, location="http://evil/1"), UNKNOWN, UNKNOWN, "bad_location"),
    Row(answered(400), FAILED, FAILED, "rejected", released=True),
    Row(answered(401), FAILED, FAILED, "unauthenticated", released=True),
    Row(answered(403), FAILED, FAILED, "forbidden", released=True),
    Row(answered(404), FAILED, FAILED, "not_found", released=True),
    Row(answered(409), FAILED, FAILED, "conflict", released=True),
    Row(answered(422), FAILED, FAILED, "rejected", released=True),
    Row(answered(307, location="/elsewhere"), FAILED, FAILED, "redirect", released=True),
    *(Row(answered(n, location="/elsewhere"), UNKNOWN, UNKNOWN, "redirected") for n in (302, 303)),
    Row(answered(429), QUEUED, QUEUED, "busy"),
    Row(answered(503), QUEUED, QUEUED, "busy"),
    Row(answered(429, retry_after="7"), QUEUED, QUEUED, "busy"),
    Row(answered(503, retry_after="7"), QUEUED, QUEUED, "busy"),
    Row(answered(408), None, UNKNOWN, "timeout"),
    *(Row(answered(n), None, UNKNOWN, "error") for n in (500, 501, 502, 504, 599)),
    Row(NotSent(reason="too_large", again=False), FAILED, FAILED, "too_large", released=True),
    # the edge answered, and not the service
    *(
        Row(answered(403, fault=why), FAILED, FAILED, why, released=True)
        for why in ("bad_signature", "clock_skew", "not_permitted", "expired_credentials")
    ),
    Row(answered(404, fault="no_route"), FAILED, FAILED, "no_route", released=True),
    Row(answered(429, fault="throttled"), QUEUED, QUEUED, "throttled"),
    Row(answered(503, fault="link_down"), QUEUED, QUEUED, "link_down"),
    Row(answered(503, fault="integration_timeout"), None, UNKNOWN, "integration_timeout"),
    Row(answered(504, fault="integration_timeout"), None, UNKNOWN, "integration_timeout"),
    Row(answered(500, fault="integration_failed"), None, UNKNOWN, "integration_failed"),
    Row(NoAnswer(reason="timeout"), None, UNKNOWN, "timeout"),
    Row(NoAnswer(reason="no_answer"), None, UNKNOWN, "no_answer"),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: str(row.response)[:60])
@pytest.mark.parametrize("idempotent", [True, False])
def test_what_an_attempt_came_to(row: Row, idempotent: bool) -> None:
    change = sent(a_run(idempotent=idempotent), row.response)
    assert change.state is (row.idempotent if idempotent else row.once)
    assert change.reason == row.reason
    assert change.release_effect is row.released
    again = change.state in (None, State.QUEUED)
    assert (change.next_at is not None) is (again or change.state is State.RUNNING)


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_worker_that_died_while_the_request_was_out(idempotent: bool) -> None:
    change = attempt.interrupted(a_run(state=State.SENDING, idempotent=idempotent), now=AT.now)
    assert change.reason == "interrupted"
    assert not change.release_effect
    if idempotent:
        assert (change.state, change.next_at) == (None, AT.now)
    else:
        assert (change.state, change.next_at) == (State.UNKNOWN, None)


# --- waits ----------------------------------------------------------------------------------


def test_a_service_that_is_busy_is_asked_again_when_it_said() -> None:
    change = sent(a_run(), answered(503, retry_after="7"))
    assert change.next_at == AT.now + 7


def test_a_wait_grows_from_try_to_try() -> None:
    waits = [sent(a_run(attempts=n), NotSent(reason="connect")).next_at for n in range(3)]
    assert waits == [AT.now + 0.375, AT.now + 0.75, AT.now + 1.5]


def test_nothing_waits_beyond_the_time_to_start() -> None:
    run = a_run(start_by=AT.now + 3)
    assert sent(run, answered(503, retry_after="3600")).next_at == AT.now + 3
    assert sent(a_run(start_by=AT.now - 3), answered(503)).next_at == AT.now


@pytest.mark.parametrize("response", [answered(503), NotSent(reason="connect")])
def test_what_was_never_done_fails_at_the_deadline_and_can_be_pressed_again(
    response: Response,
) -> None:
    change = sent(a_run(), response, LATE)
    assert (change.state, change.release_effect) == (State.FAILED, True)


@pytest.mark.parametrize("response", [answered(500), answered(408), NoAnswer(reason="timeout")])
def test_what_may_have_been_done_is_unknown_at_the_deadline(response: Response) -> None:
    change = sent(a_run(), response, LATE)
    assert (change.state, change.release_effect) == (State.UNKNOWN, False)


@pytest.mark.parametrize("response", [answered(503), NotSent(reason="connect")])
def test_a_resend_that_did_nothing_says_nothing_of_the_try_before(response: Response) -> None:
    again = sent(a_run(state=State.SENDING), response)
    assert (again.state, again.release_effect) == (None, False)
    assert again.next_at is not None
    late = sent(a_run(state=State.SENDING), response, LATE)
    assert (late.state, late.release_effect) == (State.UNKNOWN, False)


def test_a_resend_that_is_refused_keeps_its_effect() -> None:
    change = sent(a_run(state=State.SENDING), answered(409))
    assert (change.state, change.release_effect) == (State.FAILED, False)


# --- words and places -----------------------------------------------------------------------

WORDS = json.dumps({"message": "all done", "status": "ok"}).encode()


@pytest.mark.parametrize(
    "response",
    [
        answered(200, body=WORDS, json=True),
        answered(202, body=WORDS, json=True, location="/operations/1"),
        answered(409, body=WORDS, json=True),
    ],
)
def test_the_words_of_the_service_are_kept(response: Answered) -> None:
    change = sent(a_run(), response)
    assert (change.message, change.status_text) == ("all done", "ok")
    assert change.http_status == response.status


def test_the_words_of_a_failure_are_kept_where_it_ends_with_it() -> None:
    response = answered(500, body=WORDS, json=True)
    assert sent(a_run(idempotent=False), response).message == "all done"
    assert sent(a_run(idempotent=True), response).message is None


def test_long_work_is_followed_below_the_base_alone() -> None:
    response = answered(202, location="/prod/operations/1")
    change = sent(a_run(), response, base_path="/prod")
    assert (change.location, change.next_at) == ("/operations/1", AT.now + 1.0)
    assert sent(a_run(), response, base_path="/other").location == "/prod/operations/1"


# --- looking at long work -------------------------------------------------------------------


def running(**changes: Any) -> Run:
    return a_run(**({"state": State.RUNNING, "location": "/operations/1"} | changes))


def report(phase: str, **more: Any) -> Answered:
    return answered(200, body=json.dumps({"phase": phase, **more}).encode(), json=True)


def polled(run: Run, response: Response, at: Moment = AT) -> Change:
    return attempt.after_poll(run, response, at=at)


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        ("pending", None),
        ("running", None),
        ("succeeded", State.SUCCEEDED),
        ("failed", State.FAILED),
        ("cancelled", State.CANCELLED),
    ],
)
def test_a_look_at_long_work(phase: str, state: State | None) -> None:
    change = polled(running(), report(phase, message="m", progress={"done": 1, "total": 2}))
    assert (change.state, change.message, change.poll) == (state, "m", True)
    assert (change.next_at is None) is (state is not None)


@pytest.mark.parametrize(
    ("phase", "state"),
    [("running", None), ("succeeded", State.SUCCEEDED), ("failed", FAILED), ("cancelled", FAILED)],
)
def test_a_look_at_an_unknown_run(phase: str, state: State | None) -> None:
    assert polled(running(state=State.UNKNOWN), report(phase)).state is state


def test_the_newest_event_stands_in_for_a_message() -> None:
    change = polled(running(), report("running", events=[{"text": "one"}, {"text": "two"}]))
    assert change.message == "two"


@pytest.mark.parametrize("polls", [0, 4, 100])
def test_looks_grow_rarer(polls: int) -> None:
    change = polled(running(polls=polls), report("running"))
    assert change.next_at == AT.now + min(5.0, 1 + polls / 4)


@pytest.mark.parametrize(
    "response",
    [
        NotSent(reason="connect"),
        NoAnswer(reason="timeout"),
        answered(500),
        answered(503),
        answered(401),
        answered(200, body=b"not an operation"),
        answered(200, body=b'{"phase": []}', json=True),
        answered(302, location="http://evil"),
    ],
)
def test_a_look_that_tells_nothing_is_repeated_until_the_deadline(response: Response) -> None:
    change = polled(running(), response)
    assert change.state is None
    assert change.next_at is not None
    late = polled(running(), response, LATE)
    assert (late.state, late.reason, late.next_at) == (State.UNKNOWN, "lost_track", None)


def test_a_look_waits_as_long_as_the_service_asks() -> None:
    assert polled(running(), answered(503, retry_after="30")).next_at == AT.now + 30
    soon = running(deadline_at=AT.now + 5)
    assert polled(soon, answered(503, retry_after="30")).next_at == AT.now + 5


@pytest.mark.parametrize("status", [404, 410])
def test_work_that_the_service_forgot_is_unknown_after_a_few_looks(status: int) -> None:
    assert polled(running(polls=attempt.MAX_LOST_POLLS - 1), answered(status)).state is None
    change = polled(running(polls=attempt.MAX_LOST_POLLS), answered(status))
    assert (change.state, change.reason) == (State.UNKNOWN, "lost_track")


@pytest.mark.parametrize("response", [answered(404), answered(401), answered(200, body=b"?")])
def test_an_unknown_run_the_service_cannot_tell_of_stays_unknown(response: Response) -> None:
    change = polled(running(state=State.UNKNOWN), response)
    assert (change.state, change.next_at) == (None, None)


# --- whatever happens -----------------------------------------------------------------------

STATUS = st.integers(100, 599)
TEXTS = st.none() | st.sampled_from(["0", "7", "soon", "", "99999999", "/operations/1", "//evil"])
BODIES = st.binary(max_size=20) | st.sampled_from(
    [WORDS, b'{"phase":"running"}', b'{"phase":"succeeded"}', b'{"phase":"failed"}']
)
ANSWERS = st.builds(
    Answered, status=STATUS, body=BODIES, location=TEXTS, retry_after=TEXTS, json=st.booleans()
)
NOT_SENT = st.builds(NotSent, reason=st.sampled_from(["connect", "dns", "tls", "token"]))
NO_ANSWER = st.builds(NoAnswer, reason=st.sampled_from(["timeout", "no_answer"]))
RESPONSES = ANSWERS | NOT_SENT | NO_ANSWER
RUNS = st.builds(
    a_run,
    st.integers(1, 3),
    state=st.sampled_from([State.QUEUED, State.SENDING]),
    idempotent=st.booleans(),
    attempts=st.integers(0, 50),
    start_by=st.sampled_from([NOW, NOW + 600]),
    deadline_at=st.sampled_from([NOW, NOW + 3600]),
)
MOMENTS = st.builds(
    Moment, now=st.floats(NOW, NOW + 8000), jitter=st.floats(0, 1, exclude_max=True)
)


def nothing_done(response: Response) -> bool:
    """Whether the answer itself says that nothing was done, by the table's words."""
    match response:
        case NotSent():
            return True
        case NoAnswer():
            return False
        case Answered(status=status):
            return (300 <= status < 500 and status != 408) or status == 503


@given(RUNS, RESPONSES, MOMENTS)
def test_nothing_is_sent_again_after_it_may_have_been_done_unless_the_key_is_honoured(
    run: Run, response: Response, at: Moment
) -> None:
    change = sent(run, response, at)
    again = change.state in (None, State.QUEUED)
    if again and not nothing_done(response):
        assert run.idempotent
    if again and run.state is State.SENDING:
        assert change.state is None  # `queued` would forget the try before


@given(RUNS, RESPONSES, MOMENTS)
def test_the_effect_is_given_back_only_where_nothing_can_have_been_done(
    run: Run, response: Response, at: Moment
) -> None:
    change = sent(run, response, at)
    if change.release_effect:
        assert change.state is State.FAILED
        assert nothing_done(response)
        assert run.state is not State.SENDING


@given(RUNS, RESPONSES, MOMENTS)
def test_every_step_is_one_that_the_lifecycle_allows(
    run: Run, response: Response, at: Moment
) -> None:
    change = sent(run, response, at)
    if change.state is not None:
        assert allowed(State.SENDING, change.state)
    if change.state in (None, State.QUEUED, State.RUNNING):
        assert change.next_at is not None
        assert change.next_at >= at.now
    else:
        assert change.next_at is None


@given(RUNS, RESPONSES, MOMENTS)
def test_success_is_only_what_the_service_said(run: Run, response: Response, at: Moment) -> None:
    if sent(run, response, at).state in (State.SUCCEEDED, State.RUNNING):
        assert isinstance(response, Answered)
        assert 200 <= response.status < 300


@given(st.sampled_from([State.RUNNING, State.UNKNOWN]), st.integers(0, 9), RESPONSES, MOMENTS)
def test_every_look_leads_where_the_lifecycle_allows_and_nowhere_for_ever(
    state: State, polls: int, response: Response, at: Moment
) -> None:
    run = running(state=state, polls=polls)
    change = polled(run, response, at)
    assert change.poll
    assert not change.release_effect
    if change.state is not None:
        assert allowed(state, change.state)
        assert change.next_at is None
    if at.now >= run.deadline_at:
        assert change.next_at is None
    if state is State.RUNNING and change.state is None:
        assert change.next_at is not None


# --- the edge in the service's place --------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "fault"), [(403, "bad_signature"), (504, "integration_timeout")]
)
def test_the_words_of_an_edge_are_shown_to_nobody(status: int, fault: str) -> None:
    body = json.dumps({"message": "arn:aws:iam::123456789012:role/x", "status": "no"}).encode()
    change = sent(a_run(idempotent=False), answered(status, body=body, json=True, fault=fault))
    assert not change.message
    assert not change.status_text
    heard = sent(a_run(idempotent=False), answered(status, body=body, json=True))
    assert heard.message == "arn:aws:iam::123456789012:role/x"


def test_an_edge_that_refuses_a_resend_settles_nothing() -> None:
    """An earlier attempt may have been carried out; the edge was not there."""
    run = a_run(state=State.SENDING, idempotent=True, attempts=1, reason="timeout")
    change = sent(run, answered(403, fault="expired_credentials"))
    assert (change.state, change.release_effect) == (None, False)
    assert change.next_at is not None
    late = sent(run, answered(403, fault="expired_credentials"), LATE)
    assert (late.state, late.reason, late.release_effect) == (UNKNOWN, "timeout", False)


def test_what_can_never_be_sent_again_leaves_an_earlier_attempt_unknown() -> None:
    run = a_run(state=State.SENDING, idempotent=True, attempts=1, reason="timeout")
    change = sent(run, NotSent(reason="head_too_large", again=False))
    assert (change.state, change.reason, change.release_effect) == (UNKNOWN, "timeout", False)


@pytest.mark.parametrize("status", [403, 404])
def test_an_edge_in_the_way_of_a_check_is_not_the_service_s_answer(status: int) -> None:
    run = a_run(state=State.UNKNOWN)
    asked = attempt.after_poll(run, answered(status, fault="not_permitted"), at=AT)
    assert asked.next_at is not None
    assert asked.reason != "untraceable"
    assert attempt.after_poll(run, answered(status), at=AT).reason == "untraceable"
