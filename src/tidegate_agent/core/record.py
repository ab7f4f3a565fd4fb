"""An operation as it is kept: a ConfigMap in the agent's own namespace.

A key is claimed by creating the ConfigMap that is named by its hash: the API server lets one
creation win. Everything after is an update of the version last read, so that of two agents one
learns that it is no longer the one to write.
"""

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
        "steps": [[step.at, step.level, step.text] for step in operation.steps],
        "noted": _members(operation.noted),
        "applied": _members(operation.applied),
        "refusal": _members(operation.refusal),
    }


def _operation(content: Mapping[str, Any], version: str) -> Operation:
    asked = request.order(content["verb"], content["params"])
    if not isinstance(asked, ChangeOrder):
        raise TypeError("not a change")
    noted, made, refusal = content["noted"], content["applied"], content["refusal"]
    return Operation(
        asked=asked,
        who=Statement(
            subject=content["subject"],
            groups=tuple(content["groups"]),
            run=content["run"],
            action=content["action"],
        ),
        phase=Phase(content["phase"]),
        holder=content["holder"],
        lease_until=float(content["lease_until"]),
        begun_at=float(content["begun_at"]),
        deadline_at=float(content["deadline_at"]),
        message=content["message"],
        steps=tuple(Step(at=at, level=level, text=text) for at, level, text in content["steps"]),
        noted=None if noted is None else Noted(**noted),
        applied=None if made is None else Applied(**made),
        refusal=None if refusal is None else Refusal(**refusal),
        ended_at=content["ended_at"],
        put_off=content["put_off"],
        version=version,
        digest=content["digest"],
    )


def _members(value: Noted | Applied | Refusal | None) -> dict[str, Any] | None:
    if value is None:
        return None
    found = {each: getattr(value, each) for each in value.__dataclass_fields__}
    return {k: dict(v) if isinstance(v, Mapping) else v for k, v in found.items()}
