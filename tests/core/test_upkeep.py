"""What ends by itself, and how long things are kept."""

import pytest

from tests.core.values import NOW, a_run
from tidegate.core import lifecycle, upkeep
from tidegate.core.model import RunId, State
from tidegate.core.upkeep import ADOPT_SECONDS, EFFECT_EXTRA_SECONDS, Received

ONE, OTHER = RunId("01ONE"), RunId("01OTHER")
DAY = 86400.0


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (State.QUEUED, "not_started"),
        (State.AWAITING_APPROVAL, "not_confirmed"),
        (State.AWAITING_CONFIRMATION, "not_confirmed"),
    ],
)
def test_who_was_not_in_time_ends_with_the_reason(state: State, why: str) -> None:
    change = upkeep.expiry(a_run(state=state))
    assert (change.state, change.reason) == (State.EXPIRED, why)
    assert lifecycle.allowed(state, State.EXPIRED)


@pytest.mark.parametrize(("retention", "button"), [(90 * DAY, 30 * DAY), (1 * DAY, 30 * DAY)])
def test_an_effect_key_outlives_its_run_and_every_button_that_may_act(
    retention: float, button: float
) -> None:
    before = upkeep.effects_before(NOW, retention_seconds=retention, button_seconds=button)
    assert before == NOW - max(retention, button) - EFFECT_EXTRA_SECONDS


def test_a_run_is_overdue_once_it_was_seen_for_as_long_as_an_acknowledgement_may_take() -> None:
    received = Received()
    assert received.overdue([ONE], 0.0) == []
    assert received.overdue([ONE, OTHER], ADOPT_SECONDS - 0.1) == []
    assert received.overdue([ONE, OTHER], ADOPT_SECONDS) == [ONE]


def test_a_run_that_was_gone_meanwhile_begins_anew() -> None:
    received = Received()
    received.overdue([ONE], 0.0)
    received.overdue([], 1.0)
    assert received.overdue([ONE], ADOPT_SECONDS) == []
