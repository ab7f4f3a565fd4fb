"""The messages that a new workspace begins with: something to press in every channel."""

import json
from typing import Any, Final

from tidegate_dev.slack.far_end import SlackFarEnd

Json = dict[str, Any]

HINT: Final = "Press Deploy. Then press it again, or be Guest."
TARGET: Final = {"namespace": "staging", "deployment": "web"}
IMAGE: Final = "web:2.4.1"


def post_welcome(slack: SlackFarEnd) -> None:
    """Every channel has its first messages, and only #ops counts as read."""
    slack.post_as_bot("C0OPS", "Deploy web 2.4.1 to staging?", _staging())
    slack.post_as_bot("C0OPS", "Deploy web 2.4.1 to production?", _production())
    slack.post_as_other("C0REPORTS", "The build of web 2.4.2 is green.", _build())
    slack.post_as_bot("C0INCIDENTS", "Old runbook: restart the checkout service.", _retired())
    slack.workspace.read("C0OPS")


def _staging() -> list[Json]:
    return [
        _header("Deploy web 2.4.1 to staging?"),
        _section(
            "*web* runs in `staging`. Version *2.4.1* passed its tests and is ready to go out.\n"
            "Everyone in <!subteam^S0DEPLOYERS> may press these."
        ),
        {
            "type": "actions",
            "block_id": "staging",
            "elements": [
                _button("k8s_deploy", "Deploy", {**TARGET, "image": IMAGE}, style="primary"),
                _button("k8s_status", "Status", TARGET),
                {
                    "type": "static_select",
                    "action_id": "k8s_scale",
                    "placeholder": _plain("Scale"),
                    "options": [_replicas(count) for count in (1, 2, 3, 5)],
                },
            ],
        },
        {
            "type": "context",
            "elements": [_mrkdwn("Or type `/deploy web 2.4.1` or `/status web` below.")],
        },
    ]


def _production() -> list[Json]:
    value = {"namespace": "production", "deployment": "web", "image": IMAGE}
    button = _button("k8s_deploy_production", "Deploy to production", value, style="danger")
    button["confirm"] = {
        "title": _plain("Deploy to production?"),
        "text": _mrkdwn("*web 2.4.1* replaces what your customers use now."),
        "confirm": _plain("Deploy"),
        "deny": _plain("Not now"),
        "style": "danger",
    }
    section = _section("*Production* needs <!subteam^S0SRE>. Be Grace to press it, or Ada to see.")
    return [{**section, "block_id": "production", "accessory": button}]


def _build() -> list[Json]:
    return [
        _section(
            "*web 2.4.2* is built and tested. This message came by a webhook, so it is not the "
            "gateway's own: the gateway answers with a message of its own."
        ),
        {
            "type": "actions",
            "block_id": "build",
            "elements": [
                _button("k8s_deploy", "Deploy to staging", {**TARGET, "image": "web:2.4.2"}),
                _button("k8s_status", "Status", TARGET),
            ],
        },
        {"type": "context", "elements": [_mrkdwn("Build 1842 · main · 214 tests passed")]},
    ]


def _retired() -> list[Json]:
    return [
        _section(
            "*Old runbook.* This button is from a tool that was taken out of service. "
            "Press it to see what becomes of a button that nothing is connected to."
        ),
        {
            "type": "actions",
            "block_id": "runbook",
            "elements": [_button("restart_checkout_v1", "Restart checkout", {})],
        },
    ]


def _plain(text: str) -> Json:
    return {"type": "plain_text", "text": text, "emoji": True}


def _mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def _header(text: str) -> Json:
    return {"type": "header", "text": _plain(text)}


def _section(text: str) -> Json:
    return {"type": "section", "text": _mrkdwn(text)}


def _button(action_id: str, text: str, value: Json, *, style: str | None = None) -> Json:
    button: Json = {"type": "button", "action_id": action_id, "text": _plain(text)}
    if value:
        button["value"] = _compact(value)
    if style is not None:
        button["style"] = style
    return button


def _replicas(count: int) -> Json:
    words = "1 replica" if count == 1 else f"{count} replicas"
    return {"text": _plain(words), "value": _compact({**TARGET, "replicas": count})}


def _compact(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"))
