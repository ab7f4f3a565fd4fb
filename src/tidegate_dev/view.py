"""The workspace as the page is told about it."""

import re
from collections.abc import Mapping
from typing import Any, Final

from tidegate_dev.slack import blocks as block_kit
from tidegate_dev.slack.deliveries import Delivery
from tidegate_dev.slack.far_end import SlackFarEnd
from tidegate_dev.slack.files import File
from tidegate_dev.slack.messages import Message
from tidegate_dev.slack.people import User
from tidegate_dev.slack.state import Workspace

Json = dict[str, Any]

MOST_EVENTS: Final = 30
_GROUP: Final = re.compile(r"<!subteam\^([A-Z0-9]+)>")


def message(slack: SlackFarEnd, found: Message) -> Json:
    """Return a message with what its text and its images stand for, as Slack's client adds it."""
    workspace = slack.workspace
    body: Json = {
        "ts": found.ts,
        "channel": found.channel,
        "text": _with_names(workspace, found.text),
        "blocks": _with_pictures(slack, _with_names(workspace, found.blocks)),
        "files": [file(slack, carried) for carried in found.files],
        "edited": found.edited is not None,
        "thread_ts": found.thread_ts,
        "ephemeral_for": found.ephemeral_for,
        "at": found.at,
    }
    if found.bot_id is not None:
        return {**body, "bot_id": found.bot_id}
    return {**body, "user": found.user}


def file(slack: SlackFarEnd, found: File) -> Json:
    """Return a file; only those in *seen_by* get it from its addresses."""
    known = found.known_type
    width, height = known.size if known and known.size else (None, None)
    return {
        "id": found.id,
        "name": found.name,
        "title": found.title or found.name,
        "size": found.size,
        "mimetype": known.mimetype if known else "",
        "type": known.pretty if known else "",
        "alt_text": found.alt_text,
        "is_picture": found.is_picture,
        "width": width,
        "height": height,
        "src": found.place,
        "download": found.download_place,
        "seen_by": [
            user.id
            for user in slack.workspace.users.values()
            if not user.is_bot and slack.files.can_see(found, user.id)
        ],
    }


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


def messages(slack: SlackFarEnd) -> dict[str, list[Json]]:
    """Return every channel's messages in order."""
    return {
        channel: [message(slack, found) for found in slack.workspace.shown(channel)]
        for channel in slack.workspace.channels
    }


def cluster(state: Mapping[str, Any]) -> Json:
    """Return what runs in the cluster: all workloads, one after the other."""
    return {
        **{name: state[name] for name in ("effects", "operations", "kubectl", "url")},
        "namespaces": [namespace["name"] for namespace in state["namespaces"]],
        "workloads": [
            _workload(namespace["name"], workload)
            for namespace in state["namespaces"]
            for workload in namespace["workloads"]
        ],
    }


def _workload(namespace: str, workload: Mapping[str, Any]) -> Json:
    same = ("kind", "name", "image", "replicas", "ready", "revision", "revisions")
    return {
        "namespace": namespace,
        **{name: workload[name] for name in same},
        "state": workload["status"],
        "pods": [{**pod, "image": pod["tag"]} for pod in workload["pods"]],
        "events": workload["events"][:MOST_EVENTS],
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
        named_too = {name: _with_names(workspace, item) for name, item in value.items()}
        group = workspace.groups.get(str(value.get("usergroup_id")))
        return named_too if group is None else {**named_too, "handle": group.handle}
    return value


def _with_pictures(slack: SlackFarEnd, blocks: list[Json]) -> list[Json]:
    """Return *blocks*, every image in them with the place at which a browser gets it."""
    for part, _ in block_kit.images(blocks):
        if "slack_file" in part:
            found = slack.pictures.slack_file(part["slack_file"])
            if found is not None and found.is_picture:
                shown = file(slack, found)
                part["picture"] = {name: shown[name] for name in ("src", "width", "height")}
        elif part["image_url"].startswith(("http://", "https://")):
            part["picture"] = {
                "src": slack.pictures.place(part["image_url"]),
                "width": part.get("image_width"),
                "height": part.get("image_height"),
            }
    return blocks


def _role(workspace: Workspace, user: User) -> str:
    groups = sorted(
        (group for group in workspace.groups.values() if user.id in group.users),
        key=lambda group: len(group.users),
    )
    return " · ".join([user.title, *(f"@{group.handle}" for group in groups)])
