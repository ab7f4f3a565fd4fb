"""The client: one connection to Slack and to S3, for as many shares as there are."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from tidegate.adapters.local import Local, gathered
from tidegate.app.transfer import Watch, said
from tidegate.core import share as shares
from tidegate.core.message import Message
from tidegate.core.share import Mode, Order, Rules, refusal
from tidegate.entry.share_wiring import Access, SharingParts, open_sharing, own_files
from tidegate.sharing.results import (
    Posted,
    Prepared,
    S3Object,
    posted,
    posted_files,
    posted_message,
    prepared,
)

ModeName = Literal["upload", "link", "image", "gallery"]
#: A path, all of its bytes, bytes that are coming in, or an object of S3.
Source = str | os.PathLike[str] | bytes | AsyncIterator[bytes] | S3Object
#: Seconds, or 30m, 24h, 7d.
Expires = int | str | None

MAX_HELD: Final = 67_108_864  # of bytes that come in without a length


class Client:
    """Shares and sends. Use it as an async context manager, in one event loop.

    Example:
        >>> async with Client() as client:
        ...     card = await client.link_block("acme-reports", "q3/revenue.pdf", expires="24h")
        ...     await app.client.chat_postMessage(
        ...         channel="C0OPS", text=card.text, blocks=card.blocks,
        ...         unfurl_links=False, unfurl_media=False,
        ...     )
    """

    def __init__(
        self, *, config: str | os.PathLike[str] | None = None, access: Access | None = None
    ) -> None:
        """Build it as `s3-to-slack` does: of a configuration, or of the environment.

        Args:
            config: A configuration file; its allow-lists bind. Without one that of
                TIDEGATE_CONFIG; without that SLACK_BOT_TOKEN (or SLACK_BOT_USER_OAUTH_TOKEN),
                SLACK_API_URL and AWS's own variables and files are read.
            access: What wins over the configuration and the environment.

        Raises:
            tidegate.errors.ConfigError: The configuration, or the environment without one, is not
                enough; `problems` lists what is missing.
        """
        self._parts: SharingParts = open_sharing(
            None if config is None else os.fspath(config), access
        )

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let connections go."""
        await self.close()

    async def close(self) -> None:
        """Let connections go."""
        await self._parts.close()

    # --- blocks, which whoever asks will post ------------------------------------------

    async def link_block(
        self,
        bucket: str,
        key: str,
        *,
        channel: str | None = None,
        title: str = "",
        comment: str = "",
        expires: Expires = None,
        unversioned: bool = False,
        external: bool = False,
    ) -> Prepared:
        """Return blocks with a presigned link to an object, all checked; nothing is posted.

        Args:
            bucket: A bucket's name, or its alias in the configuration.
            key: The whole key.
            channel: Where you will post the blocks, by id or name. With a configuration it is
                needed, since that says where the bucket's objects may go.
            title: The link's text; the object's name if it is empty.
            comment: What stands above it, word for word.
            expires: How long the link lives, at most 7 days; None for the bucket's own time.
            unversioned: Give a link although the bucket keeps no versions. With a configuration,
                that says so.
            external: Also for a channel that is shared with other organisations. With a
                configuration, that says so.

        Raises:
            tidegate.errors.ShareError: It is refused, and why.

        Example:
            >>> card = await client.link_block("acme-reports", "q3/revenue.pdf", expires="24h")
            >>> card.blocks, card.url, card.expires_at
        """
        rules = self._parts.rules(bucket, key, unversioned=unversioned, external=external)
        order = await self._order(
            rules,
            key,
            Mode.LINK,
            channel=channel,
            title=title,
            comment=comment,
            expires=expires,
        )
        return prepared(await self._parts.sharing.prepare(order))

    async def image_block(
        self,
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
    ) -> Prepared:
        """Return an image block over an object, all checked; nothing is posted.

        The image is brought into Slack's file storage, where nobody sees it until the block is
        posted by the same app.

        Args:
            bucket: A bucket's name, or its alias in the configuration.
            key: The whole key.
            channel: As for `link_block`.
            title: What stands above the image; the object's name if it is empty.
            alt_text: What it shows, for who cannot see it.
            comment: What stands above it, word for word.
            by_url: Let Slack fetch it by a presigned URL instead; it is gone when that expires.
            expires: With `by_url`: how long the URL lives.
            unversioned: With `by_url`: as for `link_block`.
            external: As for `link_block`.

        Raises:
            tidegate.errors.ShareError: It is refused, and why.

        Example:
            >>> picture = await client.image_block("acme-reports", "charts/tide.png")
            >>> picture.blocks[0]["slack_file"]
        """
        rules = self._parts.rules(bucket, key, unversioned=unversioned, external=external)
        order = await self._order(
            rules,
            key,
            Mode.IMAGE,
            channel=channel,
            title=title,
            alt_text=alt_text,
            comment=comment,
            expires=expires,
            by_url=by_url,
        )
        return prepared(await self._parts.sharing.prepare(order))

    async def gallery(
        self,
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
    ) -> Prepared:
        """Return the blocks of a gallery, in as many messages as it takes; nothing is posted.

        An image that cannot be shown does not keep the others: it is named below the last one, and
        its `Item` has the error.

        Args:
            bucket: A bucket's name, or its alias in the configuration.
            keys: The keys in the order in which they are to appear; or a prefix, for all images
                whose keys begin so.
            channel: As for `link_block`.
            title: Stands above the first image.
            comment: Stands below the title, word for word.
            by_url: As for `image_block`.
            expires: With `by_url`: how long the URLs live.
            unversioned: With `by_url`: as for `link_block`.
            external: As for `link_block`.
            watch: Is called with a key, the bytes that have moved, and all there are.

        Raises:
            tidegate.errors.ShareError: None of them can be shown, and why.

        Example:
            >>> week = await client.gallery("acme-reports", "charts/", title="This week")
            >>> for blocks in week.messages:
            ...     await app.client.chat_postMessage(
            ...         channel="C0OPS", text=week.text, blocks=blocks
            ...     )
        """
        first = keys if isinstance(keys, str) else next(iter(keys), "")
        rules = self._parts.rules(bucket, first, unversioned=unversioned, external=external)
        order = await self._order(
            rules,
            keys,
            Mode.GALLERY,
            channel=channel,
            title=title,
            comment=comment,
            expires=expires,
            by_url=by_url,
        )
        return prepared(await self._parts.sharing.prepare(order, watch=watch))

    # --- what appears in the channel ---------------------------------------------------

    async def share(
        self,
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
    ) -> Posted:
        """Share an object, or several, in a channel, as `s3-to-slack` does.

        After a call to Slack whose end is not known it is looked up what became of it, so that
        nothing appears twice.

        Args:
            bucket: A bucket's name, or its alias in the configuration.
            key: The whole key, or several; a text is a prefix with mode `gallery`.
            channel: The channel's id or name.
            mode: As a file in Slack, a presigned link, an image, or many images.
            title: What it is called.
            alt_text: What an image shows, for who cannot see it.
            comment: What is said beside it, word for word.
            thread_ts: The message under which it is to appear.
            expires: How long a link lives: seconds, or 30m, 24h, 7d.
            by_url: Let Slack fetch images by presigned URLs instead of uploading them.
            unversioned: As for `link_block`.
            external: As for `link_block`.
            watch: Is called with a key, the bytes that have moved, and all there are.

        Raises:
            tidegate.errors.ShareError: Nothing was shared, or (`unknown`) it may have been.

        Example:
            >>> shared = await client.share("acme-reports", "q3/revenue.pdf", "ops", mode="link")
            >>> shared.ts[0], shared.url
        """
        try:
            way = Mode(mode)
        except ValueError:
            raise ValueError(f"mode is one of {', '.join(Mode)}, not {mode}") from None
        first = key if isinstance(key, str) else next(iter(key), "")
        rules = self._parts.rules(bucket, first, unversioned=unversioned, external=external)
        order = await self._order(
            rules,
            key,
            way,
            channel=channel,
            title=title,
            alt_text=alt_text,
            comment=comment,
            thread_ts=thread_ts,
            expires=expires,
            by_url=by_url,
        )
        return posted(await self._parts.sharing.share(order, watch=watch))

    async def upload(
        self,
        source: Source,
        channel: str,
        *,
        name: str = "",
        title: str = "",
        comment: str = "",
        thread_ts: str | None = None,
        length: int | None = None,
        any_type: bool = False,
        external: bool = False,
        watch: Watch | None = None,
    ) -> Posted:
        """Upload a file into a channel: one at hand, or an object of S3.

        A file at a path and an object of S3 are streamed; they never stand in memory as a whole.

        Args:
            source: A path, bytes, an async iterator of bytes, or an `S3Object`.
            channel: The channel's id or name.
            name: What the file is called; a path and an object of S3 have a name of their own.
            title: What stands above it.
            comment: What is said beside it, word for word.
            thread_ts: The message under which it is to appear.
            length: How many bytes an async iterator yields. Slack must be told before the first
                one, so without it they are held in memory, up to 64 MiB.
            any_type: Also a program, or what is not what its name says. Not for an object of S3.
            external: For an object of S3: as for `link_block`.
            watch: Is called with a name, the bytes that have moved, and all there are.

        Raises:
            tidegate.errors.ShareError: It was not uploaded, or (`unknown`) it may have been.

        Example:
            >>> await client.upload("revenue.pdf", "ops", title="Q3 revenue")
            >>> await client.upload(b"day,deploys\\n", "ops", name="deploys.csv")
            >>> await client.upload(S3Object("acme-reports", "q3/revenue.pdf"), "ops")
        """
        if isinstance(source, S3Object):
            if any_type or name or length is not None:
                raise ValueError("any_type, name and length are for files at hand, not for S3")
            return await self.share(
                source.bucket,
                source.key,
                channel,
                title=title,
                comment=comment,
                thread_ts=thread_ts,
                external=external,
                watch=watch,
            )
        local = Local()
        order = Order(
            id=self._parts.new_id(),
            rules=own_files(any_type=any_type),
            keys=(await _added(local, source, name, length),),
            channel_id=await self._parts.sharing.channel(channel),
            mode=Mode.UPLOAD,
            title=title,
            comment=comment,
            thread_ts=thread_ts,
        )

        def moved(key: str, done: int, total: int) -> None:
            if watch is not None:
                watch(shares.file_name(key), done, total)

        return posted_files(await self._parts.sharing_of(local).share(order, watch=moved))

    async def send(
        self,
        channel: str,
        text: str = "",
        *,
        blocks: Sequence[Mapping[str, Any]] = (),
        thread_ts: str | None = None,
        update_ts: str | None = None,
        only_for: str | None = None,
    ) -> Posted:
        """Send a message, or put it in the place of one of the app's own.

        Args:
            channel: The channel's id or name.
            text: In Slack's markup; beside blocks, what notifications say.
            blocks: Block Kit; held to Slack's limits before it is sent.
            thread_ts: The message under which it is to appear.
            update_ts: The timestamp of the app's own message that becomes this one.
            only_for: The id of the person who alone is to see it.

        Raises:
            tidegate.errors.ShareError: It was not sent, or (`unknown`) it may have been.

        Example:
            >>> sent = await client.send("ops", "*web* 2.4.1 is on its way")
            >>> await client.send(sent.channel, "*web* 2.4.1 is out", update_ts=sent.ts[0])
        """
        if update_ts is not None and (thread_ts is not None or only_for is not None):
            raise ValueError("update_ts goes without thread_ts and only_for")
        message = Message(
            id=self._parts.new_id(),
            channel_id=await self._parts.sharing.channel(channel),
            text=text,
            blocks=tuple(blocks),
            thread_ts=thread_ts,
            update_ts=update_ts,
            only_for=only_for,
        )
        return posted_message(await self._parts.sending.send(message))

    # --- orders ------------------------------------------------------------------------

    async def _order(
        self,
        rules: Rules,
        keys: str | Sequence[str],
        mode: Mode,
        *,
        channel: str | None,
        expires: Expires,
        **said_of_it: Any,
    ) -> Order:
        is_prefix = mode is Mode.GALLERY and isinstance(keys, str)
        channel_id = "" if channel is None else await self._parts.sharing.channel(channel)
        return Order(
            id=self._parts.new_id(),
            rules=rules,
            keys=() if is_prefix else (keys,) if isinstance(keys, str) else tuple(keys),
            prefix=keys if is_prefix and isinstance(keys, str) else None,
            channel_id=channel_id,
            mode=mode,
            expires_seconds=None if expires is None else shares.seconds(str(expires)),
            **said_of_it,
        )


async def _added(
    local: Local,
    source: str | os.PathLike[str] | bytes | AsyncIterator[bytes],
    name: str,
    length: int | None,
) -> str:
    """Return the key of a file at hand. Raises `ShareError`."""
    coming = isinstance(source, AsyncIterator)
    if length is not None and not coming:
        raise ValueError("length is for an async iterator: that of anything else is known")
    if isinstance(source, bytes):
        return local.add_bytes(source, name or "file")
    if not isinstance(source, AsyncIterator):
        return local.add_path(Path(source), name)
    if length is not None:
        return local.add_stream(source, length, name or "file")
    with said():
        content = await gathered(source, MAX_HELD)
    if content is None:
        raise refusal("length_needed", most=shares.human_size(MAX_HELD))
    return local.add_bytes(content, name or "file")
