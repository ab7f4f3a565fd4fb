"""ControllerRevisions: what the template of a StatefulSet or DaemonSet was before.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/controller-revision-v1/
"""

from collections.abc import Collection
from typing import Final

from tidegate_dev.kubernetes.controllers.names import fingerprint
from tidegate_dev.kubernetes.controllers.ownership import Object, owned, reference
from tidegate_dev.kubernetes.defaults import fill_in
from tidegate_dev.kubernetes.resources import CONTROLLER_REVISIONS, REPLICA_SETS
from tidegate_dev.kubernetes.store import Store
from tidegate_dev.kubernetes.watches import copied

POD_LABEL: Final = "controller-revision-hash"
_SET_LABEL: Final = "controller.kubernetes.io/hash"
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_DEFAULT_LIMIT: Final = 10


class Revisions:
    """The past of workloads that make their pods themselves."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, workload: Object) -> list[Object]:
        """Return the revisions of *workload*, oldest first."""
        found = owned(self._store, CONTROLLER_REVISIONS, workload)
        return sorted(found, key=lambda entry: (entry["revision"], entry["metadata"]["name"]))

    def current(self, workload: Object) -> Object:
        """Return the revision of the template as it is now; it is the newest."""
        known = self.of(workload)
        data = _data(workload)
        number = known[-1]["revision"] + 1 if known else 1
        same = next((entry for entry in reversed(known) if entry["data"] == data), None)
        if same is None:
            return self._create(workload, data, number)
        if same is not known[-1]:
            same["revision"] = number
        same["metadata"]["annotations"] = _annotations(workload)
        return self._store.update(CONTROLLER_REVISIONS, same)

    def truncate(self, workload: Object, live: Collection[str]) -> None:
        """Of the revisions that no pod has, no more are kept than `revisionHistoryLimit`.

        *live* are the names, or the hashes, of those in use.
        """
        limit = int(workload["spec"].get("revisionHistoryLimit", _DEFAULT_LIMIT))
        past = [
            entry
            for entry in self.of(workload)
            if entry["metadata"]["name"] not in live and hash_of(entry) not in live
        ]
        for entry in past[: max(0, len(past) - limit)]:
            metadata = entry["metadata"]
            self._store.delete(CONTROLLER_REVISIONS, metadata["namespace"], metadata["name"])

    def _create(self, workload: Object, data: Object, number: int) -> Object:
        metadata = workload["metadata"]
        collisions = 0
        while True:
            hashed = fingerprint(data, collisions)
            name = f"{metadata['name']}-{hashed}"
            if self._store.get(CONTROLLER_REVISIONS, metadata["namespace"], name) is None:
                break
            collisions += 1
        labels = (workload["spec"]["template"].get("metadata") or {}).get("labels") or {}
        label = POD_LABEL if workload["kind"] == "DaemonSet" else _SET_LABEL
        made = {
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "labels": {**labels, label: hashed},
                "annotations": _annotations(workload),
                "ownerReferences": [reference(workload)],
            },
            "data": data,
            "revision": number,
        }
        return self._store.create(CONTROLLER_REVISIONS, made)


def hash_of(entry: Object) -> str:
    """Return the hash in a revision's labels."""
    labels = entry["metadata"].get("labels") or {}
    return str(labels.get(POD_LABEL) or labels.get(_SET_LABEL) or "")


def template_of(entry: Object) -> Object:
    """Return the pod template that a revision keeps."""
    template: Object = copied(entry["data"]["spec"]["template"])
    template.pop("$patch", None)
    return template


def _data(workload: Object) -> Object:
    """Return what is kept: a strategic merge patch that brings the template back."""
    holder: Object = {"spec": {"template": copied(workload["spec"]["template"])}}
    fill_in(REPLICA_SETS, holder)
    return {"spec": {"template": {**holder["spec"]["template"], "$patch": "replace"}}}


def _annotations(workload: Object) -> dict[str, str]:
    found = workload["metadata"].get("annotations") or {}
    return {name: value for name, value in found.items() if name != _LAST_APPLIED}
