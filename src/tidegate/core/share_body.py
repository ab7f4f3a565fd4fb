"""What a caller of the API asks to be shared, and what the caller may ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec

from tidegate.core import share
from tidegate.core.message import is_timestamp
from tidegate.core.share import Mode, Order, Rules
from tidegate.errors import PayloadError, ShareError

MAX_TEXT: Final = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who may share over the API, and what: only what is named.

    Attributes:
        name: The token's name.
        buckets: Aliases of buckets.
        channels: Channel ids.
        modes: Ways to share.
        rate: At most so many in so many seconds, or None.
    """

    name: str
    buckets: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    modes: frozenset[str] = frozenset()
    rate: tuple[int, float] | None = None

    @property
    def action(self) -> str:
        """What its runs have in place of an action's name."""
        return f"api:{self.name}"

    def joined(self, other: Self) -> "Caller":
        """Return a caller who may what either may: while a token is rotated there are two."""
        return Caller(
            name=self.name,
            buckets=self.buckets | other.buckets,
            channels=self.channels | other.channels,
            modes=self.modes | other.modes,
            rate=self.rate or other.rate,
        )

    def refuses(self, body: "ShareBody", channel_id: str | None = None) -> str | None:
        """Return what keeps the caller from it (`bucket`, `mode`, `channel`), or None.

        Args:
            body: What is asked for.
            channel_id: Where; None as long as only its name is known.
        """
        if body.bucket not in self.buckets:
            return "bucket"
        if body.mode not in self.modes:
            return "mode"
        if body.by_url and Mode.LINK not in self.modes:  # the image's URL is a link
            return "mode"
        if channel_id is None:
            return None if self.channels else "channel"
        return None if channel_id in self.channels else "channel"


class ShareBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/v1/shares`."""

    bucket: str
    channel: str
    key: str = ""
    keys: tuple[str, ...] = ()
    mode: str = Mode.UPLOAD.value
    title: str = ""
    alt_text: str = ""
    comment: str = ""
    thread: str | None = None
    expires: str | int | None = None
    by_url: bool = False

    @property
    def is_prefix(self) -> bool:
        """Whether `key` stands for all images that begin so."""
        return self.mode == Mode.GALLERY and not self.keys

    def order(self, *, run_id: str, rules: Rules, channel_id: str) -> Order:
        """Return what is asked for. Raises `ShareError`."""
        return Order(
            id=run_id,
            rules=rules,
            keys=self.keys or (() if self.is_prefix else (self.key,)),
            prefix=self.key if self.is_prefix else None,
            channel_id=channel_id,
            mode=Mode(self.mode),
            title=self.title,
            alt_text=self.alt_text,
            comment=self.comment,
            thread_ts=self.thread,
            expires_seconds=_seconds(self.expires),
            by_url=self.by_url,
        )


_DECODER: Final = msgspec.json.Decoder(ShareBody)


def parse(body: bytes) -> ShareBody:
    """Return what a body asks for.

    Raises:
        PayloadError: It is not such a body; the message says where, and holds nothing of it.
    """
    try:
        found = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError(_place(error)) from None
    if found.mode not in set(Mode):
        raise PayloadError("mode is one of upload, link, image, gallery")
    _admit_keys(found)
    texts = (found.title, found.alt_text, found.comment, found.channel, found.bucket)
    if any(len(text) > MAX_TEXT for text in texts):
        raise PayloadError(f"a text has more than {MAX_TEXT:,} characters")
    if found.thread is not None and not is_timestamp(found.thread):
        raise PayloadError("thread is a message's timestamp, such as 1700000000.000100")
    try:
        _seconds(found.expires)
    except ShareError as error:
        raise PayloadError(error.notice) from None
    return found


def _admit_keys(found: ShareBody) -> None:
    if not found.key and not found.keys:
        raise PayloadError("key, or keys, is missing")
    if found.key and found.keys:
        raise PayloadError("key and keys exclude each other")
    if len(found.keys) > share.MAX_FILES:
        raise PayloadError(f"keys has more than {share.MAX_FILES} entries")
    sizes = (len(key.encode("utf-8", "surrogatepass")) for key in (found.key, *found.keys))
    if max(sizes) > share.MAX_KEY_BYTES:
        raise PayloadError(f"a key has more than {share.MAX_KEY_BYTES:,} bytes")


def as_params(body: ShareBody) -> dict[str, Any]:
    """Return what is kept of a body in its run."""
    found: dict[str, Any] = msgspec.to_builtins(body)
    return {name: value for name, value in found.items() if value not in ("", None, (), [], False)}


def of_params(params: Mapping[str, Any]) -> ShareBody:
    """Return the body that a run was recorded with."""
    return msgspec.convert(dict(params), ShareBody)


def _seconds(expires: str | int | None) -> int | None:
    return None if expires is None else share.seconds(str(expires))


def _place(error: Exception) -> str:
    """Where a body is wrong, in msgspec's words; unknown names are the caller's own."""
    text = str(error)
    known = ("Expected", "Object missing required field", "JSON is malformed")
    return text[:200] if text.startswith(known) else "the body is not what is expected here"
