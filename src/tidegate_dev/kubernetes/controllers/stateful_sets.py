"""StatefulSets: pods with a number each, made, replaced and ended in their order.

https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/
"""

from dataclasses import dataclass
from typing import Any, Final

from tidegate_dev.kubernetes.controllers.clock import Clock
from tidegate_dev.kubernetes.controllers.events import Recorder
from tidegate_dev.kubernetes.controllers.history import POD_LABEL, Revisions, template_of
from tidegate_dev.kubernetes.controllers.makers import PodMaker
from tidegate_dev.kubernetes.controllers.ownership import Object, is_going, owned
from tidegate_dev.kubernetes.controllers.pods import (
    is_available,
    is_ready,
    next_available,
    pod_from,
)
from tidegate_dev.kubernetes.controllers.queue import Key, WorkQueue
from tidegate_dev.kubernetes.controllers.quotas import QuotaError
from tidegate_dev.kubernetes.controllers.retries import Retries
from tidegate_dev.kubernetes.resources import PODS, STATEFUL_SETS
from tidegate_dev.kubernetes.store import Store

COMPONENT: Final = "statefulset-controller"
_NAME_LABEL: Final = "statefulset.kubernetes.io/pod-name"
_INDEX_LABEL: Final = "apps.kubernetes.io/pod-index"


@dataclass(slots=True)
class _Set:
    """A StatefulSet with its pods by number, and the two revisions between which it is."""

    spec: Object
    body: Object
    pods: dict[int, Object]
    current: Object
    update: Object

    @property
    def first(self) -> int:
        return int((self.spec.get("ordinals") or {}).get("start", 0))

    @property
    def wanted(self) -> range:
        return range(self.first, self.first + int(self.spec.get("replicas", 1)))

    @property
    def ordered(self) -> bool:
        return bool(self.spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady")

    @property
    def min_ready(self) -> int:
        return int(self.spec.get("minReadySeconds", 0))

    @property
    def rolls(self) -> bool:
        strategy = self.spec.get("updateStrategy") or {}
        return bool(strategy.get("type", "RollingUpdate") == "RollingUpdate")

    @property
    def partition(self) -> int:
        """The number from which on pods are of the update."""
        rolling = (self.spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
        return self.first + int(rolling.get("partition", 0))


class StatefulSets:
    """The StatefulSet controller."""

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
        """The StatefulSet is one step further, and its status says where it is."""
        key = Key(STATEFUL_SETS, namespace, name)
        body = self._store.get(*key)
        if body is None or is_going(body):
            self._retries.forget(key)
            return
        found = self._gather(body)
        if not self._retries.is_waiting(key):
            self._try_step(key, found)
        found.pods = self._pods(body)
        self._write_status(found)
        revisions = {_revision(pod) for pod in found.pods.values()}
        names = {found.current["metadata"]["name"], found.update["metadata"]["name"]}
        self._revisions.truncate(body, revisions | names)
        wait = next_available(found.pods.values(), found.min_ready, self._clock.now())
        if wait is not None:
            self._queue.add_later(key, wait)

    def _try_step(self, key: Key, found: _Set) -> None:
        try:
            self._step(found)
            self._retries.forget(key)
        except QuotaError as refused:
            self._tell_failure(found, refused)
            self._queue.add_later(key, self._retries.put_off(key))

    def _gather(self, body: Object) -> _Set:
        update = self._revisions.current(body)
        name = (body.get("status") or {}).get("currentRevision")
        known = self._revisions.of(body)
        current = next((entry for entry in known if entry["metadata"]["name"] == name), update)
        return _Set(body["spec"], body, self._pods(body), current, update)

    def _pods(self, body: Object) -> dict[int, Object]:
        prefix = f"{body['metadata']['name']}-"
        pods = owned(self._store, PODS, body)
        numbers = {pod["metadata"]["name"].removeprefix(prefix): pod for pod in pods}
        return {int(number): pod for number, pod in numbers.items() if number.isdigit()}

    def _step(self, found: _Set) -> None:
        """What may be done now is done; in order, that is one pod at a time."""
        if self._fill(found) and self._condemn(found) and found.rolls:
            self._replace(found)

    def _fill(self, found: _Set) -> bool:
        """Every number has its pod; return whether one may go on."""
        for number in found.wanted:
            pod = found.pods.get(number)
            if pod is not None and _has_ended(pod) and not is_going(pod):
                self._delete(found, pod)
                return False
            if pod is None:
                self._create(found, number)
            if found.ordered and not (pod is not None and self._is_settled(found, pod)):
                return False
        return True

    def _condemn(self, found: _Set) -> bool:
        """Pods beyond the wanted numbers go, the highest first; return whether one may go on."""
        for number in sorted(found.pods, reverse=True):
            pod = found.pods[number]
            if number in found.wanted:
                continue
            if not is_going(pod):
                self._delete(found, pod)
            if found.ordered:
                return False
        return True

    def _replace(self, found: _Set) -> None:
        """The highest pod that is not of the update goes, if those above it are well."""
        for number in reversed(found.wanted):
            if number < found.partition:
                return
            pod = found.pods.get(number)
            if pod is None:
                return
            is_old = _revision(pod) != found.update["metadata"]["name"]
            if is_old and not is_going(pod):
                self._delete(found, pod)
                return
            if not self._is_settled(found, pod):
                return

    def _is_settled(self, found: _Set, pod: Object) -> bool:
        return not is_going(pod) and is_available(pod, found.min_ready, self._clock.now())

    def _create(self, found: _Set, number: int) -> None:
        name = f"{found.body['metadata']['name']}-{number}"
        revision = self._revision_for(found, number)
        labels = {
            POD_LABEL: revision["metadata"]["name"],
            _NAME_LABEL: name,
            _INDEX_LABEL: str(number),
        }
        pod = pod_from(found.body, template_of(revision), name, labels=labels)
        pod["spec"]["hostname"] = name
        if found.spec.get("serviceName"):
            pod["spec"]["subdomain"] = found.spec["serviceName"]
        set_name = found.body["metadata"]["name"]
        said = f"create Pod {name} in StatefulSet {set_name} successful"
        self._maker.place(found.body, pod, said)

    def _revision_for(self, found: _Set, number: int) -> Object:
        """Return the revision in which a pod is made anew: below the partition the current one."""
        return found.current if found.rolls and number < found.partition else found.update

    def _delete(self, found: _Set, pod: Object) -> None:
        name, set_name = pod["metadata"]["name"], found.body["metadata"]["name"]
        said = f"delete Pod {name} in StatefulSet {set_name} successful"
        self._maker.delete(pod, found.body, said)

    def _tell_failure(self, found: _Set, refused: QuotaError) -> None:
        pod = str(refused).split('"')[1]
        name = found.body["metadata"]["name"]
        message = f"create Pod {pod} in StatefulSet {name} failed error: {refused}"
        self._recorder.record(
            found.body, "FailedCreate", message, component=COMPONENT, kind="Warning"
        )

    def _write_status(self, found: _Set) -> None:
        now, pods = self._clock.now(), list(found.pods.values())
        staying = [_revision(pod) for pod in pods if not is_going(pod)]
        current, update = found.current["metadata"]["name"], found.update["metadata"]["name"]
        counts = {
            "readyReplicas": sum(map(is_ready, pods)),
            "currentReplicas": staying.count(current),
            "updatedReplicas": staying.count(update),
        }
        if found.rolls and counts["updatedReplicas"] == len(pods) == counts["readyReplicas"]:
            current, counts["currentReplicas"] = update, counts["updatedReplicas"]
        found.body["status"] = {
            "observedGeneration": found.body["metadata"]["generation"],
            "replicas": len(pods),
            **{name: count for name, count in counts.items() if count},
            "currentRevision": current,
            "updateRevision": update,
            "collisionCount": 0,
            "availableReplicas": sum(is_available(pod, found.min_ready, now) for pod in pods),
        }
        self._store.update(STATEFUL_SETS, found.body, subresource="status")


def _revision(pod: Object) -> str:
    labels: dict[str, Any] = pod["metadata"].get("labels") or {}
    return str(labels.get(POD_LABEL, ""))


def _has_ended(pod: Object) -> bool:
    return pod["status"].get("phase") in ("Succeeded", "Failed")
