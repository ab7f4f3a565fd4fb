"""The one number of a workload, as an object of its own, so that it can be granted by itself.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/ (Scale, autoscaling/v1)
"""

from typing import Any

from tidegate_dev.kubernetes.admissions import Admissions
from tidegate_dev.kubernetes.calls import Call
from tidegate_dev.kubernetes.errors import ConflictError, NotFoundError, bad_request
from tidegate_dev.kubernetes.store import Store
from tidegate_dev.kubernetes.validation import check_replicas
from tidegate_dev.kubernetes.writing import check_patch_type, patched


class Scaler:
    """Answers get, update and patch of the subresource `scale`."""

    def __init__(self, store: Store, admissions: Admissions) -> None:
        self._store = store
        self._admissions = admissions

    def get(self, call: Call) -> dict[str, Any]:
        """Return the Scale of the workload that the call names.

        Raises:
            NotFoundError: There is none.
        """
        return _scale(self._found(call))

    def update(self, call: Call) -> dict[str, Any]:
        """Return the Scale after it was set to what the call brought.

        Raises:
            StatusError: It is not set, and the error says why.
        """
        return self._set(call, call.object())

    def patch(self, call: Call) -> dict[str, Any]:
        """Return the Scale as the call's patch makes it.

        Raises:
            StatusError: It is not set, and the error says why.
        """
        check_patch_type(call)
        return self._set(call, patched(call, _scale(self._found(call))))

    def _found(self, call: Call) -> dict[str, Any]:
        found = self._store.get(call.resource, call.namespace, call.wanted.name)
        if found is None:
            raise NotFoundError(call.resource, call.wanted.name)
        return found

    def _set(self, call: Call, scale: dict[str, Any]) -> dict[str, Any]:
        workload = self._found(call)
        metadata, spec = scale.get("metadata") or {}, scale.get("spec") or {}
        if not isinstance(metadata, dict) or not isinstance(spec, dict):
            raise bad_request("the object provided is unrecognized: it is no Scale")
        if metadata.get("name", call.wanted.name) != call.wanted.name:
            raise bad_request("the name of the object does not match the name on the URL")
        if metadata.get("uid", workload["metadata"]["uid"]) != workload["metadata"]["uid"]:
            raise ConflictError(call.resource, call.wanted.name)
        replicas = spec.get("replicas", 0)
        check_replicas(call.resource, call.wanted.name, replicas)
        scaled = {**workload, "spec": {**workload["spec"], "replicas": replicas or 0}}
        self._admissions.ask(call, scaled, workload)
        changed = self._store.update(
            call.resource,
            scaled,
            expected=metadata.get("resourceVersion") or None,
            dry_run=call.is_dry_run,
        )
        return _scale(changed)


def _scale(workload: dict[str, Any]) -> dict[str, Any]:
    metadata = workload["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: metadata[field] for field in kept},
        "spec": {"replicas": workload["spec"].get("replicas", 0)},
        "status": {
            "replicas": workload.get("status", {}).get("replicas", 0),
            "selector": _selector(workload["spec"].get("selector") or {}),
        },
    }


def _selector(selector: dict[str, Any]) -> str:
    labels = sorted((selector.get("matchLabels") or {}).items())
    return ",".join(f"{key}={value}" for key, value in labels)
