"""One change, from its claim to its end: its phases, and what can be told from its record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from tidegate_agent.core import fields, request
from tidegate_agent.core.change import Plan
from tidegate_agent.core.identity import Statement
from tidegate_agent.core.request import ChangeOrder
from tidegate_agent.core.rules import MIN_KEPT_SECONDS
from tidegate_agent.core.workload import RESTARTED_AT, RUN, Workload, fingerprint

MAX_STEPS: Final = 40
MAX_BODY_BYTES: Final = 16_384
#: The longest that the API server works on a request that nobody waits for (`--request-timeout`).
#: https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/
UNDER_WAY_SECONDS: Final = 60.0


class Phase(StrEnum):
    """How far an operation has come."""

    CLAIMED = "claimed"  # nothing has been sent to change anything
    PLANNED = "planned"  # the change may have been made, or not
    RUNNING = "running"  # the change was made; what it leads to is under way
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"  # whether the change was made cannot be found out

    @property
    def ended(self) -> bool:
        """Return whether it stays so."""
        return self in _ENDED

    @property
    def public(self) -> str:
        """Return the phase as whoever follows an operation is told."""
        return "pending" if self in {Phase.CLAIMED, Phase.PLANNED} else self.value


_ENDED: Final = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED, Phase.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened to an operation; `level` is info, warning or error."""

    at: float
    text: str
    level: str = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request that was refused once its key was claimed: it is answered so again."""

    status: int
    notice: str
    field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What was planned, written down before it is done: enough to tell whether it was.

    Attributes:
        revision: The revision that a rollback goes to, so that it is found again.
    """

    uid: str
    resource_version: str
    generation: int
    before: Mapping[str, str]
    after: Mapping[str, str]
    message: str
    revision: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What the object was once changed; a later change shows by the difference.

    Attributes:
        template: Its pod template's fingerprint.
        at: Seconds since the Unix epoch.
    """

    generation: int
    template: str
    replicas: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One change.

    Attributes:
        asked: The order; `digest` is what the same request has again.
        holder: Which agent is at it, until `lease_until`.
        deadline_at: When it has failed if it has not ended; seconds since the Unix epoch.
        put_off: Who asked was told to come again: nobody else goes on with it.
        sent_until: Until when a change that was sent may still arrive, whoever sent it.
        body: What the statement in `who` was signed over; empty where it was too long to keep.
        version: resourceVersion of the ConfigMap; empty before it is created.
    """

    asked: ChangeOrder
    who: Statement
    phase: Phase
    holder: str
    lease_until: float
    begun_at: float
    deadline_at: float
    message: str = ""
    steps: tuple[Step, ...] = ()
    noted: Noted | None = None
    applied: Applied | None = None
    refusal: Refusal | None = None
    ended_at: float | None = None
    version: str = ""
    digest: str = ""
    put_off: bool = False
    sent_until: float = 0.0
    body: bytes = field(default=b"", repr=False)

    @property
    def key(self) -> str:
        """Return the idempotency key: the run."""
        return self.who.run

    @property
    def location(self) -> str:
        """Return the path at which it is followed."""
        return f"/api/v1/{request.verb_of(self.asked)}/operations/{self.key}"


class Outcome(StrEnum):
    """Whether a planned change was made."""

    MADE = "made"
    NOT_MADE = "not_made"
    UNDECIDABLE = "undecidable"


def claim(
    asked: ChangeOrder,
    who: Statement,
    *,
    holder: str,
    now: float,
    lease_seconds: float,
    rollout_seconds: float,
    body: bytes = b"",
) -> Operation:
    """Return the operation that a request begins, made by *body*."""
    return Operation(
        asked=asked,
        who=who,
        phase=Phase.CLAIMED,
        holder=holder,
        lease_until=now + lease_seconds,
        begun_at=now,
        deadline_at=now + rollout_seconds,
        digest=request.digest(asked, who.subject),
        body=body if len(body) <= MAX_BODY_BYTES else b"",
        steps=(Step(at=now, text="Taken."),),
    )


def planned(operation: Operation, plan: Plan, *, lease_until: float) -> Operation:
    """Return the operation with its change written down, about to be made."""
    target = plan.after.get("revision", "")
    noted = Noted(
        uid=plan.uid,
        resource_version=plan.resource_version,
        generation=plan.generation,
        before=plan.before,
        after=plan.after,
        message=plan.message,
        revision=fields.digits(target),
    )
    written = replace(operation, phase=Phase.PLANNED, noted=noted, message=plan.message)
    return leased(written, lease_until)


def leased(operation: Operation, until: float) -> Operation:
    """Return the operation that is held, and sent by its holder, until then and no later."""
    sent = max(operation.sent_until, until + UNDER_WAY_SECONDS)
    return replace(operation, lease_until=until, sent_until=sent)


def applied(operation: Operation, after: Workload, *, now: float, found: bool = False) -> Operation:
    """Return the operation once its change was made.

    Args:
        operation: As it was planned.
        after: The workload once changed.
        now: Seconds since the Unix epoch.
        found: Whether the change was found to have been made, some time ago: then somebody may
            have changed the workload since, and `after` may not show this change any more.
    """
    message = operation.noted.message if operation.noted else operation.message
    shown = not found or _shows(operation, after)
    done = Applied(
        generation=after.generation,
        template=fingerprint(after.template) if shown else "",
        replicas=after.replicas,
        at=now,
    )
    changed = replace(operation, phase=Phase.RUNNING, applied=done, message=message)
    return told(changed, now, message)


def ended(
    operation: Operation, phase: Phase, message: str, *, now: float, level: str = "info"
) -> Operation:
    """Return the operation at its end."""
    closed = replace(operation, phase=phase, message=message, ended_at=now, lease_until=now)
    return told(closed, now, message, level)


def told(operation: Operation, at: float, text: str, level: str = "info") -> Operation:
    """Return the operation with one more step; the oldest go once there are many."""
    steps = (*operation.steps, Step(at=at, text=text, level=level))
    return replace(operation, steps=steps[-MAX_STEPS:])


def outcome(
    noted: Noted,
    asked: ChangeOrder,
    run: str,
    now: Workload,
    revisions: Sequence[Mapping[str, str]],
) -> Outcome:
    """Return whether a planned change was made, by what can be seen now.

    A change other than a scale leaves its run in the workload's annotations, which controllers
    copy to the revision that they make. Where nothing bears the run, the change was not made if
    the workload's spec has not been changed since; else nobody can know.

    A scale leaves no mark. It was made if the spec was changed once, to what was asked for.

    Args:
        noted: The plan.
        asked: The order.
        run: The run.
        now: The workload.
        revisions: The annotations of its ReplicaSets or ControllerRevisions.
    """
    if now.uid != noted.uid:
        return Outcome.UNDECIDABLE
    if isinstance(asked, request.Scale):
        changes = now.generation - noted.generation
        if changes == 0:
            return Outcome.NOT_MADE
        fits = changes == 1 and now.replicas == asked.replicas
        return Outcome.MADE if fits else Outcome.UNDECIDABLE
    if now.annotations.get(RUN) == run or any(each.get(RUN) == run for each in revisions):
        return Outcome.MADE
    return Outcome.NOT_MADE if now.generation == noted.generation else Outcome.UNDECIDABLE


def _shows(operation: Operation, now: Workload) -> bool:
    """Return whether a workload still is what the change made it."""
    after = operation.noted.after if operation.noted else {}
    match operation.asked:
        case request.Deploy():
            images = {each.name: each.image for each in now.containers}
            return images.get(after.get("container", "")) == after.get("image")
        case request.Restart():
            annotations = fields.texts(now.template, "metadata", "annotations")
            return annotations.get(RESTARTED_AT) == after.get("restarted_at")
        case request.Rollback():
            return now.images == after.get("image")
        case request.Scale():
            return now.replicas == operation.asked.replicas


def superseded(operation: Operation, now: Workload) -> bool:
    """Return whether a later change has replaced what this one made."""
    made = operation.applied
    if made is None:
        return False
    if isinstance(operation.asked, request.Scale):
        return now.replicas != operation.asked.replicas
    return fingerprint(now.template) != made.template


def prunable(operations: Sequence[Operation], *, now: float, keep: float, most: int) -> list[str]:
    """Return the keys of the records that can go: old ones, and the oldest of too many.

    None goes within a day of its end: a key that is forgotten could be used once more. One that
    nobody has looked at counts as ended at its deadline.

    Args:
        operations: All there are.
        now: Seconds since the Unix epoch.
        keep: Seconds for which one is kept.
        most: How many are kept.
    """
    ends = sorted(((_end(each), each.key) for each in operations), reverse=True)
    return [
        key
        for place, (end, key) in enumerate(ends)
        if now - end > keep or (place >= most and now - end > MIN_KEPT_SECONDS)
    ]


def _end(operation: Operation) -> float:
    return operation.deadline_at if operation.ended_at is None else operation.ended_at
