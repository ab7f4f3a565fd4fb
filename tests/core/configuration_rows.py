"""The rows that the documentation of the configuration has to hold, from the JSON Schema."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tidegate.core.presets import PRESETS
from tidegate.core.schema import json_schema

SECRET = "secret"
NAMED = {"pathways": "NAME", "actions": "NAME", "buckets": "ALIAS", "params": "NAME"}


def rows() -> list[str]:
    """Return a Markdown table row for each key that a file may have."""
    return list(dict.fromkeys(_rows(json_schema(), "")))


def _rows(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for kind in _variants(schema):
        for key, inner in kind.get("properties", {}).items():
            here = f"{path}.{key}" if path else key
            default = "required" if key in kind.get("required", ()) else _default(inner)
            yield f"| `{here}` | {_type(inner)} | {default} | {_description(inner)} |"
            yield from _below(inner, here)


def _below(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if _is_secret(schema):
        return
    key = path.rsplit(".", 1)[-1]
    for kind in _variants(schema):
        if "properties" in kind:
            yield from _rows(kind, path)
        for inner in kind.get("patternProperties", {}).values():
            yield from _rows(inner, f"{path}.{NAMED[key]}")
        items = kind.get("items")
        if isinstance(items, Mapping):
            yield from _below(items, path if key == "allow" else f"{path}[]")


def _variants(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "$ref" in schema:
        yield from _variants(json_schema()["$defs"][schema["$ref"].rsplit("/", 1)[-1]])
        return
    several = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    for one in several:
        yield from _variants(one)
    if not several:
        yield schema


def _is_secret(schema: Mapping[str, Any]) -> bool:
    return any("secretsmanager" in kind.get("properties", {}) for kind in _variants(schema))


def _description(schema: Mapping[str, Any]) -> str:
    if "description" in schema:
        return str(schema["description"])
    return str(next(kind["description"] for kind in _variants(schema) if "description" in kind))


def _default(schema: Mapping[str, Any]) -> str:
    value = schema.get("default")
    if value is None or value in ("", [], {}) or isinstance(value, dict):
        return "none"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _type(schema: Mapping[str, Any]) -> str:
    if _is_secret(schema):
        return SECRET
    kinds = list(dict.fromkeys(_one_type(kind) for kind in _variants(schema)))
    return " or ".join(kind for kind in kinds if kind)


def _one_type(kind: Mapping[str, Any]) -> str:
    if "const" in kind or "enum" in kind:
        return " or ".join(f"`{value}`" for value in kind.get("enum", [kind.get("const")]))
    names = {"object": "keys", "boolean": "true or false", "null": "", "array": "list"}
    name = names.get(kind.get("type", ""), kind.get("type", ""))
    items = kind.get("items")
    return f"list of {_type(items)}" if name == "list" and items else name


def preset_rows() -> list[str]:
    """Return a Markdown table row for each preset."""
    return [_preset_row(name, preset) for name, preset in PRESETS.items()]


def _preset_row(name: str, preset: Mapping[str, Any]) -> str:
    ids = ", ".join(f"`{text}`" for text in preset["match"]["action_id"])
    request = preset.get("request")
    sends = f"`{request['method']} {request['path']}`" if request else "a share from S3"
    params = ", ".join(_preset_param(param, rule) for param, rule in preset["params"].items())
    return f"| `{name}` | {ids} | {sends} | {params} |"


def _preset_param(name: str, rule: Mapping[str, Any]) -> str:
    words = ["required"] if rule.get("required") else []
    words += [rule["type"]] if "type" in rule else []
    words += [f"{key} {rule[key]}" for key in ("min", "max", "max_length") if key in rule]
    return f"`{name}` ({', '.join(words)})" if words else f"`{name}`"
