"""chat.*: posting, changing and deleting messages."""

import json
from typing import Any, Final

from tidegate_dev.slack.errors import ApiError
from tidegate_dev.slack.messages import Message
from tidegate_dev.slack.methods.call import Call, Method
from tidegate_dev.slack.people import Channel

POST_TEXT_CUT: Final = 40_000
UPDATE_TEXT_LIMIT: Final = 4_000
MARKDOWN_LIMIT: Final = 12_000
ATTACHMENTS_LIMIT: Final = 100
METADATA_BYTES: Final = 32_000  # Slack publishes no number; this one is only there to be one


async def post_message(call: Call) -> dict[str, Any]:
    """The message is in the channel, once."""
    arguments = call.arguments
    channel = _writable(call, _addressed(call))
    text = arguments.text("text")
    blocks = await call.blocks(channel)
    attachments = _attachments(call)
    if arguments.has("markdown_text"):
        if text or blocks:
            raise ApiError("markdown_text_conflict")
        text = arguments.text("markdown_text")
        if len(text) > MARKDOWN_LIMIT:
            raise ApiError("msg_too_long")
    if not (text.strip() or blocks or attachments):
        raise ApiError("no_text")
    metadata = _metadata(call)
    thread_ts = thread_of(call)
    call.take_post(channel.id)
    message = call.workspace.bot_message(
        channel.id,
        text=text[:POST_TEXT_CUT],
        blocks=blocks or [],
        attachments=attachments,
        metadata=metadata,
        thread_ts=thread_ts,
    )
    call.workspace.post(message)
    return {"channel": channel.id, "ts": message.ts, "message": message.as_api(all_metadata=True)}


async def update(call: Call) -> dict[str, Any]:
    """The bot's own message has the new content; text alone removes the blocks."""
    arguments = call.arguments
    channel = call.channel()
    _updatable(call, channel)
    blocks = await call.blocks(channel)
    message = _updatable(call, channel)  # it may have gone while images were fetched
    text = arguments.text("text")
    given = arguments.has("attachments")
    attachments = _attachments(call) if given else message.attachments
    if not (text.strip() or blocks or (given and attachments)):
        raise ApiError("no_text")
    if len(text) > UPDATE_TEXT_LIMIT:
        raise ApiError("msg_too_long")
    metadata = _metadata(call) if arguments.has("metadata") else message.metadata
    if arguments.has("text"):
        message.text = text
        message.blocks = blocks or []
    elif blocks is not None:
        message.blocks = blocks
    message.attachments = attachments
    message.metadata = metadata
    message.edited = {
        "user": call.workspace.identity.bot_user_id,
        "ts": call.workspace.clock.ts(),
    }
    call.workspace.changed(message)
    return {
        "channel": channel.id,
        "ts": message.ts,
        "text": message.text,
        "message": message.as_api(all_metadata=True),
    }


async def post_ephemeral(call: Call) -> dict[str, Any]:
    """Only the given user sees the message."""
    channel = _writable(call, call.channel(by_name=True))
    user = call.workspace.users.get(call.arguments.required("user", "user_not_found"))
    if user is None or user.deleted:
        raise ApiError("user_not_found")
    if user.id not in channel.members:
        raise ApiError("user_not_in_channel")
    text = call.arguments.text("text")
    blocks = await call.blocks(channel)
    attachments = _attachments(call)
    if not (text.strip() or blocks or attachments):
        raise ApiError("no_text")
    message = call.workspace.bot_message(
        channel.id,
        text=text[:POST_TEXT_CUT],
        blocks=blocks or [],
        attachments=attachments,
        thread_ts=thread_of(call),
        ephemeral_for=user.id,
    )
    call.workspace.post(message)
    return {"message_ts": message.ts}


def delete(call: Call) -> dict[str, Any]:
    """The bot's own message is gone."""
    channel = call.channel()
    message = call.workspace.message(channel.id, call.arguments.text("ts"))
    if message is None or message.ephemeral_for is not None:
        raise ApiError("message_not_found")
    if message.bot_id != call.workspace.identity.bot_id:
        raise ApiError("cant_delete_message")
    call.workspace.delete(message)
    return {"channel": channel.id, "ts": message.ts}


def get_permalink(call: Call) -> dict[str, Any]:
    """Return the address of a message."""
    channel = call.channel()
    message = call.workspace.message(channel.id, call.arguments.text("message_ts"))
    if message is None or message.ephemeral_for is not None:
        raise ApiError("message_not_found")
    domain = call.workspace.identity.team_domain
    link = f"https://{domain}.slack.com/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.is_reply:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def _addressed(call: Call) -> Channel:
    """Return the channel to post to; a user id means the bot's direct message."""
    wanted = call.arguments.text("channel")
    user = call.workspace.users.get(wanted)
    if user is not None and not user.is_bot:
        return call.workspace.direct_channel(user.id)
    return call.channel(by_name=True)


def _writable(call: Call, channel: Channel) -> Channel:
    if channel.is_archived:
        raise ApiError("is_archived")
    public = channel.kind == "public_channel" and "chat:write.public" in call.workspace.scopes
    if not call.bot_is_in(channel) and not public:
        raise ApiError("not_in_channel")
    return channel


def _updatable(call: Call, channel: Channel) -> Message:
    message = call.workspace.message(channel.id, call.arguments.text("ts"))
    if message is None or message.ephemeral_for is not None:
        raise ApiError("message_not_found")
    if message.bot_id != call.workspace.identity.bot_id:
        raise ApiError("cant_update_message")
    if channel.is_archived:
        raise ApiError("is_archived")
    return message


def _attachments(call: Call) -> list[dict[str, Any]]:
    given = call.arguments.nested("attachments", "invalid_attachments")
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise ApiError("invalid_attachments")
    if len(given) > ATTACHMENTS_LIMIT:
        raise ApiError("too_many_attachments")
    return given


def _metadata(call: Call) -> dict[str, Any] | None:
    given = call.arguments.nested("metadata", "invalid_metadata_format")
    if given is None:
        return None
    if not isinstance(given, dict):
        raise ApiError("invalid_metadata_format")
    payload = given.get("event_payload")
    if not isinstance(given.get("event_type"), str) or not isinstance(payload, dict):
        raise ApiError("invalid_metadata_format")
    if len(json.dumps(given)) > METADATA_BYTES:
        raise ApiError("metadata_too_large")
    return given


def thread_of(call: Call) -> str | None:
    """Return the thread that the call writes into, or None.

    Raises:
        ApiError: `invalid_thread_ts`.
    """
    thread = call.arguments.text("thread_ts")
    if not thread:
        return None
    seconds, dot, micros = thread.partition(".")
    if not (dot and seconds.isascii() and seconds.isdigit() and micros.isdigit()):
        raise ApiError("invalid_thread_ts")
    return thread


def visible(message: Message) -> bool:
    """Whether *message* belongs to the channel's own flow rather than to a thread."""
    return message.ephemeral_for is None and not message.is_reply


METHODS: Final = {
    "chat.postMessage": Method(run=post_message, tier=5, scopes=("chat:write",)),
    "chat.update": Method(run=update, tier=3, scopes=("chat:write",)),
    "chat.postEphemeral": Method(run=post_ephemeral, tier=4, scopes=("chat:write",)),
    "chat.delete": Method(run=delete, tier=3, scopes=("chat:write",)),
    "chat.getPermalink": Method(run=get_permalink, tier=5),
}
