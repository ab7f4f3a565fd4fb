"""The states of a run and the transitions between them: one table, enforced by every store."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import structs

from tidegate.core.model import Change, Run, State

_S = State

TRANSITIONS: Final[Mapping[State, frozenset[State]]] = MappingProxyType(
    {
        _S.RECEIVED: frozenset(
            {_S.AWAITING_APPROVAL, _S.AWAITING_CONFIRMATION, _S.QUEUED, _S.EXPIRED}
        ),
        _S.AWAITING_APPROVAL: frozenset(
            {_S.AWAITING_CONFIRMATION, _S.QUEUED, _S.DENIED, _S.EXPIRED, _S.CANCELLED}
        ),
        _S.AWAITING_CONFIRMATION: frozenset({_S.QUEUED, _S.DENIED, _S.EXPIRED, _S.CANCELLED}),
        _S.QUEUED: frozenset({_S.SENDING, _S.FAILED, _S.DENIED, _S.EXPIRED, _S.CANCELLED}),
        # back to queued: it is known that nothing was done, or the service honours the key
        _S.SENDING: frozenset({_S.QUEUED, _S.RUNNING, _S.SUCCEEDED, _S.FAILED, _S.UNKNOWN}),
        _S.RUNNING: frozenset({_S.SUCCEEDED, _S.FAILED, _S.UNKNOWN, _S.CANCELLED}),
        _S.UNKNOWN: frozenset({_S.SUCCEEDED, _S.FAILED}),
        _S.SUCCEEDED: frozenset(),
        _S.FAILED: frozenset(),
        _S.DENIED: frozenset(),
        _S.EXPIRED: frozenset(),
        _S.CANCELLED: frozenset(),
    }
)

#: States that a person is told as an end. `UNKNOWN` is one: it may yet be settled.
FINAL: Final = frozenset({_S.SUCCEEDED, _S.FAILED, _S.UNKNOWN, _S.DENIED, _S.EXPIRED, _S.CANCELLED})

#: Ends without a result: a run that ends so gives its effect key back, to be pressed again.
CALLED_OFF: Final = frozenset({_S.DENIED, _S.EXPIRED, _S.CANCELLED})

#: States that a worker may lease once their time has come.
WORKABLE: Final = frozenset({_S.QUEUED, _S.SENDING, _S.RUNNING, _S.UNKNOWN})


def allowed(old: State, new: State) -> bool:
    """Tell whether a run may go from *old* to *new*."""
    return new in TRANSITIONS[old]


def is_final(state: State) -> bool:
    """Tell whether a person is told this state as an end."""
    return state in FINAL


def releases_effect(new: State, *, known_not_done: bool, repeat: bool) -> bool:
    """Tell whether the effect key is given back, so that the button can be pressed again.

    Args:
        new: The state that is entered.
        known_not_done: The failure is known not to have done anything.
        repeat: The action may be repeated (`repeat: allow`).
    """
    if not is_final(new):
        return False
    if repeat:
        return True
    if new is State.FAILED:
        return known_not_done
    return new in CALLED_OFF


def changed(old: Run, change: Change, now: float) -> Run:
    """Return a run as it is once a change is made, at *now*, seconds since the Unix epoch."""
    state = old.state if change.state is None else change.state
    ended = is_final(state)
    return structs.replace(
        old,
        state=state,
        sure=old.sure or state is State.SENDING,
        updated_at=now,
        # what has ended needs no worker, but an unknown may be looked into
        next_at=None if ended and state is not State.UNKNOWN else change.next_at,
        started_at=old.started_at if change.started_at is None else change.started_at,
        finished_at=now if ended and change.state is not None else old.finished_at,
        attempts=old.attempts + change.attempt,
        polls=old.polls + change.poll,
        location=old.location if change.location is None else change.location,
        reason=old.reason if change.reason is None else change.reason,
        http_status=old.http_status if change.http_status is None else change.http_status,
        status_text=old.status_text if change.status_text is None else change.status_text,
        message=old.message if change.message is None else change.message,
        progress=old.progress if change.progress is None else change.progress,
        steps=old.steps if change.steps is None else change.steps,
    )


def looks_different(old: Run, new: Run) -> bool:
    """Tell whether a person sees a difference."""
    return _shown(old) != _shown(new)


def _shown(run: Run) -> tuple[object, ...]:
    return (
        run.state,
        run.reason,
        run.http_status,
        run.status_text,
        run.message,
        run.progress,
        run.attempts,
    )
