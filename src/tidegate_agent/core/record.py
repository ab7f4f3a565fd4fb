"""An operation as it is kept: a ConfigMap in the agent's own namespace.

A key is claimed by creating the ConfigMap that is named by its hash: the API server lets one
creation win. Everything after is an update of the version last read, so that of two agents one
learns that it is no longer the one to write.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from tidegate_agent.core import fields, moment, request
from tidegate_agent.core.identity import Statement
from tidegate_agent.core.operation import Applied, Noted, Operation, Phase, Refusal, Step
from tidegate_agent.core.request import ChangeOrder
from tidegate_agent.errors import InputError

LABEL: Final = "tidegate.dev/record"
LABEL_VALUE: Final = "operation"
PHASE_LABEL: Final = "tidegate.dev/phase"
SELECTOR: Final = f"{LABEL}={LABEL_VALUE}"
_ENTRY: Final = "operation.json"
_FORMAT: Final = 1
_LATEST: Final = 4e9  # seconds since the Unix epoch: the year 2096
_MOST: Final = 10**18
_LEVELS: Final = ("info", "warning", "error")


def name(key: str) -> str:
    """Return the name of the ConfigMap that holds the operation of a key."""
    return f"tidegate-operation-{hashlib.sha256(key.encode()).hexdigest()[:40]}"


def to_config_map(operation: Operation, home: str) -> dict[str, Any]:
    """Return an operation as a ConfigMap of the agent's own namespace."""
    metadata: dict[str, Any] = {
        "name": name(operation.key),
        "namespace": home,
        "labels": {
            "app.kubernetes.io/managed-by": "tidegate-agent",
            LABEL: LABEL_VALUE,
            PHASE_LABEL: operation.phase.value,
        },
    }
    if operation.version:
        metadata["resourceVersion"] = operation.version
    text = json.dumps(_content(operation), sort_keys=True, indent=1)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {_ENTRY: text},
    }


def from_config_map(obj: Mapping[str, Any]) -> Operation | None:
    """Return the operation that a ConfigMap holds, or None if it holds none that can be read."""
    try:
        content = json.loads(fields.text(obj, "data", _ENTRY))
        if content["format"] != _FORMAT:
            return None
        return _operation(content, fields.text(obj, "metadata", "resourceVersion"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InputError):
        return None


def _content(operation: Operation) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "verb": request.verb_of(operation.asked),
        "params": request.canonical(operation.asked),
        "digest": operation.digest,
        "run": operation.who.run,
        "subject": operation.who.subject,
        "groups": list(operation.who.groups),
        "statement": operation.who.token,
        "body": base64.b64encode(operation.body).decode(),
        "action": operation.who.action,
        "phase": operation.phase.value,
        "message": operation.message,
        "holder": operation.holder,
        "lease_until": operation.lease_until,
        "begun_at": operation.begun_at,
        "begun": moment.iso(operation.begun_at),  # for people who read it with kubectl
        "deadline_at": operation.deadline_at,
        "ended_at": operation.ended_at,
        "put_off": operation.put_off,
        "sent_until": operation.sent_until,
        "steps": [[step.at, step.level, step.text] for step in operation.steps],
        "noted": _members(operation.noted),
        "applied": _members(operation.applied),
        "refusal": _members(operation.refusal),
    }


def _operation(content: Mapping[str, Any], version: str) -> Operation:
    """Return the operation, every member of which is what it has to be.

    Raises:
        TypeError, ValueError, KeyError, InputError: One is not.
    """
    asked = request.order(content["verb"], content["params"])
    if not isinstance(asked, ChangeOrder):
        raise TypeError("not a change")
    lease_until, ended_at = _seconds(content["lease_until"]), content["ended_at"]
    return Operation(
        asked=asked,
        who=Statement(
            subject=_text(content["subject"]),
            groups=tuple(_text(each) for each in _list(content["groups"])),
            run=_text(content["run"]),
            action=_text(content["action"]),
            token=_text(content.get("statement", "")),
        ),
        phase=Phase(content["phase"]),
        holder=_text(content["holder"]),
        lease_until=lease_until,
        begun_at=_seconds(content["begun_at"]),
        deadline_at=_seconds(content["deadline_at"]),
        message=_text(content["message"]),
        steps=tuple(_step(each) for each in _list(content["steps"])),
        noted=_noted(content["noted"]),
        applied=_applied(content["applied"]),
        refusal=_refusal(content["refusal"]),
        ended_at=None if ended_at is None else _seconds(ended_at),
        put_off=_flag(content["put_off"]),
        sent_until=_seconds(content.get("sent_until", lease_until)),
        body=base64.b64decode(_text(content.get("body", "")), validate=True),
        version=version,
        digest=_text(content["digest"]),
    )


def _step(value: object) -> Step:
    at, level, text = _list(value)
    if level not in _LEVELS:
        raise ValueError("not a level")
    return Step(at=_seconds(at), level=level, text=_text(text))


def _noted(value: object) -> Noted | None:
    if value is None:
        return None
    said = _object(value, Noted)
    revision = said["revision"]
    return Noted(
        uid=_text(said["uid"]),
        resource_version=_text(said["resource_version"]),
        generation=_count(said["generation"]),
        before=_texts(said["before"]),
        after=_texts(said["after"]),
        message=_text(said["message"]),
        revision=None if revision is None else _count(revision),
    )


def _applied(value: object) -> Applied | None:
    if value is None:
        return None
    said = _object(value, Applied)
    return Applied(
        generation=_count(said["generation"]),
        template=_text(said["template"]),
        replicas=_count(said["replicas"]),
        at=_seconds(said["at"]),
    )


def _refusal(value: object) -> Refusal | None:
    if value is None:
        return None
    said = _object(value, Refusal)
    status, field = _count(said["status"]), said["field"]
    if not 400 <= status <= 499:
        raise ValueError("not a refusal")
    named = None if field is None else _text(field)
    return Refusal(status=status, notice=_text(said["notice"]), field=named)


def _object(value: object, of: type[Noted | Applied | Refusal]) -> Mapping[str, Any]:
    if not isinstance(value, dict) or value.keys() != of.__dataclass_fields__.keys():
        raise TypeError("not as it was written")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    value.encode()  # half a surrogate pair can be written down, and not be answered
    return value


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return {_text(name): _text(text) for name, text in value.items()}


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MOST:
        raise TypeError("not a count")
    return value


def _seconds(value: object) -> float:
    """Return a moment that can be told; not a number is no moment, and no end of time is."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _LATEST:
        raise TypeError("not a moment")
    return float(value)


def _members(value: Noted | Applied | Refusal | None) -> dict[str, Any] | None:
    if value is None:
        return None
    found = {each: getattr(value, each) for each in value.__dataclass_fields__}
    return {k: dict(v) if isinstance(v, Mapping) else v for k, v in found.items()}
