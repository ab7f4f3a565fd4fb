"""The same as plain functions, for scripts: each opens a client, and closes it at its end.

Each takes what the `Client`'s method of its name takes, and `config` and `access` as the `Client`
does. They are fine in threads, and refuse to block an event loop.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from tidegate.app.transfer import Watch
from tidegate.entry.share_wiring import Access
from tidegate.sharing.client import Client, Expires, ModeName
from tidegate.sharing.results import Posted, Prepared, S3Object

T = TypeVar("T")
Config = str | os.PathLike[str] | None


def link_block(
    bucket: str,
    key: str,
    *,
    channel: str | None = None,
    title: str = "",
    comment: str = "",
    expires: Expires = None,
    unversioned: bool = False,
    external: bool = False,
    config: Config = None,
    access: Access | None = None,
) -> Prepared:
    """Return blocks with a presigned link to an object; see `Client.link_block`.

    Example:
        >>> card = link_block("acme-reports", "q3/revenue.pdf", expires="24h")
        >>> web_client.chat_postMessage(channel="C0OPS", text=card.text, blocks=card.blocks)
    """

    async def job(client: Client) -> Prepared:
        return await client.link_block(
            bucket,
            key,
            channel=channel,
            title=title,
            comment=comment,
            expires=expires,
            unversioned=unversioned,
            external=external,
        )

    return _now("link_block", job, config, access)


def image_block(
    bucket: str,
    key: str,
    *,
    channel: str | None = None,
    title: str = "",
    alt_text: str = "",
    comment: str = "",
    by_url: bool = False,
    expires: Expires = None,
    unversioned: bool = False,
    external: bool = False,
    config: Config = None,
    access: Access | None = None,
) -> Prepared:
    """Return an image block over an object; see `Client.image_block`.

    Example:
        >>> picture = image_block("acme-reports", "charts/tide.png", alt_text="High at noon")
        >>> picture.blocks
    """

    async def job(client: Client) -> Prepared:
        return await client.image_block(
            bucket,
            key,
            channel=channel,
            title=title,
            alt_text=alt_text,
            comment=comment,
            by_url=by_url,
            expires=expires,
            unversioned=unversioned,
            external=external,
        )

    return _now("image_block", job, config, access)


def gallery(
    bucket: str,
    keys: str | Sequence[str],
    *,
    channel: str | None = None,
    title: str = "",
    comment: str = "",
    by_url: bool = False,
    expires: Expires = None,
    unversioned: bool = False,
    external: bool = False,
    watch: Watch | None = None,
    config: Config = None,
    access: Access | None = None,
) -> Prepared:
    """Return the blocks of a gallery, message by message; see `Client.gallery`.

    Example:
        >>> for blocks in gallery("acme-reports", "charts/", title="This week").messages:
        ...     web_client.chat_postMessage(channel="C0OPS", text="This week", blocks=blocks)
    """

    async def job(client: Client) -> Prepared:
        return await client.gallery(
            bucket,
            keys,
            channel=channel,
            title=title,
            comment=comment,
            by_url=by_url,
            expires=expires,
            unversioned=unversioned,
            external=external,
            watch=watch,
        )

    return _now("gallery", job, config, access)


def share(
    bucket: str,
    key: str | Sequence[str],
    channel: str,
    *,
    mode: ModeName = "upload",
    title: str = "",
    alt_text: str = "",
    comment: str = "",
    thread_ts: str | None = None,
    expires: Expires = None,
    by_url: bool = False,
    unversioned: bool = False,
    external: bool = False,
    watch: Watch | None = None,
    config: Config = None,
    access: Access | None = None,
) -> Posted:
    """Share an object, or several, in a channel; see `Client.share`.

    Example:
        >>> share("acme-reports", "q3/revenue.pdf", "ops", title="Q3 revenue").ts
    """

    async def job(client: Client) -> Posted:
        return await client.share(
            bucket,
            key,
            channel,
            mode=mode,
            title=title,
            alt_text=alt_text,
            comment=comment,
            thread_ts=thread_ts,
            expires=expires,
            by_url=by_url,
            unversioned=unversioned,
            external=external,
            watch=watch,
        )

    return _now("share", job, config, access)


def upload(
    source: str | os.PathLike[str] | bytes | S3Object,
    channel: str,
    *,
    name: str = "",
    title: str = "",
    comment: str = "",
    thread_ts: str | None = None,
    any_type: bool = False,
    external: bool = False,
    watch: Watch | None = None,
    config: Config = None,
    access: Access | None = None,
) -> Posted:
    """Upload a file at hand, or an object of S3, into a channel; see `Client.upload`.

    Example:
        >>> upload("revenue.pdf", "ops", title="Q3 revenue").file_ids
    """

    async def job(client: Client) -> Posted:
        return await client.upload(
            source,
            channel,
            name=name,
            title=title,
            comment=comment,
            thread_ts=thread_ts,
            any_type=any_type,
            external=external,
            watch=watch,
        )

    return _now("upload", job, config, access)


def send(
    channel: str,
    text: str = "",
    *,
    blocks: Sequence[Mapping[str, Any]] = (),
    thread_ts: str | None = None,
    update_ts: str | None = None,
    only_for: str | None = None,
    config: Config = None,
    access: Access | None = None,
) -> Posted:
    """Send a message, or put it in the place of one of the app's own; see `Client.send`.

    Example:
        >>> sent = send("ops", "*web* 2.4.1 is on its way")
        >>> send(sent.channel, "*web* 2.4.1 is out", update_ts=sent.ts[0])
    """

    async def job(client: Client) -> Posted:
        return await client.send(
            channel,
            text,
            blocks=blocks,
            thread_ts=thread_ts,
            update_ts=update_ts,
            only_for=only_for,
        )

    return _now("send", job, config, access)


def _now(
    name: str,
    job: Callable[[Client], Awaitable[T]],
    config: Config,
    access: Access | None,
) -> T:
    """Return what a client of its own comes to, in an event loop of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError(
            f"tidegate.sharing.{name} would block the event loop that is running here. Use "
            f"`async with tidegate.sharing.Client() as client: await client.{name}(…)` instead."
        )

    async def opened() -> T:
        async with Client(config=config, access=access) as client:
            return await job(client)

    return asyncio.run(opened())
