"""What may be shared from a bucket, and in which words it is refused.

Everything is denied that the rules of a bucket do not name. A refusal is one sentence that says
what to do about it; it repeats what the caller gave, and nothing that S3, Slack or a scanner wrote.
"""

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from tidegate.core import content
from tidegate.core.bucket import is_safe_key
from tidegate.core.content import Content
from tidegate.core.text import is_whole
from tidegate.errors import ShareError

MAX_LINK_SECONDS: Final = 604_800  # of presigned ones
MAX_FRONT_SECONDS: Final = 31_536_000  # of those by CloudFront: longer, and nobody remembers them
MAX_LISTED: Final = 1000  # keys that are looked at to find the images below a prefix
MAX_ALT_TEXT: Final = 1000
MAX_KEY_BYTES: Final = 1024  # S3's bound
MAX_FILES: Final = 100  # of one share: what a person still looks at, and Slack takes in one go
MIB: Final = 1_048_576
#: Where nothing else is said. Slack itself keeps files of up to a gigabyte.
MAX_UPLOAD_BYTES: Final = 1024 * MIB
MAX_OTHER_BYTES: Final = 100 * MIB
NAME_CHARACTERS: Final = 180
NAME_BYTES: Final = 240  # most file systems keep 255, and a browser may add to a name


class Mode(StrEnum):
    """How an object gets into a channel."""

    UPLOAD = "upload"
    LINK = "link"
    IMAGE = "image"
    GALLERY = "gallery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Which checks for malware an object must have passed.

    Attributes:
        clamd: Where clamd listens, or None.
        guardduty: Whether the tag of GuardDuty Malware Protection decides.
        max_bytes: Larger objects cannot be scanned, so they are refused.
    """

    clamd: str | None = None
    guardduty: bool = False
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What may be shared from one bucket.

    Attributes:
        alias: What the configuration calls the bucket, or its name.
        bucket: The bucket's name.
        prefix: Only keys that begin so.
        channels: Ids of the channels it may be shared in; None for any.
        modes: Ways in which it may be shared.
        types: Media types, judged by content; None for any that is no program.
        max_bytes: Larger objects are refused; None for what is usual for the mode.
        external: Whether it may go to channels that are shared with other organisations.
        unversioned: Whether a link may be given to an object that has no version.
        scan: Which checks for malware it must have passed, or None.
        expires_seconds: How long a link lives where nothing else is asked for.
        front: Links go through CloudFront, and so do not end with AWS credentials.
        own: Whoever asks acts with rights of their own, at their own machine: what cannot be told
            of the channel does not keep them from it.
        any_type: Programs may go too, and what is not what its name says: for files that whoever
            asks has at hand.
    """

    alias: str
    bucket: str
    prefix: str = ""
    channels: frozenset[str] | None = None
    modes: frozenset[Mode] = frozenset(Mode)
    types: tuple[str, ...] | None = None
    max_bytes: int | None = None
    external: bool = False
    unversioned: bool = False
    scan: Scan | None = None
    expires_seconds: int = 3600
    front: bool = False
    own: bool = False
    any_type: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody wants shared.

    Attributes:
        id: Names this order: what was begun for it is not begun a second time.
        rules: Those of its bucket.
        keys: Object keys, in the order in which they are to appear.
        prefix: Instead of keys: all images whose keys begin so.
        channel_id: Where to; empty for blocks that whoever asks will post somewhere.
        mode: How.
        title: What it is called, or empty for the object's own name.
        alt_text: What an image shows, for who cannot see it.
        comment: What is said beside it, word for word.
        text: What is said beside a file instead, in Slack's markup.
        thread_ts: The message under which it is to appear.
        expires_seconds: How long a link should live; None for the bucket's own.
        by_url: Let Slack fetch an image by a presigned URL instead of uploading it.
        version_id: This version of the one object, and no other; None for what is there.
        etag: Only while the one object has this ETag, with its quotes; None for any.
    """

    id: str
    rules: Rules
    keys: tuple[str, ...] = ()
    prefix: str | None = None
    channel_id: str
    mode: Mode
    title: str = ""
    alt_text: str = ""
    comment: str = ""
    text: str = ""
    thread_ts: str | None = None
    expires_seconds: int | None = None
    by_url: bool = False
    version_id: str | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """What S3 declares over an object's bytes: an algorithm, and the digest in base64."""

    algorithm: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """An object in a state that does not change any more.

    Attributes:
        bucket: Where it lies.
        key: Its whole key.
        size: Bytes.
        etag: With its quotes, as S3 wants it back.
        version_id: None where the bucket keeps no versions.
        checksum: What S3 declares over all its bytes, or None.
        archived: It must be restored before it can be read.
    """

    bucket: str
    key: str
    size: int
    etag: str
    version_id: str | None = None
    checksum: Checksum | None = None
    archived: bool = False

    @property
    def name(self) -> str:
        """The last step of its key, fit to be a file's name anywhere."""
        return file_name(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What became of one object of a share."""

    key: str
    version_id: str | None = None
    file_id: str | None = None
    error: ShareError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What was shared.

    Attributes:
        order: What was asked for.
        items: The objects, each with what became of it.
        channel_id: Where it is.
        ts: Timestamps of the messages, the first one first.
        url: A link that anyone can use until `expires_at`; never stored or logged.
        expires_at: Seconds since the Unix epoch.
        blocks: What the first message says.
        notes: What the caller should know, in sentences.
        further: What the messages after the first one say.
    """

    order: Order
    items: tuple[Item, ...]
    channel_id: str
    ts: tuple[str, ...] = ()
    url: str | None = field(default=None, repr=False)
    expires_at: float | None = None
    blocks: tuple[Mapping[str, object], ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()
    further: tuple[tuple[Mapping[str, object], ...], ...] = field(default=(), repr=False)


# --- refusals ------------------------------------------------------------------------------

_SAID: Final = {
    "bucket_not_allowed": (
        "Nothing may be shared from that bucket. Its name must stand under s3.buckets in the "
        "configuration."
    ),
    "not_a_bucket": "No bucket can have that name. Give the bucket first, then the key.",
    "key_not_allowed": (
        "That key cannot be shared: an object's key is at most 1,024 bytes long and has no "
        "steps . or .. in it."
    ),
    "key_outside_prefix": "Only objects whose keys begin with {prefix} may be shared from there.",
    "not_utf8": "What is to be said beside it is not UTF-8 text, so nothing was shared.",
    "no_keys": "There is nothing to share: name at least one object.",
    "too_many_keys": "At most {most} objects go into one share. Please choose fewer.",
    "one_link": "A link leads to one object. Name exactly one, or share them in another mode.",
    "mode_not_allowed": "Objects of this bucket may not be shared as {mode}.",
    "channel_not_allowed": "Objects of this bucket may not be shared in that channel.",
    "channel_needed": (
        "Objects of this bucket may not go everywhere. Say in which channel they are to be shown."
    ),
    "channel_external": (
        "That channel is shared with people outside the workspace, where objects of this bucket "
        "may not go."
    ),
    "channel_unverified": (
        "Slack did not tell whether that channel is shared with outsiders, so nothing was shared. "
        "The app needs the scopes channels:read and groups:read; for direct messages im:read, "
        "mpim:read and users:read."
    ),
    "channel_not_found": (
        "There is no such channel, or the app cannot see it. Invite the app to the channel, or "
        "give the channel's id."
    ),
    "no_channel": "There is no channel here to share it in. Press it in a channel instead.",
    "not_in_channel": "The app is not in that channel. Invite it there first.",
    "empty": "It is empty, and Slack takes no empty files.",
    "too_large": "It has {size}; at most {most} may be shared this way.",
    "too_large_to_scan": (
        "The object has {size}; the malware scanner reads at most {most}, so it was not shared."
    ),
    "type_not_allowed": "Its content is {kind}, which may not be shared from this bucket.",
    "type_mismatch": "It is named like {claimed}, but its content is not that. It was not shared.",
    "executable": "It is a program (something a computer would run), so it was not shared.",
    "not_an_image": "Slack shows PNG, JPEG and GIF images, and its content is {kind}.",
    "malware": "The malware scanner found something in it, so it was not shared.",
    "not_scanned": "It has not been checked for malware yet. Please try again in a few minutes.",
    "scan_refused": (
        "It could not be checked for malware (an encrypted or very large archive, perhaps), so it "
        "was not shared."
    ),
    "scanner_unreachable": "The malware scanner does not answer, so nothing was shared.",
    "scanner_limit": (
        "It is not certain that the malware scanner looks at all of it, so it was not shared. In "
        "clamd.conf, set AlertExceedsMax yes and raise StreamMaxLength, MaxFileSize and "
        "MaxScanSize, or lower scan.max_bytes."
    ),
    "scanner_failed": "The malware scanner gave no verdict, so nothing was shared.",
    "unversioned": (
        "The bucket keeps no versions, so whatever is put there later would be behind the link. "
        "Switch versioning on, or say unversioned: true for the bucket."
    ),
    "url_not_allowed": (
        "An image's URL is a link that anyone can open, and links are not allowed for this bucket."
    ),
    "url_too_long": (
        "The presigned link is longer than the 3,000 characters Slack takes. Upload it instead."
    ),
    "bad_expiry": (
        "A presigned link lives from 1 second to 7 days, one by CloudFront up to 365. Write for "
        "example 30m, 24h or 7d."
    ),
    "expired_credentials": "The AWS credentials end before a link would be of use.",
    "no_credentials": (
        "There are no AWS credentials that work. Look at the role, profile or variables in use."
    ),
    "not_found": "There is no object with that key.",
    "no_images": "There is no image whose key begins so.",
    "no_access": "The AWS credentials in use may not read that object.",
    "changed": "It was changed while it was being shared, so it was not. Please try again.",
    "replaced": "It was replaced before it could be shared; what is there now is shared by itself.",
    "no_file": "There is no file at that path.",
    "not_a_file": (
        "That is no file: a folder, a pipe or a device is not sent by its path. What comes out of "
        "a pipe is sent by --file -."
    ),
    "not_readable": "That file cannot be read: permission denied.",
    "spent": (
        "Slack did not take it at the first try, and it can be read only once. Please send it "
        "again."
    ),
    "wrong_length": "It does not have as many bytes as was said.",
    "length_needed": (
        "More than {most} come in, and Slack must be told a file's length before its bytes. Say it "
        "(--length), or name a file by its path."
    ),
    "no_link": "A link can be given to objects of S3 only.",
    "archived": "The object is archived. Restore it first.",
    "unreachable": "S3 could not be reached. Please try again in a while.",
    "busy": "S3 asks to wait. Please try again in a while.",
    "broken_off": "It could not be read to its end. Please try again.",
    "not_understood": "S3 answered with something that is not S3's. Look at s3.endpoint_url.",
    "damaged": "What was read is not what S3 says it keeps (checksum), so it was not shared.",
    "upload_failed": "Slack did not take the file. Please try again.",
    "failed_before": "It could not be shared ({why}), and was not tried again.",
    "upload_refused": "Slack does not take this file: {why}.",
    "slack_busy": "Slack asks to wait. Please try again in a while.",
    "slack_unreachable": "Slack could not be reached. Please try again in a while.",
    "slack_refused": "Slack refused: {why}.",
    "not_processed": (
        "Slack took the image, and has not finished looking at it. Please try again in a minute."
    ),
    "unconfirmed": (
        "Slack was asked to show it, and it is not known whether it did. Look into the channel "
        "before you share it again."
    ),
    "all_failed": "None of the objects could be shared. {why}",
}


def refusal(
    code: str, *, again: bool = False, unknown: bool = False, **words: object
) -> ShareError:
    """Return the error of a code, said in its sentence."""
    notice = _SAID[code].format(**words)
    return ShareError(code, notice, again=again, unknown=unknown)


# --- before anything is read ---------------------------------------------------------------


def admit(order: Order) -> None:
    """Return if an order may be looked into; nothing outside was asked yet.

    Raises:
        ShareError: Its mode, channel or a key is not among what the bucket's rules name.
    """
    rules = order.rules
    _admit_words(order)
    if order.mode not in rules.modes:
        raise refusal("mode_not_allowed", mode=order.mode.value)
    if not order.channel_id and (rules.channels is not None or not (rules.external or rules.own)):
        raise refusal("channel_needed")
    if rules.channels is not None and order.channel_id not in rules.channels:
        raise refusal("channel_not_allowed")
    if order.by_url and Mode.LINK not in rules.modes:
        raise refusal("url_not_allowed")
    if order.prefix is None and not order.keys:
        raise refusal("no_keys")
    if order.mode is Mode.LINK and (order.prefix is not None or len(set(order.keys)) > 1):
        raise refusal("one_link")
    if len(order.keys) > MAX_FILES:
        raise refusal("too_many_keys", most=MAX_FILES)
    # A prefix may be empty; beyond that it is held to what holds for the keys that begin with it.
    for key in (*order.keys, *filter(None, (order.prefix,))):
        admit_key(key, rules)
    if order.prefix == "" != rules.prefix:
        raise refusal("key_outside_prefix", prefix=rules.prefix)
    asked = order.expires_seconds
    most = MAX_FRONT_SECONDS if rules.front else MAX_LINK_SECONDS
    lifetime(rules.expires_seconds if asked is None else asked, None, most=most)


def _admit_words(order: Order) -> None:
    words = (order.title, order.alt_text, order.comment, order.text, order.thread_ts or "")
    if not all(map(is_whole, words)):
        raise refusal("not_utf8")


def admit_key(key: str, rules: Rules) -> None:
    """Return if an object may be shared as far as its key tells; else raise `ShareError`."""
    if not is_safe_key(key):
        raise refusal("key_not_allowed")
    if not key.startswith(rules.prefix):
        raise refusal("key_outside_prefix", prefix=rules.prefix)


def admit_object(found: Object, order: Order) -> None:
    """Return if an object may be shared as far as its head tells.

    Raises:
        ShareError: It is another than was meant, empty, archived, too large, or its link could
            change its content.
    """
    if order.etag is not None and found.etag != order.etag:
        raise refusal("replaced")
    if found.archived:
        raise refusal("archived")
    if found.size == 0:
        raise refusal("empty")
    most = limit(order)
    if found.size > most:
        raise _too_large("too_large", found.size, most)
    scan = order.rules.scan
    scanned = scan.max_bytes if scan is not None and scan.clamd is not None else None
    if scanned is not None and found.size > scanned:
        raise _too_large("too_large_to_scan", found.size, scanned)
    by_link = order.mode is Mode.LINK or order.by_url
    if by_link and found.version_id is None and not order.rules.unversioned:
        raise refusal("unversioned")


def _too_large(code: str, size: int, most: int) -> ShareError:
    said, bound = human_size(size), human_size(most)
    if said == bound:
        said, bound = f"{size:,} bytes", f"{most:,} bytes"
    return refusal(code, size=said, most=bound)


def admit_content(head: bytes, name: str, order: Order) -> Content:
    """Return what an object is if such a thing may be shared; *head* are its first bytes.

    It is judged by the name under which people get it, which is not always the end of its key.

    Raises:
        ShareError: It is a program, not what it is named like, or not among the bucket's types.
    """
    found = content.judge(head, file_name(name))
    if found.program and not order.rules.any_type:
        raise refusal("executable")
    if not found.agrees and not order.rules.any_type:
        raise refusal("type_mismatch", claimed=found.claimed)
    types = order.rules.types
    if types is not None and not content.matches(found.media_type, types):
        raise refusal("type_not_allowed", kind=found.media_type)
    pictured = order.mode in (Mode.IMAGE, Mode.GALLERY)
    if pictured and found.media_type not in content.SLACK_IMAGES:
        raise refusal("not_an_image", kind=found.media_type)
    return found


def limit(order: Order) -> int:
    """Return how many bytes an object of an order may have."""
    usual = MAX_UPLOAD_BYTES if order.mode is Mode.UPLOAD else MAX_OTHER_BYTES
    return order.rules.max_bytes if order.rules.max_bytes is not None else usual


_TAG_VERDICTS: Final = {
    "THREATS_FOUND": "malware",
    "UNSUPPORTED": "scan_refused",
    "ACCESS_DENIED": "scan_refused",
    "FAILED": "scan_refused",
}
GUARDDUTY_TAG: Final = "GuardDutyMalwareScanStatus"


def admit_tags(tags: Mapping[str, str]) -> None:
    """Return if GuardDuty has found an object clean; else raise `ShareError`.

    Source: https://docs.aws.amazon.com/guardduty/latest/ug/monitoring-malware-protection-s3-scans-gdu.html
    """
    status = tags.get(GUARDDUTY_TAG)
    if status == "NO_THREATS_FOUND":
        return
    if status in _TAG_VERDICTS:
        raise refusal(_TAG_VERDICTS[status])
    raise refusal("not_scanned", again=True)


# --- how long, how named -------------------------------------------------------------------


def lifetime(asked: int, credentials_left: float | None, *, most: int = MAX_LINK_SECONDS) -> int:
    """Return how many seconds a link really lives: what was asked for, if its signer lives on.

    Args:
        asked: Seconds asked for.
        credentials_left: Seconds after which the signing credentials end; None for never.
        most: The longest such a link can live.

    Raises:
        ShareError: That many seconds cannot be, or the credentials are about to end.
    """
    if not 1 <= asked <= most:
        raise refusal("bad_expiry")
    if credentials_left is None:
        return asked
    if credentials_left < 1:
        raise refusal("expired_credentials", again=True)
    return math.floor(min(asked, credentials_left))


_DURATION: Final = re.compile(r"([0-9]{1,7})\s*(s|m|h|d)?")
_UNITS: Final = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(text: str) -> int:
    """Return the seconds that a text such as `90`, `30m`, `24h` or `7d` stands for.

    Raises:
        ShareError: It is no such text, or not between a second and a year. Whether the link
            in question can live so long is for `admit` to say.
    """
    shape = _DURATION.fullmatch(text.strip().lower())
    found = int(shape[1]) * _UNITS[shape[2]] if shape else 0
    return lifetime(found, None, most=MAX_FRONT_SECONDS)


_CHANNEL_ID: Final = re.compile(r"[CGD][A-Z0-9]{2,30}")


def is_channel_id(text: str) -> bool:
    """Tell whether a text is a channel's id; names are in lower case."""
    return _CHANNEL_ID.fullmatch(text) is not None


def file_name(key: str) -> str:
    """Return the last step of a key as a name that is harmless in every file system.

    Control and direction characters, slashes and what Windows reserves are replaced; a long name
    loses the end of its stem.

    Source: https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file
    """
    last = key.rstrip("/").rpartition("/")[2]
    kept = "".join("_" if _awkward(char) else char for char in unicodedata.normalize("NFC", last))
    kept = kept.strip(". ")
    if _DEVICE.fullmatch(kept):
        kept = f"_{kept}"
    return _short(kept).rstrip(". ") or "file"


_DEVICE: Final = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|clock\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3]) *(?:\..*)?",
    re.IGNORECASE,
)


def _short(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > 20:
        stem, ending = name, ""
    tail = f"{dot}{ending}" if ending else ""
    begun = stem[: NAME_CHARACTERS - len(tail)].encode()[: NAME_BYTES - len(tail.encode())]
    return begun.decode(errors="ignore") + tail


def disposition(name: str) -> str:
    """Return a Content-Disposition by which a browser saves and never shows.

    Source: https://www.rfc-editor.org/rfc/rfc6266#section-4.3
    """
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"


def human_size(size: int) -> str:
    """Return a size for people: `812 bytes`, `2.4 MiB`."""
    if size < 1024:
        return "1 byte" if size == 1 else f"{size} bytes"
    value, units = float(size), iter(("KiB", "MiB", "GiB", "TiB"))
    unit = ""
    while round(value, 1) >= 1024 and (following := next(units, None)):
        value, unit = value / 1024, following
    return f"{value:,.1f}".removesuffix(".0") + f" {unit}"


def _awkward(char: str) -> bool:
    return char in '/\\:*?"<>|' or not (char.isprintable() or char in "\u200d\ufe0f")
