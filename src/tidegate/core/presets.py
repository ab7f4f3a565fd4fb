"""What an action gets by `use:` — the built-in routes, inactive until an action names one.

A preset fills `match`, `request` and `params`. What the action itself says wins: `match` and
`request` replace the preset's, `params` are merged name by name and, inside one name, key by key.
"""

from collections.abc import Mapping
from typing import Any, Final


def _service(aliases: list[str], path: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "match": {"action_id": aliases},
        "request": {"method": "POST", "path": path},
        "params": {"namespace": {}, "deployment": {"required": True}, **params},
    }


def _share(name: str) -> Mapping[str, Any]:
    return {
        "match": {"action_id": [name]},
        "params": {
            "bucket": {"required": True},
            "key": {"required": True, "max_length": 1024},
            "title": {},
            "alt_text": {"max_length": 1000},
        },
    }


def _gallery(name: str) -> Mapping[str, Any]:
    """Return a preset whose key is a prefix: each image below it is described by its own name."""
    params = dict(_share(name)["params"])
    del params["alt_text"]
    return {"match": {"action_id": [name]}, "params": params}


PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "k8s_deploy": _service(
        ["k8s_deploy", "deploy_service"], "/api/v1/deploy", {"image": {"required": True}}
    ),
    "k8s_scale": _service(
        ["k8s_scale", "scale_pods"],
        "/api/v1/scale",
        {"replicas": {"type": "integer", "required": True, "min": 0}},
    ),
    "k8s_status": _service(["k8s_status", "get_status"], "/api/v1/status", {"deployment": {}}),
    "k8s_restart": _service(["k8s_restart"], "/api/v1/restart", {}),
    "k8s_rollback": _service(
        ["k8s_rollback"], "/api/v1/rollback", {"revision": {"type": "integer", "min": 0}}
    ),
    "k8s_logs": _service(
        ["k8s_logs"],
        "/api/v1/logs",
        {"container": {}, "tail": {"type": "integer", "min": 1}},
    ),
    "s3_share_link": _share("s3_share_link"),
    "s3_share_image": _share("s3_share_image"),
    "s3_share_gallery": _gallery("s3_share_gallery"),
    "s3_upload": _share("s3_upload"),
}


#: How each of the presets that share does it.
SHARE_MODES: Final[Mapping[str, str]] = {
    "s3_share_link": "link",
    "s3_share_image": "image",
    "s3_share_gallery": "gallery",
    "s3_upload": "upload",
}


def shares(action: Mapping[str, Any]) -> bool:
    """Return whether *action* shares from S3 instead of calling a service."""
    use = action.get("use")
    return isinstance(use, str) and use in PRESETS and "request" not in PRESETS[use]


def expand(action: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return *action* with what its preset adds; unchanged when it names none."""
    use = action.get("use")
    if not isinstance(use, str) or use not in PRESETS:
        return action
    preset = PRESETS[use]
    own = action.get("params", {})
    whole = {**preset, **action}
    if isinstance(own, Mapping):
        whole["params"] = _merged(preset["params"], own)
    return whole


def expand_all(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return *document* with every action's preset filled in."""
    actions = document.get("actions")
    if not isinstance(actions, Mapping):
        return document
    expanded = {
        name: expand(action) if isinstance(action, Mapping) else action
        for name, action in actions.items()
    }
    return {**document, "actions": expanded}


def _merged(preset: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    merged = dict(preset)
    for name, rule in own.items():
        base = preset.get(name, {})
        merged[name] = {**base, **rule} if isinstance(rule, Mapping) else rule
    return merged
