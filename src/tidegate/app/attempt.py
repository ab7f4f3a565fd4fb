"""One try to carry a run out, and what its outcome means for the run.

The outcome table of the run's life in one place: the worker leases and writes, this decides.
"""

from dataclasses import dataclass
from typing import Final

from tidegate.core import notices, outcome
from tidegate.core.model import Change, Run, State
from tidegate.core.outcome import Verdict
from tidegate.core.request import safe_location
from tidegate.ports import Answered, NoAnswer, NotSent, Response

MAX_LOST_POLLS: Final = 3
MIN_WAIT_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When an answer is judged, and by how much chance waits are spread."""

    now: float
    jitter: float


def after_send(run: Run, response: Response, *, base_path: str, at: Moment) -> Change:
    """Return what an attempt's end means for the run.

    Args:
        run: As it was when the attempt began: a run that was `sending` already may have
            been carried out by an earlier attempt.
        response: What came back.
        base_path: Of the pathway, to judge a `Location`.
        at: Now.
    """
    resent = run.state is State.SENDING
    match response:
        case NotSent(reason=reason, again=again):
            return _again(run, at, reason=reason, resent=resent, ever=again)
        case NoAnswer(reason=reason):
            return _ambiguous(run, at, reason=reason, status=None)
        case Answered():
            return _answered(run, response, base_path=base_path, at=at, resent=resent)


def interrupted(run: Run, *, now: float) -> Change:
    """Return what it means that a worker stopped or died while the request was out."""
    return _ambiguous(run, Moment(now=now, jitter=0.0), reason="interrupted", status=None, wait=0.0)


def after_poll(run: Run, response: Response, *, at: Moment) -> Change:
    """Return what a look at long work, or at an unknown run, means for the run."""
    checking = run.state is State.UNKNOWN
    late = at.now >= run.deadline_at
    wait = outcome.poll_delay(run.polls)
    if isinstance(response, Answered):
        found = outcome.report(response.body) if response.status == 200 else None
        if found is not None:
            return _reported(run, found, at=at, checking=checking)
        gone = response.status in (404, 410) and run.polls >= MAX_LOST_POLLS
        # What the edge says in the service's place tells nothing of the run.
        heard = response.status < 500 and response.status not in (408, 429) and not response.fault
        if checking and heard:
            # The service has no answer to give; whoever asked is told so.
            return Change(next_at=None, reason="untraceable", poll=True)
        if gone:
            return Change(state=State.UNKNOWN, reason="lost_track", poll=True)
        if response.status in (429, 503):
            wait = outcome.retry_after(response.retry_after, now=at.now) or wait
    if late:
        lost = None if checking else State.UNKNOWN
        return Change(state=lost, reason="lost_track", poll=True)
    return Change(next_at=min(at.now + wait, run.deadline_at), poll=True)


def _answered(run: Run, response: Answered, *, base_path: str, at: Moment, resent: bool) -> Change:
    location = safe_location(response.location, base_path=base_path)
    verdict = outcome.of_status(response.status, location=location, fault=response.fault)
    # An edge's words are for its operator: they hold account ids, or a whole signed request.
    said = outcome.told(response.body, is_json=response.json and not response.fault)
    match verdict:
        case Verdict.RUNNING:
            return Change(
                state=State.RUNNING,
                next_at=at.now + outcome.poll_delay(0),
                reason="",
                http_status=response.status,
                status_text=said.status,
                message=said.message,
                location=location,
            )
        case Verdict.SUCCEEDED if response.status == 202 and response.location is not None:
            return Change(state=State.UNKNOWN, reason="bad_location", http_status=202)
        case Verdict.SUCCEEDED:
            return Change(
                state=State.SUCCEEDED,
                reason="",
                http_status=response.status,
                status_text=said.status,
                message=said.message,
            )
        case Verdict.BUSY:
            asked = outcome.retry_after(response.retry_after, now=at.now)
            return _again(
                run,
                at,
                reason=response.fault or "busy",
                resent=resent,
                wait=asked,
                status=response.status,
            )
        case Verdict.REDIRECTED:
            return Change(state=State.UNKNOWN, reason="redirected", http_status=response.status)
        case Verdict.AMBIGUOUS:
            reason = response.fault or ("timeout" if response.status == 408 else "error")
            change = _ambiguous(run, at, reason=reason, status=response.status)
            return _with_words(change, said)
        case Verdict.FAILED | Verdict.NOT_SENT if resent and response.fault:
            # The edge knows nothing of an earlier attempt, which the service may have taken.
            return _again(run, at, reason=response.fault, resent=True, status=response.status)
        case Verdict.FAILED | Verdict.NOT_SENT:
            why = response.fault or notices.rejected_as(response.status)
            return Change(
                state=State.FAILED,
                reason="refused_again" if resent else why,
                http_status=response.status,
                status_text=said.status,
                message=said.message,
                # An earlier attempt may have acted, whatever this one says.
                release_effect=not resent,
            )


def _again(
    run: Run,
    at: Moment,
    *,
    reason: str,
    resent: bool,
    wait: float | None = None,
    status: int | None = None,
    ever: bool = True,
) -> Change:
    """Nothing was done: try again, until it is too late to begin.

    Not where the same could never be sent: that fails at once.
    """
    delay = outcome.backoff(run.attempts + 1, jitter=at.jitter)
    if wait is not None:
        # «Now» is not taken at its word: a service that is busy would be asked without a pause.
        delay = max(wait, min(delay, MIN_WAIT_SECONDS))
    if resent:
        # «Nothing was done» is true of this try alone, so the reason of an earlier one stands.
        if at.now >= run.deadline_at or not ever:
            why = run.reason or "interrupted"
            return Change(state=State.UNKNOWN, reason=why, http_status=status)
        return Change(next_at=min(at.now + delay, run.deadline_at))
    if at.now >= run.deadline_at or not ever:
        return Change(state=State.FAILED, reason=reason, http_status=status, release_effect=True)
    due = min(at.now + delay, run.start_by, run.deadline_at)
    return Change(state=State.QUEUED, next_at=max(due, at.now), reason=reason, http_status=status)


def _ambiguous(
    run: Run, at: Moment, *, reason: str, status: int | None, wait: float | None = None
) -> Change:
    """Perhaps it was done: the same key again where the service honours it, else unknown."""
    if not run.idempotent or at.now >= run.deadline_at:
        return Change(state=State.UNKNOWN, reason=reason, http_status=status)
    delay = outcome.backoff(run.attempts + 1, jitter=at.jitter) if wait is None else wait
    due = min(at.now + delay, run.deadline_at)
    return Change(next_at=due, reason=reason, http_status=status)


def _with_words(change: Change, said: outcome.Told) -> Change:
    if change.state is None:
        return change
    return Change(
        state=change.state,
        reason=change.reason,
        http_status=change.http_status,
        status_text=said.status,
        message=said.message,
    )


def _reported(run: Run, found: outcome.Report, *, at: Moment, checking: bool) -> Change:
    match found.phase:
        case "succeeded":
            return Change(
                state=State.SUCCEEDED,
                reason="",
                status_text="",  # of the answer that only said it was taken
                message=found.message,
                progress=found.progress,
                poll=True,
            )
        case "failed":
            return Change(
                state=State.FAILED,
                reason="failed",
                status_text="",
                message=found.message,
                progress=found.progress,
                poll=True,
            )
        case "cancelled":
            # From unknown there is no way to cancelled: it ended without being done.
            state = State.FAILED if checking else State.CANCELLED
            return Change(state=state, reason="cancelled", message=found.message, poll=True)
        case _:
            late = at.now >= run.deadline_at
            if late and not checking:
                return Change(state=State.UNKNOWN, reason="lost_track", poll=True)
            return Change(
                next_at=None if late else at.now + outcome.poll_delay(run.polls),
                message=found.message or found.event,
                progress=found.progress,
                poll=True,
            )
