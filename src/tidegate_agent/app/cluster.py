"""The cluster as one person may see and change it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from tidegate_agent.core import history, workload
from tidegate_agent.core.access import Impersonation, Review
from tidegate_agent.core.change import Plan
from tidegate_agent.core.history import Revision
from tidegate_agent.core.kinds import (
    CONTROLLER_REVISION,
    DEPLOYMENT,
    EVENT,
    HORIZONTAL_POD_AUTOSCALER,
    POD,
    REPLICA_SET,
    Kind,
)
from tidegate_agent.core.request import Target
from tidegate_agent.core.workload import Workload
from tidegate_agent.errors import ForbiddenError, KubernetesError, MissingError, NotFoundError
from tidegate_agent.ports import Kubernetes, Object

MAX_NAMES: Final = 10


class Cluster:
    """What the agent does for one person.

    Everything is done as whom the roles say, so that the cluster decides; where the agent does not
    impersonate, the same question is put to the cluster first (SubjectAccessReview).

    Args:
        kubernetes: The API server.
        acting: As whom.
        impersonate: Whether calls are made as them, or as the agent after a review.
    """

    def __init__(self, kubernetes: Kubernetes, acting: Impersonation, *, impersonate: bool) -> None:
        self._kubernetes = kubernetes
        self._acting = acting
        self._reviews = not impersonate
        self._as = acting if impersonate else None
        self._granted: set[tuple[str, Kind, str, str]] = set()

    async def workload(self, target: Target) -> Workload:
        """Return a workload as it is now.

        Raises:
            MissingError: There is none.
            KubernetesError: The cluster does not tell.
        """
        await self._may("get", target.kind, target.namespace, name=target.name)
        try:
            with self._as_them():
                raw = await self._kubernetes.get(
                    target.kind, target.namespace, target.name, as_=self._as
                )
        except NotFoundError:
            there = await self._names(target)
            raise MissingError(
                f"{target.namespace} has no {target.kind.noun} {target.name}.{there}",
                field=target.kind.kind.lower(),
            ) from None
        return workload.read(target.kind, raw)

    async def workloads(self, kind: Kind, namespace: str) -> tuple[Workload, ...]:
        """Return all workloads of a kind. Raises `KubernetesError`."""
        return tuple(workload.read(kind, raw) for raw in await self._list(kind, namespace))

    async def pods(self, of: Workload) -> Sequence[Object]:
        """Return the pods that a workload's selector matches. Raises `KubernetesError`."""
        if not of.selector:
            return ()
        return await self._list(POD, of.target.namespace, labels=of.selector)

    async def warnings(self, namespace: str) -> Sequence[Object]:
        """Return the warning events of a namespace. Raises `KubernetesError`."""
        # https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/
        return await self._list(EVENT, namespace, fields="type=Warning")

    async def revisions(self, of: Workload) -> tuple[Revision, ...]:
        """Return a workload's revisions, oldest first. Raises `KubernetesError`."""
        return history.of(of, await self._owned(of))

    async def autoscalers(self, namespace: str) -> Sequence[Object]:
        """Return a namespace's HorizontalPodAutoscalers. Raises `KubernetesError`."""
        return await self._list(HORIZONTAL_POD_AUTOSCALER, namespace)

    async def logs(
        self,
        namespace: str,
        pod: str,
        *,
        container: str,
        tail: int,
        since_seconds: int | None,
        previous: bool,
        limit_bytes: int,
    ) -> bytes:
        """Return the last lines of a container. Raises `KubernetesError`."""
        await self._may("get", POD, namespace, name=pod, subresource="log")
        with self._as_them():
            return await self._kubernetes.logs(
                namespace,
                pod,
                container=container,
                tail=tail,
                since_seconds=since_seconds,
                previous=previous,
                limit_bytes=limit_bytes,
                as_=self._as,
            )

    async def check_make(self, plan: Plan, target: Target) -> None:
        """Return if a change may be made, as far as that has to be asked beforehand.

        Raises:
            ForbiddenError: It may not.
            KubernetesError: The cluster does not tell.
        """
        await self._may(
            "patch",
            target.kind,
            target.namespace,
            name=target.name,
            subresource=plan.subresource or "",
        )

    async def make(self, plan: Plan, target: Target, *, dry_run: bool = False) -> Object:
        """Return what is changed, as it is then: the workload, or its scale.

        Raises:
            ConflictError: It is not the one that was read; nothing was done.
            AmbiguousError: Perhaps it was done.
            KubernetesError: It was not done.
        """
        await self.check_make(plan, target)
        with self._as_them():
            return await self._kubernetes.patch(
                target.kind,
                target.namespace,
                target.name,
                plan.patch or {},
                type=plan.type,
                dry_run=dry_run,
                subresource=plan.subresource,
                as_=self._as,
            )

    async def _owned(self, of: Workload) -> Sequence[Object]:
        kind = REPLICA_SET if of.target.kind is DEPLOYMENT else CONTROLLER_REVISION
        if not of.selector:
            return ()
        return await self._list(kind, of.target.namespace, labels=of.selector)

    async def _list(
        self, kind: Kind, namespace: str, *, labels: str = "", fields: str = ""
    ) -> Sequence[Object]:
        await self._may("list", kind, namespace)
        with self._as_them():
            listed = await self._kubernetes.list(
                kind, namespace, labels=labels, fields=fields, as_=self._as
            )
        return listed.items

    async def _names(self, target: Target) -> str:
        """Return which workloads there are, as a sentence, if they may be seen."""
        try:
            found = [
                each.target.name for each in await self.workloads(target.kind, target.namespace)
            ]
        except KubernetesError:
            return ""
        shown = ", ".join(sorted(found)[:MAX_NAMES])
        more = ", …" if len(found) > MAX_NAMES else ""
        return f" There are {shown}{more}." if found else " It has none at all."

    @contextmanager
    def _as_them(self) -> Iterator[None]:
        """A right that they lack is told with the groups that do not give it."""
        try:
            yield
        except ForbiddenError as error:
            if error.user == self._acting.user:  # else it is the agent that lacks one
                error.groups = self._acting.groups
            raise

    async def _may(
        self, verb: str, kind: Kind, namespace: str, *, name: str = "", subresource: str = ""
    ) -> None:
        """Return if the person may do something, where the agent has to ask that itself.

        Raises:
            ForbiddenError: They may not.
        """
        asked = (verb, kind, subresource, name)
        if not self._reviews or asked in self._granted:
            return
        review = Review(
            user=self._acting.user,
            groups=self._acting.groups,
            extra=self._acting.extra,
            verb=verb,
            group=kind.group,
            resource=kind.plural,
            namespace=namespace,
            name=name,
            subresource=subresource,
        )
        if not await self._kubernetes.allowed(review):
            resource = kind.plural + (f"/{subresource}" if subresource else "")
            raise ForbiddenError(
                "the access review says no",
                user=self._acting.user,
                groups=self._acting.groups,
                verb=verb,
                resource=f"{resource}.{kind.group}" if kind.group else resource,
                namespace=namespace,
            )
        self._granted.add(asked)
