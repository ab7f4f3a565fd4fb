"""The states of a run and the transitions between them: one table, enforced by every store."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tidegate.core.model import State

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
