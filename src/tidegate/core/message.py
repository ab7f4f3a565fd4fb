"""A message that somebody wants sent: its text, its blocks, where it goes; and what is refused."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.core import block_kit
from tidegate.core.text import is_whole
from tidegate.errors import ShareError

MAX_TEXT: Final = 40_000  # Slack cuts longer ones
MAX_UPDATE_TEXT: Final = 4_000
#: Of a file with blocks: more than any message could hold.
MAX_JSON_BYTES: Final = 1_048_576

_TIMESTAMP: Final = re.compile(r"[0-9]{10}\.[0-9]{6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to be sent.

    Attributes:
        id: Names it: a message with this id is not posted a second time.
        channel_id: Where to.
        text: In Slack's markup; beside blocks, what notifications say.
        blocks: What it shows instead.
        thread_ts: The message under which it is to appear.
        update_ts: Instead of a new message: ours with this timestamp becomes this one.
        only_for: The id of the person who alone is to see it.
    """

    id: str
    channel_id: str
    text: str = ""
    blocks: tuple[Mapping[str, Any], ...] = ()
    thread_ts: str | None = None
    update_ts: str | None = None
    only_for: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of a message.

    Attributes:
        message: As it was sent.
        channel_id: Where it is: a direct message has an id of its own.
        ts: Its timestamp; None for one that only one person sees, or that was not sent.
        notes: What the caller should know, in sentences.
    """

    message: Message
    channel_id: str
    ts: str | None = None
    notes: tuple[str, ...] = ()


_SAID: Final = {
    "nothing_to_say": "There is nothing to send: give a text, blocks or a file.",
    "text_too_long": "The text has {length:,} characters; Slack takes at most {most:,}{where}.",
    "not_utf8": "The {what} is not UTF-8 text.",
    "too_much": "More than {most:,} bytes come in, which no message holds.",
    "blocks_not_read": "{name} cannot be read: {why}.",
    "blocks_unreadable": (
        "The blocks are not JSON: {why}. Give a list of blocks, or an object with the keys "
        '"blocks" and, if you like, "text".'
    ),
    "blocks_invalid": "Slack would not take the blocks:\n{why}",
    "blocks_refused": (
        "Slack did not take the blocks. Images must be PNG, JPEG or GIF that Slack can fetch, or "
        "files in Slack that the app may see."
    ),
    "message_not_found": "There is no such message in that channel.",
    "not_ours": "Only messages that the app itself has sent can be changed.",
    "not_changeable": "Slack does not let that message be changed any more.",
    "person_not_there": "There is no such person in that channel.",
    "channel_archived": "That channel is archived.",
    "thread_not_found": "There is no such thread in that channel.",
}
#: What Slack's own codes mean for a message.
BY_SLACK: Final = {
    "cant_update_message": "not_ours",
    "edit_window_closed": "not_changeable",
    "invalid_blocks": "blocks_refused",
    "invalid_blocks_format": "blocks_refused",
    "is_archived": "channel_archived",
    "invalid_thread_ts": "thread_not_found",
    "thread_not_found": "thread_not_found",
    "message_not_found": "message_not_found",
    "user_not_found": "person_not_there",
    "user_not_in_channel": "person_not_there",
}


def refusal(code: str, **words: object) -> ShareError:
    """Return the error of a code, said in its sentence."""
    return ShareError(code, _SAID[code].format(**words))


def admit(message: Message) -> tuple[str, ...]:
    """Return what cannot be told of a message before it is sent, in sentences.

    Raises:
        ShareError: Slack would refuse it.
    """
    if not message.text.strip() and not message.blocks:
        raise refusal("nothing_to_say")
    if not is_whole(message.text):
        raise refusal("not_utf8", what="text")
    most = MAX_TEXT if message.update_ts is None else MAX_UPDATE_TEXT
    if len(message.text) > most:
        where = "" if message.update_ts is None else " when a message is changed"
        raise refusal("text_too_long", length=len(message.text), most=most, where=where)
    found = block_kit.check(message.blocks)
    if found.problems:
        raise refusal("blocks_invalid", why="\n".join(found.problems))
    if not _are_whole(message.blocks):
        raise refusal("not_utf8", what="text of the blocks")
    return found.notes


def _are_whole(value: object) -> bool:
    """Tell whether all strings in a value can be encoded, however deep it is nested."""
    left = [value]
    while left:
        match left.pop():
            case str(text):
                if not is_whole(text):
                    return False
            case Mapping() as mapping:
                left += [*mapping, *mapping.values()]
            case list() | tuple() as items:
                left += items
            case _:
                pass
    return True


def parse_blocks(content: bytes) -> tuple[tuple[Mapping[str, Any], ...], str]:
    """Return the blocks, and the text, that JSON gives: a list, or an object with `blocks`.

    What the blocks say is not looked at: `admit` does that. Raises `ShareError`.
    """
    if len(content) > MAX_JSON_BYTES:
        raise refusal("blocks_unreadable", why="that is more than any message holds")
    try:
        found = json.loads(content.decode("utf-8-sig"), parse_constant=_no_number)
    except UnicodeDecodeError:
        raise refusal("not_utf8", what="blocks file") from None
    except RecursionError:
        raise refusal("blocks_unreadable", why="they are nested too deeply") from None
    except json.JSONDecodeError as error:
        why = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise refusal("blocks_unreadable", why=why) from None
    except ValueError:
        why = "there is a number that is too long, or not one of JSON's"
        raise refusal("blocks_unreadable", why=why) from None
    text = ""
    if isinstance(found, dict):
        text, found = found.get("text", ""), found.get("blocks")
    if not isinstance(found, list):
        raise refusal("blocks_unreadable", why="there is no list of blocks")
    if not isinstance(text, str):
        raise refusal("blocks_unreadable", why="the text is not a string")
    return tuple(found), text


def _no_number(name: str) -> None:
    """NaN and Infinity, which Python would read and nobody else."""
    raise ValueError(name)


def is_timestamp(text: str) -> bool:
    """Tell whether a text is the timestamp by which Slack names a message."""
    return _TIMESTAMP.fullmatch(text) is not None
