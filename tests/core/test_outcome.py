import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidegate.core import outcome
from tidegate.core.model import Progress
from tidegate.core.outcome import Report, Told, Verdict

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.SUCCEEDED),
        (201, Verdict.SUCCEEDED),
        (202, Verdict.SUCCEEDED),
        (204, Verdict.SUCCEEDED),
        (299, Verdict.SUCCEEDED),
        (300, Verdict.FAILED),
        (301, Verdict.FAILED),
        (307, Verdict.FAILED),
        (400, Verdict.FAILED),
        (401, Verdict.FAILED),
        (403, Verdict.FAILED),
        (404, Verdict.FAILED),
        (409, Verdict.FAILED),
        (422, Verdict.FAILED),
        (408, Verdict.AMBIGUOUS),
        (429, Verdict.BUSY),
        (500, Verdict.AMBIGUOUS),
        (501, Verdict.AMBIGUOUS),
        (502, Verdict.AMBIGUOUS),
        (503, Verdict.BUSY),
        (504, Verdict.AMBIGUOUS),
        (599, Verdict.AMBIGUOUS),
    ],
)
def test_each_status_has_its_meaning(status: int, verdict: Verdict) -> None:
    assert outcome.of_status(status, location=None) is verdict


def test_only_a_202_that_says_where_to_look_is_long_work() -> None:
    assert outcome.of_status(202, location="/operations/1") is Verdict.RUNNING
    assert outcome.of_status(201, location="/things/1") is Verdict.SUCCEEDED
    assert outcome.of_status(303, location="/things/1") is Verdict.REDIRECTED


@given(st.integers(-1000, 2000), st.none() | st.just("/operations/1"))
def test_no_status_at_all_is_taken_for_nothing_done_unless_it_says_so(
    status: int, location: str | None
) -> None:
    verdict = outcome.of_status(status, location=location)
    if verdict in (Verdict.FAILED, Verdict.BUSY, Verdict.NOT_SENT):
        assert 300 <= status < 500 or status == 503
        assert status != 408
    if verdict in (Verdict.SUCCEEDED, Verdict.RUNNING):
        assert 200 <= status < 300


# --- words ----------------------------------------------------------------------------------


def test_a_service_may_say_how_it_went() -> None:
    body = b'{"message": "rolled out", "status": "ok", "more": 1}'
    assert outcome.told(body, is_json=True) == Told(message="rolled out", status="ok")
    assert outcome.told(body, is_json=False) == Told()


def test_long_words_are_cut() -> None:
    body = json.dumps({"message": "m" * 5000, "status": "s" * 500}).encode()
    said = outcome.told(body, is_json=True)
    assert (len(said.message), len(said.status)) == (3000, 100)
    assert said.message.endswith("…")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"message": 5}', b"\xff", b"[" * 99999]
)
def test_what_is_no_object_of_words_says_nothing(body: bytes) -> None:
    assert outcome.told(body, is_json=True) == Told()


def test_an_operation_says_how_far_it_is() -> None:
    body = {
        "phase": "running",
        "message": "rolling",
        "progress": {"done": 2, "total": 3},
        "events": [{"text": "first"}, {"at": "now", "text": "second", "level": "info"}],
    }
    assert outcome.report(json.dumps(body).encode()) == Report(
        phase="running",
        message="rolling",
        progress=Progress(phase="running", done=2, total=3),
        event="second",
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"phase": "done"}',
        b'{"phase": null}',
        b'{"phase": []}',
        b'{"phase": {"a": 1}}',
        b'{"phase": 1}',
    ],
)
def test_what_names_no_phase_is_no_operation(body: bytes) -> None:
    assert outcome.report(body) is None


@pytest.mark.parametrize(
    "steps",
    [None, [], "2/3", {"done": "2"}, {"done": True, "total": 1.5}, {"done": -1, "total": 10**12}],
)
def test_progress_that_makes_no_sense_is_left_out(steps: Any) -> None:
    found = outcome.report(json.dumps({"phase": "running", "progress": steps}).encode())
    assert found is not None
    assert found.progress == Progress(phase="running")


@pytest.mark.parametrize("events", [None, {}, [], ["text"], [{"text": 5}], [None]])
def test_events_that_make_no_sense_are_left_out(events: Any) -> None:
    found = outcome.report(json.dumps({"phase": "running", "events": events}).encode())
    assert found is not None
    assert found.event == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
FIELDS = st.sampled_from(["phase", "message", "status", "progress", "events"])


@given(st.dictionaries(FIELDS, JSON | st.just("running")).map(json.dumps).map(str.encode))
def test_any_object_is_read_without_complaint(body: bytes) -> None:
    found = outcome.report(body)
    assert found is None or found.phase in outcome.PHASES
    said = outcome.told(body, is_json=True)
    assert len(said.message) <= outcome.MAX_MESSAGE
    assert len(said.status) <= outcome.MAX_STATUS


@given(st.binary(max_size=100))
def test_any_bytes_are_read_without_complaint(body: bytes) -> None:
    assert outcome.report(body) is None  # a hundred random bytes are no operation
    assert isinstance(outcome.told(body, is_json=True), outcome.Told)


# --- waits ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("0", 0.0),
        (" 12 ", 12.0),
        ("-1", None),
        ("1.5", None),
        ("99999999", 86400.0),
        ("9" * 64, 86400.0),
        ("9" * 65, None),
        ("٣", None),
        ("Mon, 99 Foo 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_seconds(value: str | None, seconds: float | None) -> None:
    assert outcome.retry_after(value, now=NOW) == seconds


@pytest.mark.parametrize(("ahead", "seconds"), [(90, 90.0), (-90, 0.0), (10**7, 86400.0)])
def test_retry_after_may_be_a_date(ahead: int, seconds: float) -> None:
    date = format_datetime(datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=ahead), usegmt=True)
    assert outcome.retry_after(date, now=NOW) == seconds


@given(st.text(max_size=70))
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("Mon, 01 Jan 9999 23:59:59 -2359")
@example("1 Jan 1 0:0:0 +99999999999999")
def test_any_retry_after_is_a_wait_of_a_day_at_most_or_nothing(value: str) -> None:
    found = outcome.retry_after(value, now=NOW)
    assert found is None or 0.0 <= found <= 86400.0


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_waits_between_tries_grow_to_their_ceiling_with_jitter(attempt: int, jitter: float) -> None:
    wait = outcome.backoff(attempt, jitter=jitter)
    ceiling = min(30.0, 0.5 * 2 ** (min(attempt, 20) - 1))
    assert ceiling / 2 <= wait <= ceiling
    assert outcome.backoff(attempt + 1, jitter=jitter) >= wait


def test_long_work_is_looked_at_after_a_second_then_every_five() -> None:
    assert outcome.poll_delay(0) == 1.0
    assert [outcome.poll_delay(n) for n in (4, 16, 10**6)] == [2.0, 5.0, 5.0]


@pytest.mark.parametrize("fault", ["integration_timeout", "integration_failed"])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_edge_that_gave_up_on_the_service_does_not_know_whether_it_was_done(
    status: int, fault: str
) -> None:
    assert outcome.of_status(status, location=None, fault=fault) is Verdict.AMBIGUOUS


@pytest.mark.parametrize(
    ("status", "fault", "verdict"),
    [
        (403, "bad_signature", Verdict.FAILED),
        (404, "no_route", Verdict.FAILED),
        (429, "throttled", Verdict.BUSY),
        (503, "link_down", Verdict.BUSY),
        (503, "no_target", Verdict.BUSY),
    ],
)
def test_an_edge_that_did_not_ask_the_service_has_done_nothing(
    status: int, fault: str, verdict: Verdict
) -> None:
    assert outcome.of_status(status, location=None, fault=fault) is verdict
