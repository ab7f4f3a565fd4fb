"""Who holds an effect key, and who comes second or too late."""

import pytest

from tests.core.values import NOW, a_run
from tidegate.core import lifecycle
from tidegate.core.holding import UNSURE_SECONDS, Holder, refused_late
from tidegate.core.model import State

HOLDER = Holder(run_id="01HELD", at=NOW, state=None, user_id="U0BOB", sure=False)
LATER = NOW + UNSURE_SECONDS


def test_who_is_not_known_to_be_allowed_holds_for_a_moment_only() -> None:
    assert HOLDER.is_joined_by(a_run(), LATER - 0.01)
    assert not HOLDER.is_joined_by(a_run(), LATER)


def test_who_is_sure_or_the_same_person_holds_for_good() -> None:
    assert HOLDER._replace(sure=True).is_joined_by(a_run(), LATER)
    assert HOLDER.is_joined_by(a_run(user_id="U0BOB"), LATER)


@pytest.mark.parametrize(("state", "told"), [(None, State.UNKNOWN), ("failed", State.FAILED)])
def test_of_a_holder_that_is_gone_its_end_is_told_and_nothing_of_who_asks(
    state: str | None, told: State
) -> None:
    asking = a_run(view_id=7, response_url="https://hooks.slack.com/x")
    run = HOLDER._replace(state=state).forgotten(asking)
    assert (run.id, run.state, run.user_id, run.user_name) == ("01HELD", told, "U0BOB", "")
    assert (run.view_id, run.response_url, run.next_at) == (None, None, None)
    assert (run.created_at, run.finished_at) == (NOW, NOW)
    assert run.effect_key == asking.effect_key


@pytest.mark.parametrize("state", list(State))
def test_what_has_not_begun_ends_when_its_caller_was_refused(state: State) -> None:
    change = refused_late(a_run(state=state))
    begun = state not in {
        State.RECEIVED,
        State.AWAITING_APPROVAL,
        State.AWAITING_CONFIRMATION,
        State.QUEUED,
    }
    assert (change is None) is begun
    if change is not None:
        assert (change.state, change.reason) == (State.EXPIRED, "refused_late")
        assert lifecycle.allowed(state, State.EXPIRED)


def test_what_was_sent_before_is_not_ended() -> None:
    assert refused_late(a_run(state=State.QUEUED, attempts=1)) is None
