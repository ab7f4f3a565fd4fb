"""What an answer, or the lack of one, means for a run: the outcome table as code."""

import math
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from tidegate.core.model import Progress

MAX_MESSAGE: Final = 3000
MAX_STATUS: Final = 100
_BUSY: Final = frozenset({429, 503})
#: After a POST these mostly say that it was done, and where to look.
_DONE_ELSEWHERE: Final = frozenset({302, 303})
_AMBIGUOUS_4XX: Final = frozenset({408})
#: What an edge means that asked the service and did not hear it out.
_PERHAPS_DONE: Final = frozenset({"integration_timeout", "integration_failed"})


class Verdict(StrEnum):
    """What is to be done about an answer."""

    SUCCEEDED = "succeeded"
    RUNNING = "running"  # long work: look at its location
    FAILED = "failed"  # and known not to have done anything
    BUSY = "busy"  # nothing was done: again, later
    NOT_SENT = "not_sent"  # nothing was done: again
    AMBIGUOUS = "ambiguous"  # whether it was done is not known
    REDIRECTED = "redirected"  # perhaps it was done; sending it again leads to the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a service said in words. Foreign text: cut here, escaped where it is shown."""

    message: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a service said of long work."""

    phase: str
    message: str = ""
    progress: Progress | None = None
    event: str = ""  # the newest


def of_status(status: int, *, location: str | None, fault: str = "") -> Verdict:
    """Return what an HTTP status means for the request that it answers.

    Args:
        status: 200 to 599.
        location: Where the progress of long work can be followed, already found safe.
        fault: What the edge meant that answered in the service's place, or an empty text.
    """
    if fault in _PERHAPS_DONE:
        return Verdict.AMBIGUOUS  # whatever the status
    if status == 202 and location is not None:
        return Verdict.RUNNING
    if 200 <= status < 300:
        return Verdict.SUCCEEDED
    if status in _BUSY:
        return Verdict.BUSY
    if status in _DONE_ELSEWHERE:
        return Verdict.REDIRECTED
    if status in _AMBIGUOUS_4XX or status >= 500 or status < 200:
        return Verdict.AMBIGUOUS
    return Verdict.FAILED  # other 3xx too: it is to be done elsewhere, where we do not follow


def told(body: bytes, *, is_json: bool) -> Told:
    """Return the words in an answer: `message` and `status` of a JSON object, cut."""
    found = _object(body) if is_json else {}
    return Told(
        message=_text(found.get("message"), MAX_MESSAGE),
        status=_text(found.get("status"), MAX_STATUS),
    )


PHASES: Final = frozenset({"pending", "running", "succeeded", "failed", "cancelled"})


def report(body: bytes) -> Report | None:
    """Return what an operation's JSON says, or None if it is not one."""
    found = _object(body)
    phase = found.get("phase")
    if not isinstance(phase, str) or phase not in PHASES:
        return None
    steps = found.get("progress")
    done, total = (
        (steps.get("done"), steps.get("total")) if isinstance(steps, dict) else (None, None)
    )
    events = found.get("events")
    newest = events[-1] if isinstance(events, list) and events else {}
    return Report(
        phase=phase,
        message=_text(found.get("message"), MAX_MESSAGE),
        progress=Progress(phase=phase, done=_count(done), total=_count(total)),
        event=_text(newest.get("text") if isinstance(newest, dict) else None, 300),
    )


def retry_after(value: str | None, *, now: float) -> float | None:
    """Return a Retry-After header as seconds from now, or None if it says nothing usable.

    Source: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    if value is None or len(value) > 64:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text), 86400))
    try:
        at = parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, min(at - now, 86400.0))


def backoff(attempt: int, *, jitter: float, first: float = 0.5, most: float = 30.0) -> float:
    """Return seconds to wait after the *attempt*-th try: doubling, with jitter over a half.

    Args:
        attempt: 1 for the first.
        jitter: A number in [0, 1).
        first: Seconds after the first try.
        most: The most seconds.
    """
    ceiling = min(most, first * math.pow(2, min(attempt, 20) - 1))
    return ceiling * (0.5 + jitter / 2)


def poll_delay(polls: int) -> float:
    """Return seconds until the next look at long work: 1, then slower, to 5."""
    return min(5.0, 1.0 + 0.25 * polls)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: object, most: int) -> str:
    if not isinstance(value, str):
        return ""
    return value if len(value) <= most else value[: most - 1] + "…"


def _count(value: object) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1_000_000_000
    return value if whole and isinstance(value, int) else None
