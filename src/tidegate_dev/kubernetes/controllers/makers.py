"""Making and ending pods on behalf of a controller, with the events that tell of it."""

from collections.abc import Mapping
from random import Random
from typing import Final

from tidegate_dev.kubernetes.controllers.events import Recorder
from tidegate_dev.kubernetes.controllers.names import generated
from tidegate_dev.kubernetes.controllers.ownership import Object
from tidegate_dev.kubernetes.controllers.pods import pod_from
from tidegate_dev.kubernetes.controllers.quotas import Quotas
from tidegate_dev.kubernetes.resources import PODS
from tidegate_dev.kubernetes.store import NotFoundError, Store

_COMPONENTS: Final = {
    "ReplicaSet": "replicaset-controller",
    "DaemonSet": "daemonset-controller",
    "StatefulSet": "statefulset-controller",
}


class PodMaker:
    """Creates and deletes the pods of ReplicaSets, DaemonSets and StatefulSets."""

    def __init__(self, store: Store, recorder: Recorder, quotas: Quotas, random: Random) -> None:
        self._store = store
        self._recorder = recorder
        self._quotas = quotas
        self._random = random

    def create(
        self, owner: Object, template: Object, *, labels: Mapping[str, str] | None = None
    ) -> Object:
        """Return a new pod of *template* under a name of its own.

        Raises:
            QuotaError: The namespace may not have one more.
        """
        base = f"{owner['metadata']['name']}-"
        name = generated(base, self._random)
        while self._store.get(PODS, owner["metadata"]["namespace"], name) is not None:
            name = generated(base, self._random)
        pod = pod_from(owner, template, name, labels=labels)
        pod["metadata"]["generateName"] = base
        return self.place(owner, pod, f"Created pod: {name}")

    def place(self, owner: Object, pod: Object, message: str) -> Object:
        """Return *pod*, which is there now.

        Raises:
            QuotaError: The namespace may not have one more.
        """
        self._quotas.admit(pod["metadata"]["namespace"], pod["metadata"]["name"])
        made = self._store.create(PODS, pod)
        self._record(owner, "SuccessfulCreate", message)
        return made

    def delete(self, pod: Object, owner: Object, message: str) -> None:
        """*pod* is on its way out."""
        metadata = pod["metadata"]
        try:
            self._store.delete(PODS, metadata["namespace"], metadata["name"], uid=metadata["uid"])
        except NotFoundError:
            return
        self._record(owner, "SuccessfulDelete", message)

    def _record(self, owner: Object, reason: str, message: str) -> None:
        self._recorder.record(owner, reason, message, component=_COMPONENTS[owner["kind"]])
