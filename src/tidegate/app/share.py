"""The journey of an object into a channel: as a file, a link, an image, or a gallery.

Checked, then written down, then done: each step outside is noted before and after, so that
whoever goes on after a crash neither loses a share nor makes it twice.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from tidegate.app.post import Attempt, look_up, post_once
from tidegate.app.share_record import ShareRecord, forget
from tidegate.app.transfer import LOOKS, Transfer, Watch, of_slack, said
from tidegate.core import share, share_blocks
from tidegate.core.content import SLACK_IMAGES, judge
from tidegate.core.model import RunId
from tidegate.core.share import Item, Mode, Object, Order, Shared, refusal
from tidegate.core.share_blocks import Picture
from tidegate.core.steps import FileStep, PostStep, Stage, Steps
from tidegate.core.text import escape
from tidegate.errors import (
    ShareError,
    SlackAmbiguousError,
    SlackBusyError,
    SlackError,
    SlackUnreachableError,
)
from tidegate.ports import Clock, Files, Front, Ledger, Link, Objects, Scanner, Slack

T = TypeVar("T")
Blocks = Sequence[Mapping[str, Any]]

AT_ONCE: Final = 8  # objects of one share that are on their way together
#: What was checked so long ago, at most, is not checked again before it is shown.
MOMENT_SECONDS: Final = 1.0
#: Stands for a link where none is made: a dry run gives nothing that could be opened.
NO_LINK: Final = "https://example.invalid/presigned"


class Sharing:
    """Shares objects, as far as the rules of their bucket allow."""

    def __init__(
        self,
        *,
        objects: Objects,
        files: Files,
        slack: Slack,
        scanner: Scanner,
        clock: Clock,
        fronts: Mapping[str, Front] | None = None,
    ) -> None:
        self._objects = objects
        self._files = files
        self._slack = slack
        self._clock = clock
        self._fronts = fronts or {}  # by the aliases of their buckets
        self._transfer = Transfer(objects=objects, files=files, scanner=scanner)

    async def close(self) -> None:
        """Let connections to S3 go."""
        await self._objects.close()

    async def channel(self, name: str) -> str:
        """Return the id of a channel that is given by its id or its name. Raises `ShareError`."""
        if share.is_channel_id(name):
            return name
        with said():
            found = await self._files.channel_id(name)
        if found is None:
            raise refusal("channel_not_found")
        return found

    async def plan(self, order: Order) -> Shared:
        """Return what would be shared, having checked all that can be without sharing anything.

        Nothing is posted or uploaded, no link is made, and no object is read to its end.

        Raises:
            ShareError: It would be refused.
        """
        keys = await self._admitted(order)
        items: list[Item] = []
        for key in keys:
            try:
                found = await self._transfer.find(order, key)
                await self._transfer.look(order, found)
            except ShareError as error:
                items.append(Item(key=key, error=error))
            else:
                items.append(Item(key=key, version_id=found.version_id))
        _one_left(items)
        good = [item for item in items if item.error is None]
        blocks: Blocks = ()
        if order.mode is Mode.LINK:
            blocks = self._link_blocks(order, good[0].key, None, None)
        elif order.mode is not Mode.UPLOAD:
            pictures = [_picture(order, item.key, file_id="F0000000000") for item in good]
            blocks = share_blocks.gallery(pictures, **_frame(order, items))[0]
        return Shared(
            order=order, items=tuple(items), channel_id=order.channel_id, blocks=_plain(blocks)
        )

    async def share(
        self,
        order: Order,
        *,
        steps: Steps = Steps(),  # noqa: B008 - frozen
        ledger: Ledger = forget,
        watch: Watch | None = None,
    ) -> Shared:
        """Share what is ordered, or go on from *steps* with what was begun.

        Args:
            order: What to share; its id tells it apart from all others.
            steps: How far it had come.
            ledger: Writes down how far it has come, before and after each step outside.
            watch: Is told of bytes that have moved.

        Raises:
            ShareError: Nothing was shared, or (`unknown`) it may have been.
        """
        keys = await self._admitted(order)
        record = ShareRecord(ledger, steps, _now())
        if order.mode is Mode.UPLOAD:
            return await self._share_files(order, keys, record, watch)
        prepared = await self._prepared(order, keys, record, watch)
        posted: list[str] = []
        for number, blocks in enumerate((prepared.blocks, *prepared.further)):
            posted.append(await self._post(order, record, number, blocks, prepared.items))
        return replace(prepared, ts=tuple(posted))

    async def prepare(self, order: Order, *, watch: Watch | None = None) -> Shared:
        """Return the blocks of a link or of images, for whoever asks to post; nothing is posted.

        All is checked as in `share`. Images are brought into Slack for it, where they stay unseen
        until the blocks are posted.

        Args:
            order: What the blocks are to show; without a channel where its rules name none.
            watch: Is told of bytes that have moved.

        Raises:
            ShareError: It is refused.
        """
        keys = await self._admitted(order)
        return await self._prepared(order, keys, ShareRecord(forget, Steps(), _now()), watch)

    async def _prepared(
        self, order: Order, keys: list[str], record: ShareRecord, watch: Watch | None
    ) -> Shared:
        if order.mode is Mode.LINK:
            return await self._prepared_link(order, keys[0], record)
        return await self._prepared_images(order, keys, record, watch)

    async def seen(self, order: Order, steps: Steps) -> bool:
        """Tell whether a share that is not known to have ended is there in Slack.

        Raises:
            ShareError: Slack does not tell.
        """
        asked = [step.file_id for step in steps.files if step.stage is Stage.ASKED]
        if order.mode is Mode.UPLOAD:
            with said():
                found = await self._files.file(asked[0]) if asked and asked[0] else None
            return found is not None and order.channel_id in found.shared
        for number, post in enumerate(steps.posts):
            if post.ts is None and not await self._posted(order, number, post.begun_at):
                return False
        return bool(steps.posts)

    async def _admitted(self, order: Order) -> list[str]:
        """Return the keys of an order that may be looked into."""
        share.admit(order)
        if order.channel_id and not order.rules.external:
            await self._refuse_external(order)
        if order.prefix is None:
            return list(dict.fromkeys(order.keys))
        with said():
            listed = await self._objects.keys(
                order.rules.bucket, order.prefix, most=share.MAX_LISTED
            )
        keys = [key for key in listed if judge(b"", key).claimed in SLACK_IMAGES]
        if not keys:
            raise refusal("no_images")
        if len(keys) > share.MAX_FILES or len(listed) > share.MAX_LISTED:
            raise refusal("too_many_keys", most=share.MAX_FILES)
        for key in keys:
            share.admit_key(key, order.rules)
        return keys

    async def _refuse_external(self, order: Order) -> None:
        try:
            external = await self._slack.channel_external(order.channel_id)
        except (SlackBusyError, SlackUnreachableError, SlackAmbiguousError) as error:
            raise of_slack(error, "slack_unreachable") from error
        except SlackError as error:
            if error.code in ("channel_not_found", "invalid_channel"):
                raise refusal("channel_not_found") from error
            if order.rules.own:
                return
            raise refusal("channel_unverified") from error
        if external:
            raise refusal("channel_external")

    # --- a link ------------------------------------------------------------------------

    async def _prepared_link(self, order: Order, key: str, record: ShareRecord) -> Shared:
        found = await self._inspected(order, key, record)
        link = await self._link(order, found)
        blocks = self._link_blocks(order, key, found, link)
        item = Item(key=key, version_id=found.version_id)
        return Shared(
            order=order,
            items=(item,),
            channel_id=order.channel_id,
            url=link.url,
            expires_at=link.expires_at,
            blocks=_plain(blocks),
            notes=_shortened(link),
        )

    async def _inspected(self, order: Order, key: str, record: ShareRecord) -> Object:
        """Return an object that a link may lead to."""
        found = await self._transfer.find(order, key)
        await self._transfer.inspect(order, found)
        now = _now()
        await self._transfer.still(found, order)
        record.known[key] = found, now
        return found

    async def _link(self, order: Order, found: Object) -> Link:
        seconds = order.expires_seconds or order.rules.expires_seconds
        front = self._fronts.get(order.rules.alias)
        if front is not None:
            link = front.link(found, seconds=seconds, name=found.name)
        else:
            with said():
                link = await self._objects.link(found, seconds=seconds, name=found.name)
        if len(link.url) > share_blocks.MAX_URL:
            raise refusal("url_too_long")
        return link

    def _link_blocks(
        self, order: Order, key: str, found: Object | None, link: Link | None
    ) -> list[dict[str, Any]]:
        name = share.file_name(key)
        about = f"{name} · {share.human_size(found.size)}" if found is not None else name
        blocks = share_blocks.link(
            title=order.title.strip() or name,
            url=link.url if link is not None else NO_LINK,
            about=about,
            expires_at=link.expires_at if link is not None else None,
            fallback=_moment(link.expires_at) if link is not None else "",
        )
        return [share_blocks.said(order.comment), *blocks] if order.comment else blocks

    # --- files -------------------------------------------------------------------------

    async def _share_files(
        self, order: Order, keys: list[str], record: ShareRecord, watch: Watch | None
    ) -> Shared:
        items = await self._send_all(order, keys, record, watch)
        if not record.asked:
            items = await self._kept_back(order, items, record)
        sent = [item for item in items if item.file_id is not None and item.error is None]
        names = [item.key for item in sent]
        done = record.of(sent[0].key)
        if done is None or done.stage is not Stage.DONE:
            titled = [(item.file_id or "", _title(order, item.key, keys)) for item in sent]
            await self._complete(order, record, names, titled, order.channel_id)
        ts = await self._transfer.shown(sent[0].file_id or "", order.channel_id)
        await record.files(names, Stage.DONE)
        return Shared(
            order=order,
            items=tuple(items),
            channel_id=order.channel_id,
            ts=() if ts is None else (ts,),
            notes=(_UNASKED,) if ts is None else (),
        )

    async def _complete(
        self,
        order: Order,
        record: ShareRecord,
        keys: Sequence[str],
        titled: list[tuple[str, str]],
        channel_id: str | None,
    ) -> None:
        """Have Slack keep sent files, and show them in a channel if it is named."""
        before = record.of(keys[0])
        asked = before is not None and before.stage is Stage.ASKED
        shown = channel_id is not None
        await record.files(keys, Stage.ASKED)
        try:
            await self._transfer.complete(
                titled,
                channel_id=channel_id,
                thread_ts=order.thread_ts if shown else None,
                comment=(order.text or escape(order.comment)) if shown else "",
                asked=asked,
                check=lambda: self._check(order, record, keys),
            )
        except ShareError as error:
            if not error.unknown:  # certainly not done: the next try need not doubt it
                await record.files(keys, Stage.SENT)
            raise

    # --- once more, before it is shown -------------------------------------------------

    async def _check(self, order: Order, record: ShareRecord, keys: Iterable[str]) -> None:
        """Return if what was checked a while ago is so still: the channel, and each object.

        Raises:
            ShareError: It is not.
        """
        if _now() - record.admitted_at > MOMENT_SECONDS:
            if order.channel_id and not order.rules.external:
                await self._refuse_external(order)
            record.admitted_at = _now()
        for key in keys:
            await self._check_object(order, record, key)

    async def _check_object(self, order: Order, record: ShareRecord, key: str) -> None:
        began = _now()
        found, known_at = record.known.get(key, (None, 0.0))
        if found is None:  # it was sent before this process began
            found = await self._transfer.find(order, key)
            await self._transfer.look(order, found)
            if not _same(record.of(key), found):
                raise refusal("changed")
            known_at = _known_at(order, began)
        if began - known_at > MOMENT_SECONDS:
            await self._transfer.still(found, order)
            known_at = began
        record.known[key] = found, known_at

    async def _kept_back(self, order: Order, items: list[Item], record: ShareRecord) -> list[Item]:
        """Return the items without those that are not as they were checked any more."""

        async def one(item: Item) -> Item:
            if item.error is None:
                try:
                    await self._check_object(order, record, item.key)
                except ShareError as error:
                    return await self._failed(record, item.key, error)
            return item

        kept = await _some(one, items)
        _one_left(kept)
        return kept

    async def _failed(self, record: ShareRecord, key: str, error: ShareError) -> Item:
        if not error.again:
            await record.file(FileStep(key=key, stage=Stage.FAILED, code=error.code))
        return Item(key=key, error=error)

    async def _send_all(
        self, order: Order, keys: list[str], record: ShareRecord, watch: Watch | None
    ) -> list[Item]:
        """Have Slack hold what can be sent, several at once; raise if nothing could."""

        async def one(key: str) -> Item:
            return await self._send(order, key, record, watch)

        items = await _some(one, keys)
        _one_left(items)
        return items

    async def _send(self, order: Order, key: str, record: ShareRecord, watch: Watch | None) -> Item:
        before = record.of(key)
        if before is not None and before.stage in (Stage.SENT, Stage.ASKED, Stage.DONE):
            return Item(key=key, version_id=before.version_id, file_id=before.file_id)
        if before is not None and before.stage is Stage.FAILED:
            return Item(key=key, error=refusal("failed_before", why=before.code))
        if order.mode is Mode.UPLOAD and record.asked:
            # Files of one message are shown together, once: what was not among them stays out.
            return Item(key=key, error=refusal("upload_failed"))
        began = _now()
        try:
            found = await self._transfer.find(order, key)
            step = await self._transfer.send(order, found, record.file, watch)
        except ShareError as error:
            return await self._failed(record, key, error)
        record.known[key] = found, _known_at(order, began)
        return Item(key=key, version_id=step.version_id, file_id=step.file_id)

    # --- images ------------------------------------------------------------------------

    async def _prepared_images(
        self, order: Order, keys: list[str], record: ShareRecord, watch: Watch | None
    ) -> Shared:
        if order.by_url:
            items, pictures, notes = await self._by_url(order, keys, record)
        else:
            items = await self._send_all(order, keys, record, watch)
            items = await self._keep_all(order, items, record)
            good = [item for item in items if item.error is None]
            pictures = [_picture(order, item.key, file_id=item.file_id) for item in good]
            notes = ()
        messages = share_blocks.gallery(pictures, **_frame(order, items))
        return Shared(
            order=order,
            items=tuple(items),
            channel_id=order.channel_id,
            blocks=_plain(messages[0]),
            notes=notes,
            further=tuple(_plain(blocks) for blocks in messages[1:]),
        )

    async def _keep_all(self, order: Order, items: list[Item], record: ShareRecord) -> list[Item]:
        """Have Slack keep sent images for blocks, and wait until it has looked at them."""

        async def one(item: Item) -> Item:
            if item.error is None:
                try:
                    await self._keep(order, item, record)
                except ShareError as error:
                    return replace(item, error=error)
            return item

        kept = await _some(one, items)
        _one_left(kept)
        return kept

    async def _keep(self, order: Order, item: Item, record: ShareRecord) -> None:
        before, file_id = record.of(item.key), item.file_id or ""
        if before is not None and before.stage is not Stage.DONE:
            titled = [(file_id, _title(order, item.key, order.keys))]
            await self._complete(order, record, [item.key], titled, None)
        await self._transfer.ready(file_id)
        await record.files([item.key], Stage.DONE)

    async def _by_url(
        self, order: Order, keys: list[str], record: ShareRecord
    ) -> tuple[list[Item], list[Picture], tuple[str, ...]]:
        items: list[Item] = []
        pictures: list[Picture] = []
        notes: tuple[str, ...] = ()
        for key in keys:
            try:
                found = await self._inspected(order, key, record)
                link = await self._link(order, found)
            except ShareError as error:
                items.append(Item(key=key, error=error))
                continue
            items.append(Item(key=key, version_id=found.version_id))
            pictures.append(_picture(order, key, url=link.url))
            notes = notes or _shortened(link)
        _one_left(items)
        return items, pictures, notes

    # --- messages ----------------------------------------------------------------------

    async def _post(
        self, order: Order, record: ShareRecord, number: int, blocks: Blocks, items: Sequence[Item]
    ) -> str:
        """Post one message of a share unless it is there already, and return its ts.

        Raises:
            ShareError: It is not there, or (`unknown`) it may be.
        """
        before = record.steps.posts[number] if number < len(record.steps.posts) else None
        if before is not None and before.ts is not None:
            return before.ts
        begun_at = self._clock.now() if before is None else before.begun_at
        if before is None:
            await record.post(number, PostStep(begun_at=begun_at))
        keys = [item.key for item in items if item.error is None]
        text = order.title.strip() or share.file_name(items[0].key)

        async def post() -> tuple[str, str]:
            await self._check(order, record, keys)
            return await self._post_patiently(order, number, blocks, text)

        attempt = Attempt(begun_at=begun_at, unclear=before is not None)
        try:
            _, ts = await post_once(
                self._slack,
                post,
                channel_id=order.channel_id,
                thread_ts=order.thread_ts,
                mark=_mark(order, number),
                attempt=attempt,
            )
        except ShareError:
            if not attempt.unclear:  # certainly not there: the next try need not look for it
                await record.not_posted(number)
            raise
        await record.post(number, PostStep(begun_at=begun_at, ts=ts))
        return ts

    async def _post_patiently(
        self, order: Order, number: int, blocks: Blocks, text: str
    ) -> tuple[str, str]:
        # Slack may have told that an image is ready, and not know it yet where it is used.
        for pause in (*LOOKS[:7], None):
            try:
                return await self._slack.post(
                    channel_id=order.channel_id,
                    text=escape(share_blocks.one_line(text)),
                    blocks=blocks,
                    thread_ts=order.thread_ts,
                    run_id=_mark(order, number),
                )
            except SlackError as error:
                if error.code != "invalid_blocks" or order.by_url or pause is None:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _posted(self, order: Order, number: int, begun_at: float) -> str | None:
        """Return the ts of a message that may have been posted; None if it was not."""
        return await look_up(
            self._slack,
            channel_id=order.channel_id,
            thread_ts=order.thread_ts,
            mark=_mark(order, number),
            begun_at=begun_at,
        )


_UNASKED: Final = (
    "Slack took the file; whether it shows it was not looked up, for which the app needs the "
    "scope files:read."
)


async def _some(work: Callable[[T], Awaitable[Item]], of: Iterable[T]) -> list[Item]:
    """Return what all come to, some at a time; if one raises, the others are ended first."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(each: T) -> Item:
        async with turns:
            return await work(each)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(each)) for each in of]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


def _now() -> float:
    return asyncio.get_running_loop().time()


def _known_at(order: Order, looked_at: float) -> float:
    """Return when an object that was looked at so was the latest: an old version never was."""
    return looked_at if order.version_id is None else -math.inf


def _same(step: FileStep | None, found: Object) -> bool:
    """Tell whether an object is still what was sent of it."""
    if step is None:
        return False
    etags = ("", found.etag)  # not every step names it
    return (step.version_id, step.size) == (found.version_id, found.size) and step.etag in etags


def _mark(order: Order, number: int) -> RunId:
    return RunId(f"{order.id}.{number}")


def _one_left(items: Sequence[Item]) -> None:
    """Raise unless something is left to be shared."""
    errors = [item.error for item in items if item.error is not None]
    if len(errors) == len(items):
        again = all(error.again for error in errors)
        # What may pass is about S3, Slack or a scanner, and so one reason is that of them all.
        if len(errors) == 1 or (again and len({error.code for error in errors}) == 1):
            raise errors[0]
        raise refusal("all_failed", why=errors[0].notice, again=again)


def _title(order: Order, key: str, keys: Sequence[str]) -> str:
    own = order.title.strip() if len(keys) == 1 and order.prefix is None else ""
    return share_blocks.cut_title(own or share.file_name(key))


def _picture(
    order: Order, key: str, *, file_id: str | None = None, url: str | None = None
) -> Picture:
    name = share.file_name(key)
    alone = order.mode is Mode.IMAGE
    return Picture(
        alt_text=(order.alt_text or order.title.strip() or name) if alone else name,
        title=(order.title.strip() or name) if alone else name,
        file_id=file_id,
        url=url,
    )


def _frame(order: Order, items: Sequence[Item]) -> dict[str, Any]:
    missing = [
        f"{share.file_name(item.key)}: {item.error.notice}"
        for item in items
        if item.error is not None
    ]
    title = order.title if order.mode is Mode.GALLERY else ""
    return {"title": title, "comment": order.comment, "missing": missing}


def _shortened(link: Link) -> tuple[str, ...]:
    if not link.shortened:
        return ()
    moment = _moment(link.expires_at)
    return (f"The link works until {moment} only: the AWS credentials in use end then.",)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def _plain(blocks: Blocks) -> tuple[Mapping[str, object], ...]:
    return tuple(dict(block) for block in blocks)
