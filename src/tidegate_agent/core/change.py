"""What an order changes in a workload: the one patch, and what it replaces.

Every patch holds only if the object still is the one that was read: its resourceVersion is in it.
Who asked, in which run, goes into the workload's annotations, never into the pod template (that
would replace every pod), and never with a scale (its subresource has no annotations).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tidegate_agent.core import fields, history, image, moment, workload
from tidegate_agent.core.history import Revision
from tidegate_agent.core.identity import Statement
from tidegate_agent.core.image import Image
from tidegate_agent.core.kinds import DEPLOYMENT
from tidegate_agent.core.patches import Patch, PatchType
from tidegate_agent.core.request import ChangeOrder, Deploy, Restart, Rollback, Scale, verb_of
from tidegate_agent.core.workload import AT, BY, CHANGE_CAUSE, RESTARTED_AT, RUN, Workload
from tidegate_agent.errors import StateError

#: Annotations that belong to the Deployment, not to one of its revisions.
#: https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollback.go
KEPT_ANNOTATIONS: Final = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "deployment.kubernetes.io/revision",
        "deployment.kubernetes.io/revision-history",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
        "deprecated.deployment.rollback.to",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One change, ready to be made.

    Attributes:
        patch: None where there is nothing to change.
        subresource: `scale`, or None for the workload itself.
        resource_version: Of the object that was read.
        generation: Of the object that was read.
        before: What it replaces, in words: `image`, `replicas`, `revision`.
        after: What it puts there.
        message: What people are told once it is taken.
    """

    patch: Patch | None
    type: PatchType
    subresource: str | None
    resource_version: str
    generation: int
    uid: str
    before: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, str] = field(default_factory=dict)
    message: str


def deploy_image(asked: Deploy, now: Workload) -> tuple[str, Image]:
    """Return the container to give an image, and that image, whole.

    Raises:
        InputError: Which container or which image is meant cannot be known.
    """
    container = workload.container(now.containers, asked.container)
    return container.name, image.resolve(asked.image, now=container.image)


def rollback_images(
    asked: Rollback, now: Workload, revisions: Sequence[Revision]
) -> tuple[tuple[str, str, str], ...]:
    """Return the containers that a rollback gives another image: name, image now, image then.

    Init containers as well. One that is not there now has no image now.

    Raises:
        RefusedError: There is no such revision.
    """
    chosen = history.choose(now, revisions, asked.revision).template
    found = []
    for part in ("initContainers", "containers"):
        had = {
            fields.text(each, "name"): fields.text(each, "image")
            for each in fields.mappings(now.template, "spec", part)
        }
        for each in fields.mappings(chosen, "spec", part):
            name, wanted = fields.text(each, "name"), fields.text(each, "image")
            if wanted != had.get(name):
                found.append((name, had.get(name, ""), wanted))
    return tuple(found)


def plan(
    asked: ChangeOrder,
    now: Workload,
    *,
    who: Statement,
    at: float,
    revisions: Sequence[Revision] = (),
) -> Plan:
    """Return the change that carries out an order.

    Args:
        asked: The order.
        now: The workload as it was read.
        who: Who asked.
        at: Seconds since the Unix epoch.
        revisions: The workload's, oldest first; for a rollback.

    Raises:
        RefusedError: It cannot be carried out on this workload.
    """
    match asked:
        case Deploy():
            return _deploy(asked, now, who, at)
        case Scale():
            return _scale(asked, now)
        case Restart():
            return _restart(asked, now, who, at)
        case Rollback():
            return _rollback(asked, now, who, at, revisions)


def check_paused(asked: ChangeOrder, now: Workload) -> None:
    """Return unless the rollout of a Deployment is paused, and the order needs one.

    kubectl refuses to restart or undo a paused Deployment; a new image would be accepted and not
    be rolled out, which nobody who asks for a deployment wants.

    Raises:
        StateError: It is paused.
    """
    if now.paused and not isinstance(asked, Scale):
        raise StateError(
            f"The rollout of {now.target.words} is paused: "
            f"`kubectl rollout resume deployment/{now.target.name}` lets it go on."
        )


def _deploy(asked: Deploy, now: Workload, who: Statement, at: float) -> Plan:
    name, wanted = deploy_image(asked, now)
    had = workload.container(now.containers, name).image
    stamp = _stamp(asked, f"deploy {wanted.reference}", who, at)
    spec = {"containers": [{"name": name, "image": wanted.reference}]}
    return _planned(
        now,
        {"metadata": _metadata(now, stamp), "spec": {"template": {"spec": spec}}},
        before={"container": name, "image": had},
        after={"container": name, "image": wanted.reference},
        message=f"Rolling out {now.target.name} {wanted.version} to {now.target.namespace}.",
    )


def _restart(asked: Restart, now: Workload, who: Statement, at: float) -> Plan:
    restarted = moment.iso(at)
    metadata = {"annotations": {RESTARTED_AT: restarted}}
    stamp = _stamp(asked, "restart", who, at)
    had = fields.texts(now.template, "metadata", "annotations").get(RESTARTED_AT, "never")
    return _planned(
        now,
        {"metadata": _metadata(now, stamp), "spec": {"template": {"metadata": metadata}}},
        before={"restarted_at": had},
        after={"restarted_at": restarted},
        message=f"Restarting {now.target.words}, pod by pod.",
    )


def _scale(asked: Scale, now: Workload) -> Plan:
    return Plan(
        patch={
            "metadata": {"resourceVersion": now.resource_version},
            "spec": {"replicas": asked.replicas},
        },
        type=PatchType.MERGE,
        subresource="scale",
        resource_version=now.resource_version,
        generation=now.generation,
        uid=now.uid,
        before={"replicas": str(now.replicas)},
        after={"replicas": str(asked.replicas)},
        message=f"Scaling {now.target.words} from {now.replicas} to {asked.replicas}.",
    )


def _rollback(
    asked: Rollback, now: Workload, who: Statement, at: float, revisions: Sequence[Revision]
) -> Plan:
    chosen = history.choose(now, revisions, asked.revision)
    present = history.current(now, revisions)
    before = {"revision": str(present or "?"), "image": now.images}
    after = {"revision": str(chosen.number), "image": chosen.images}
    if history.same(chosen.template, now.template):
        return _planned(
            now,
            None,
            before=before,
            after=after,
            message=f"{now.target.words} already is at revision {chosen.number}.",
        )
    stamp = _stamp(asked, f"rollback to revision {chosen.number}", who, at)
    annotations = {**_annotations_of(chosen, now), **stamp}
    operations: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": now.resource_version},
        {"op": "replace", "path": "/spec/template", "value": dict(chosen.template)},
        {"op": "add", "path": "/metadata/annotations", "value": annotations},
    ]
    message = f"Rolling {now.target.words} back to revision {chosen.number} ({chosen.images})."
    return _planned(now, operations, before=before, after=after, message=message)


def _annotations_of(chosen: Revision, now: Workload) -> dict[str, str]:
    """Return the annotations that a workload has once it is back at a revision.

    For a Deployment as kubectl has it: the revision's own, and those the Deployment keeps. The
    revisions of others do not hold theirs reliably, and kubectl leaves those workloads' alone.
    """
    if now.target.kind is not DEPLOYMENT:
        return dict(now.annotations)
    kept = {name: text for name, text in now.annotations.items() if name in KEPT_ANNOTATIONS}
    own = {name: t for name, t in chosen.annotations.items() if name not in KEPT_ANNOTATIONS}
    return {**kept, **own}


def _planned(
    now: Workload,
    patch: Patch | None,
    *,
    before: Mapping[str, str],
    after: Mapping[str, str],
    message: str,
) -> Plan:
    strategic = isinstance(patch, Mapping)
    return Plan(
        patch=patch,
        type=PatchType.STRATEGIC if strategic else PatchType.JSON,
        subresource=None,
        resource_version=now.resource_version,
        generation=now.generation,
        uid=now.uid,
        before=before,
        after=after,
        message=message,
    )


def _metadata(now: Workload, stamp: Mapping[str, str]) -> dict[str, Any]:
    return {"resourceVersion": now.resource_version, "annotations": dict(stamp)}


def _stamp(asked: ChangeOrder, what: str, who: Statement, at: float) -> dict[str, str]:
    """Return the annotations that say who changed a workload, when and in which run."""
    told = "tidegate: " + (what or verb_of(asked))
    return {
        RUN: who.run,
        BY: who.subject,
        AT: moment.iso(at),
        CHANGE_CAUSE: f"{told} by {who.subject}",
    }
