"""The journey of a look at a workload, or at all of a namespace."""

from collections.abc import Sequence
from typing import Any, Final

from tidegate_agent.app.cluster import Cluster
from tidegate_agent.app.scene import RECENT_SECONDS, Scene, survey
from tidegate_agent.app.world import World
from tidegate_agent.core import answer, fields, image, rollout, workload
from tidegate_agent.core.answer import Answer
from tidegate_agent.core.history import REVISION
from tidegate_agent.core.identity import Statement
from tidegate_agent.core.kinds import WORKLOADS
from tidegate_agent.core.request import Status
from tidegate_agent.core.rollout import Rollout, State
from tidegate_agent.core.workload import Workload
from tidegate_agent.errors import ForbiddenError

MAX_WORKLOADS: Final = 100
_WORST_FIRST: Final = ("failed", "degraded", "updating", "paused", "healthy", "scaled to zero")


async def tell(world: World, asked: Status, who: Statement) -> Answer:
    """Return how a workload is, or all workloads of a namespace are.

    Raises:
        RefusedError: There is no such workload, or no role there.
        KubernetesError: The cluster does not tell.
    """
    cluster = world.cluster(who, asked.namespace)
    if asked.target is not None:
        now = await cluster.workload(asked.target)
        scene = await survey(cluster, now, since=world.clock.now() - RECENT_SECONDS)
        return _answer([_described(now, scene)])
    found = await _all(cluster, asked.namespace)
    if not found:
        message = f"There is no workload in {asked.namespace}."
        return Answer(status=200, content={"message": message, "status": "empty", "workloads": []})
    return _answer([_described(now) for now in found])


async def _all(cluster: Cluster, namespace: str) -> list[Workload]:
    """Return the workloads of those kinds that may be listed; of one at least."""
    found: list[Workload] = []
    refusals: list[ForbiddenError] = []
    for kind in WORKLOADS.values():
        try:
            found += await cluster.workloads(kind, namespace)
        except ForbiddenError as error:
            refusals.append(error)
    if len(refusals) == len(WORKLOADS):
        raise refusals[0]
    return sorted(found, key=lambda now: now.target.name)[:MAX_WORKLOADS]


def _answer(told: Sequence[dict[str, Any]]) -> Answer:
    status = min((each["status"] for each in told), key=_WORST_FIRST.index)
    message = "\n".join(each["message"] for each in told)
    if len(message) > answer.MAX_MESSAGE:
        message = message[: answer.MAX_MESSAGE - 1] + "…"
    return Answer(
        status=200, content={"message": message, "status": status, "workloads": list(told)}
    )


def _described(now: Workload, scene: Scene | None = None) -> dict[str, Any]:
    """Return how a workload is, in a sentence and in figures."""
    state = rollout.of(now)
    ready = min(rollout.ready(now), now.replicas)
    status = _status(now, state, ready)
    trouble = scene.trouble if scene is not None and status not in {"healthy"} else None
    described: dict[str, Any] = {
        "kind": now.target.kind.kind,
        "namespace": now.target.namespace,
        "name": now.target.name,
        "images": {each.name: each.image for each in now.containers},
        "replicas": now.replicas,
        "ready": ready,
        "updated": state.updated,
        "status": status,
        "rollout": state.state.value,
        "message": _sentence(now, state, ready, trouble.sentence if trouble else ""),
    }
    if (revision := fields.digits(now.annotations.get(REVISION, ""))) is not None:
        described["revision"] = revision
    if cause := now.annotations.get(workload.CHANGE_CAUSE):
        described["cause"] = answer.cut(cause)
    if trouble is not None:
        described["reason"] = trouble.reason
    return described


def _sentence(now: Workload, state: Rollout, ready: int, why: str) -> str:
    versions = ", ".join(_version(each.image) for each in now.containers)
    said = (
        f"{now.target.name} {versions} in {now.target.namespace}: {ready} of {now.replicas} ready"
    )
    if (revision := fields.digits(now.annotations.get(REVISION, ""))) is not None:
        cause = now.annotations.get(workload.CHANGE_CAUSE)
        said += f", revision {revision}" + (f" ({answer.cut(cause, 200)})" if cause else "")
    if now.paused:
        said += ", paused"
    if why:
        return f"{said}. {why}"
    return said if state.state is State.DONE else f"{said}. {state.message}"


def _version(reference: str) -> str:
    found = image.parse(reference)
    return found.version if found is not None else answer.cut(reference, 80)


def _status(now: Workload, state: Rollout, ready: int) -> str:
    if state.state is State.FAILED:
        return "failed"
    if now.paused:
        return "paused"
    if state.state is State.WAITING:
        return "updating" if state.updated < now.replicas or ready >= now.replicas else "degraded"
    if now.replicas == 0:
        return "scaled to zero"
    return "healthy" if ready >= now.replicas else "degraded"
