"""The OpenAPI 3.1 document of what the agent answers, served at `/openapi.json`.

https://spec.openapis.org/oas/v3.1.1

It says what the handlers do: bounds and names come from where requests are understood.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from tidegate_agent.core import answer, request

Schema = dict[str, Any]

_LABEL: Final = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_SUBDOMAIN: Final = "^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
_KEY: Final = "^[A-Za-z0-9_-]{1,100}$"
_SUMMARIES: Final[Mapping[str, str]] = {
    "deploy": "Give a container of a workload another image.",
    "scale": "Have so many pods of a workload.",
    "restart": "Replace every pod of a workload by a new one like it.",
    "rollback": "Go back to an earlier revision of a workload.",
    "status": "Tell how a workload is, or all workloads of a namespace.",
    "logs": "Show the last lines that a workload's pods wrote.",
}


def _whole(least: int, most: int, says: str) -> Schema:
    """Return a whole number; what a person typed arrives as text."""
    return {
        "description": says,
        "anyOf": [
            {"type": "integer", "minimum": least, "maximum": most},
            {"type": "string", "pattern": "^[0-9]{1,16}$"},
            {"type": "null"},
        ],
    }


def _flag(says: str) -> Schema:
    return {"description": says, "enum": [True, False, "true", "false", None]}


def _name(pattern: str, says: str) -> Schema:
    return {"description": says, "type": ["string", "null"], "pattern": pattern}


_PARAMS: Final[Mapping[str, Schema]] = {
    "namespace": _name(
        _LABEL, "Where; else the default namespace, else where the person's one role is."
    ),
    "deployment": _name(_SUBDOMAIN, "The Deployment; one of the three kinds of workload."),
    "statefulset": _name(_SUBDOMAIN, "The StatefulSet."),
    "daemonset": _name(_SUBDOMAIN, "The DaemonSet."),
    "dry_run": _flag("Only tell what would change."),
    "force": _flag("Do it although GitOps or an autoscaler owns what it changes."),
    "image": {
        "description": "A whole reference, or a version of the container's own repository.",
        "type": "string",
        "minLength": 1,
        "maxLength": request.MAX_IMAGE_CHARS,
    },
    "container": _name(_LABEL, "Which container; only where there is one, it need not be named."),
    "replicas": _whole(0, request.MAX_REPLICAS, "How many pods."),
    "revision": _whole(0, request.MAX_REVISION, "Which revision; 0 is the one before this."),
    "pod": _name(_SUBDOMAIN, "Which pod; else those whose lines help most."),
    "tail": _whole(1, request.MAX_LINES, f"How many lines; {request.DEFAULT_LINES} by default."),
    "since": {
        "description": "Nothing older: 90s, 15m, 2h, 1d, or seconds.",
        "anyOf": [
            {"type": "string", "pattern": "^[0-9]{1,9}[smhd]?$"},
            {"type": "integer", "minimum": 1, "maximum": request.MAX_SINCE_SECONDS},
            {"type": "null"},
        ],
    },
    "previous": _flag("What the container wrote before it was last started again."),
}
_EXAMPLES: Final[Mapping[str, Schema]] = {
    "deploy": {"image": "web:2.4.1"},
    "scale": {"replicas": 3},
    "rollback": {"revision": 0},
    "logs": {"tail": 20, "since": "15m"},
}
_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {"deploy": ("image",), "scale": ("replicas",)}

_ANSWER: Final[Schema] = {
    "type": "object",
    "properties": {
        "message": {"type": "string", "maxLength": answer.MAX_MESSAGE},
        "status": {"type": "string", "maxLength": 100},
    },
    "required": ["message", "status"],
}
_REFUSAL: Final[Schema] = {
    **_ANSWER,
    "properties": {
        **_ANSWER["properties"],
        "field": {"type": "string", "description": "The param at fault."},
    },
}
_TEXTS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string"}}
_OPERATION: Final[Schema] = {
    "type": "object",
    "properties": {
        "phase": {"enum": ["pending", "running", "succeeded", "failed", "cancelled"]},
        "message": {"type": "string", "maxLength": answer.MAX_MESSAGE},
        "progress": {
            "type": "object",
            "properties": {"done": {"type": "integer"}, "total": {"type": "integer"}},
            "required": ["done", "total"],
        },
        "replicas": {
            "type": "object",
            "properties": {
                "updated": {"type": "integer"},
                "ready": {"type": "integer"},
                "total": {"type": "integer"},
            },
            "required": ["updated", "ready", "total"],
        },
        "events": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "at": {"type": "string", "format": "date-time"},
                    "text": {"type": "string"},
                    "level": {"enum": ["info", "warning", "error"]},
                },
                "required": ["at", "text", "level"],
            },
        },
        "before": _TEXTS,
        "after": _TEXTS,
        "reason": {"type": "string", "description": "ImagePullBackOff, CrashLoopBackOff, …"},
    },
    "required": ["phase", "message", "events", "before", "after"],
}
_DRY_RUN: Final[Schema] = {
    **_ANSWER,
    "properties": {
        **_ANSWER["properties"],
        "before": _TEXTS,
        "after": _TEXTS,
        "changes": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "before": {}, "after": {}},
                "required": ["path", "before", "after"],
            },
        },
    },
    "required": ["message", "status", "changes"],
}
_WORKLOAD: Final[Schema] = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["Deployment", "StatefulSet", "DaemonSet"]},
        "namespace": {"type": "string"},
        "name": {"type": "string"},
        "images": _TEXTS,
        "replicas": {"type": "integer"},
        "ready": {"type": "integer"},
        "updated": {"type": "integer"},
        "status": {"type": "string"},
        "rollout": {"type": "string"},
        "message": {"type": "string"},
        "revision": {"type": "integer"},
        "cause": {"type": "string"},
        "reason": {"type": "string"},
    },
    "required": ["kind", "namespace", "name", "images", "replicas", "ready", "status", "message"],
}
_STATUS: Final[Schema] = {
    **_ANSWER,
    "properties": {
        **_ANSWER["properties"],
        "workloads": {"type": "array", "items": _WORKLOAD},
    },
    "required": ["message", "status", "workloads"],
}
_LOGS: Final[Schema] = {
    **_ANSWER,
    "properties": {
        **_ANSWER["properties"],
        "container": {"type": "string"},
        "pods": {"type": "array", "items": {"type": "string"}},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "at": {"type": "string"},
                    "pod": {"type": "string"},
                    "text": {"type": "string"},
                },
                "required": ["at", "pod", "text"],
            },
        },
    },
    "required": ["message", "status", "container", "pods", "lines"],
}
_SCHEMAS: Final[Mapping[str, Schema]] = {
    "Answer": _ANSWER,
    "Refusal": _REFUSAL,
    "Operation": _OPERATION,
    "DryRun": _DRY_RUN,
    "Status": _STATUS,
    "Logs": _LOGS,
}
_RETRY_AFTER: Final = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string"}}
}
_LOCATION: Final = {
    "Location": {
        "description": "The path at which it is followed.",
        "schema": {"type": "string", "pattern": "^/api/v1/[a-z]+/operations/[A-Za-z0-9_-]+$"},
    }
}
_REFUSALS: Final[Mapping[str, str]] = {
    "400": "A param is missing, unknown or not what it has to be: which one, and why.",
    "401": "The request does not prove who asked; why is in the log alone.",
    "403": "The person may not do it: which right is missing, on what, for whom.",
    "404": "There is no such namespace, workload, revision or operation.",
    "408": "The request took too long to arrive.",
    "409": "What is there does not allow it, or the Idempotency-Key was used for another request.",
    "413": "The request is too large.",
    "415": "The request is no application/json.",
    "422": "The cluster finds it invalid.",
}


@cache
def openapi() -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, Any] = {f"/api/v1/{verb}": _verb(verb) for verb in request.PARAMS}
    for verb in ("", *request.CHANGES):
        place = f"/api/v1/{verb}/operations/{{key}}".replace("//", "/")
        paths[place] = {"parameters": [_key_parameter()], **_following(verb)}
        paths[f"{place}/cancel"] = {"parameters": [_key_parameter()], **_cancelling(verb)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate agent",
            "version": "1",
            "description": "Carries out in a Kubernetes cluster what people asked for in Slack.",
        },
        "paths": paths,
        "components": {
            "schemas": dict(_SCHEMAS),
            "securitySchemes": {
                "identity": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Tidegate-Identity",
                    "description": "A compact JWS (EdDSA) over who asked and this very request.",
                },
                "caller": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A service account's token, where the agent asks for one.",
                },
            },
        },
        "security": [{"identity": []}, {"identity": [], "caller": []}],
    }


def _verb(verb: str) -> Schema:
    answers: Schema = {}
    if verb in request.CHANGES:
        answers["202"] = {
            **_content("Taken; followed at Location.", "Answer"),
            "headers": _LOCATION,
        }
        answers["200"] = _content("What would change.", "DryRun")
    else:
        answers["200"] = _content("What there is.", verb.capitalize())
    return {
        "post": {
            "operationId": verb,
            "summary": _SUMMARIES[verb],
            "parameters": [_run_header()],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _body(verb)}},
            },
            "responses": {**answers, **_refusals()},
        }
    }


def _body(verb: str) -> Schema:
    """Return a body as Tidegate sends it by default, or the params alone."""
    params = _params(verb)
    envelope = {
        name: {"type": ["string", "null"]} for name in sorted(request.ENVELOPE - {"params"})
    }
    return {
        "anyOf": [
            {
                "type": "object",
                "properties": {**envelope, "params": params},
                "required": ["params"],
                "additionalProperties": False,
            },
            params,
        ]
    }


def _params(verb: str) -> Schema:
    names = sorted(request.PARAMS[verb])
    required = list(_REQUIRED.get(verb, ()))
    return {
        "type": "object",
        "properties": {name: _PARAMS[name] for name in names},
        "additionalProperties": False,
        **({"required": required} if required else {}),
        "examples": [{"namespace": "staging", "deployment": "web", **_EXAMPLES.get(verb, {})}],
    }


def _following(verb: str) -> Schema:
    found = _content("How far it is.", "Operation")
    return {
        "get": {
            "operationId": f"follow_{verb}".rstrip("_"),
            "summary": "Tell how far an operation is, and why it failed.",
            "parameters": [_run_header()],
            "responses": {
                "200": found,
                "410": _content("Whether it was done cannot be known.", "Answer"),
                **_refusals(),
            },
        }
    }


def _cancelling(verb: str) -> Schema:
    return {
        "post": {
            "operationId": f"cancel_{verb}".rstrip("_"),
            "summary": "Follow an operation no longer; nothing is rolled back.",
            "parameters": [_run_header()],
            "responses": {
                "200": _content("How far it came.", "Operation"),
                "410": _content("Whether it was done cannot be known.", "Answer"),
                **_refusals(),
            },
        }
    }


def _refusals() -> Schema:
    told = {status: _content(says, "Refusal") for status, says in _REFUSALS.items()}
    later = _content("Not now, and nothing was done: the same request may be sent again.", "Answer")
    return {
        **told,
        "500": _content("The agent broke down; whether it was done is not known.", "Answer"),
        "503": {**later, "headers": _RETRY_AFTER},
    }


def _content(says: str, name: str) -> Schema:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"description": says, "content": {"application/json": {"schema": schema}}}


def _run_header() -> Schema:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "The run, which the statement names too.",
        "schema": {"type": "string", "pattern": _KEY},
    }


def _key_parameter() -> Schema:
    return {
        "name": "key",
        "in": "path",
        "required": True,
        "description": "The run.",
        "schema": {"type": "string", "pattern": _KEY},
    }
