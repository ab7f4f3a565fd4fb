"""What a message of S3's event notifications says: which objects are there now.

Three shapes are read: S3's own notification (`Records`), EventBridge's «Object Created», and either
of them as SNS passes it on. Total: any bytes are a `Notice` or an `EventError`. What is well-formed
and tells of no new object (a deletion, S3's own test message) is passed over.

Sources:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

import msgspec

from tidegate.core.bucket import MAX_KEY_BYTES
from tidegate.errors import EventError

MAX_BYTES: Final = 262_144  # one record has about a kilobyte
MAX_RECORDS: Final = 100  # S3 sends one
MAX_WORD: Final = 1024
MAX_SIZE: Final = 2**53  # what JSON says exactly; the largest object is far below
_CREATED: Final = "ObjectCreated:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeared:
    """An object that is there now, in the state of which an event tells.

    Attributes:
        bucket: The bucket's name.
        key: The object's whole key, decoded.
        size: In bytes; None if the event does not say.
        etag: Without its quotes, or empty.
        version_id: Empty where the bucket keeps no versions.
        sequencer: Grows from event to event of one key, or empty.
    """

    bucket: str
    key: str
    size: int | None = None
    etag: str = ""
    version_id: str = ""
    sequencer: str = ""

    def delivery_key(self, action: str) -> str:
        """Return what is the same for every delivery of this state of the object, for an action."""
        state = f"v:{self.version_id}" if self.version_id else f"s:{self.sequencer or self.etag}"
        whole = msgspec.json.encode((action, self.bucket, state, self.key))
        return f"s3_event:{hashlib.sha256(whole).hexdigest()}"


def parse(body: bytes) -> tuple[Appeared, ...]:
    """Return the objects that a message tells of; none where it tells of something else.

    Raises:
        EventError: It is no such message: `too_large` or `not_an_event`.
    """
    if len(body) > MAX_BYTES:
        raise EventError("too_large")
    return tuple(_read(_decoded(body), wrapped=False))


def _decoded(body: bytes | str) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise EventError("not_an_event") from None
    return _mapping(found)


def _read(message: Mapping[str, Any], *, wrapped: bool) -> Iterator[Appeared]:
    match message:
        case {"Records": list(records)}:
            if len(records) > MAX_RECORDS:
                raise EventError("too_large")
            for record in records:
                yield from _record(_mapping(record))
        case {"source": str(source), "detail-type": str(kind), "detail": detail}:
            if source == "aws.s3" and kind == "Object Created":
                yield _of_event_bridge(_mapping(detail))
        case {"Service": "Amazon S3", "Event": "s3:TestEvent"}:
            return
        case {"Type": "Notification", "Message": str(inner)} if not wrapped:
            yield from _read(_decoded(inner), wrapped=True)
        case _:
            raise EventError("not_an_event")


def _record(record: Mapping[str, Any]) -> Iterator[Appeared]:
    name = _word(record, "eventName").removeprefix("s3:")
    if not name:
        raise EventError("not_an_event")
    if not name.startswith(_CREATED) or "s3" not in record:
        return
    s3 = _mapping(record["s3"])
    found = _mapping(s3.get("object"))
    try:
        # Encoded as forms are: a space is a plus.
        key = unquote_plus(_word(found, "key"), errors="strict")
    except UnicodeDecodeError:
        raise EventError("not_an_event") from None
    yield _appeared(
        _mapping(s3.get("bucket")),
        found,
        key=key,
        etag=_word(found, "eTag"),
        version_id=_word(found, "versionId"),
    )


def _of_event_bridge(detail: Mapping[str, Any]) -> Appeared:
    found = _mapping(detail.get("object"))
    return _appeared(
        _mapping(detail.get("bucket")),
        found,
        key=_word(found, "key"),
        etag=_word(found, "etag"),
        version_id=_word(found, "version-id"),
    )


def _appeared(
    bucket: Mapping[str, Any], found: Mapping[str, Any], *, key: str, etag: str, version_id: str
) -> Appeared:
    name, sequencer = _word(bucket, "name"), _word(found, "sequencer")
    version_id = "" if version_id == "null" else version_id  # of before versioning was switched on
    size = found.get("size")
    whole = isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= MAX_SIZE
    told = bool(version_id or sequencer or etag)  # which state of the object it is
    plain = f"{name}{sequencer}{etag}{version_id}".isascii()
    if not (name and key and told and plain) or len(key.encode()) > MAX_KEY_BYTES:
        raise EventError("not_an_event")
    return Appeared(
        bucket=name,
        key=key,
        size=size if whole else None,
        etag=etag,
        version_id=version_id,
        sequencer=sequencer,
    )


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise EventError("not_an_event")
    return value


def _word(mapping: Mapping[str, Any], name: str) -> str:
    value = mapping.get(name, "")
    # An encoded key is up to three times as long.
    if not isinstance(value, str) or len(value) > 3 * MAX_WORD:
        raise EventError("not_an_event")
    return value
