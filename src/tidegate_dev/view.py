"""The workspace as the page is told about it."""

import re
from collections.abc import Mapping
from typing import Any, Final

from tidegate_dev.slack.deliveries import Delivery
from tidegate_dev.slack.messages import Message
from tidegate_dev.slack.people import User
from tidegate_dev.slack.state import Workspace

Json = dict[str, Any]

_GROUP: Final = re.compile(r"<!subteam\^([A-Z0-9]+)>")


def message(workspace: Workspace, found: Message) -> Json:
    """Return a message; user groups in it have their names, as Slack's own client adds them."""
    body: Json = {
        "ts": found.ts,
        "channel": found.channel,
        "text": _with_names(workspace, found.text),
        "blocks": _with_names(workspace, found.blocks),
        "edited": found.edited is not None,
        "thread_ts": found.thread_ts,
        "ephemeral_for": found.ephemeral_for,
        "at": found.at,
    }
    if found.bot_id is not None:
        return {**body, "bot_id": found.bot_id}
    return {**body, "user": found.user}


def delivery(found: Delivery) -> Json:
    """Return a delivery."""
    return {
        "id": found.id,
        "kind": found.kind,
        "channel": found.channel,
        "message_ts": found.message_ts,
        "block_id": found.block_id,
        "action_id": found.action_id,
        "user": found.user,
        "at": found.at,
        "status": found.status,
        "http_status": found.http_status,
        "ack_ms": None if found.ack_ms is None else round(found.ack_ms, 2),
        "note": found.note,
    }


def people(workspace: Workspace) -> list[Json]:
    """Return everyone who can be, with the role that decides what they may do."""
    return [
        {
            "id": user.id,
            "name": user.name,
            "handle": user.handle,
            "role": _role(workspace, user),
            "guest": user.is_restricted or user.is_ultra_restricted,
            "initials": user.initials,
            "color": f"#{user.color}",
        }
        for user in workspace.users.values()
        if not user.is_bot
    ]


def bots(workspace: Workspace) -> list[Json]:
    """Return those who write without being a person."""
    identity = workspace.identity
    ours = {"id": identity.bot_id, "user_id": identity.bot_user_id, "name": "Tidegate"}
    webhook = {"id": "B0WEBHOOK", "user_id": identity.bot_user_id, "name": "Builds"}
    return [ours, webhook, {"id": "B0SLACKBOT", "user_id": "USLACKBOT", "name": "Slackbot"}]


def channels(workspace: Workspace) -> list[Json]:
    """Return the channels, direct messages with the bot last."""
    return [
        {
            "id": channel.id,
            "name": channel.name or "Tidegate",
            "topic": channel.topic,
            "unread": channel.unread,
        }
        for channel in workspace.channels.values()
    ]


def messages(workspace: Workspace) -> dict[str, list[Json]]:
    """Return every channel's messages in order."""
    return {
        channel: [message(workspace, found) for found in workspace.shown(channel)]
        for channel in workspace.channels
    }


def cluster(state: Mapping[str, Any]) -> Json:
    """Return what runs in the cluster: all workloads, one after the other."""
    return {
        "effects": dict(state["effects"]),
        "workloads": [
            _workload(namespace["name"], workload)
            for namespace in state["namespaces"]
            for workload in namespace["workloads"]
        ],
    }


def _workload(namespace: str, workload: Mapping[str, Any]) -> Json:
    return {
        "namespace": namespace,
        "name": workload["name"],
        "image": workload["image"],
        "replicas": workload["replicas"],
        "ready": workload["ready"],
        "revision": workload["revision"],
        "state": workload["status"],
        "pods": [
            {
                "name": pod["name"],
                "image": pod["tag"],
                "phase": pod["phase"],
                "ready": pod["ready"],
                "age_seconds": pod["age_seconds"],
            }
            for pod in workload["pods"]
        ],
        "events": list(workload["events"]),
    }


def _with_names(workspace: Workspace, value: Any) -> Any:
    """Return a copy of *value* in which every mention of a user group carries its handle."""

    def named(mention: re.Match[str]) -> str:
        group = workspace.groups.get(mention[1])
        return mention[0] if group is None else f"<!subteam^{group.id}|@{group.handle}>"

    if isinstance(value, str):
        return _GROUP.sub(named, value)
    if isinstance(value, list):
        return [_with_names(workspace, item) for item in value]
    if isinstance(value, dict):
        return {name: _with_names(workspace, item) for name, item in value.items()}
    return value


def _role(workspace: Workspace, user: User) -> str:
    groups = sorted(
        (group for group in workspace.groups.values() if user.id in group.users),
        key=lambda group: len(group.users),
    )
    return " · ".join([user.title, *(f"@{group.handle}" for group in groups)])
