"""All controllers of the cluster, told by the store of what has changed."""

import asyncio
from collections.abc import Callable
from random import Random
from types import TracebackType
from typing import Final, Self

from tidegate_dev.kubernetes.controllers.autoscalers import Autoscalers
from tidegate_dev.kubernetes.controllers.clock import Clock, LoopClock
from tidegate_dev.kubernetes.controllers.daemon_sets import DaemonSets
from tidegate_dev.kubernetes.controllers.deployments.controller import Deployments
from tidegate_dev.kubernetes.controllers.events import Recorder
from tidegate_dev.kubernetes.controllers.faults import Faults
from tidegate_dev.kubernetes.controllers.kubelet import Kubelet
from tidegate_dev.kubernetes.controllers.makers import PodMaker
from tidegate_dev.kubernetes.controllers.nodes import NAMES, node
from tidegate_dev.kubernetes.controllers.ownership import Object, controller_of
from tidegate_dev.kubernetes.controllers.queue import Key, WorkQueue
from tidegate_dev.kubernetes.controllers.quotas import Quotas
from tidegate_dev.kubernetes.controllers.replica_sets import ReplicaSets
from tidegate_dev.kubernetes.controllers.retries import Retries
from tidegate_dev.kubernetes.controllers.scheduler import Scheduler
from tidegate_dev.kubernetes.controllers.stateful_sets import StatefulSets
from tidegate_dev.kubernetes.controllers.timings import Timings
from tidegate_dev.kubernetes.logs import Logs
from tidegate_dev.kubernetes.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    NODES,
    PODS,
    REPLICA_SETS,
    RESOURCE_QUOTAS,
    STATEFUL_SETS,
    Resource,
)
from tidegate_dev.kubernetes.store import Store
from tidegate_dev.kubernetes.watches import WatchEvent

# Pods first, then what counts them, then what counts that: nobody works on stale numbers.
_RANKS: Final = {
    PODS: 0,
    RESOURCE_QUOTAS: 1,
    REPLICA_SETS: 1,
    STATEFUL_SETS: 1,
    DAEMON_SETS: 1,
    DEPLOYMENTS: 2,
    HORIZONTAL_POD_AUTOSCALERS: 3,
}
_ADOPTERS: Final = {PODS: (REPLICA_SETS, DAEMON_SETS), REPLICA_SETS: (DEPLOYMENTS,)}
_KINDS: Final = {resource.kind: resource for resource in _RANKS}
_QUIET_TURNS: Final = 10  # turns of the loop; one step of anything takes fewer
_SCALED: Final = (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS)


class Controllers:
    """Makes the cluster do what its objects ask for; an async context manager.

    Everything happens in the event loop that it is started in, and nothing happens while nothing
    is due.

    Args:
        timings: How long things take; `timings` may be set anew at any time.
        faults: What goes wrong.
        clock: The time; by default the machine's and the running loop's.
        random: Makes names; a seeded one makes the same names each time.
        nodes: The nodes that are there when none is.
        kubelets: Whether nodes run the pods that they are given. Without, no node is there by
            itself, and pods wait for whoever speaks for one through the API.
    """

    def __init__(
        self,
        store: Store,
        logs: Logs,
        *,
        timings: Timings | None = None,
        faults: Faults | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        nodes: tuple[str, ...] = NAMES,
        kubelets: bool = True,
    ) -> None:
        self.timings = timings or Timings()
        self.faults = faults or Faults()
        self._store = store
        self._clock = clock or LoopClock()
        self._nodes = nodes if kubelets else ()
        self._kubelets = kubelets
        self._unsubscribe: Callable[[], None] | None = None
        # Names need to differ, not to be unguessable.
        self._build(store, logs, random or Random())  # noqa: S311

    def _build(self, store: Store, logs: Logs, random: Random) -> None:
        clock = self._clock
        self._queue = WorkQueue(clock, _RANKS, self._sync)
        self._recorder = Recorder(store, clock, life=self.timings.event_life)
        self._scheduler = Scheduler(store, clock, self._recorder, lambda: self.timings)
        self._kubelet = Kubelet(
            store, clock, self._recorder, logs, self.faults, lambda: self.timings, random
        )
        quotas = Quotas(store)
        maker = PodMaker(store, self._recorder, quotas, random)
        retries = self._retries = Retries(clock, lambda: self.timings)
        common = (store, clock, self._recorder, maker, self._queue, retries)
        self._workers: dict[Resource, Callable[[str, str], None]] = {
            PODS: self._sync_pod,
            RESOURCE_QUOTAS: quotas.sync,
            REPLICA_SETS: ReplicaSets(*common).sync,
            STATEFUL_SETS: StatefulSets(*common).sync,
            DAEMON_SETS: DaemonSets(*common).sync,
            DEPLOYMENTS: Deployments(store, clock, self._recorder, self._queue).sync,
            HORIZONTAL_POD_AUTOSCALERS: Autoscalers(store, clock).sync,
        }

    def start(self) -> None:
        """The controllers work, on what is there already as well."""
        if self._unsubscribe is not None:
            return
        self._store.has_kubelet = True
        self._unsubscribe = self._store.subscribe(self._notice)
        if not self._store.list(NODES)[0]:
            now = self._clock.now()
            for number, name in enumerate(self._nodes, 1):
                self._store.create(NODES, node(name, number, now))
        for resource in _RANKS:
            self._add_all(resource)
        self._queue.start()

    def stop(self) -> None:
        """Nothing is done any more; what is half-way stays so until the next start."""
        if self._unsubscribe is None:
            return
        self._unsubscribe()
        self._unsubscribe = None
        self._store.has_kubelet = False
        self._queue.stop()
        self._scheduler.stop()
        self._kubelet.stop()
        self._recorder.stop()

    async def catch_up(self) -> None:
        """What is asked for now is brought about in no time, as if it had always been so."""
        usual, self.timings = self.timings, self.timings.at_once()
        try:
            quiet, version = 0, ""
            while quiet < _QUIET_TURNS:
                await asyncio.sleep(0)
                quiet = quiet + 1 if self._store.version == version else 0
                version = self._store.version
        finally:
            self.timings = usual

    async def __aenter__(self) -> Self:
        """Start."""
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def _sync(self, key: Key) -> None:
        self._workers[key.resource](key.namespace, key.name)

    def _sync_pod(self, namespace: str, name: str) -> None:
        pod = self._store.get(PODS, namespace, name)
        if pod is not None and self._is_stranded(pod):
            self._store.delete(PODS, namespace, name, grace_seconds=0)
        elif pod is not None:
            self._scheduler.sync(pod)
        if self._kubelets:
            self._kubelet.sync(namespace, name)

    def _is_stranded(self, pod: Object) -> bool:
        """Return whether the node of *pod* is no more."""
        node = pod["spec"].get("nodeName")
        return bool(node) and self._store.get(NODES, None, node) is None

    def _notice(self, event: WatchEvent) -> None:
        """Whoever has to do with what changed looks at it again."""
        obj, resource = event.object, event.resource
        namespace = obj["metadata"].get("namespace", "")
        self._queue.add(Key(resource, namespace, obj["metadata"]["name"]))
        self._add_owner(obj)
        if controller_of(obj) is None:
            for adopters in _ADOPTERS.get(resource, ()):
                self._add_all(adopters, namespace)
        if resource is PODS:
            self._add_all(RESOURCE_QUOTAS, namespace)
            if event.type == "DELETED":
                self._notice_room(namespace)
        elif resource is NODES:
            self._add_all(DAEMON_SETS)
            self._add_all(PODS)
        elif resource is RESOURCE_QUOTAS and _asks_otherwise(event):
            self._notice_room(namespace)
        elif resource in _SCALED:
            self._add_all(HORIZONTAL_POD_AUTOSCALERS, namespace)

    def _notice_room(self, namespace: str) -> None:
        """A pod has gone, or a quota has changed: what waited for room is tried again."""
        for key in self._retries.hurry(namespace):
            self._queue.add(key)

    def _add_owner(self, obj: Object) -> None:
        """What controls *obj* is looked at again."""
        owner = controller_of(obj)
        resource = _KINDS.get(owner["kind"]) if owner else None
        if owner is not None and resource is not None:
            self._queue.add(Key(resource, obj["metadata"]["namespace"], owner["name"]))

    def _add_all(self, resource: Resource, namespace: str | None = None) -> None:
        for obj in self._store.list(resource, namespace)[0]:
            metadata = obj["metadata"]
            self._queue.add(Key(resource, metadata.get("namespace", ""), metadata["name"]))


def _asks_otherwise(event: WatchEvent) -> bool:
    """Return whether more than the status of what *event* is about has changed."""
    before = event.previous or {}
    return event.type == "DELETED" or before.get("spec") != event.object.get("spec")
