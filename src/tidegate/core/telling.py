"""When a message that shows runs is told anew, and what is kept of it once it was."""

from typing import Final, NamedTuple

from tidegate.core.lifecycle import is_final
from tidegate.core.model import Posting, Run

#: How long a view waits for more to tell before it is rendered: quick work is told once.
GRACE_SECONDS: Final = 0.3

#: How many of its runs a view shows, …
MAX_RUNS: Final = 100
#: … and how many get a message of their own when theirs has gone.
MAX_MOVED: Final = 1000


class Kept(NamedTuple):
    """What is kept of a view while it is told.

    Attributes:
        version: Raised with each reason to tell it anew.
        shown: The version that Slack shows.
        urgent: The version that a run's end raised it to.
        lookups: How often its post was looked for.
        leased_at: When this telling began, in seconds since the Unix epoch.
        told_at: When the one began whose version is shown.
    """

    posting: str
    ts: str | None
    version: int
    shown: int
    urgent: int
    lookups: int
    failures: int
    leased_at: float
    told_at: float


class Told(NamedTuple):
    """What is kept of a view afterwards.

    Attributes:
        urgent: An end is still to be told.
        hold_at: Nothing is told before.
        due_at: When it is to be told next; None while it shows all there is.
    """

    posting: str
    ts: str | None
    shown: int
    urgent: bool
    lookups: int
    failures: int
    hold_at: float
    due_at: float | None
    told_at: float


def told(
    kept: Kept,
    *,
    seen: int,
    posting: Posting | None,
    ts: str | None,
    rendered: bool,
    due_at: float | None,
    failed: bool,
    now: float,
) -> Told:
    """Return what is kept of a view once its telling has ended; see `Store.view_told`.

    Args:
        kept: What was kept of it meanwhile.
        seen: The version that was read to be rendered.
        posting: What became of its post, if there was one.
        ts: Where it stands now, if that is new.
        rendered: Slack shows the version that was read.
        due_at: When it may be told again, or None for at once.
        failed: Slack did not take it.
        now: In seconds since the Unix epoch.
    """
    now_posting = kept.posting if posting is None else posting.value
    shown = max(kept.shown, seen) if rendered else kept.shown
    stays = kept.version > shown and now_posting != Posting.GIVEN_UP.value
    hold_at = 0.0 if due_at is None else due_at
    lookups = kept.lookups + (posting is Posting.AMBIGUOUS)
    return Told(
        posting=now_posting,
        ts=kept.ts if ts is None else ts,
        shown=shown,
        urgent=kept.urgent > shown,
        lookups=0 if posting is Posting.POSTED else lookups,
        failures=kept.failures + 1 if failed else 0,
        hold_at=hold_at,
        due_at=max(now, hold_at) if stays else None,
        told_at=kept.leased_at if rendered else kept.told_at,
    )


def was_told_to_its_end(run: Run, told_at: float) -> bool:
    """Tell whether a message that was told then showed how a run ended."""
    return is_final(run.state) and run.updated_at < told_at
