"""What a manifest of a Slack app has to keep to, and configurations to derive some from."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema

from tidegate.core.configuration import parse
from tidegate.core.settings import Settings

SCHEMA: Final = Path(__file__).parent / "schemas/slack-manifest.schema.json"

_HEAD: Final = """
slack: {bot_token: {env: B}, signing_secrets: [{env: S}]%s}
store: {url: "sqlite:///t.db"}
pathways: {cluster: {type: direct, url: "https://agent.example.com", auth: {type: none}}}
"""


@cache
def _validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def complaints(document: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a manifest, each with its place."""
    found = _validator().iter_errors(document)
    return sorted(f"{error.json_path}: {error.message}" for error in found)


def settings(actions: str = "{}", more: str = "", *, socket_mode: bool = False) -> Settings:
    """Return a configuration with these actions, as YAML in flow style, and more keys."""
    head = _HEAD % (", app_token: {env: A}" if socket_mode else "")
    return parse(f"{head}actions: {actions}\n{more}", source="t.yaml")


def action(text: str = "", *, match: str = "action_id: [a]", allow: str = "users: [U0A]") -> str:
    """Return an action that calls the service, as YAML in flow style."""
    request = "pathway: cluster, request: {path: /do}"
    return f"{{match: {{{match}}}, {request}, allow: {{{allow}}}{text}}}"


def bucket(text: str) -> str:
    """Return the key `s3` with one bucket, as YAML."""
    return f"s3: {{region: eu-west-1, buckets: {{b: {{name: acme-b, {text}}}}}}}\n"
