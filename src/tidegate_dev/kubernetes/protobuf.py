"""Bodies in Kubernetes' protobuf encoding, which `kubectl` uses for objects that it makes itself.

The envelope is described in
https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding-idl; field numbers
are those of the generated.proto files in k8s.io/api. Answers are always JSON, which every client
takes. Kinds and fields that no command of `kubectl` makes are not here.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
_MAGIC: Final = b"k8s\x00"

Scalar = Literal["text", "bytes", "number", "count", "flag"]
"""A `count` may be zero and mean it; a `number` that is zero was not given."""


class DecodeError(Exception):
    """The bytes are no message of a kind that is known here."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    type: "Scalar | Mapping[int, _Field]" = "text"
    many: bool = False
    keyed: bool = False


@dataclass(slots=True)
class _Reader:
    """Walks over the fields of one message."""

    data: bytes
    place: int = field(default=0)

    def __iter__(self) -> Iterator[tuple[int, int | bytes]]:
        while self.place < len(self.data):
            tag = self._varint()
            yield tag >> 3, self._value(tag & 7)

    def _varint(self) -> int:
        value = shift = 0
        while True:
            if self.place >= len(self.data) or shift > 63:
                raise DecodeError("a number does not end")
            byte = self.data[self.place]
            self.place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def _value(self, wire_type: int) -> int | bytes:
        match wire_type:
            case 0:
                return self._varint()
            case 1:
                return self._take(8)
            case 2:
                return self._take(self._varint())
            case 5:
                return self._take(4)
            case _:
                raise DecodeError(f"wire type {wire_type} is not used")

    def _take(self, length: int) -> bytes:
        end = self.place + length
        if end > len(self.data):
            raise DecodeError("a value does not end")
        value = self.data[self.place : end]
        self.place = end
        return value


def decoded(body: bytes) -> dict[str, Any]:
    """Return the object that *body* holds.

    Raises:
        DecodeError: It is not protobuf, or of a kind that is not known here.
    """
    if not body.startswith(_MAGIC):
        raise DecodeError("the body does not begin as Kubernetes' protobuf does")
    envelope = _message(body[len(_MAGIC) :], _ENVELOPE)
    kind = envelope.get("typeMeta", {})
    fields = KINDS.get(kind.get("kind", ""))
    if fields is None:
        raise DecodeError(f"no {kind.get('kind', 'object')} can be read in this encoding")
    raw = base64.b64decode(envelope.get("raw", ""))
    return {**kind, **_message(raw, fields)}


def _message(data: bytes, fields: "Mapping[int, _Field]") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, value in _Reader(data):
        known = fields.get(number)
        if known is None:
            continue
        read = _read(value, known)
        if known.keyed:
            found.setdefault(known.name, {})[read.get("key", "")] = read.get("value", "")
        elif known.many:
            found.setdefault(known.name, []).append(read)
        elif read not in (None, "", {}):
            found[known.name] = read
    return found


def _read(value: int | bytes, known: _Field) -> Any:
    if isinstance(value, int):
        return _number(value, known.type)
    if known.type == "text":
        return value.decode("utf-8", "replace")
    if known.type == "bytes":
        return base64.b64encode(value).decode()
    if isinstance(known.type, Mapping):
        message = _message(value, known.type)
        return _unwrapped(message, known.type)
    raise DecodeError(f"{known.name} is of another type")


def _unwrapped(message: dict[str, Any], fields: "Mapping[int, _Field]") -> Any:
    """Return a message that is one value in JSON as that value."""
    if fields is _QUANTITY:
        return message.get("string", "")
    return message.get("items", []) if fields is _VALUES else message


def _number(value: int, kind: object) -> Any:
    signed = value - (1 << 64) if value >> 63 else value
    match kind:
        case "flag":
            return bool(value)
        case "number":
            return signed or None
        case "count":
            return signed
        case _:
            raise DecodeError("a number is where none belongs")


# --- messages ----------------------------------------------------------------------

_Fields = Mapping[int, _Field]


def _texts(*names: str) -> dict[int, _Field]:
    return {number: _Field(name) for number, name in enumerate(names, 1)}


def _many(name: str, kind: "Scalar | _Fields" = "text") -> _Field:
    return _Field(name, kind, many=True)


def _keyed(name: str, value: "Scalar | _Fields" = "text") -> _Field:
    return _Field(name, {1: _Field("key"), 2: _Field("value", value)}, keyed=True)


_QUANTITY: Final[_Fields] = {1: _Field("string")}
_VALUES: Final[_Fields] = {1: _many("items")}
_ENVELOPE: Final[_Fields] = {
    1: _Field("typeMeta", _texts("apiVersion", "kind")),
    2: _Field("raw", "bytes"),
}
_METADATA: Final = _Field(
    "metadata",
    {
        **_texts("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion"),
        11: _keyed("labels"),
        12: _keyed("annotations"),
        14: _many("finalizers"),
    },
)


def _kind(*fields: _Field) -> _Fields:
    return dict(enumerate((_METADATA, *fields), 1))


# authorization.k8s.io/v1 and authentication.k8s.io/v1
_RESOURCE: Final = _Field(
    "resourceAttributes",
    _texts("namespace", "verb", "group", "version", "resource", "subresource", "name"),
)
_PATH: Final = _Field("nonResourceAttributes", _texts("path", "verb"))
_SUBJECT_ACCESS: Final = _kind(
    _Field(
        "spec",
        {
            1: _RESOURCE,
            2: _PATH,
            3: _Field("user"),
            4: _many("groups"),
            5: _keyed("extra", _VALUES),
            6: _Field("uid"),
        },
    )
)

# rbac.authorization.k8s.io/v1
_RULES: Final = _many(
    "rules",
    {
        number: _many(name)
        for number, name in enumerate(
            ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs"), 1
        )
    },
)
_BINDING: Final = _kind(
    _many("subjects", _texts("kind", "apiGroup", "name", "namespace")),
    _Field("roleRef", _texts("apiGroup", "kind", "name")),
)

# core/v1 and apps/v1
_REFERENCE: Final[_Fields] = {3: _Field("name")}
_RESOURCES: Final[_Fields] = {1: _keyed("limits", _QUANTITY), 2: _keyed("requests", _QUANTITY)}
_CONTAINER: Final[_Fields] = {
    1: _Field("name"),
    2: _Field("image"),
    3: _many("command"),
    4: _many("args"),
    5: _Field("workingDir"),
    6: _many(
        "ports",
        {
            1: _Field("name"),
            2: _Field("hostPort", "number"),
            3: _Field("containerPort", "number"),
            4: _Field("protocol"),
        },
    ),
    7: _many("env", _texts("name", "value")),
    8: _Field("resources", _RESOURCES),
    14: _Field("imagePullPolicy"),
}
_POD_SPEC: Final = _Field(
    "spec",
    {
        2: _many("containers", _CONTAINER),
        3: _Field("restartPolicy"),
        4: _Field("terminationGracePeriodSeconds", "count"),
        8: _Field("serviceAccountName"),
        10: _Field("nodeName"),
        20: _many("initContainers", _CONTAINER),
    },
)
_DEPLOYMENT_SPEC: Final = _Field(
    "spec",
    {
        1: _Field("replicas", "count"),
        2: _Field("selector", {1: _keyed("matchLabels")}),
        3: _Field("template", _kind(_POD_SPEC)),
        5: _Field("minReadySeconds", "number"),
        6: _Field("revisionHistoryLimit", "count"),
        7: _Field("paused", "flag"),
        9: _Field("progressDeadlineSeconds", "count"),
    },
)

# autoscaling/v2
_TARGET: Final = _Field(
    "target",
    {
        1: _Field("type"),
        3: _Field("averageValue", _QUANTITY),
        4: _Field("averageUtilization", "count"),
    },
)
_AUTOSCALER_SPEC: Final = _Field(
    "spec",
    {
        1: _Field("scaleTargetRef", _texts("kind", "name", "apiVersion")),
        2: _Field("minReplicas", "count"),
        3: _Field("maxReplicas", "count"),
        4: _many(
            "metrics",
            {1: _Field("type"), 4: _Field("resource", {1: _Field("name"), 2: _TARGET})},
        ),
    },
)

KINDS: Final[Mapping[str, _Fields]] = {
    "ClusterRole": _kind(_RULES),
    "ClusterRoleBinding": _BINDING,
    "ConfigMap": _kind(_keyed("data"), _keyed("binaryData", "bytes"), _Field("immutable", "flag")),
    "DeleteOptions": {
        1: _Field("gracePeriodSeconds", "count"),
        2: _Field("preconditions", _texts("uid", "resourceVersion")),
        3: _Field("orphanDependents", "flag"),
        4: _Field("propagationPolicy"),
        5: _many("dryRun"),
    },
    "Deployment": _kind(_DEPLOYMENT_SPEC),
    "HorizontalPodAutoscaler": _kind(_AUTOSCALER_SPEC),
    "LocalSubjectAccessReview": _SUBJECT_ACCESS,
    "Namespace": _kind(),
    "Pod": _kind(_POD_SPEC),
    "ResourceQuota": _kind(_Field("spec", {1: _keyed("hard", _QUANTITY), 2: _many("scopes")})),
    "Role": _kind(_RULES),
    "RoleBinding": _BINDING,
    "Secret": _kind(
        _keyed("data", "bytes"), _Field("type"), _keyed("stringData"), _Field("immutable", "flag")
    ),
    "SelfSubjectAccessReview": _kind(_Field("spec", {1: _RESOURCE, 2: _PATH})),
    "SelfSubjectReview": _kind(),
    "SelfSubjectRulesReview": _kind(_Field("spec", _texts("namespace"))),
    "ServiceAccount": _kind(
        _many("secrets", _REFERENCE), _many("imagePullSecrets", _texts("name"))
    ),
    "SubjectAccessReview": _SUBJECT_ACCESS,
    "TokenRequest": _kind(
        _Field("spec", {1: _many("audiences"), 4: _Field("expirationSeconds", "count")})
    ),
    "TokenReview": _kind(_Field("spec", {1: _Field("token"), 2: _many("audiences")})),
}
