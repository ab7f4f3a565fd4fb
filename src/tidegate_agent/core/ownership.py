"""Who else decides about a workload, and would undo what the agent changes.

Helm is not among them: it acts when somebody runs it, and says so in its own time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate_agent.core import fields
from tidegate_agent.core.request import ChangeOrder, Restart, Scale
from tidegate_agent.core.workload import Workload
from tidegate_agent.errors import StateError

#: Labels and annotations by which a tool marks what it keeps as a repository has it.
_MARKS: Final[Mapping[str, str]] = {
    # https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "argocd.argoproj.io/instance": "Argo CD",
    # https://fluxcd.io/flux/components/kustomize/kustomizations/
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    # https://fluxcd.io/flux/components/helm/helmreleases/
    "helm.toolkit.fluxcd.io/name": "Flux",
    # https://fleet.rancher.io/
    "objectset.rio.cattle.io/id": "Fleet",
    # https://cloud.google.com/kubernetes-engine/config-sync/docs/
    "configmanagement.gke.io/managed": "Config Sync",
}
#: Where these say `disabled`, the tool leaves the object alone.
_SWITCHES: Final = (
    "kustomize.toolkit.fluxcd.io/reconcile",
    "helm.toolkit.fluxcd.io/reconcile",
    "configmanagement.gke.io/managed",
)
_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
_MANAGERS: Final[Mapping[str, str]] = {"argocd": "Argo CD", "flux": "Flux", "fleet": "Fleet"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Somebody who would undo a change.

    Attributes:
        name: Such as `Argo CD`, or `the autoscaler api`.
        what: What they keep as they have it, such as `its configuration`.
    """

    name: str
    what: str


def by_tool(now: Workload) -> Owner | None:
    """Return the tool or the controller that keeps a workload's spec as it has it, or None."""
    marks = {**now.labels, **now.annotations}
    if any(marks.get(switch) == "disabled" for switch in _SWITCHES):
        return None
    for mark, name in _MARKS.items():
        if mark in marks:
            return Owner(name=name, what="its configuration")
    manager = _MANAGERS.get(marks.get(_MANAGED_BY, "").lower())
    if manager is not None:
        return Owner(name=manager, what="its configuration")
    return _controller(now)


def by_autoscaler(now: Workload, autoscalers: Iterable[Mapping[str, Any]]) -> Owner | None:
    """Return the HorizontalPodAutoscaler that decides a workload's replicas, or None."""
    for each in autoscalers:
        target = fields.mapping(each, "spec", "scaleTargetRef")
        if (target.get("kind"), target.get("name")) == (now.target.kind.kind, now.target.name):
            name = fields.text(each, "metadata", "name")
            return Owner(name=f"the autoscaler {name}", what="its replicas")
    return None


def check(asked: ChangeOrder, now: Workload, autoscalers: Iterable[Mapping[str, Any]] = ()) -> None:
    """Return unless somebody else would undo what is asked for.

    A restart is always let through: it adds an annotation, which no tool of these takes away.

    Raises:
        StateError: Somebody would, and `force` was not given.
    """
    if asked.force or isinstance(asked, Restart):
        return
    owner = by_autoscaler(now, autoscalers) if isinstance(asked, Scale) else None
    owner = owner or by_tool(now)
    if owner is not None:
        raise StateError(
            f"{owner.name[0].upper()}{owner.name[1:]} decides about {owner.what} of "
            f"{now.target.words}, and would undo this. With `force` it is done all the same."
        )


def _controller(now: Workload) -> Owner | None:
    for each in fields.mappings(now.raw, "metadata", "ownerReferences"):
        if each.get("controller") is True:
            name = f"the {fields.text(each, 'kind')} {fields.text(each, 'name')}"
            return Owner(name=name, what="its configuration")
    return None
