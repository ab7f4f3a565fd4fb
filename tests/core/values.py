"""Values that many tests of the core begin with."""

import json
from typing import Any
from urllib.parse import quote_plus, urlencode

from tidegate.core.model import Actor, Interaction, Kind, Run, RunId, State
from tidegate.core.routes import Route, Surface

NOW = 1_800_000_000.0


def a_run(number: int = 1, **changes: Any) -> Run:
    fields: dict[str, Any] = {
        "id": RunId(f"01HZ{number:022d}"),
        "kind": Kind.BLOCK_ACTIONS,
        "action": "deploy",
        "action_id": "k8s_deploy",
        "pathway": "cluster",
        "state": State.QUEUED,
        "team_id": "T0TEAM",
        "user_id": "U0ADA",
        "user_name": "ada",
        "channel_id": "C0OPS",
        "message_ts": "1700000000.000100",
        "block_id": "b1",
        "label": "Deploy",
        "params": {"namespace": "staging", "deployment": "web"},
        "delivery_key": f"action:{number}",
        "effect_key": f"effect:{number}",
        "idempotent": True,
        "created_at": NOW,
        "updated_at": NOW,
        "start_by": NOW + 600,
        "deadline_at": NOW + 3600,
    }
    return Run(**(fields | changes))


def a_route(**changes: Any) -> Route:
    fields: dict[str, Any] = {
        "name": "deploy",
        "surface": Surface.ACTION_ID,
        "patterns": ("k8s_deploy",),
        "pathway": "cluster",
        "method": "POST",
        "path": "/api/v1/deploy",
    }
    return Route(**(fields | changes))


def an_interaction(**changes: Any) -> Interaction:
    fields: dict[str, Any] = {
        "kind": Kind.BLOCK_ACTIONS,
        "actor": Actor(user_id="U0ADA", user_name="ada", team_id="T0TEAM"),
        "team_id": "T0TEAM",
        "channel_id": "C0OPS",
        "container_id": "1700000000.000100",
        "block_id": "b1",
        "trigger": "k8s_deploy",
        "action_ts": "1700000001.000200",
        "value": "{}",
        "trigger_id": "13345224609.738474920.8088930838d88f008e0",
    }
    return Interaction(**(fields | changes))


def form(payload: object) -> bytes:
    """As Slack sends it: one field, spaces as `+`, everything else percent-encoded."""
    return b"payload=" + quote_plus(json.dumps(payload)).encode()


def command_form(**changes: str) -> bytes:
    fields = {
        "token": "gone",
        "team_id": "T0TEAM",
        "team_domain": "acme",
        "channel_id": "C0OPS",
        "channel_name": "ops",
        "user_id": "U0ADA",
        "user_name": "ada",
        "command": "/deploy",
        "text": "web namespace=staging",
        "api_app_id": "A0APP",
        "is_enterprise_install": "false",
        "response_url": "https://hooks.slack.com/commands/1234/5678",
        "trigger_id": "13345224609.738474920.8088930838d88f008e0",
    }
    return urlencode(fields | changes).encode()


def block_actions(**changes: Any) -> dict[str, Any]:
    """A press on a button of a message, after Slack's own example."""
    payload: dict[str, Any] = {
        "type": "block_actions",
        "user": {"id": "U0ADA", "username": "ada", "name": "ada", "team_id": "T0TEAM"},
        "api_app_id": "A0APP",
        "token": "gone",
        "container": {
            "type": "message",
            "message_ts": "1700000000.000100",
            "channel_id": "C0OPS",
            "is_ephemeral": False,
        },
        "trigger_id": "13345224609.738474920.8088930838d88f008e0",
        "team": {"id": "T0TEAM", "domain": "acme"},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": "C0OPS", "name": "ops"},
        "message": {
            "type": "message",
            "bot_id": "B0BOT",
            "ts": "1700000000.000100",
            "text": "Deploy web?",
            "blocks": [{"type": "actions", "block_id": "b1", "elements": []}],
        },
        "state": {"values": {}},
        "response_url": "https://hooks.slack.com/actions/1234/5678",
        "actions": [
            {
                "type": "button",
                "action_id": "k8s_deploy",
                "block_id": "b1",
                "text": {"type": "plain_text", "text": "Deploy", "emoji": True},
                "value": '{"namespace":"staging","deployment":"web"}',
                "action_ts": "1700000001.000200",
            }
        ],
    }
    return payload | changes


def view_submission(**changes: Any) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "type": "view_submission",
        "team": {"id": "T0TEAM", "domain": "acme"},
        "user": {"id": "U0ADA", "username": "ada", "team_id": "T0TEAM"},
        "view": {
            "id": "V0VIEW",
            "callback_id": "scale_view",
            "hash": "1700000002.abcdef",
            "private_metadata": '{"namespace":"staging"}',
            "blocks": [
                {"type": "input", "block_id": "replicas"},
                {"type": "section", "block_id": "intro"},
            ],
            "state": {
                "values": {"replicas": {"count": {"type": "plain_text_input", "value": "3"}}}
            },
        },
        "response_urls": [
            {
                "block_id": "target",
                "action_id": "channel",
                "channel_id": "C0OPS",
                "response_url": "https://hooks.slack.com/app/1234/5678",
            }
        ],
        "trigger_id": "1.2.3",
    }
    return payload | changes


def shortcut(**changes: Any) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "type": "shortcut",
        "token": "gone",
        "action_ts": "1700000003.000300",
        "team": {"id": "T0TEAM", "domain": "acme"},
        "user": {"id": "U0ADA", "username": "ada", "team_id": "T0TEAM"},
        "is_enterprise_install": False,
        "callback_id": "deploy_shortcut",
        "trigger_id": "1.2.4",
    }
    return payload | changes


def message_action(**changes: Any) -> dict[str, Any]:
    payload: dict[str, Any] = {
        **shortcut(),
        "type": "message_action",
        "callback_id": "deploy_message",
        "channel": {"id": "C0OPS", "name": "ops"},
        "message_ts": "1700000000.000100",
        "message": {"type": "message", "user": "U0ADA", "ts": "1700000000.000100", "text": "go"},
        "response_url": "https://hooks.slack.com/app/1234/9999",
    }
    return payload | changes


def block_suggestion(**changes: Any) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "type": "block_suggestion",
        "user": {"id": "U0ADA", "name": "ada", "team_id": "T0TEAM"},
        "container": {"type": "message", "message_ts": "1.2", "channel_id": "C0OPS"},
        "team": {"id": "T0TEAM", "domain": "acme"},
        "channel": {"id": "C0OPS", "name": "ops"},
        "action_id": "pick",
        "block_id": "b2",
        "value": "we",
    }
    return payload | changes


ALL_PAYLOADS = (
    block_actions(),
    view_submission(),
    view_submission() | {"type": "view_closed"},
    shortcut(),
    message_action(),
    block_suggestion(),
)

AN_EVENT: dict[str, Any] = {
    "type": "event_callback",
    "team_id": "T0TEAM",
    "api_app_id": "A0APP",
    "event": {"type": "app_home_opened", "user": "U0ADA", "tab": "home"},
    "event_id": "Ev0EVENT",
    "event_time": 1700000000,
    "authorizations": [
        {
            "enterprise_id": None,
            "team_id": "T0TEAM",
            "user_id": "U0BOT",
            "is_bot": True,
            "is_enterprise_install": False,
        }
    ],
}
