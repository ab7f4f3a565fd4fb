"""How far a rollout has come, decided exactly as `kubectl rollout status` decides it.

https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from tidegate_agent.core import fields
from tidegate_agent.core.kinds import DAEMON_SET, DEPLOYMENT
from tidegate_agent.core.workload import Workload

DEADLINE_EXCEEDED: Final = "ProgressDeadlineExceeded"
_ROLLING: Final = "RollingUpdate"


class State(StrEnum):
    """What `kubectl rollout status` does: wait on, end with 0, or end with an error."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    BY_HAND = "by_hand"  # OnDelete: nothing rolls out until somebody deletes pods


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """How far a rollout has come.

    Attributes:
        message: A sentence for people.
        updated: Pods of the wanted template.
        ready: Pods that can serve.
        total: Pods wanted.
        others: Pods of earlier templates that are still there; they may be among the ready ones.
    """

    state: State
    message: str
    updated: int
    ready: int
    total: int
    others: int = 0

    @property
    def done(self) -> int:
        """Return how many of the wanted pods are updated and ready for certain."""
        return max(0, min(self.updated, self.ready - self.others, self.total))


def of(workload: Workload) -> Rollout:
    """Return how far the rollout of a workload has come."""
    raw = workload.raw
    if workload.target.kind is DEPLOYMENT:
        state, message = _deployment(raw)
        updated, ready = _status(raw, "updatedReplicas"), _status(raw, "availableReplicas")
        there = _status(raw, "replicas")
    elif workload.target.kind is DAEMON_SET:
        state, message = _daemon_set(raw)
        updated = _status(raw, "updatedNumberScheduled")
        ready = _status(raw, "numberAvailable")
        there = _status(raw, "currentNumberScheduled")
    else:
        state, message = _stateful_set(raw)
        updated, ready = _status(raw, "updatedReplicas"), _status(raw, "readyReplicas")
        there = _status(raw, "replicas")
        if _same_revision(raw):
            updated = there  # nothing to update: all are
    return Rollout(
        state=state,
        message=message,
        updated=updated,
        ready=ready,
        total=workload.replicas,
        others=max(0, there - updated),
    )


def of_scale(workload: Workload) -> Rollout:
    """Return how far a change of the number of pods has come: all there and ready, none too many.

    `kubectl scale` waits for less (`status.replicas`); people want to know that they are ready.
    """
    raw, wanted = workload.raw, workload.replicas
    there = _status(raw, "replicas")
    key = "availableReplicas" if workload.target.kind is DEPLOYMENT else "readyReplicas"
    ready = _status(raw, key)
    if workload.generation > _status(raw, "observedGeneration"):
        state, message = State.WAITING, "Waiting for the new number to be observed."
    elif there > wanted:
        state, message = State.WAITING, f"{_pods(there - wanted)} too many and being stopped."
    elif ready < wanted:
        state, message = State.WAITING, f"{ready} of {wanted} pods are ready."
    else:
        state, message = State.DONE, f"{wanted} of {wanted} pods are ready."
    return Rollout(
        state=state, message=message, updated=min(there, wanted), ready=ready, total=wanted
    )


def ready(workload: Workload) -> int:
    """Return how many of a workload's pods can serve, of whichever template."""
    if workload.target.kind is DAEMON_SET:
        return _status(workload.raw, "numberReady")
    return _status(workload.raw, "readyReplicas")


def condition(raw: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return the condition of that type, or an empty one."""
    for each in fields.mappings(raw, "status", "conditions"):
        if each.get("type") == kind:
            return each
    return fields.EMPTY


def _deployment(raw: Mapping[str, Any]) -> tuple[State, str]:
    if fields.number(raw, "metadata", "generation") > _status(raw, "observedGeneration"):
        return State.WAITING, "Waiting for the change to be observed."
    if condition(raw, "Progressing").get("reason") == DEADLINE_EXCEEDED:
        return State.FAILED, "The rollout made no progress within its deadline."
    wanted, updated = _wanted(raw), _status(raw, "updatedReplicas")
    there, available = _status(raw, "replicas"), _status(raw, "availableReplicas")
    if wanted is not None and updated < wanted:
        return State.WAITING, f"{updated} of {wanted} new pods have been started."
    if there > updated:
        return State.WAITING, f"{_pods(there - updated, 'old ')} being stopped."
    if available < updated:
        return State.WAITING, f"{available} of {updated} new pods are available."
    return State.DONE, f"{available} of {updated} new pods are available."


def _daemon_set(raw: Mapping[str, Any]) -> tuple[State, str]:
    if fields.text(raw, "spec", "updateStrategy", "type") != _ROLLING:
        return State.BY_HAND, "Each pod is replaced once somebody deletes it (OnDelete)."
    if fields.number(raw, "metadata", "generation") > _status(raw, "observedGeneration"):
        return State.WAITING, "Waiting for the change to be observed."
    desired, updated = (
        _status(raw, "desiredNumberScheduled"),
        _status(raw, "updatedNumberScheduled"),
    )
    available = _status(raw, "numberAvailable")
    if updated < desired:
        return State.WAITING, f"{updated} of {desired} new pods have been started."
    if available < desired:
        return State.WAITING, f"{available} of {desired} new pods are available."
    return State.DONE, f"{available} of {desired} new pods are available."


def _stateful_set(raw: Mapping[str, Any]) -> tuple[State, str]:
    if fields.text(raw, "spec", "updateStrategy", "type") != _ROLLING:
        return State.BY_HAND, "Each pod is replaced once somebody deletes it (OnDelete)."
    observed = _status(raw, "observedGeneration")
    if observed == 0 or fields.number(raw, "metadata", "generation") > observed:
        return State.WAITING, "Waiting for the change to be observed."
    wanted, ready = _wanted(raw), _status(raw, "readyReplicas")
    if wanted is not None and ready < wanted:
        return State.WAITING, f"{ready} of {wanted} pods are ready."
    updated = _status(raw, "updatedReplicas")
    if isinstance(fields.at(raw, "spec", "updateStrategy", "rollingUpdate"), Mapping):
        partition = fields.at(raw, "spec", "updateStrategy", "rollingUpdate", "partition")
        if wanted is not None and isinstance(partition, int) and updated < wanted - partition:
            return State.WAITING, f"{updated} of {wanted - partition} new pods have been started."
        return State.DONE, f"{updated} new pods are there{_held(partition)}."
    if not _same_revision(raw):
        return State.WAITING, f"{updated} of {wanted or ready} new pods have been started."
    return State.DONE, f"{_status(raw, 'currentReplicas')} pods are there."


def _pods(count: int, which: str = "") -> str:
    return f"1 {which}pod is" if count == 1 else f"{count} {which}pods are"


def _held(partition: object) -> str:
    held = isinstance(partition, int) and partition > 0
    return f"; those below number {partition} keep the old template (partition)" if held else ""


def _same_revision(raw: Mapping[str, Any]) -> bool:
    return fields.at(raw, "status", "updateRevision") == fields.at(raw, "status", "currentRevision")


def _status(raw: Mapping[str, Any], name: str) -> int:
    return fields.number(raw, "status", name)


def _wanted(raw: Mapping[str, Any]) -> int | None:
    wanted = fields.at(raw, "spec", "replicas")
    return wanted if isinstance(wanted, int) else None
