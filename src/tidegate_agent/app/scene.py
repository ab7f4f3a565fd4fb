"""What surrounds a workload: its pods, the warnings about it, and what is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidegate_agent.app.cluster import Cluster
from tidegate_agent.core import fields, trouble
from tidegate_agent.core.trouble import Trouble, Warned
from tidegate_agent.core.workload import Workload
from tidegate_agent.errors import ForbiddenError
from tidegate_agent.ports import Object

RECENT_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What surrounds a workload.

    Attributes:
        warnings: Newest first.
        trouble: What keeps its new pods from running, or None.
    """

    pods: Sequence[Object]
    warnings: Sequence[Warned]
    trouble: Trouble | None


async def survey(cluster: Cluster, now: Workload, *, since: float) -> Scene:
    """Return what surrounds a workload, as far as the person may see it.

    Args:
        cluster: As they may see it.
        now: The workload.
        since: Warnings before are left out; seconds since the Unix epoch.

    Raises:
        KubernetesError: The cluster does not tell.
    """
    try:
        pods = await cluster.pods(now)
    except ForbiddenError:
        pods = ()
    try:
        events = await cluster.warnings(now.target.namespace)
    except ForbiddenError:
        events = ()
    names = [fields.text(pod, "metadata", "name") for pod in pods]
    warned = trouble.warnings(now, events, pods=names, since=since)
    return Scene(pods=pods, warnings=warned, trouble=trouble.find(now, pods, warned))
