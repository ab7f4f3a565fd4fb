"""From an order to the one change that carries it out: look, check, plan."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from tidegate_agent.app.cluster import Cluster
from tidegate_agent.core import change, difference, fields, image, ownership, workload
from tidegate_agent.core.change import Plan
from tidegate_agent.core.difference import Difference
from tidegate_agent.core.history import Revision
from tidegate_agent.core.identity import Statement
from tidegate_agent.core.request import ChangeOrder, Deploy, Rollback, Scale
from tidegate_agent.core.rules import Rules
from tidegate_agent.core.workload import Workload
from tidegate_agent.errors import (
    ConflictError,
    ForbiddenError,
    InputError,
    InvalidError,
    NotAllowedError,
    RefusedError,
)
from tidegate_agent.ports import Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What was read to decide on a change."""

    now: Workload
    revisions: Sequence[Revision] = ()


def check_bounds(asked: ChangeOrder, rules: Rules) -> None:
    """Return if an order is within what the rules allow, whatever the cluster holds.

    Raises:
        InputError: It is not.
    """
    if isinstance(asked, Scale) and asked.replicas > rules.max_replicas:
        raise InputError(
            f"At most {rules.max_replicas} replicas may be asked for here.", field="replicas"
        )


async def look(cluster: Cluster, asked: ChangeOrder, *, traces: bool = False) -> Sight:
    """Return what has to be read for an order.

    Args:
        cluster: As whoever asked may see it.
        asked: The order.
        traces: Whether the revisions are wanted as well, for the run that they may bear.

    Raises:
        MissingError: There is no such workload.
        KubernetesError: The cluster does not tell.
    """
    now = await cluster.workload(asked.target)
    if isinstance(asked, Rollback):
        return Sight(now=now, revisions=await cluster.revisions(now))
    if not traces or isinstance(asked, Scale):
        return Sight(now=now)
    try:
        return Sight(now=now, revisions=await cluster.revisions(now))
    except ForbiddenError:  # a role that only deploys: one trace less
        return Sight(now=now)


async def decide(
    cluster: Cluster, asked: ChangeOrder, sight: Sight, *, who: Statement, rules: Rules, at: float
) -> Plan:
    """Return the change to make, once every check has passed.

    Raises:
        RefusedError: It may not be made.
        KubernetesError: What has to be known cannot be read.
    """
    now = sight.now
    check_bounds(asked, rules)
    if isinstance(asked, Deploy):
        name, wanted = change.deploy_image(asked, now)
        had = workload.container(now.containers, name).image
        image.check(
            wanted, now=had, registries=rules.registries, digest_required=rules.digest_required
        )
    change.check_paused(asked, now)
    if isinstance(asked, Scale):
        scaling = change.plan(asked, now, who=who, at=at)
        autoscalers = () if asked.force else await _autoscalers(cluster, asked, scaling)
        ownership.check(asked, now, autoscalers)
        return scaling
    ownership.check(asked, now, ())
    if isinstance(asked, Rollback):
        _check_images(asked, sight, rules)
    return change.plan(asked, now, who=who, at=at, revisions=sight.revisions)


async def _autoscalers(cluster: Cluster, asked: Scale, scaling: Plan) -> Sequence[Object]:
    """Return the autoscalers that may have a say in it.

    Raises:
        ForbiddenError: They may not be seen; or, which matters more, nothing may be scaled.
        KubernetesError: The cluster does not tell.
    """
    try:
        return await cluster.autoscalers(asked.target.namespace)
    except ForbiddenError:
        if scaling.patch is not None:
            with suppress(ConflictError, InvalidError):  # it may be made, if not as it is now
                await cluster.make(scaling, asked.target, dry_run=True)
        raise


def _check_images(asked: Rollback, sight: Sight, rules: Rules) -> None:
    """Return if a revision may be gone back to: every image that it would put there may run.

    Raises:
        RefusedError: One comes from elsewhere or lacks a digest; or there is no such revision.
    """
    for name, had, wanted in change.rollback_images(asked, sight.now, sight.revisions):
        found = image.parse(wanted)
        if found is None:
            told = f"The image of {name} in that revision is no reference to an image."
            raise NotAllowedError(told, field="revision")
        try:
            image.check(
                found, now=had, registries=rules.registries, digest_required=rules.digest_required
            )
        except RefusedError as error:
            told = f"That revision would give {name} another image. {error.notice}"
            raise NotAllowedError(told, field="revision") from None


async def preview(
    cluster: Cluster, asked: ChangeOrder, now: Workload, plan: Plan
) -> tuple[Difference, ...]:
    """Return what a change would alter, as the API server works it out (`dryRun=All`).

    Raises:
        KubernetesError: The change could not be made, so it would not be.
    """
    if plan.patch is None:
        return ()
    after = await cluster.make(plan, asked.target, dry_run=True)
    if plan.subresource is None:
        return difference.of(now.raw, after)
    replicas = fields.number(after, "spec", "replicas")
    return difference.of({"spec": {"replicas": now.replicas}}, {"spec": {"replicas": replicas}})
