"""Where a key is kept inside its bucket's folder, and which key a file there stands for.

A key that a file system can hold is the file of that name. Any other (`a//b`, `../x`, `folder/`)
is a file below `.encoded`, percent-encoded and cut into pieces that fit a file name. What begins
with a dot is otherwise no object: desktops and editors leave such files everywhere.
"""

import re
from typing import Final
from urllib.parse import quote, unquote

Place = tuple[str, ...]

MAX_KEY_BYTES: Final = 1024
ENCODED: Final = ".encoded"

_BUCKET: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_MAX_NAME_BYTES: Final = 255
_PIECE: Final = 200
_GOES_ON: Final = "+"  # percent-encoding never leaves one


def is_bucket_name(name: str) -> bool:
    """Return whether S3 would take *name* for a bucket."""
    return _BUCKET.fullmatch(name) is not None


def plain_place(key: str) -> Place | None:
    """Return the key's segments when each of them can be a file's name."""
    segments = tuple(key.split("/"))
    return segments if all(map(_holdable, segments)) else None


def encoded_place(key: str) -> Place:
    """Return where a key goes that cannot be, or must not be, a plain file."""
    text = quote(key, safe="").replace(".", "%2E")
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    return (ENCODED, *(piece + _GOES_ON for piece in pieces[:-1]), pieces[-1])


def key_at(place: Place) -> str | None:
    """Return the key of the file at *place*, or None where the file is no object."""
    if place[0] == ENCODED:
        return _decoded(place)
    key = "/".join(place)
    return key if plain_place(key) == place and _fits(key) else None


def _decoded(place: Place) -> str | None:
    text = "/".join(place[1:]).replace(f"{_GOES_ON}/", "")
    try:
        key = unquote(text, errors="strict")
    except UnicodeDecodeError:
        return None
    return key if key and _fits(key) and encoded_place(key) == place else None


def _holdable(segment: str) -> bool:
    if not segment or segment.startswith(".") or "\0" in segment:
        return False
    try:
        return len(segment.encode()) <= _MAX_NAME_BYTES
    except UnicodeEncodeError:  # a file's name that is not UTF-8
        return False


def _fits(key: str) -> bool:
    return len(key.encode()) <= MAX_KEY_BYTES
