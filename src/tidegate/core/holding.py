"""Who holds an effect key, and what becomes of those who come second or too late."""

from typing import Final, NamedTuple

from msgspec import structs

from tidegate.core.model import Change, Run, RunId, State

#: Why a run ended that was committed after its caller had been refused.
LATE: Final = "refused_late"

#: How long nobody else is let past who is not known to be allowed: a worker mostly learns it in a
#: fraction of that.
UNSURE_SECONDS: Final = 2.0

_NOT_BEGUN: Final = frozenset(
    {State.RECEIVED, State.AWAITING_APPROVAL, State.AWAITING_CONFIRMATION, State.QUEUED}
)


class Holder(NamedTuple):
    """Who holds an effect key.

    Attributes:
        run_id: The run, which may be gone by now: its key is kept longer.
        at: Since when, in seconds since the Unix epoch.
        state: How the run ended, once it has.
        sure: Whether the person is known to be allowed.
    """

    run_id: str
    at: float
    state: str | None
    user_id: str
    sure: bool

    def is_joined_by(self, run: Run, now: float) -> bool:
        """Whether who holds it is sure to, is the same person, or was only just here."""
        return bool(self.sure) or self.user_id == run.user_id or now - self.at < UNSURE_SECONDS

    def forgotten(self, like: Run) -> Run:
        """Return what can still be told of a holder that retention let go."""
        return structs.replace(
            like,
            id=RunId(self.run_id),
            state=State(self.state or State.UNKNOWN),
            user_id=self.user_id,
            user_name="",
            view_id=None,
            response_url=None,
            created_at=self.at,
            updated_at=self.at,
            next_at=None,
            finished_at=self.at,
        )


def refused_late(run: Run) -> Change | None:
    """Return how a run ends whose caller had been refused; None if it has begun by now.

    Another process may have adopted it while the one that took it stood still.
    """
    if run.attempts or run.state not in _NOT_BEGUN:
        return None
    return Change(state=State.EXPIRED, reason=LATE, actor="intake")
