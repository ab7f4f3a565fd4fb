"""What Slack sends to an app: the bodies of interactivity, commands and options.

Sources: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload/ and
https://docs.slack.dev/interactivity/implementing-slash-commands/
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from tidegate_dev.slack import blocks as block_kit
from tidegate_dev.slack.messages import Message
from tidegate_dev.slack.people import Channel, User
from tidegate_dev.slack.state import Workspace

Json = dict[str, Any]

_SINGLE: Final = {
    "static_select": "selected_option",
    "external_select": "selected_option",
    "radio_buttons": "selected_option",
    "overflow": "selected_option",
    "users_select": "selected_user",
    "conversations_select": "selected_conversation",
    "channels_select": "selected_channel",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "plain_text_input": "value",
    "email_text_input": "value",
    "url_text_input": "value",
    "number_input": "value",
}
_MULTI: Final = {
    "checkboxes": "selected_options",
    "multi_static_select": "selected_options",
    "multi_external_select": "selected_options",
    "multi_users_select": "selected_users",
    "multi_conversations_select": "selected_conversations",
    "multi_channels_select": "selected_channels",
}
_WITH_OPTIONS: Final = ("selected_option", "selected_options")
_ECHOED: Final = ("text", "value", "url", "style", "confirm", "placeholder", "min_query_length")
_INITIAL: Final = ("initial_option", "initial_options", "initial_user", "initial_date")


class UnknownOptionError(Exception):
    """The element has no option with the value that was chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """One use of one element by one person."""

    user: User
    channel: Channel
    message: Message
    block: Json
    element: Json
    action_ts: str
    choice: str | list[str] | None = None


def form(payload: Mapping[str, Any]) -> bytes:
    """Return *payload* as the body that carries it: one form field, `payload`."""
    return urlencode({"payload": json.dumps(payload, separators=(",", ":"))}).encode()


def chosen(element: Json, choice: str | list[str] | None) -> Any:
    """Return what *choice* (values) selects in *element*, as Slack writes it.

    Raises:
        UnknownOptionError: The element offers no such option.
    """
    key = _SINGLE.get(element["type"]) or _MULTI.get(element["type"])
    if key is None:
        return None
    if key not in _WITH_OPTIONS or element["type"].endswith("external_select"):
        return _free_choice(element, key, choice)
    values = [choice] if isinstance(choice, str) else list(choice or [])
    offered = {option["value"]: option for option in _options(element)}
    if any(value not in offered for value in values):
        raise UnknownOptionError(element.get("action_id", ""))
    picked = [offered[value] for value in values]
    if key == "selected_options":
        return picked
    return picked[0] if picked else None


def _free_choice(element: Json, key: str, choice: str | list[str] | None) -> Any:
    """Return a choice that no list of the element offers: a user, a date, a text."""
    if not element["type"].endswith("external_select"):
        return choice
    values = [choice] if isinstance(choice, str) else list(choice or [])
    picked = [{"text": _plain(value), "value": value} for value in values]
    return picked if key == "selected_options" else (picked[0] if picked else None)


def _plain(text: str) -> Json:
    return {"type": "plain_text", "text": text, "emoji": True}


def _options(element: Json) -> Iterable[Json]:
    yield from element.get("options", [])
    for group in element.get("option_groups", []):
        yield from group.get("options", [])


def block_actions(
    workspace: Workspace, press: Press, *, trigger_id: str, response_url: str, state: Json
) -> Json:
    """Return the payload of a press on an element of a message."""
    message = press.message
    container: Json = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": press.channel.id,
        "is_ephemeral": message.ephemeral_for is not None,
    }
    if message.thread_ts is not None:
        container["thread_ts"] = message.thread_ts
    payload = _envelope(workspace, press.user, press.channel)
    payload.update(
        type="block_actions",
        container=container,
        trigger_id=trigger_id,
        state={"values": state},
        response_url=response_url,
        actions=[_action(press)],
    )
    if message.ephemeral_for is None:
        payload["message"] = message.as_api(all_metadata=True)
    return payload


def block_suggestion(workspace: Workspace, press: Press, *, typed: str) -> Json:
    """Return the payload that asks for the options of an external select."""
    payload = _envelope(workspace, press.user, press.channel)
    payload.update(
        type="block_suggestion",
        container={
            "type": "message",
            "message_ts": press.message.ts,
            "channel_id": press.channel.id,
            "is_ephemeral": press.message.ephemeral_for is not None,
        },
        action_id=press.element.get("action_id"),
        block_id=press.block.get("block_id"),
        value=typed,
        message=press.message.as_api(all_metadata=True),
    )
    return payload


def command(
    workspace: Workspace,
    *,
    user: User,
    channel: Channel,
    name: str,
    text: str,
    trigger_id: str,
    response_url: str,
) -> bytes:
    """Return the form of a slash command."""
    identity = workspace.identity
    return urlencode(
        {
            "token": identity.verification_token,
            "team_id": user.team_id,
            "team_domain": identity.team_domain,
            "channel_id": channel.id,
            "channel_name": "directmessage" if channel.im_user else channel.name,
            "user_id": user.id,
            "user_name": user.handle,
            "command": name,
            "text": text,
            "api_app_id": identity.app_id,
            "is_enterprise_install": "false",
            "response_url": response_url,
            "trigger_id": trigger_id,
        }
    ).encode()


def message_state(message: Message, selections: Mapping[tuple[str, str], Any]) -> Json:
    """Return `state.values`: what every stateful element of *message* shows now.

    Args:
        message: The message.
        selections: What the person has chosen so far, by (block_id, action_id).
    """
    values: Json = {}
    for block in message.blocks:
        for element in block_kit.elements(block):
            kind = element.get("type", "")
            key = _SINGLE.get(kind) or _MULTI.get(kind)
            if key is None or kind == "overflow":
                continue
            place = (block["block_id"], element["action_id"])
            initial = element.get(key.replace("selected_", "initial_"))
            now = selections.get(place, initial if key not in _MULTI.values() else initial or [])
            values.setdefault(place[0], {})[place[1]] = {"type": kind, key: now}
    return values


def _envelope(workspace: Workspace, user: User, channel: Channel) -> Json:
    identity = workspace.identity
    return {
        "type": "",
        "user": {
            "id": user.id,
            "username": user.handle,
            "name": user.handle,
            "team_id": user.team_id,
        },
        "api_app_id": identity.app_id,
        "token": identity.verification_token,
        "container": {},
        "trigger_id": "",
        "team": {"id": identity.team_id, "domain": identity.team_domain},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": channel.id, "name": "directmessage" if channel.im_user else channel.name},
    }


def _action(press: Press) -> Json:
    element = press.element
    action: Json = {
        "type": element["type"],
        "action_id": element.get("action_id"),
        "block_id": press.block.get("block_id"),
    }
    for name in (*_ECHOED, *_INITIAL):
        if name in element:
            action[name] = element[name]
    key = _SINGLE.get(element["type"]) or _MULTI.get(element["type"])
    if key is not None:
        action[key] = chosen(element, press.choice)
    action["action_ts"] = press.action_ts
    return action
