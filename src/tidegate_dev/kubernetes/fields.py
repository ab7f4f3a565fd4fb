"""Which fields the objects have that people write by hand; another is a slip of the pen.

A server keeps no field that it does not know, and says so where `fieldValidation=Strict` asks; a
field of another type than it has cannot even be read.
https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tidegate_dev.kubernetes.errors import bad_request
from tidegate_dev.kubernetes.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    PODS,
    REPLICA_SETS,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)

Shape = Mapping[str, "Shape | None"]
"""The fields of an object, and theirs; None where a type is all there is. A list has its items'."""

_LISTS: Final = frozenset(
    {
        "containers",
        "env",
        "envFrom",
        "ephemeralContainers",
        "initContainers",
        "matchExpressions",
        "metrics",
        "ownerReferences",
        "ports",
        "rules",
        "subjects",
        "volumeMounts",
    }
)
"""The fields with a shape that hold many of it."""


def _types(**names: str) -> dict[str, str]:
    return {name: kind for kind, listed in names.items() for name in listed.split()}


_TYPES: Final = _types(
    text="apiGroup apiVersion clusterIP component fieldPath firstTimestamp generateName image "
    "imagePullPolicy key kind lastTimestamp message name namespace operator podManagementPolicy "
    "protocol reason reportingComponent restartPolicy serviceAccountName serviceName type uid "
    "value",
    number="averageUtilization containerPort count hostPort maxReplicas minReadySeconds "
    "minReplicas nodePort port progressDeadlineSeconds replicas revisionHistoryLimit "
    "terminationGracePeriodSeconds",
    flag="controller immutable paused",
    map="annotations labels matchLabels nodeSelector",
    quantities="hard limits requests",
    object="securityContext series status",
    texts="apiGroups args command externalIPs finalizers nonResourceURLs resourceNames values "
    "verbs",
)
"""Of which type fields are, wherever they are."""


def _shape(fields: str, **shaped: Shape) -> Shape:
    return {**dict.fromkeys(fields.split()), **shaped}


_METADATA: Final = _shape(
    "annotations creationTimestamp deletionGracePeriodSeconds deletionTimestamp finalizers "
    "generateName generation labels managedFields name namespace resourceVersion selfLink uid",
    ownerReferences=_shape("apiVersion blockOwnerDeletion controller kind name uid"),
)
_SELECTOR: Final = _shape("matchLabels", matchExpressions=_shape("key operator values"))
_PROBE: Final = _shape(
    "exec failureThreshold grpc httpGet initialDelaySeconds periodSeconds successThreshold "
    "tcpSocket terminationGracePeriodSeconds timeoutSeconds"
)
_CONTAINER: Final = _shape(
    "args command image imagePullPolicy lifecycle name resizePolicy restartPolicy "
    "restartPolicyRules securityContext stdin stdinOnce targetContainerName "
    "terminationMessagePath terminationMessagePolicy tty volumeDevices workingDir",
    env=_shape("name value valueFrom"),
    envFrom=_shape("configMapRef prefix secretRef"),
    livenessProbe=_PROBE,
    ports=_shape("containerPort hostIP hostPort name protocol"),
    readinessProbe=_PROBE,
    resources=_shape("claims limits requests"),
    startupProbe=_PROBE,
    volumeMounts=_shape(
        "mountPath mountPropagation name readOnly recursiveReadOnly subPath subPathExpr"
    ),
)
_POD_SPEC: Final = _shape(
    "activeDeadlineSeconds affinity automountServiceAccountToken dnsConfig dnsPolicy "
    "enableServiceLinks hostAliases hostIPC hostNetwork hostPID hostUsers hostname "
    "hostnameOverride imagePullSecrets nodeName nodeSelector os overhead preemptionPolicy "
    "priority priorityClassName readinessGates resourceClaims resources restartPolicy "
    "runtimeClassName schedulerName schedulingGates schedulingGroup securityContext "
    "serviceAccount serviceAccountName setHostnameAsFQDN shareProcessNamespace subdomain "
    "terminationGracePeriodSeconds tolerations topologySpreadConstraints volumes workloadRef",
    containers=_CONTAINER,
    ephemeralContainers=_CONTAINER,
    initContainers=_CONTAINER,
)
_TEMPLATE: Final = _shape("", metadata=_METADATA, spec=_POD_SPEC)
_ROLLING: Final = _shape("type", rollingUpdate=_shape("maxSurge maxUnavailable partition"))
_RULE: Final = _shape("apiGroups nonResourceURLs resourceNames resources verbs")


def _object(fields: str = "", **shaped: Shape) -> Shape:
    return _shape(f"apiVersion kind status {fields}", metadata=_METADATA, **shaped)


def _workload(fields: str, **shaped: Shape) -> Shape:
    return _object(spec=_shape(fields, selector=_SELECTOR, template=_TEMPLATE, **shaped))


_BINDING: Final = _object(
    roleRef=_shape("apiGroup kind name"), subjects=_shape("apiGroup kind name namespace")
)
_ANY: Final = _shape("", metadata=_METADATA)
"""The shape of an object whose fields are not known here, but for those that all have."""

_RULE_TYPES: Final = {"resources": "texts"}
_MORE_TYPES: Final[Mapping[Resource, Mapping[str, str]]] = {
    CLUSTER_ROLES: _RULE_TYPES,
    CONFIG_MAPS: {"data": "map", "binaryData": "map"},
    ROLES: _RULE_TYPES,
    SECRETS: {"data": "map", "stringData": "map"},
    SERVICES: {"selector": "map"},
    SERVICE_ACCOUNTS: {"imagePullSecrets": "array", "secrets": "array"},
}
_SHAPES: Final[Mapping[Resource, Shape]] = {
    CLUSTER_ROLES: _object("aggregationRule", rules=_RULE),
    CLUSTER_ROLE_BINDINGS: _BINDING,
    CONFIG_MAPS: _object("binaryData data immutable"),
    DAEMON_SETS: _workload("minReadySeconds revisionHistoryLimit", updateStrategy=_ROLLING),
    DEPLOYMENTS: _workload(
        "minReadySeconds paused progressDeadlineSeconds replicas revisionHistoryLimit",
        strategy=_ROLLING,
    ),
    HORIZONTAL_POD_AUTOSCALERS: _object(
        spec=_shape(
            "behavior maxReplicas minReplicas",
            metrics=_shape(
                "containerResource external object pods type",
                resource=_shape(
                    "name", target=_shape("averageUtilization averageValue type value")
                ),
            ),
            scaleTargetRef=_shape("apiVersion kind name"),
        )
    ),
    EVENTS: _object(
        "action count eventTime firstTimestamp lastTimestamp message reason related "
        "reportingComponent reportingInstance series type",
        involvedObject=_shape("apiVersion fieldPath kind name namespace resourceVersion uid"),
        source=_shape("component host"),
    ),
    PODS: _object(spec=_POD_SPEC),
    REPLICA_SETS: _workload("minReadySeconds replicas"),
    RESOURCE_QUOTAS: _object(spec=_shape("hard scopeSelector scopes")),
    ROLES: _object(rules=_RULE),
    ROLE_BINDINGS: _BINDING,
    SECRETS: _object("data immutable stringData type"),
    SERVICES: _object(
        spec=_shape(
            "allocateLoadBalancerNodePorts clusterIP clusterIPs externalIPs externalName "
            "externalTrafficPolicy healthCheckNodePort internalTrafficPolicy ipFamilies "
            "ipFamilyPolicy loadBalancerClass loadBalancerIP loadBalancerSourceRanges "
            "publishNotReadyAddresses selector sessionAffinity sessionAffinityConfig "
            "trafficDistribution type",
            ports=_shape("appProtocol name nodePort port protocol targetPort"),
        )
    ),
    SERVICE_ACCOUNTS: _object("automountServiceAccountToken imagePullSecrets secrets"),
    STATEFUL_SETS: _workload(
        "minReadySeconds ordinals persistentVolumeClaimRetentionPolicy podManagementPolicy "
        "replicas revisionHistoryLimit serviceName volumeClaimTemplates",
        updateStrategy=_ROLLING,
    ),
}


def check_fields(resource: Resource, obj: dict[str, Any], *, is_strict: bool) -> None:
    """*obj* has no field that its kind does not have, nor one of another type than it has.

    Raises:
        StatusError: It had one, and that is a mistake.
    """
    shape = _SHAPES.get(resource, _ANY)
    try:
        unknown = list(_pruned(obj, shape, "", _MORE_TYPES.get(resource, {})))
    except _TypeMismatchError as mismatch:
        raise bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a '
            f"{resource.kind}: json: cannot unmarshal {_name_of(mismatch.value)} into Go struct "
            f"field {resource.kind}.{mismatch.path} of type {mismatch.kind}"
        ) from None
    if unknown and is_strict:
        said = ", ".join(f'unknown field "{path}"' for path in unknown)
        raise bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a '
            f"{resource.kind}: strict decoding error: {said}"
        )


class _TypeMismatchError(Exception):
    def __init__(self, path: str, kind: str, value: object) -> None:
        super().__init__(path)
        self.path = path
        self.kind = kind
        self.value = value


def _pruned(value: Any, shape: Shape, path: str, types: Mapping[str, str]) -> Iterator[str]:
    """Take what is in no shape out of *value*; yield where it was."""
    for field in tuple(value):
        place, part = f"{path}.{field}" if path else field, value[field]
        if field not in shape and shape is not _ANY:
            del value[field]
            yield place
        elif part is not None and (inner := shape.get(field)) is not None:
            for where, item in _items(field, part, place):
                yield from _pruned(item, inner, where, types)
        elif part is not None:
            kind = types.get(field) or _TYPES.get(field, "anything")
            if not _IS[kind](part):
                raise _TypeMismatchError(place, kind, part)


def _items(field: str, part: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects that are in a field with a shape, and where."""
    if field not in _LISTS:
        if not isinstance(part, dict):
            raise _TypeMismatchError(place, "object", part)
        yield place, part
        return
    if not isinstance(part, list):
        raise _TypeMismatchError(place, "list", part)
    for index, item in enumerate(part):
        if not isinstance(item, dict):
            raise _TypeMismatchError(f"{place}[{index}]", "object", item)
        yield f"{place}[{index}]", item


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


_IS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "array": lambda value: isinstance(value, list),
    "anything": lambda value: True,  # noqa: ARG005
    "flag": lambda value: isinstance(value, bool),
    "map": lambda value: (
        isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
    ),
    "number": lambda value: (
        isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31
    ),
    "object": lambda value: isinstance(value, dict),
    "quantities": lambda value: isinstance(value, dict) and all(map(_is_scalar, value.values())),
    "text": lambda value: isinstance(value, str),
    "texts": lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
}


def _name_of(value: object) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case int() | float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"
