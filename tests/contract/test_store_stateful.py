"""Any order of recording, working, crashing and sweeping, against a model of a few lines."""

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from typing_extensions import override

from tests.contract.clock import ReplayedClock
from tests.contract.drafts import a_draft, a_message
from tests.contract.stores import ALL
from tests.examples import examples
from tidegate.core import lifecycle
from tidegate.core.model import (
    Change,
    Duplicate,
    Joined,
    Leased,
    Recorded,
    RecordResult,
    RunId,
    State,
)
from tidegate.errors import LeaseLostError, NotAllowedNowError
from tidegate.ports import RunFilter, Store, Swept

T = TypeVar("T")

LEASE_SECONDS = 5.0
TARGETS = (State.QUEUED, State.AWAITING_APPROVAL, State.AWAITING_CONFIRMATION)
UNSTARTED = (State.QUEUED, State.AWAITING_APPROVAL, State.AWAITING_CONFIRMATION)


@dataclass(slots=True)
class Known:
    """What the model knows of a run."""

    target: State
    effect_key: str | None
    repeat: bool
    start_by: float
    state: State = State.RECEIVED
    next_at: float | None = None
    started: bool = False
    token: str | None = None
    lease_until: float = 0.0
    events: list[str] = field(default_factory=lambda: ["received"])


class Machine(RuleBasedStateMachine):
    kind = "sqlite"

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory()
        self.stores = ALL[self.kind](Path(self.directory.name))
        self.clock = ReplayedClock()
        self.known: dict[RunId, Known] = {}
        self.deliveries: dict[str, RunId] = {}
        self.effects: dict[str, RunId] = {}
        self.leases: list[Leased] = []
        self.seen_received: dict[RunId, float] = {}

    @initialize()
    def begin(self) -> None:
        self.store: Store = self.do(self.stores.open(self.clock))

    @override
    def teardown(self) -> None:
        self.do(self.stores.close())
        self.do(self.loop.shutdown_default_executor())
        self.loop.close()
        self.directory.cleanup()

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(coroutine)

    # --- what happens ---------------------------------------------------------------

    @rule(
        goal=st.sampled_from(TARGETS),
        effect=st.sampled_from([None, "e1", "e2", "e3"]),
        delivery=st.sampled_from([None, None, None, "d1", "d2"]),
        repeat=st.booleans(),
        crash=st.sampled_from([False, False, True]),
    )
    def record(
        self, goal: State, effect: str | None, delivery: str | None, repeat: bool, crash: bool
    ) -> None:
        """A click; the process may die right after it was acknowledged."""
        if crash:
            self.stores.crash(self.store)
        keys: dict[str, Any] = {} if delivery is None else {"delivery_key": delivery}
        draft = a_draft(
            self.clock, state=goal, effect_key=effect, repeat=repeat, view=a_message(), **keys
        )
        result = self.do(self.store.record(draft, within=5))
        assert result == self.expected(draft.run.delivery_key, effect, result)
        if isinstance(result, Recorded):
            known = Known(goal, effect, repeat, draft.run.start_by)
            self.known[result.run_id] = known
            self.deliveries[draft.run.delivery_key] = result.run_id
            if effect is not None:
                self.effects[effect] = result.run_id
            if not crash:
                self.goes_on(known)
        if crash:
            self.open_again()
        else:
            self.do(self.store.probe())

    def expected(self, delivery: str, effect: str | None, result: RecordResult) -> RecordResult:
        if delivery in self.deliveries:
            return Duplicate(run_id=self.deliveries[delivery])
        if effect in self.effects:
            holder = self.effects[effect]
            self.deliveries[delivery] = holder
            self.known[holder].events.append("joined")
            assert isinstance(result, Joined)
            assert result.run.id == holder
            return result
        assert isinstance(result, Recorded)
        return result

    def goes_on(self, known: Known) -> None:
        self.moves(known, known.target)
        if known.target is State.QUEUED:
            known.next_at = self.clock.now()

    def moves(self, known: Known, new: State, *, known_not_done: bool = False) -> None:
        old, known.state = known.state, new
        known.events.append(f"{old} → {new}")
        if known.effect_key is not None and lifecycle.releases_effect(
            new, known_not_done=known_not_done, repeat=known.repeat
        ):
            del self.effects[known.effect_key]

    @rule()
    def open_again(self) -> None:
        """The process dies, and another one starts."""
        self.store = self.do(self.stores.open(self.clock))
        self.seen_received = {}

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0, 6.0, 300.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.go_on(seconds)

    @rule(slots=st.integers(0, 3), polls=st.integers(0, 3))
    def lease(self, slots: int, polls: int) -> None:
        got = self.do(
            self.store.lease(slots={"cluster": slots}, polls=polls, seconds=LEASE_SECONDS)
        )
        for states, most in (
            ((State.QUEUED, State.SENDING), slots),
            ((State.RUNNING, State.UNKNOWN), polls),
        ):
            due = {id_ for id_, known in self.known.items() if self.leasable(known, states)}
            mine = {each.run.id for each in got if each.run.state in states}
            assert mine <= due
            assert len(mine) == min(most, len(due))
        for each in got:
            known = self.known[each.run.id]
            known.token, known.lease_until = each.token, self.clock.now() + LEASE_SECONDS
        self.leases += got

    def leasable(self, known: Known, states: tuple[State, ...]) -> bool:
        now = self.clock.now()
        return (
            known.state in states
            and known.next_at is not None
            and known.next_at <= now
            and (known.token is None or known.lease_until <= now)
        )

    @precondition(lambda self: self.leases)
    @rule(
        data=st.data(),
        new=st.sampled_from([None, *State]),
        wait=st.sampled_from([None, 0.0, 3.0]),
        not_done=st.booleans(),
        keep=st.booleans(),
    )
    def advance(
        self,
        data: st.DataObject,
        new: State | None,
        wait: float | None,
        not_done: bool,
        keep: bool,
    ) -> None:
        """A worker writes under a lease that it holds, or once held."""
        leased = data.draw(st.sampled_from(self.leases))
        known = self.known[leased.run.id]
        next_at = None if wait is None else self.clock.now() + wait
        change = Change(
            state=new,
            next_at=next_at,
            release_effect=not_done,
            keep_lease=keep,
            started_at=self.clock.now() if new is State.SENDING else None,
        )
        step = self.store.advance(leased, change)
        if known.token != leased.token:
            with pytest.raises(LeaseLostError):
                self.do(step)
        elif new is not None and not lifecycle.allowed(known.state, new):
            with pytest.raises(NotAllowedNowError):
                self.do(step)
        else:
            self.do(step)
            known.started = known.started or new is State.SENDING
            if new is not None:
                self.moves(known, new, known_not_done=not_done)
            ended = lifecycle.is_final(known.state) and known.state is not State.UNKNOWN
            known.next_at = None if ended else next_at
            known.token = known.token if keep else None

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        leased = data.draw(st.sampled_from(self.leases))
        known = self.known[leased.run.id]
        lost = self.do(self.store.renew([(leased.run.id, leased.token)], seconds=LEASE_SECONDS))
        if known.token == leased.token:
            assert lost == set()
            known.lease_until = self.clock.now() + LEASE_SECONDS
        else:
            assert lost == {leased.run.id}

    @precondition(lambda self: self.known)
    @rule(data=st.data(), yes=st.booleans())
    def confirm(self, data: st.DataObject, yes: bool) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.known)))
        known = self.known[run_id]
        answer = self.store.confirm(run_id, yes=yes, user_id="U1")
        if known.state is not State.AWAITING_CONFIRMATION:
            with pytest.raises(NotAllowedNowError):
                self.do(answer)
            return
        self.do(answer)
        self.moves(known, State.QUEUED if yes else State.CANCELLED)
        known.next_at = self.clock.now() if yes else None

    @precondition(lambda self: self.known)
    @rule(data=st.data(), new=st.sampled_from([State.SUCCEEDED, State.FAILED]))
    def settle(self, data: st.DataObject, new: State) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.known)))
        known = self.known[run_id]
        settling = self.store.settle(run_id, Change(state=new, release_effect=True))
        if known.state is not State.UNKNOWN:
            with pytest.raises(NotAllowedNowError):
                self.do(settling)
            return
        self.do(settling)
        self.moves(known, new, known_not_done=True)
        known.next_at = known.token = None

    @rule()
    def sweep(self) -> None:
        now, ticks = self.clock.now(), self.clock.monotonic()
        received = [id_ for id_, known in self.known.items() if known.state is State.RECEIVED]
        self.seen_received = {id_: self.seen_received.get(id_, ticks) for id_ in received}
        adopted = [id_ for id_, since in self.seen_received.items() if ticks - since >= 2]
        for run_id in adopted:
            self.goes_on(self.known[run_id])
        expired = 0
        for known in self.known.values():
            free = known.token is None or known.lease_until <= now
            if known.state in UNSTARTED and not known.started and known.start_by <= now and free:
                self.moves(known, State.EXPIRED)
                known.next_at = known.token = None
                expired += 1
        assert self.do(self.store.sweep()) == Swept(adopted=len(adopted), expired=expired)

    # --- what holds -------------------------------------------------------------------

    @invariant()
    def no_acknowledged_run_is_lost_and_each_is_where_the_model_has_it(self) -> None:
        runs = self.do(self.store.runs(RunFilter(limit=1000)))
        assert {run.id: (run.state, run.next_at) for run in runs} == {
            id_: (known.state, known.next_at) for id_, known in self.known.items()
        }

    @invariant()
    def an_effect_key_is_held_by_at_most_one_run_and_every_unfinished_one_holds_its_own(
        self,
    ) -> None:
        runs = self.do(self.store.runs(RunFilter(limit=1000)))
        holders = [(run.effect_key, run.id) for run in runs if run.effect_key is not None]
        assert sorted(holders) == sorted(self.effects.items())
        for id_, known in self.known.items():
            if known.effect_key is not None and not lifecycle.is_final(known.state):
                assert self.effects[known.effect_key] == id_

    @invariant()
    def every_transition_has_its_audit_row(self) -> None:
        events: dict[RunId, list[str]] = {}
        for entry in reversed(self.do(self.store.audit(limit=1000))):
            assert entry.run_id is not None
            events.setdefault(entry.run_id, []).append(entry.event)
        assert events == {id_: known.events for id_, known in self.known.items()}


@pytest.mark.parametrize("kind", sorted(ALL))
def test_any_order_of_clicks_work_crashes_and_sweeps_agrees_with_the_model(kind: str) -> None:
    machine = type("Machine", (Machine,), {"kind": kind})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples(30),
            stateful_step_count=40,
            suppress_health_check=list(HealthCheck),
        ),
    )
