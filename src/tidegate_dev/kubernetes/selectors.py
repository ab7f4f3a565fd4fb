"""Which objects a request means: by their labels, or by some of their fields.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from tidegate_dev.kubernetes.errors import bad_request
from tidegate_dev.kubernetes.resources import EVENTS, NAMESPACES, NODES, PODS, SECRETS, Resource

Test = Callable[[Mapping[str, Any]], bool]

_KEY: Final = r"(?P<key>[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?)"
_VALUE: Final = r"(?P<value>(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)?)"
_EQUALITY: Final = re.compile(rf"{_KEY}\s*(?P<operator>==|=|!=)\s*{_VALUE}")
_SET: Final = re.compile(rf"{_KEY}\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)")
_NUMBER: Final = re.compile(rf"{_KEY}\s*(?P<operator>[<>])\s*(?P<number>-?\d+)")
_PRESENCE: Final = re.compile(rf"(?P<absent>!?)\s*{_KEY}")
_COMMA: Final = re.compile(r",(?![^(]*\))")
_FIELD: Final = re.compile(r"(?P<key>[^=!]+?)(?P<operator>==|=|!=)(?P<value>.*)", re.DOTALL)

_ANYWHERE: Final = ("metadata.name", "metadata.namespace")
_FIELDS: Final[Mapping[Resource, tuple[str, ...]]] = {
    PODS: (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    EVENTS: (
        *(
            f"involvedObject.{field}"
            for field in (
                "kind",
                "namespace",
                "name",
                "uid",
                "apiVersion",
                "resourceVersion",
                "fieldPath",
            )
        ),
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    NAMESPACES: ("status.phase",),
    NODES: ("spec.unschedulable",),
    SECRETS: ("type",),
}


def label_test(selector: str) -> Test:
    """Return what tells whether an object has the labels that *selector* asks for.

    Raises:
        StatusError: It is not a selector.
    """
    tests = [_requirement(part.strip()) for part in _COMMA.split(selector)] if selector else []

    def test(obj: Mapping[str, Any]) -> bool:
        labels = obj.get("metadata", {}).get("labels") or {}
        return all(passes(labels) for passes in tests)

    return test


def selector_test(selector: Mapping[str, Any]) -> Callable[[Mapping[str, str]], bool]:
    """Return what tells whether labels are those of a LabelSelector object."""
    tests = [_equals(key, value) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or []:
        key, values = expression["key"], frozenset(expression.get("values") or [])
        tests.append(_expression(key, expression["operator"], values))
    return lambda labels: all(passes(labels) for passes in tests)


def field_test(resource: Resource, selector: str) -> Test:
    """Return what tells whether an object's fields are as *selector* asks.

    Raises:
        StatusError: The kind cannot be selected by such a field.
    """
    tests = [
        _field_requirement(resource, selector, part)
        for part in re.split(r"(?<!\\),", selector)
        if part
    ]
    return lambda obj: all(passes(obj) for passes in tests)


def selected_name(selector: str) -> str:
    """Return the only name that a field selector lets through; empty if there may be more."""
    for part in selector.split(","):
        found = _FIELD.fullmatch(part)
        if found and found["key"] == "metadata.name" and found["operator"] != "!=":
            return found["value"]
    return ""


def _requirement(text: str) -> Callable[[Mapping[str, str]], bool]:
    if found := _SET.fullmatch(text):
        values = frozenset(value.strip() for value in found["values"].split(","))
        return _expression(found["key"], {"in": "In", "notin": "NotIn"}[found["operator"]], values)
    if found := _EQUALITY.fullmatch(text):
        key, value = found["key"], found["value"]
        return _differs(key, value) if found["operator"] == "!=" else _equals(key, value)
    if found := _NUMBER.fullmatch(text):
        return _compares(found["key"], found["operator"], int(found["number"]))
    if found := _PRESENCE.fullmatch(text):
        return _expression(found["key"], "DoesNotExist" if found["absent"] else "Exists", set())
    raise bad_request(f"unable to parse requirement: found {text!r}, expected a label selector")


def _expression(
    key: str, operator: str, values: frozenset[str] | set[str]
) -> Callable[[Mapping[str, str]], bool]:
    match operator:
        case "In":
            return lambda labels: key in labels and labels[key] in values
        case "NotIn":
            return lambda labels: key not in labels or labels[key] not in values
        case "Exists":
            return lambda labels: key in labels
        case "DoesNotExist":
            return lambda labels: key not in labels
        case _:
            raise bad_request(f'"{operator}" is not a valid label selector operator')


def _equals(key: str, value: str) -> Callable[[Mapping[str, str]], bool]:
    return lambda labels: labels.get(key) == value


def _differs(key: str, value: str) -> Callable[[Mapping[str, str]], bool]:
    return lambda labels: labels.get(key) != value


def _compares(key: str, operator: str, number: int) -> Callable[[Mapping[str, str]], bool]:
    def test(labels: Mapping[str, str]) -> bool:
        try:
            value = int(labels.get(key, ""))
        except ValueError:
            return False
        return value > number if operator == ">" else value < number

    return test


def _field_requirement(resource: Resource, selector: str, text: str) -> Test:
    found = _FIELD.fullmatch(text)
    if found is None:
        raise bad_request(f"invalid selector: '{selector}'; can't understand '{text}'")
    field = found["key"]
    if field not in (*_ANYWHERE, *_FIELDS.get(resource, ())):
        group_version = f"{resource.group}/{resource.version}"
        raise bad_request(
            f'Unable to find "{group_version}, Resource={resource.plural}" that match label '
            f'selector "", field selector "{selector}": field label not supported: {field}'
        )
    wanted, same = re.sub(r"\\(.)", r"\1", found["value"]), found["operator"] != "!="
    return lambda obj: (_field(obj, field) == wanted) is same


def _field(obj: Mapping[str, Any], path: str) -> str:
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if path == "source" and isinstance(value, Mapping):
        value = value.get("component")
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
