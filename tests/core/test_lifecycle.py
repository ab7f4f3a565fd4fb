import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tidegate.core import lifecycle
from tidegate.core.model import State

ENDED = frozenset({State.DENIED, State.EXPIRED, State.CANCELLED, State.SUCCEEDED, State.FAILED})


class RunOfStates(RuleBasedStateMachine):
    """A run taken through legal steps, with illegal ones tried all along."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State.RECEIVED
        self.past: list[State] = []
        self.holds_key = True

    @precondition(lambda self: self.state not in ENDED)
    @rule(data=st.data(), known_not_done=st.booleans())
    def step(self, data: st.DataObject, known_not_done: bool) -> None:
        new = data.draw(st.sampled_from(sorted(lifecycle.TRANSITIONS[self.state])))
        assert lifecycle.allowed(self.state, new)
        if lifecycle.releases_effect(new, known_not_done=known_not_done, repeat=False):
            self.holds_key = False
            assert known_not_done or new in lifecycle.CALLED_OFF
        self.past.append(self.state)
        self.state = new

    @rule(new=st.sampled_from(State))
    def try_anything(self, new: State) -> None:
        legal = new in lifecycle.TRANSITIONS[self.state]
        assert lifecycle.allowed(self.state, new) == legal
        if self.state in ENDED:
            assert not legal

    @invariant()
    def nothing_comes_back_to_where_it_was_before_it_was_queued(self) -> None:
        before = {State.RECEIVED, State.AWAITING_APPROVAL, State.AWAITING_CONFIRMATION}
        if self.state in before:
            assert not set(self.past) & {State.QUEUED, State.SENDING, State.RUNNING}
            assert self.past.count(self.state) == 0

    @invariant()
    def a_success_keeps_its_key(self) -> None:
        if self.state is State.SUCCEEDED:
            assert self.holds_key

    @invariant()
    def nothing_ends_well_that_was_never_sent(self) -> None:
        if self.state is State.SUCCEEDED:
            assert State.SENDING in self.past

    @invariant()
    def only_an_end_releases_the_key(self) -> None:
        assert self.holds_key or lifecycle.is_final(self.state)


TestRunOfStates = RunOfStates.TestCase


def test_every_state_can_be_reached() -> None:
    reached, frontier = set[State](), {State.RECEIVED}
    while frontier:
        reached |= frontier
        frontier = {new for old in frontier for new in lifecycle.TRANSITIONS[old]} - reached
    assert reached == set(State)


def test_every_state_has_its_row_in_the_table() -> None:
    assert set(lifecycle.TRANSITIONS) == set(State)


@pytest.mark.parametrize("old", sorted(ENDED))
def test_nothing_follows_an_end(old: State) -> None:
    assert not any(lifecycle.allowed(old, new) for new in State)
    assert lifecycle.is_final(old)


def test_unknown_is_told_as_an_end_and_may_yet_be_settled() -> None:
    assert lifecycle.is_final(State.UNKNOWN)
    assert lifecycle.TRANSITIONS[State.UNKNOWN] == {State.SUCCEEDED, State.FAILED}


def test_every_state_is_either_told_as_an_end_or_leads_on() -> None:
    for state in State:
        assert lifecycle.is_final(state) or lifecycle.TRANSITIONS[state]


def test_a_run_goes_through_sending_before_it_can_succeed_run_or_be_unknown() -> None:
    for new in (State.RUNNING, State.UNKNOWN):
        assert [old for old in State if lifecycle.allowed(old, new)] in (
            [State.SENDING],
            [State.SENDING, State.RUNNING],
        )


def test_a_worker_may_lease_whatever_is_not_waiting_for_a_person_and_has_not_ended() -> None:
    waiting = {State.RECEIVED, State.AWAITING_APPROVAL, State.AWAITING_CONFIRMATION}
    assert set(State) - waiting - ENDED == lifecycle.WORKABLE


def test_a_run_that_may_be_repeated_gives_its_key_back_however_it_ends() -> None:
    for news in lifecycle.TRANSITIONS.values():
        for new in news:
            released = lifecycle.releases_effect(new, known_not_done=False, repeat=True)
            assert released == lifecycle.is_final(new)


@pytest.mark.parametrize("known_not_done", [False, True])
def test_the_key_of_a_run_that_is_not_repeated_is_released_if_nothing_came_of_it(
    known_not_done: bool,
) -> None:
    released = {
        (old, new)
        for old, news in lifecycle.TRANSITIONS.items()
        for new in news
        if lifecycle.releases_effect(new, known_not_done=known_not_done, repeat=False)
    }
    nothing_done = {
        (old, new)
        for old, news in lifecycle.TRANSITIONS.items()
        for new in news & {State.DENIED, State.EXPIRED, State.CANCELLED}
    }
    failures = {
        (old, State.FAILED) for old, news in lifecycle.TRANSITIONS.items() if State.FAILED in news
    }
    assert released == nothing_done | (failures if known_not_done else set())
