"""What is due without anybody asking: what ends by itself, and how long things are kept."""

from collections.abc import Iterable, Sequence
from typing import Final

from tidegate.core.model import Change, Run, RunId, State

#: Why a run ended that nobody took up in time.
NOT_STARTED: Final = "not_started"
#: … and why one that nobody let go on in time.
NOT_CONFIRMED: Final = "not_confirmed"

#: How long Slack honours a response URL.
RESPONSE_URL_SECONDS: Final = 1800.0

#: How long a run stays `received` before the intake that wrote it is held to be dead: as long
#: as an acknowledgement may take.
ADOPT_SECONDS: Final = 2.0

#: Effect keys outlive their runs, so that an old button is retired before its key is.
EFFECT_EXTRA_SECONDS: Final = 35 * 86400.0

#: How many rows one transaction takes, so that no click waits long behind it.
BATCH: Final = 100
#: How many batches of one kind one sweep takes.
MAX_ROUNDS: Final = 20


def expiry(run: Run) -> Change:
    """Return how a run ends that was not started in time."""
    reason = NOT_STARTED if run.state is State.QUEUED else NOT_CONFIRMED
    return Change(state=State.EXPIRED, reason=reason)


def effects_before(now: float, *, retention_seconds: float, button_seconds: float) -> float:
    """Return since when an effect key has to be held to be kept.

    Args:
        now: In seconds since the Unix epoch.
        retention_seconds: How long runs are kept after they have ended.
        button_seconds: How old a button may be and still act.
    """
    return now - max(retention_seconds, button_seconds) - EFFECT_EXTRA_SECONDS


class Received:
    """The runs that were seen `received`, and since when by a clock that never jumps."""

    def __init__(self) -> None:
        self._since: dict[RunId, float] = {}

    def overdue(self, seen: Iterable[RunId], now: float) -> Sequence[RunId]:
        """Return which of those that are `received` now have been for too long."""
        self._since = {run_id: self._since.get(run_id, now) for run_id in seen}
        return [run_id for run_id, since in self._since.items() if now - since >= ADOPT_SECONDS]
