"""conversations.*: channels, their members and what was said in them."""

from typing import Any, Final, TypeVar

from tidegate_dev.slack.errors import ApiError
from tidegate_dev.slack.messages import Message, ts_order
from tidegate_dev.slack.methods.call import Call, Method
from tidegate_dev.slack.methods.chat import visible
from tidegate_dev.slack.people import Channel

Item = TypeVar("Item")

_READ: Final = ("channels:read", "groups:read", "im:read", "mpim:read")
_HISTORY: Final = ("channels:history", "groups:history", "im:history", "mpim:history")
_PREFIX: Final = {
    "public_channel": "channels",
    "private_channel": "groups",
    "im": "im",
    "mpim": "mpim",
}


def list_(call: Call) -> dict[str, Any]:
    """Return the channels that the app may know of, by pages."""
    kinds = (call.arguments.text("types") or "public_channel").replace(" ", "").split(",")
    if any(kind not in _PREFIX for kind in kinds):
        raise ApiError("invalid_types")
    for kind in kinds:
        call.needs(f"{_PREFIX[kind]}:read")
    skip_archived = call.arguments.flag("exclude_archived")
    found = [
        channel
        for channel in call.workspace.channels.values()
        if channel.kind in kinds
        and (channel.kind == "public_channel" or call.bot_is_in(channel))
        and not (skip_archived and channel.is_archived)
    ]
    page, cursor = _page(call, found)
    bot = call.workspace.identity.bot_user_id
    channels = [channel.as_api(bot_user=bot) for channel in page]
    return {"channels": channels, "response_metadata": {"next_cursor": cursor}}


def info(call: Call) -> dict[str, Any]:
    """Return one channel."""
    channel = _readable(call, "read")
    body = channel.as_api(bot_user=call.workspace.identity.bot_user_id)
    if not call.arguments.flag("include_num_members"):
        body.pop("num_members", None)
    return {"channel": body}


def members(call: Call) -> dict[str, Any]:
    """Return the ids of a channel's members, by pages."""
    page, cursor = _page(call, sorted(_readable(call, "read").members))
    return {"members": page, "response_metadata": {"next_cursor": cursor}}


def history(call: Call) -> dict[str, Any]:
    """Return the channel's own messages, newest first, by pages."""
    channel = _joined(call, _readable(call, "history"))
    found = [message for message in call.workspace.history(channel.id) if visible(message)]
    found = _between(call, found)
    found.reverse()
    return _messages(call, found)


def replies(call: Call) -> dict[str, Any]:
    """Return a thread: its parent first, then the replies, oldest first."""
    channel = _joined(call, _readable(call, "history"))
    ts = call.arguments.text("ts")
    stored = call.workspace.history(channel.id)
    thread = [message for message in stored if ts in (message.ts, message.thread_ts)]
    if not any(message.ts == ts for message in thread):
        raise ApiError("thread_not_found")
    kept = [message for message in thread if message.ts == ts]
    kept += _between(call, [message for message in thread if message.ts != ts])
    return _messages(call, kept)


def open_(call: Call) -> dict[str, Any]:
    """Return the direct message with a user, opened when it was not."""
    wanted = call.arguments.text("users")
    if call.arguments.has("channel"):
        return {"channel": {"id": call.channel().id}}
    ids = [part for part in wanted.replace(" ", "").split(",") if part]
    if not ids:
        raise ApiError("users_list_not_supplied")
    if len(ids) > 1:
        raise ApiError("method_not_supported_for_channel_type")
    user = call.workspace.users.get(ids[0])
    if user is None:
        raise ApiError("user_not_found")
    known = any(channel.im_user == user.id for channel in call.workspace.channels.values())
    channel = call.workspace.direct_channel(user.id)
    full = call.arguments.flag("return_im")
    bot = call.workspace.identity.bot_user_id
    body: dict[str, Any] = {"channel": channel.as_api(bot_user=bot) if full else {"id": channel.id}}
    return {**body, "no_op": True, "already_open": True} if known else body


def _readable(call: Call, what: str) -> Channel:
    channel = call.channel()
    call.needs(f"{_PREFIX[channel.kind]}:{what}")
    return channel


def _joined(call: Call, channel: Channel) -> Channel:
    if not call.bot_is_in(channel):
        raise ApiError("not_in_channel")
    return channel


def _between(call: Call, found: list[Message]) -> list[Message]:
    """Return what lies between `oldest` and `latest`; the ends count with `inclusive`."""
    oldest, latest = call.arguments.text("oldest"), call.arguments.text("latest")
    inclusive = call.arguments.flag("inclusive")
    low = ts_order(oldest) if oldest else (0, 0)
    high = ts_order(latest) if latest else (1 << 62, 0)

    def inside(message: Message) -> bool:
        at = ts_order(message.ts)
        return low <= at <= high if inclusive else low < at < high

    return [message for message in found if inside(message)]


def _messages(call: Call, found: list[Message]) -> dict[str, Any]:
    page, cursor = _page(call, found)
    everything = call.arguments.flag("include_all_metadata")
    body: dict[str, Any] = {
        "messages": [_with_thread(call, message, everything=everything) for message in page],
        "has_more": bool(cursor),
        "pin_count": 0,
    }
    if cursor:
        body["response_metadata"] = {"next_cursor": cursor}
    return body


def _with_thread(call: Call, message: Message, *, everything: bool) -> dict[str, Any]:
    body = message.as_api(all_metadata=everything)
    replies = [
        other
        for other in call.workspace.history(message.channel)
        if other.thread_ts == message.ts and other.is_reply
    ]
    if replies:
        body["thread_ts"] = message.ts
        body["reply_count"] = len(replies)
        body["latest_reply"] = replies[-1].ts
    return body


def _page(call: Call, found: list[Item]) -> tuple[list[Item], str]:
    """Return the page that `cursor` and `limit` ask for, and the next one's cursor."""
    limit = call.arguments.number("limit", 100, most=999)
    cursor = call.arguments.text("cursor")
    start = 0
    if cursor:
        offset = cursor.removeprefix("next:")
        if not (offset.isascii() and offset.isdigit() and len(offset) < 10):
            raise ApiError("invalid_cursor")
        start = int(offset)
    end = start + limit
    return found[start:end], f"next:{end}" if end < len(found) else ""


METHODS: Final = {
    "conversations.list": Method(run=list_, tier=2, scopes=_READ),
    "conversations.info": Method(run=info, tier=3, scopes=_READ),
    "conversations.members": Method(run=members, tier=4, scopes=_READ),
    "conversations.history": Method(run=history, tier=3, scopes=_HISTORY),
    "conversations.replies": Method(run=replies, tier=3, scopes=_HISTORY),
    "conversations.open": Method(run=open_, tier=3, scopes=("im:write", "mpim:write")),
}
