"""What an object may not say, in the words of Kubernetes' own validation.

k8s.io/kubernetes/pkg/apis/{apps,core,rbac}/validation, k8s.io/apimachinery/pkg/util/validation.
Types come first: what cannot be decoded is a bad request, what breaks a rule is invalid.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tidegate_dev.kubernetes.errors import (
    DUPLICATE,
    INVALID,
    REQUIRED,
    UNSUPPORTED,
    Cause,
    InvalidError,
    StatusError,
    bad_request,
)
from tidegate_dev.kubernetes.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    DAEMON_SETS,
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    ROLE_BINDINGS,
    ROLES,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)
from tidegate_dev.kubernetes.selectors import selector_test

_WORKLOADS: Final = (DAEMON_SETS, DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS)
_SEGMENT_NAMES: Final = (CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, ROLES, ROLE_BINDINGS)
_LABEL_NAMES: Final = (NAMESPACES, SERVICES)

_LABEL: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_LABEL: Final = re.compile(_LABEL)
_DNS_SUBDOMAIN: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_QUALIFIED: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_RELATIVE: Final = re.compile(r"[0-9]+%")
_LABEL_WORDS: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_WORDS: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_VALUE_WORDS: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_KEY_WORDS: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_NOT_NEGATIVE: Final = "must be greater than or equal to 0"
_MAX_ANNOTATION_BYTES: Final = 256 * 1024
_MAX_REPLICAS: Final = 2**31 - 1


def check(resource: Resource, obj: dict[str, Any], old: dict[str, Any] | None = None) -> None:
    """*obj* may be kept; with *old*, in its place.

    Raises:
        StatusError: It may not be, and the error says everything that is wrong with it.
    """
    name = str(obj.get("metadata", {}).get("name") or "")
    try:
        causes = list(_causes(resource, obj, old))
    except (AttributeError, KeyError, TypeError) as error:
        raise _undecodable(resource) from error
    if causes:
        raise InvalidError(resource, name, causes)


def check_replicas(resource: Resource, name: str, replicas: object) -> None:
    """*replicas* is a number of pods that can be asked for.

    Raises:
        StatusError: It is not.
    """
    try:
        causes = list(_natural({"replicas": replicas}, "spec", "replicas"))
    except TypeError:
        message = "json: cannot unmarshal into Go struct field ScaleSpec.spec.replicas"
        raise bad_request(message) from None
    if causes:
        raise InvalidError(resource, name, causes)


def _undecodable(resource: Resource) -> StatusError:
    return bad_request(
        f'{resource.kind} in version "{resource.version}" cannot be handled as a '
        f"{resource.kind}: json: cannot unmarshal a value of another type"
    )


def _causes(resource: Resource, obj: dict[str, Any], old: dict[str, Any] | None) -> Iterator[Cause]:
    yield from _name(resource, obj["metadata"])
    yield from _metadata(obj["metadata"], "metadata")
    if resource in _WORKLOADS:
        yield from _workload(resource, obj["spec"], (old or {}).get("spec"))
    if resource is PODS:
        yield from _pod_spec(obj["spec"], "spec")
        if old is not None:
            yield from _pod_change(obj["spec"], old["spec"])
    further = _FURTHER.get(resource)
    if further is not None:
        yield from further(obj, old)


# --- metadata --------------------------------------------------------------------


def _name(resource: Resource, metadata: dict[str, Any]) -> Iterator[Cause]:
    name = metadata.get("name") or ""
    if not name:
        yield Cause("metadata.name", REQUIRED, "Required value: name or generateName is required")
    elif resource in _SEGMENT_NAMES:
        if name in (".", "..") or "/" in name or "%" in name:
            words = "may not be '.' or '..', nor contain '/' or '%'"
            yield _invalid("metadata.name", name, words)
    elif resource in _LABEL_NAMES:
        yield from _dns_label(name, "metadata.name")
    elif not _DNS_SUBDOMAIN.fullmatch(name):
        yield _invalid("metadata.name", name, _SUBDOMAIN_WORDS)
    elif len(name) > 253:
        yield _invalid("metadata.name", name, "must be no more than 253 bytes")


def _metadata(metadata: dict[str, Any], path: str) -> Iterator[Cause]:
    for key, value in (metadata.get("labels") or {}).items():
        yield from _label_key(key, f"{path}.labels")
        if len(value) > 63:
            yield _invalid(f"{path}.labels", value, "must be no more than 63 bytes")
        if value and not _QUALIFIED.fullmatch(value):
            yield _invalid(f"{path}.labels", value, _VALUE_WORDS)
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        yield from _label_key(key.lower(), f"{path}.annotations")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > _MAX_ANNOTATION_BYTES:
        words = f"Too long: may not be more than {_MAX_ANNOTATION_BYTES} bytes"
        yield Cause(f"{path}.annotations", "FieldValueTooLong", words)


def _label_key(key: str, path: str) -> Iterator[Cause]:
    prefix, slash, name = key.rpartition("/")
    if slash and not _DNS_SUBDOMAIN.fullmatch(prefix):
        yield _invalid(path, key, f"prefix part {_SUBDOMAIN_WORDS}")
    if not _QUALIFIED.fullmatch(name):
        yield _invalid(path, key, _KEY_WORDS)
    elif len(name) > 63:
        yield _invalid(path, key, "name part must be no more than 63 bytes")


def _dns_label(name: str, path: str) -> Iterator[Cause]:
    if len(name) > 63:
        yield _invalid(path, name, "must be no more than 63 bytes")
    elif not _DNS_LABEL.fullmatch(name):
        yield _invalid(path, name, _LABEL_WORDS)


# --- workloads -------------------------------------------------------------------


def _workload(
    resource: Resource, spec: dict[str, Any], old: dict[str, Any] | None
) -> Iterator[Cause]:
    for field in ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        yield from _natural(spec, "spec", field)
    yield from _selector(spec, resource.singular)
    yield from _metadata(spec["template"].get("metadata") or {}, "spec.template.metadata")
    yield from _pod_spec(spec["template"]["spec"], "spec.template.spec")
    if spec["template"]["spec"].get("restartPolicy") != "Always":
        yield Cause(
            "spec.template.spec.restartPolicy",
            UNSUPPORTED,
            f'Unsupported value: "{spec["template"]["spec"].get("restartPolicy")}": '
            'supported values: "Always"',
        )
    yield from _strategy(resource, spec)
    if old is not None and spec.get("selector") != old["selector"]:
        yield _invalid("spec.selector", spec.get("selector"), "field is immutable")
    if old is not None and resource is STATEFUL_SETS:
        yield from _stateful_change(spec, old)


def _selector(spec: dict[str, Any], singular: str) -> Iterator[Cause]:
    selector = spec.get("selector")
    if selector is None:
        yield Cause("spec.selector", REQUIRED, "Required value")
        return
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield _invalid("spec.selector", selector, f"empty selector is invalid for {singular}")
        return
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    if not selector_test(selector)(labels):
        words = "`selector` does not match template `labels`"
        yield _invalid("spec.template.metadata.labels", labels, words)


def _strategy(resource: Resource, spec: dict[str, Any]) -> Iterator[Cause]:
    field = "strategy" if resource is DEPLOYMENTS else "updateStrategy"
    strategy = spec.get(field)
    if strategy is None:
        return
    other = "Recreate" if resource is DEPLOYMENTS else "OnDelete"
    if strategy["type"] not in (other, "RollingUpdate"):
        words = (
            f'Unsupported value: "{strategy["type"]}": supported values: "{other}", "RollingUpdate"'
        )
        yield Cause(f"spec.{field}.type", UNSUPPORTED, words)
    rolling = strategy.get("rollingUpdate")
    if rolling is None:
        return
    if strategy["type"] == other and resource is DEPLOYMENTS:
        words = f"Forbidden: may not be specified when strategy `type` is '{other}'"
        yield Cause(f"spec.{field}.rollingUpdate", "FieldValueForbidden", words)
        return
    path = f"spec.{field}.rollingUpdate"
    for limit in ("maxUnavailable", "maxSurge"):
        yield from _count_or_percent(rolling.get(limit, 1), f"{path}.{limit}")
    if resource is DEPLOYMENTS and all(
        str(rolling.get(limit)) in ("0", "0%") for limit in ("maxUnavailable", "maxSurge")
    ):
        words = "may not be 0 when `maxSurge` is 0"
        yield _invalid(f"{path}.maxUnavailable", rolling["maxUnavailable"], words)


def _count_or_percent(value: object, path: str) -> Iterator[Cause]:
    if isinstance(value, str):
        if not _RELATIVE.fullmatch(value):
            words = "a valid percent string must be a numeric string followed by an ending '%'"
            yield _invalid(path, value, f"{words} (e.g. '1%',  or '93%')")
    elif not _is_integer(value) or int(str(value)) < 0:
        yield _invalid(path, value, _NOT_NEGATIVE)


def _stateful_change(spec: dict[str, Any], old: dict[str, Any]) -> Iterator[Cause]:
    for field in ("serviceName", "podManagementPolicy", "volumeClaimTemplates"):
        if spec.get(field) != old.get(field):
            yield Cause(
                "spec",
                "FieldValueForbidden",
                "Forbidden: updates to statefulset spec for fields other than 'replicas', "
                "'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
                "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
            )
            return


# --- pods ------------------------------------------------------------------------


def _pod_spec(spec: dict[str, Any], path: str) -> Iterator[Cause]:
    containers = spec.get("containers") or []
    if not containers:
        yield Cause(f"{path}.containers", REQUIRED, "Required value")
    names: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or []):
            yield from _container(container, f"{path}.{field}[{index}]", names)


def _container(container: dict[str, Any], path: str, names: set[str]) -> Iterator[Cause]:
    name = container.get("name") or ""
    if not name:
        yield Cause(f"{path}.name", REQUIRED, "Required value")
    else:
        yield from _dns_label(name, f"{path}.name")
        if name in names:
            yield Cause(f"{path}.name", DUPLICATE, f'Duplicate value: "{name}"')
        names.add(name)
    image = container.get("image") or ""
    if not image:
        yield Cause(f"{path}.image", REQUIRED, "Required value")
    elif image != image.strip():
        yield _invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    if container["imagePullPolicy"] not in ("Always", "IfNotPresent", "Never"):
        words = f'Unsupported value: "{container["imagePullPolicy"]}": supported values: "Always", '
        yield Cause(f"{path}.imagePullPolicy", UNSUPPORTED, words + '"IfNotPresent", "Never"')
    for index, port in enumerate(container.get("ports") or []):
        yield from _port(port.get("containerPort"), f"{path}.ports[{index}].containerPort")
    for index, variable in enumerate(container.get("env") or []):
        if not variable.get("name"):
            yield Cause(f"{path}.env[{index}].name", REQUIRED, "Required value")


def _pod_change(spec: dict[str, Any], old: dict[str, Any]) -> Iterator[Cause]:
    """A pod's spec stays as it is, but for its images, its node, and a few more."""
    if _fixed(spec) != _fixed(old):
        yield Cause(
            "spec",
            "FieldValueForbidden",
            "Forbidden: pod updates may not change fields other than "
            "`spec.containers[*].image`,`spec.initContainers[*].image`,"
            "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
            "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
            "previously negative)",
        )


def _fixed(spec: dict[str, Any]) -> dict[str, Any]:
    free = ("activeDeadlineSeconds", "tolerations", "nodeName", "containers", "initContainers")
    fixed = {key: value for key, value in spec.items() if key not in free}
    for field in ("containers", "initContainers"):
        fixed[field] = [
            {key: value for key, value in container.items() if key != "image"}
            for container in spec.get(field) or []
        ]
    return fixed


# --- the others --------------------------------------------------------------------


def _binding(obj: dict[str, Any], old: dict[str, Any] | None) -> Iterator[Cause]:
    reference = obj["roleRef"]
    if not reference.get("name"):
        yield Cause("roleRef.name", REQUIRED, "Required value")
    if reference.get("kind") not in ("Role", "ClusterRole"):
        words = f'Unsupported value: "{reference.get("kind", "")}": supported values: "ClusterRole"'
        yield Cause("roleRef.kind", UNSUPPORTED, words)
    for index, subject in enumerate(obj.get("subjects") or []):
        if not subject.get("name"):
            yield Cause(f"subjects[{index}].name", REQUIRED, "Required value")
        if subject.get("kind") not in ("User", "Group", "ServiceAccount"):
            words = f'Unsupported value: "{subject.get("kind", "")}": supported values: "Group", '
            yield Cause(f"subjects[{index}].kind", UNSUPPORTED, words + '"ServiceAccount", "User"')
    if old is not None and reference != old["roleRef"]:
        yield _invalid("roleRef", reference, "cannot change roleRef")


def _role(obj: dict[str, Any], old: dict[str, Any] | None) -> Iterator[Cause]:  # noqa: ARG001
    for index, rule in enumerate(obj.get("rules") or []):
        if not rule.get("verbs"):
            words = "Required value: verbs must contain at least one value"
            yield Cause(f"rules[{index}].verbs", REQUIRED, words)
        if rule.get("nonResourceURLs"):
            continue
        for field in ("apiGroups", "resources"):
            if not rule.get(field):
                words = f"Required value: resource rules must supply at least one {field[:-1]}"
                yield Cause(f"rules[{index}].{field}", REQUIRED, words)


def _autoscaler(obj: dict[str, Any], old: dict[str, Any] | None) -> Iterator[Cause]:  # noqa: ARG001
    spec = obj["spec"]
    if not (spec.get("scaleTargetRef") or {}).get("name"):
        yield Cause("spec.scaleTargetRef.name", REQUIRED, "Required value")
    least, most = spec["minReplicas"], spec.get("maxReplicas")
    if not _is_integer(most) or most < 1:
        yield _invalid("spec.maxReplicas", most, "must be greater than 0")
    elif most < least:
        words = "must be greater than or equal to `minReplicas`"
        yield _invalid("spec.maxReplicas", most, words)


def _service(obj: dict[str, Any], old: dict[str, Any] | None) -> Iterator[Cause]:  # noqa: ARG001
    spec = obj["spec"]
    ports = spec.get("ports") or []
    if not ports and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
        yield Cause("spec.ports", REQUIRED, "Required value")
    for index, port in enumerate(ports):
        yield from _port(port.get("port"), f"spec.ports[{index}].port")


def _port(number: object, path: str) -> Iterator[Cause]:
    if not isinstance(number, int) or not 0 < number < 65536:
        yield _invalid(path, number, "must be between 1 and 65535, inclusive")


_Check = Callable[[dict[str, Any], dict[str, Any] | None], Iterator[Cause]]
_FURTHER: Final[Mapping[Resource, _Check]] = {
    CLUSTER_ROLES: _role,
    CLUSTER_ROLE_BINDINGS: _binding,
    HORIZONTAL_POD_AUTOSCALERS: _autoscaler,
    ROLES: _role,
    ROLE_BINDINGS: _binding,
    SERVICES: _service,
}


def _natural(holder: dict[str, Any], path: str, field: str) -> Iterator[Cause]:
    value = holder.get(field)
    if value is None:
        return
    if not _is_integer(value) or value > _MAX_REPLICAS:
        raise TypeError(field)
    if value < 0:
        yield _invalid(f"{path}.{field}", value, _NOT_NEGATIVE)


def _invalid(field: str, value: object, words: str) -> Cause:
    said = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Cause(field, INVALID, f"Invalid value: {said}: {words}")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
