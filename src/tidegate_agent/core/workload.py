"""A workload as the agent reads it: a Deployment, a StatefulSet or a DaemonSet.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate_agent.core import fields
from tidegate_agent.core.kinds import DAEMON_SET, Kind
from tidegate_agent.core.request import Target
from tidegate_agent.errors import InputError

RUN: Final = "tidegate.dev/run"
BY: Final = "tidegate.dev/by"
AT: Final = "tidegate.dev/at"
CHANGE_CAUSE: Final = "kubernetes.io/change-cause"
#: https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/objectrestarter.go
RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container of the pod template."""

    name: str
    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One workload as it was read.

    Attributes:
        generation: Counted up with each change of its spec.
        replicas: How many pods it is to have; for a DaemonSet, how many the nodes ask for.
        selector: Which pods are its own, as a label selector's text.
        raw: The object itself.
    """

    target: Target
    uid: str
    resource_version: str
    generation: int
    replicas: int
    paused: bool
    containers: tuple[Container, ...]
    selector: str
    annotations: Mapping[str, str]
    labels: Mapping[str, str]
    raw: Mapping[str, Any]

    @property
    def template(self) -> Mapping[str, Any]:
        """Return the pod template."""
        return fields.mapping(self.raw, "spec", "template")

    @property
    def images(self) -> str:
        """Return its containers' images, as people are told."""
        return ", ".join(container.image for container in self.containers)


def read(kind: Kind, raw: Mapping[str, Any]) -> Workload:
    """Return the workload that an object of the API is."""
    target = Target(
        namespace=fields.text(raw, "metadata", "namespace"),
        kind=kind,
        name=fields.text(raw, "metadata", "name"),
    )
    return Workload(
        target=target,
        uid=fields.text(raw, "metadata", "uid"),
        resource_version=fields.text(raw, "metadata", "resourceVersion"),
        generation=fields.number(raw, "metadata", "generation"),
        replicas=_replicas(kind, raw),
        paused=fields.flag(raw, "spec", "paused"),
        containers=containers(fields.mapping(raw, "spec", "template")),
        selector=selector(fields.mapping(raw, "spec", "selector")),
        annotations=fields.texts(raw, "metadata", "annotations"),
        labels=fields.texts(raw, "metadata", "labels"),
        raw=raw,
    )


def containers(template: Mapping[str, Any]) -> tuple[Container, ...]:
    """Return the containers of a pod template, init containers left out."""
    return tuple(
        Container(name=fields.text(each, "name"), image=fields.text(each, "image"))
        for each in fields.mappings(template, "spec", "containers")
    )


def container(among: tuple[Container, ...], name: str | None) -> Container:
    """Return the container of that name, or the only one there is.

    Raises:
        InputError: There is none of that name, or there are several and none was named.
    """
    names = ", ".join(each.name for each in among)
    if name is None and len(among) != 1:
        raise InputError(f"Say which `container`: there are {names}.", field="container")
    for each in among:
        if name is None or each.name == name:
            return each
    raise InputError(f"There is no container `{name}`; there are {names}.", field="container")


def selector(labels: Mapping[str, Any]) -> str:
    """Return a label selector as a query has it.

    https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
    """
    parts = [f"{name}={value}" for name, value in fields.texts(labels, "matchLabels").items()]
    for each in fields.mappings(labels, "matchExpressions"):
        key, values = fields.text(each, "key"), each.get("values")
        joined = ",".join(str(value) for value in values) if isinstance(values, list) else ""
        match fields.text(each, "operator"):
            case "In":
                parts.append(f"{key} in ({joined})")
            case "NotIn":
                parts.append(f"{key} notin ({joined})")
            case "Exists":
                parts.append(key)
            case "DoesNotExist":
                parts.append(f"!{key}")
            case _:
                parts.append(f"{key},!{key}")  # not understood: nothing rather than too much
    return ",".join(sorted(parts))


def fingerprint(template: Mapping[str, Any]) -> str:
    """Return what two pod templates have in common that are the same (SHA-256, hex)."""
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _replicas(kind: Kind, raw: Mapping[str, Any]) -> int:
    if kind is DAEMON_SET:
        return fields.number(raw, "status", "desiredNumberScheduled")
    return fields.number(raw, "spec", "replicas", default=1)
