"""files.*: the three steps of an upload, and what became of it.

Sources: https://docs.slack.dev/reference/methods/files.getUploadURLExternal/ and
https://docs.slack.dev/reference/methods/files.completeUploadExternal/
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from tidegate_dev.slack.errors import ApiError
from tidegate_dev.slack.file_store import Sharing
from tidegate_dev.slack.files import SNIPPET_BYTES, File
from tidegate_dev.slack.methods.call import Call, Method
from tidegate_dev.slack.methods.chat import thread_of
from tidegate_dev.slack.people import Channel

MAX_BYTES: Final = 1024**3
ALT_TEXT_LIMIT: Final = 1000
CHANNELS_LIMIT: Final = 100
_CHANNEL_ID: Final = re.compile(r"[CDGUW][A-Z0-9]{2,}")
_SNIPPET_TYPES: Final = re.compile(
    "text|auto|c|cpp|csharp|css|csv|diff|dockerfile|go|html|java|javascript|json|kotlin|markdown"
    "|perl|php|powershell|python|ruby|rust|scala|shell|sql|swift|tsv|typescript|xml|yaml"
)
_LISTED: Final[Mapping[str, Callable[[File], bool]]] = {
    "all": lambda _: True,
    "images": lambda file: file.is_picture,
    "pdfs": lambda file: file.known_type is not None and file.known_type.filetype == "pdf",
    "snippets": lambda file: file.is_snippet,
}


def get_upload_url(call: Call) -> dict[str, Any]:
    """Return a file's id and the address that takes its bytes."""
    arguments = call.arguments
    name = _required(call, "filename")
    size = _length(call)
    alt_text = arguments.text("alt_txt")
    if len(alt_text) > ALT_TEXT_LIMIT:
        raise ApiError("alt_txt_too_large")
    snippet_type = arguments.text("snippet_type")
    if snippet_type and not _SNIPPET_TYPES.fullmatch(snippet_type):
        raise ApiError("unknown_snippet_type")
    if snippet_type and size > SNIPPET_BYTES:
        raise ApiError("snippet_too_large")
    if size > MAX_BYTES:
        raise ApiError("file_upload_size_restricted")
    file = call.files.promise(
        name=name, size=size, user=call.bot_user, alt_text=alt_text, snippet_type=snippet_type
    )
    return {"upload_url": call.files.upload_url(file), "file_id": file.id}


async def complete_upload(call: Call) -> dict[str, Any]:
    """The files are on their way into the channels; the answer comes before they are there."""
    files = _uploaded(call)
    channels = _channels(call)
    thread_ts = thread_of(call)
    if thread_ts is not None and len(channels) > 1:
        raise ApiError("invalid_arguments", messages=["[ERROR] thread_ts takes one channel only"])
    text = call.arguments.text("initial_comment")
    blocks: list[dict[str, Any]] = []
    if not text and call.arguments.has("blocks"):
        for channel in channels:
            blocks = await call.blocks(channel) or []
        files = _uploaded(call)  # another call may have been faster while images were fetched
    for file, title in files:
        file.title = title
    sharing = Sharing(
        files=[file for file, _ in files],
        channels=[channel.id for channel in channels],
        text=text,
        blocks=blocks,
        thread_ts=thread_ts,
    )
    call.files.complete(sharing)
    return {"files": [file.as_api() for file in sharing.files]}


def info(call: Call) -> dict[str, Any]:
    """Return one file."""
    file = _visible(call)
    body: dict[str, Any] = {"file": file.as_api(), "comments": []}
    return {**body, "response_metadata": {"next_cursor": ""}}


def list_(call: Call) -> dict[str, Any]:
    """Return the files that the bot may see, newest first, by numbered pages."""
    arguments = call.arguments
    kinds = [kind.strip() for kind in (arguments.text("types") or "all").split(",")]
    if any(kind not in _LISTED for kind in kinds):
        raise ApiError("unknown_type")
    channel, user = arguments.text("channel"), arguments.text("user")
    found = [
        file
        for file in call.files.all()
        if call.files.can_see(file, call.bot_user)
        and any(_LISTED[kind](file) for kind in kinds)
        and (not user or file.user == user)
        and (not channel or any(share.channel.id == channel for share in file.shares))
    ]
    count = arguments.number("count", 100, most=1000)
    page = arguments.number("page", 1, most=100)
    first = (page - 1) * count
    return {
        "files": [file.as_api() for file in found[first : first + count]],
        "paging": {
            "count": count,
            "total": len(found),
            "page": page,
            "pages": -(-len(found) // count),
        },
    }


def delete(call: Call) -> dict[str, Any]:
    """The bot's own file is gone, and so is what showed it."""
    file = _visible(call)
    if file.user != call.bot_user:
        raise ApiError("cant_delete_file")
    call.files.delete(file)
    return {}


def _required(call: Call, name: str) -> str:
    value = call.arguments.text(name)
    if not value:
        raise ApiError("missing_argument", messages=[f"[ERROR] missing required field: {name}"])
    return value


def _length(call: Call) -> int:
    given = _required(call, "length")
    if not (given.isascii() and given.isdigit() and len(given) < 16):
        raise ApiError("invalid_arguments", messages=["[ERROR] must be a number: length"])
    if int(given) == 0:
        raise ApiError("missing_argument", messages=["[ERROR] missing required field: length"])
    return int(given)


def _uploaded(call: Call) -> list[tuple[File, str]]:
    """Return the files that the call names, every one with its bytes, and their titles."""
    _required(call, "files")
    given = call.arguments.nested("files", "invalid_arguments")
    if not isinstance(given, list) or not given:
        raise ApiError("invalid_arguments", messages=["[ERROR] must be an array: files"])
    found: dict[str, tuple[File, str]] = {}
    for item in given:
        file_id = item.get("id") if isinstance(item, dict) else None
        if not isinstance(file_id, str) or file_id in found:
            raise ApiError("invalid_arguments", messages=["[ERROR] files need an id each"])
        file = call.files.get(file_id)
        if file is None or file.is_there or file.state == "deleted":
            raise ApiError("file_not_found")
        if file.state != "uploaded":
            raise ApiError("file_update_failed")
        found[file_id] = (file, str(item.get("title") or ""))
    return list(found.values())


def _channels(call: Call) -> list[Channel]:
    given = call.arguments.text("channel_id") or call.arguments.text("channels")
    ids = dict.fromkeys(part.strip() for part in given.split(",") if part.strip())
    if len(ids) > CHANNELS_LIMIT:
        raise ApiError("channels_limit_exceeded")
    return [_channel(call, channel_id) for channel_id in ids]


def _channel(call: Call, channel_id: str) -> Channel:
    """Return where a file may be shared: a channel that the bot is in; a user is their own."""
    if not _CHANNEL_ID.fullmatch(channel_id):
        raise ApiError("invalid_channel")
    user = call.workspace.users.get(channel_id)
    if user is not None and not user.is_bot:
        return call.workspace.direct_channel(user.id)
    channel = call.known_channel(channel_id)
    if not call.bot_is_in(channel):
        raise ApiError("not_in_channel")
    if channel.is_archived:
        raise ApiError("posting_to_channel_denied")
    return channel


def _visible(call: Call) -> File:
    file = call.files.get(_required(call, "file"))
    if file is not None and file.state == "deleted":
        raise ApiError("file_deleted")
    if file is None or not file.is_there or not call.files.can_see(file, call.bot_user):
        raise ApiError("file_not_found")
    return file


_READ: Final = ("files:read",)
_WRITE: Final = ("files:write",)

METHODS: Final = {
    "files.getUploadURLExternal": Method(run=get_upload_url, tier=4, scopes=_WRITE),
    "files.completeUploadExternal": Method(run=complete_upload, tier=4, scopes=_WRITE),
    "files.info": Method(run=info, tier=4, scopes=_READ),
    "files.list": Method(run=list_, tier=3, scopes=_READ),
    "files.delete": Method(run=delete, tier=3, scopes=_WRITE),
}
