"""What the Python API takes and returns: small values, and blocks as plain dicts."""

import copy
from dataclasses import dataclass, field, replace
from typing import Any

from tidegate.core.message import Sent
from tidegate.core.share import Item, Shared, file_name

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object of S3: `S3Object("acme-reports", "q3/revenue.pdf")`.

    Attributes:
        bucket: A bucket's name, or its alias in the configuration.
        key: The whole key.
    """

    bucket: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Blocks to be posted by whoever asked for them.

    Attributes:
        messages: The blocks of each message, at most 50: a large gallery takes several.
        text: What notifications say; give it to Slack beside the blocks.
        items: The objects, each with what became of it.
        url: The link that anyone can use until `expires_at`; None for images that Slack keeps.
        expires_at: Seconds since the Unix epoch.
        notes: What you should know, in sentences.
    """

    messages: tuple[list[Block], ...] = field(repr=False)
    text: str
    items: tuple[Item, ...]
    url: str | None = field(default=None, repr=False)
    expires_at: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def blocks(self) -> list[Block]:
        """The blocks of the first message, and mostly the only one."""
        return self.messages[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What is in the channel now.

    Attributes:
        channel: The channel's id.
        ts: The timestamps of the messages, the first one first; empty where Slack told none.
        items: The objects or files, each with what became of it.
        blocks: What the first message says.
        url: The link that anyone can use until `expires_at`, where one was posted.
        expires_at: Seconds since the Unix epoch.
        notes: What you should know, in sentences.
    """

    channel: str
    ts: tuple[str, ...]
    items: tuple[Item, ...] = ()
    blocks: list[Block] = field(default_factory=list, repr=False)
    url: str | None = field(default=None, repr=False)
    expires_at: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def file_ids(self) -> tuple[str, ...]:
        """The ids of the files that Slack keeps."""
        return tuple(item.file_id for item in self.items if item.file_id and item.error is None)


def prepared(shared: Shared) -> Prepared:
    """Return blocks that were prepared."""
    return Prepared(
        messages=tuple(_plain(blocks) for blocks in (shared.blocks, *shared.further)),
        text=shared.order.title or file_name(shared.items[0].key),
        items=shared.items,
        url=shared.url,
        expires_at=shared.expires_at,
        notes=shared.notes,
    )


def posted(shared: Shared) -> Posted:
    """Return what was shared."""
    return Posted(
        channel=shared.channel_id,
        ts=shared.ts,
        items=shared.items,
        blocks=_plain(shared.blocks),
        url=shared.url,
        expires_at=shared.expires_at,
        notes=shared.notes,
    )


def posted_files(shared: Shared) -> Posted:
    """Return what was uploaded of files at hand, each by its name."""
    found = posted(shared)
    named = tuple(replace(item, key=file_name(item.key)) for item in found.items)
    return replace(found, items=named)


def posted_message(sent: Sent) -> Posted:
    """Return a message that was sent."""
    return Posted(
        channel=sent.channel_id,
        ts=() if sent.ts is None else (sent.ts,),
        blocks=_plain(sent.message.blocks),
        notes=sent.notes,
    )


def _plain(blocks: Any) -> list[Block]:
    """Return blocks that belong to whoever gets them."""
    return [copy.deepcopy(dict(block)) for block in blocks]
