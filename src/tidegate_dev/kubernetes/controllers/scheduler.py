"""Gives each pod a node: of those it fits on, the one with the fewest pods.

https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""

from collections.abc import Callable
from typing import Final

from tidegate_dev.kubernetes.controllers.clock import Clock, Timer, stamp
from tidegate_dev.kubernetes.controllers.conditions import set_condition
from tidegate_dev.kubernetes.controllers.events import Recorder
from tidegate_dev.kubernetes.controllers.nodes import fits, is_cordoned, pinned_node
from tidegate_dev.kubernetes.controllers.ownership import Object, is_going
from tidegate_dev.kubernetes.controllers.timings import Timings
from tidegate_dev.kubernetes.resources import NODES, PODS
from tidegate_dev.kubernetes.store import Store

COMPONENT: Final = "default-scheduler"


class Scheduler:
    """Puts pods on nodes, a moment after they were made."""

    def __init__(
        self, store: Store, clock: Clock, recorder: Recorder, timings: Callable[[], Timings]
    ) -> None:
        self._store = store
        self._clock = clock
        self._recorder = recorder
        self._timings = timings
        self._coming: dict[str, Timer] = {}

    def sync(self, pod: Object) -> None:
        """*pod* is going to have a node, if it has none."""
        uid = pod["metadata"]["uid"]
        if pod["spec"].get("nodeName") or is_going(pod) or uid in self._coming:
            return
        place = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        self._coming[uid] = self._clock.call_later(
            self._timings().schedule, lambda: self._decide(uid, *place)
        )

    def stop(self) -> None:
        """Nothing is put anywhere any more."""
        for timer in self._coming.values():
            timer.cancel()
        self._coming.clear()

    def _decide(self, uid: str, namespace: str, name: str) -> None:
        del self._coming[uid]
        pod = self._store.get(PODS, namespace, name)
        if pod is None or pod["metadata"]["uid"] != uid or pod["spec"].get("nodeName"):
            return
        nodes, _ = self._store.list(NODES)
        chosen = self._choose(pod, nodes)
        if chosen is None:
            self._refuse(pod, nodes)
        else:
            self._bind(pod, chosen)

    def _choose(self, pod: Object, nodes: list[Object]) -> str | None:
        pods, _ = self._store.list(PODS)
        load: dict[str, int] = {}
        for other in pods:
            where = other["spec"].get("nodeName", "")
            load[where] = load.get(where, 0) + 1
        only = pinned_node(pod)
        names = [
            node["metadata"]["name"]
            for node in nodes
            if fits(pod["spec"], node)
            # A DaemonSet's pods tolerate that their node takes no others.
            and (only is not None or not is_cordoned(node))
            and only in (None, node["metadata"]["name"])
        ]
        return min(names, key=lambda name: (load.get(name, 0), name), default=None)

    def _bind(self, pod: Object, node: str) -> None:
        metadata = pod["metadata"]
        pod["spec"]["nodeName"] = node
        pod = self._store.update(PODS, pod)
        set_condition(pod["status"], _scheduled("True", self._clock.now()))
        pod = self._store.update(PODS, pod, subresource="status")
        message = f"Successfully assigned {metadata['namespace']}/{metadata['name']} to {node}"
        self._recorder.record(pod, "Scheduled", message, component=COMPONENT)

    def _refuse(self, pod: Object, nodes: list[Object]) -> None:
        message = f"0/{len(nodes)} nodes are available{_why(pod, nodes)}."
        note = _scheduled("False", self._clock.now())
        note |= {"reason": "Unschedulable", "message": message}
        set_condition(pod["status"], note)
        self._store.update(PODS, pod, subresource="status")
        self._recorder.record(pod, "FailedScheduling", message, component=COMPONENT, kind="Warning")


def _scheduled(state: str, now: float) -> Object:
    return {
        "type": "PodScheduled",
        "status": state,
        "lastProbeTime": None,
        "lastTransitionTime": stamp(now),
    }


def _why(pod: Object, nodes: list[Object]) -> str:
    cordoned = sum(is_cordoned(node) for node in nodes)
    others = sum(not fits(pod["spec"], node) for node in nodes if not is_cordoned(node))
    reasons = [
        *([f"{cordoned} node(s) were unschedulable"] if cordoned else []),
        *([f"{others} node(s) didn't match Pod's node affinity/selector"] if others else []),
    ]
    return f": {', '.join(reasons)}" if reasons else ""
