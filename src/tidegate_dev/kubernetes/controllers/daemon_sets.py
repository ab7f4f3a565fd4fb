"""DaemonSets: one pod on each node that fits.

https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/
"""

from dataclasses import dataclass
from typing import Any, Final

from tidegate_dev.kubernetes.controllers.budget import scaled
from tidegate_dev.kubernetes.controllers.clock import Clock
from tidegate_dev.kubernetes.controllers.events import Recorder
from tidegate_dev.kubernetes.controllers.history import POD_LABEL, Revisions, hash_of
from tidegate_dev.kubernetes.controllers.makers import PodMaker
from tidegate_dev.kubernetes.controllers.nodes import fits, pinned, pinned_node
from tidegate_dev.kubernetes.controllers.ownership import Object, claim, is_going
from tidegate_dev.kubernetes.controllers.pods import (
    is_active,
    is_available,
    is_ready,
    next_available,
)
from tidegate_dev.kubernetes.controllers.queue import Key, WorkQueue
from tidegate_dev.kubernetes.controllers.quotas import QuotaError
from tidegate_dev.kubernetes.controllers.retries import Retries
from tidegate_dev.kubernetes.resources import DAEMON_SETS, NODES, PODS
from tidegate_dev.kubernetes.store import Store
from tidegate_dev.kubernetes.watches import copied

COMPONENT: Final = "daemonset-controller"


@dataclass(slots=True)
class _Set:
    """A DaemonSet, the nodes it belongs on, its pods, and the hash of its template."""

    body: Object
    nodes: list[str]
    pods: list[Object]
    hash: str

    @property
    def min_ready(self) -> int:
        return int(self.body["spec"].get("minReadySeconds", 0))

    def on(self, node: str) -> list[Object]:
        return [pod for pod in self.pods if pinned_node(pod) == node and not is_going(pod)]

    def is_new(self, pod: Object) -> bool:
        return bool(pod["metadata"]["labels"].get(POD_LABEL) == self.hash)


class DaemonSets:
    """The DaemonSet controller."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        recorder: Recorder,
        maker: PodMaker,
        queue: WorkQueue,
        retries: Retries,
    ) -> None:
        self._store = store
        self._clock = clock
        self._recorder = recorder
        self._maker = maker
        self._queue = queue
        self._retries = retries
        self._revisions = Revisions(store)

    def sync(self, namespace: str, name: str) -> None:
        """Each node has its pod, as far as the rollout may be, and the status says so."""
        key = Key(DAEMON_SETS, namespace, name)
        body = self._store.get(*key)
        if body is None or is_going(body):
            self._retries.forget(key)
            return
        found = self._gather(body)
        if not self._retries.is_waiting(key):
            self._try_place(key, found)
        found.pods = claim(self._store, PODS, body)
        self._roll(found)
        found.pods = claim(self._store, PODS, body)
        self._write_status(found)
        live = {str(pod["metadata"]["labels"].get(POD_LABEL, "")) for pod in found.pods}
        self._revisions.truncate(body, live | {found.hash})
        wait = next_available(found.pods, found.min_ready, self._clock.now())
        if wait is not None:
            self._queue.add_later(key, wait)

    def _try_place(self, key: Key, found: _Set) -> None:
        try:
            self._place(found)
            self._retries.forget(key)
        except QuotaError as refused:
            self._recorder.record(
                found.body,
                "FailedCreate",
                f"Error creating: {refused}",
                component=COMPONENT,
                kind="Warning",
            )
            self._queue.add_later(key, self._retries.put_off(key))

    def _gather(self, body: Object) -> _Set:
        nodes, _ = self._store.list(NODES)
        template = body["spec"]["template"].get("spec") or {}
        names = [node["metadata"]["name"] for node in nodes if fits(template, node)]
        hashed = hash_of(self._revisions.current(body))
        return _Set(body, names, claim(self._store, PODS, body), hashed)

    def _place(self, found: _Set) -> None:
        """Each node that fits has one pod, no other has any, and ended ones are gone."""
        for pod in found.pods:
            misplaced = pinned_node(pod) not in found.nodes
            if (misplaced or not is_active(pod)) and not is_going(pod):
                self._delete(found, pod)
        for node in found.nodes:
            pods = [pod for pod in found.on(node) if is_active(pod)]
            # A pod on its way out keeps its place on the node until it has gone.
            going = any(pinned_node(pod) == node and is_going(pod) for pod in found.pods)
            if not pods and not going:
                self._create(found, node)
            for pod in sorted(pods, key=_age)[1:]:
                self._delete(found, pod)

    def _roll(self, found: _Set) -> None:
        """As many old pods go as may be missing; those that do not serve go first."""
        strategy = found.body["spec"].get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return
        rolling = strategy.get("rollingUpdate") or {}
        most = max(1, scaled(rolling.get("maxUnavailable", 1), len(found.nodes), up=True))
        now = self._clock.now()
        serving = {
            pinned_node(pod)
            for pod in found.pods
            if not is_going(pod) and is_available(pod, found.min_ready, now)
        }
        spare = most - sum(node not in serving for node in found.nodes)
        for node in found.nodes:
            for pod in found.on(node):
                if found.is_new(pod):
                    continue
                if node not in serving:
                    self._delete(found, pod)
                elif spare > 0:
                    self._delete(found, pod)
                    spare -= 1

    def _create(self, found: _Set, node: str) -> None:
        template = copied(found.body["spec"]["template"])
        template["spec"] = pinned(template.get("spec") or {}, node)
        generation = str(found.body["metadata"]["generation"])
        labels = {POD_LABEL: found.hash, "pod-template-generation": generation}
        self._maker.create(found.body, template, labels=labels)

    def _delete(self, found: _Set, pod: Object) -> None:
        self._maker.delete(pod, found.body, f"Deleted pod: {pod['metadata']['name']}")

    def _write_status(self, found: _Set) -> None:
        now = self._clock.now()
        first: list[Object] = [pods[0] for node in found.nodes if (pods := found.on(node))]
        ready = sum(map(is_ready, first))
        available = sum(is_available(pod, found.min_ready, now) for pod in first)
        status: dict[str, Any] = {
            "currentNumberScheduled": len(first),
            "numberMisscheduled": sum(pinned_node(pod) not in found.nodes for pod in found.pods),
            "desiredNumberScheduled": len(found.nodes),
            "numberReady": ready,
            "observedGeneration": found.body["metadata"]["generation"],
        }
        counts = {
            "updatedNumberScheduled": sum(map(found.is_new, first)),
            "numberAvailable": available,
            "numberUnavailable": len(found.nodes) - available,
        }
        status.update({name: count for name, count in counts.items() if count})
        found.body["status"] = status
        self._store.update(DAEMON_SETS, found.body, subresource="status")


def _age(pod: Object) -> tuple[bool, str, str]:
    metadata = pod["metadata"]
    return not is_ready(pod), metadata["creationTimestamp"], metadata["name"]
