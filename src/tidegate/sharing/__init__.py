"""Sharing from S3 into Slack, and sending files and messages, for other people's programs.

In an event loop, with a client:

    async with Client() as client:
        await client.share("acme-reports", "q3/revenue.pdf", "ops", title="Q3 revenue")

In a script, with plain functions, each of which opens and closes a client:

    from tidegate import sharing

    card = sharing.link_block("acme-reports", "q3/revenue.pdf", expires="24h")

Both check what `s3-to-slack` checks, and raise `tidegate.errors.ShareError` for what is refused:
its `code` is a word for programs, its `notice` says what it was and what to do. Without a
configuration whoever runs the program acts with rights of their own, as the command line does;
with one, its allow-lists bind.
"""

from tidegate.core.share import Item
from tidegate.entry.share_wiring import Access
from tidegate.errors import ConfigError, ShareError
from tidegate.sharing.client import Client
from tidegate.sharing.results import Block, Posted, Prepared, S3Object
from tidegate.sharing.script import gallery, image_block, link_block, send, share, upload

__all__ = [
    "Access",
    "Block",
    "Client",
    "ConfigError",
    "Item",
    "Posted",
    "Prepared",
    "S3Object",
    "ShareError",
    "gallery",
    "image_block",
    "link_block",
    "send",
    "share",
    "upload",
]
