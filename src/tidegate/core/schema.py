"""The JSON Schema of the configuration file, for editors and for naming what is known where."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from tidegate.core.document import Path
from tidegate.core.settings import Settings


@cache
def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the file; what only `parse` can tell is not in it."""
    schema = Settings.model_json_schema(by_alias=True, mode="validation")
    _close_names(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Tidegate configuration",
    }


def _close_names(schema: Any) -> None:
    """Refuse in *schema* the names that its patterns refuse."""
    if isinstance(schema, dict):
        if "patternProperties" in schema:
            schema["additionalProperties"] = False
        for inner in schema.values():
            _close_names(inner)
    elif isinstance(schema, list):
        for inner in schema:
            _close_names(inner)


def _variants(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield *schema* with references followed and alternatives apart."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        yield from _variants(json_schema()["$defs"][name])
    for alternative in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _variants(alternative)
    if "type" in schema or "properties" in schema:
        yield schema


def _inside(schema: Mapping[str, Any], step: int | str) -> Iterator[Mapping[str, Any]]:
    if isinstance(step, int):
        inner = schema.get("items")
    else:
        inner = schema.get("properties", {}).get(step)
        if inner is None:
            named = [*schema.get("patternProperties", {}).values()]
            inner = named[0] if named else schema.get("additionalProperties")
    if isinstance(inner, Mapping):
        yield inner


def _schemas_at(path: Path) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = [json_schema()]
    for step in path:
        found = [inner for one in found for kind in _variants(one) for inner in _inside(kind, step)]
    return found


def known_keys(path: Path) -> list[str]:
    """Return the keys that may stand at *path*."""
    variants = (kind for schema in _schemas_at(path) for kind in _variants(schema))
    return list(dict.fromkeys(key for kind in variants for key in kind.get("properties", {})))


def types_at(path: Path) -> list[str]:
    """Return the values that `type` may have at *path*."""
    variants = [kind for schema in _schemas_at((*path, "type")) for kind in _variants(schema)]
    return list(dict.fromkeys(str(kind["const"]) for kind in variants if "const" in kind))


def description(path: Path) -> str:
    """Return what the key at *path* says; empty when nothing is said of it."""
    for schema in _schemas_at(path):
        for kind in (schema, *_variants(schema)):
            if "description" in kind:
                return str(kind["description"])
    return ""
