"""Runs to record, as short as a test wants them."""

from typing import Any

from tidegate.core.model import Draft, Kind, Refusal, Run, State, ViewDraft, run_id
from tidegate.ports import Clock

BLOCKS = ({"type": "section", "text": {"type": "mrkdwn", "text": "Deploy?"}},)


def a_run(clock: Clock, **fields: Any) -> Run:
    now = clock.now()
    given: dict[str, Any] = {
        "id": run_id(now, clock.entropy(10)),
        "kind": Kind.BLOCK_ACTIONS,
        "action": "deploy",
        "action_id": "k8s_deploy",
        "pathway": "cluster",
        "state": State.RECEIVED,
        "team_id": "T1",
        "user_id": "U1",
        "channel_id": "C1",
        "params": {"namespace": "staging", "replicas": 3},
        "delivery_key": clock.entropy(8).hex(),
        "idempotent": True,
        "created_at": now,
        "updated_at": now,
        "start_by": now + 600,
        "deadline_at": now + 3600,
    }
    return Run(**{**given, **fields})


def a_draft(
    clock: Clock,
    *,
    state: State = State.QUEUED,
    view: ViewDraft | None = None,
    rate: tuple[int, float] | None = None,
    **fields: Any,
) -> Draft:
    return Draft(run=a_run(clock, **fields), state=state, view=view, rate=rate)


def a_message(ts: str | None = "1.1", *, thread_ts: str | None = None) -> ViewDraft:
    return ViewDraft(channel_id="C1", ts=ts, thread_ts=thread_ts, text="Deploy?", blocks=BLOCKS)


def a_refusal(clock: Clock, **fields: Any) -> Refusal:
    given: dict[str, Any] = {
        "at": clock.now(),
        "delivery_key": clock.entropy(8).hex(),
        "reason": "denied",
        "action": "deploy",
        "team_id": "T1",
        "user_id": "U2",
        "channel_id": "C1",
    }
    return Refusal(**{**given, **fields})
