"""ReplicaSets: so many pods of one template, and word of how they are.

https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/
"""

from dataclasses import dataclass
from typing import Any, Final

from tidegate_dev.kubernetes.controllers.clock import Clock, stamp
from tidegate_dev.kubernetes.controllers.conditions import (
    condition,
    remove_condition,
    set_condition,
)
from tidegate_dev.kubernetes.controllers.events import Recorder
from tidegate_dev.kubernetes.controllers.makers import PodMaker
from tidegate_dev.kubernetes.controllers.ownership import Object, claim, is_going
from tidegate_dev.kubernetes.controllers.pods import (
    is_active,
    is_available,
    is_ready,
    least_missed,
    next_available,
)
from tidegate_dev.kubernetes.controllers.queue import Key, WorkQueue
from tidegate_dev.kubernetes.controllers.quotas import QuotaError
from tidegate_dev.kubernetes.controllers.retries import Retries
from tidegate_dev.kubernetes.resources import PODS, REPLICA_SETS
from tidegate_dev.kubernetes.store import Store

COMPONENT: Final = "replicaset-controller"


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why the number of pods could not be brought to what it should be."""

    reason: str
    message: str


class ReplicaSets:
    """Brings each ReplicaSet to the number of pods that it asks for."""

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

    def sync(self, namespace: str, name: str) -> None:
        """The ReplicaSet has as many pods as it can, and its status says how many."""
        key = Key(REPLICA_SETS, namespace, name)
        replica_set = self._store.get(*key)
        if replica_set is None or is_going(replica_set):
            self._retries.forget(key)
            return
        if self._retries.is_waiting(key):
            failure = _known_failure(replica_set)
        else:
            failure = self._fit(replica_set)
            self._retries.forget(key) if failure is None else self._put_off(key)
        everything = claim(self._store, PODS, replica_set)
        pods = [pod for pod in everything if is_active(pod)]
        self._tell(replica_set, pods, failure, terminating=sum(map(is_going, everything)))
        wait = next_available(pods, _min_ready(replica_set), self._clock.now())
        if wait is not None:
            self._queue.add_later(key, wait)

    def _put_off(self, key: Key) -> None:
        self._queue.add_later(key, self._retries.put_off(key))

    def _fit(self, replica_set: Object) -> _Failure | None:
        """There are as many pods as there should be; return why there are not."""
        pods = self._pods(replica_set)
        missing = int(replica_set["spec"].get("replicas", 1)) - len(pods)
        for pod in least_missed(pods)[:-missing] if missing < 0 else []:
            self._maker.delete(pod, replica_set, f"Deleted pod: {pod['metadata']['name']}")
        for _ in range(missing):
            try:
                self._maker.create(replica_set, replica_set["spec"]["template"])
            except QuotaError as refused:
                message = str(refused)
                self._recorder.record(
                    replica_set,
                    "FailedCreate",
                    f"Error creating: {message}",
                    component=COMPONENT,
                    kind="Warning",
                )
                return _Failure("FailedCreate", message)
        return None

    def _pods(self, replica_set: Object) -> list[Object]:
        return [pod for pod in claim(self._store, PODS, replica_set) if is_active(pod)]

    def _tell(
        self, replica_set: Object, pods: list[Object], failure: _Failure | None, *, terminating: int
    ) -> None:
        now, min_ready = self._clock.now(), _min_ready(replica_set)
        wanted = (replica_set["spec"]["template"].get("metadata") or {}).get("labels") or {}
        counts = {
            "fullyLabeledReplicas": sum(
                wanted.items() <= pod["metadata"]["labels"].items() for pod in pods
            ),
            "readyReplicas": sum(map(is_ready, pods)),
            "availableReplicas": sum(is_available(pod, min_ready, now) for pod in pods),
        }
        old = replica_set.get("status") or {}
        status: dict[str, Any] = {
            "replicas": len(pods),
            **{name: count for name, count in counts.items() if count},
            "terminatingReplicas": terminating,
            "observedGeneration": replica_set["metadata"]["generation"],
            "conditions": list(old.get("conditions") or []),
        }
        if failure is None:
            remove_condition(status, "ReplicaFailure")
        else:
            set_condition(status, _replica_failure(failure, now))
        if not status["conditions"]:
            del status["conditions"]
        replica_set["status"] = status
        self._store.update(REPLICA_SETS, replica_set, subresource="status")


def _known_failure(replica_set: Object) -> _Failure | None:
    """Return why the last try failed."""
    found = condition(replica_set.get("status") or {}, "ReplicaFailure")
    return _Failure(found["reason"], found["message"]) if found else None


def _replica_failure(failure: _Failure, now: float) -> Object:
    return {
        "type": "ReplicaFailure",
        "status": "True",
        "lastTransitionTime": stamp(now),
        "reason": failure.reason,
        "message": failure.message,
    }


def _min_ready(replica_set: Object) -> int:
    return int(replica_set["spec"].get("minReadySeconds", 0))
