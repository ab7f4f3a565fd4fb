"""One object on its way into Slack's file storage: checked while it streams, shown afterwards.

What Slack was sent is seen by nobody until it is completed, and thrown away if it never is. So
everything is checked before that, and a file whose sending failed is simply sent again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final, TypeVar

from tidegate.core import content, share
from tidegate.core.share import Object, Order, refusal
from tidegate.core.steps import FileStep, Stage, moved
from tidegate.errors import (
    CredentialsError,
    ObjectsError,
    ScannerError,
    ShareError,
    SlackAmbiguousError,
    SlackBusyError,
    SlackError,
    SlackUnreachableError,
)
from tidegate.ports import Files, Objects, Reading, Scanner, Scanning

T = TypeVar("T")
#: Called with a key, the bytes that have moved, and all there are.
Watch = Callable[[str, int, int], None]
Note = Callable[[FileStep], Awaitable[None]]
#: Raises `ShareError` if what was checked is not so any more.
Check = Callable[[], Awaitable[None]]

TRIES: Final = 4
MAX_WAIT_SECONDS: Final = 30.0
#: Before each look at a file that Slack works on: at once, and for half a minute in all.
LOOKS: Final = (0.0, 0.05, 0.15, 0.3, 0.5, 1.0, 1.0, 2.0, 2.0, 3.0, 5.0, 5.0, 10.0)


class Transfer:
    """Brings objects into Slack's file storage."""

    def __init__(self, *, objects: Objects, files: Files, scanner: Scanner) -> None:
        self._objects = objects
        self._files = files
        self._scanner = scanner

    # --- checks ------------------------------------------------------------------------

    async def find(self, order: Order, key: str) -> Object:
        """Return an object that may be shared as far as its key, head and tags tell.

        Raises:
            ShareError: It may not, or S3 did not tell.
        """
        share.admit_key(key, order.rules)
        with said():
            found = await self._objects.head(order.rules.bucket, key, version_id=order.version_id)
            share.admit_object(found, order)
            scan = order.rules.scan
            if scan is not None and scan.guardduty:
                share.admit_tags(await self._objects.tags(found))
            if scan is not None and scan.clamd is not None:
                await self._scanner.assure(scan, found.size)
        return found

    async def look(self, order: Order, found: Object) -> content.Content:
        """Return what an object is, judged by its first bytes. Raises `ShareError`."""
        with said():
            head = await self._objects.first(found, content.HEAD_BYTES)
        return share.admit_content(head, found.key, order)

    async def inspect(self, order: Order, found: Object) -> content.Content:
        """Return what an object is, once all of it has passed every check; it goes nowhere."""
        scan = order.rules.scan
        if scan is None or scan.clamd is None:
            return await self.look(order, found)
        with said():
            async with self._objects.open(found) as reading, self._scanner.open(scan) as scanning:
                head, chunks = await _peek(reading)
                kind = share.admit_content(head, found.key, order)
                async for chunk in chunks:
                    await scanning.feed(chunk)
                if not await scanning.clean():
                    raise refusal("malware")
        return kind

    async def still(self, found: Object, order: Order) -> None:
        """Return if an object is as it was found: neither deleted nor replaced since.

        A version that was read stays readable when the object is deleted, perhaps because it
        should never have been there. Replaced it may be where that version was ordered.

        Raises:
            ShareError: It is not, or S3 did not tell.
        """
        with said():
            now = await self._objects.head(found.bucket, found.key)
        same = (now.etag, now.version_id) == (found.etag, found.version_id)
        if not same and order.version_id is None:
            raise refusal("changed")

    # --- steps -------------------------------------------------------------------------

    async def send(
        self, order: Order, found: Object, note: Note, watch: Watch | None = None
    ) -> FileStep:
        """Have Slack hold an object's bytes, all checked; nobody sees them yet.

        They are read only as long as they are the latest, unless an older version was ordered.

        Raises:
            ShareError: It did not pass, or could not be sent; Slack shows nothing of it.
        """

        async def once() -> FileStep:
            with said("upload_failed"):
                return await self._send_once(order, found, note, watch)

        return await patiently(once)

    async def _send_once(
        self, order: Order, found: Object, note: Note, watch: Watch | None
    ) -> FileStep:
        async with contextlib.AsyncExitStack() as stack:
            opening = self._objects.open(found, current=order.version_id is None)
            reading = await stack.enter_async_context(opening)
            head, chunks = await _peek(reading)
            share.admit_content(head, found.key, order)
            scan, scanning = order.rules.scan, None
            if scan is not None and scan.clamd is not None:
                scanning = await stack.enter_async_context(self._scanner.open(scan))
            alt_text = order.alt_text[: share.MAX_ALT_TEXT]
            upload = await self._files.begin(name=found.name, size=found.size, alt_text=alt_text)
            step = FileStep(
                key=found.key,
                stage=Stage.BEGUN,
                file_id=upload.file_id,
                version_id=found.version_id,
                etag=found.etag,
                size=found.size,
            )
            await note(step)
            body = _passing(found, chunks, scanning, watch)
            await self._files.send(upload, body, size=found.size)
            if scanning is not None and not await scanning.clean():
                raise refusal("malware")
        step = moved(step, Stage.SENT)
        await note(step)
        return step

    async def complete(
        self,
        files: list[tuple[str, str]],
        *,
        channel_id: str | None,
        thread_ts: str | None = None,
        comment: str = "",
        asked: bool = False,
        check: Check,
    ) -> None:
        """Have Slack keep sent files, each (id, title), and show them in a channel if it is named.

        Args:
            files: Ids and titles.
            channel_id: Where they are to be shown, or None.
            thread_ts: Under which message.
            comment: What is said beside them.
            asked: Slack was asked before, and whether it did is not known.
            check: Called each time before Slack is asked.

        Raises:
            ShareError: It did not, or (`unknown`) whether it did cannot be told; then `again` says
                that it can be gone on with in a while.
        """

        async def once() -> None:
            nonlocal asked
            if asked and await self._is_shown(files[0][0], channel_id):
                return
            await check()
            try:
                await self._files.complete(
                    files, channel_id=channel_id, thread_ts=thread_ts, comment=comment
                )
            except SlackAmbiguousError:
                asked = True
                raise
            except SlackError as error:
                certain = isinstance(error, SlackBusyError | SlackUnreachableError)
                # Refused, since it was completed before: Slack may take its time to show it.
                if asked and not certain and await self._files.file(files[0][0]) is not None:
                    return
                raise

        async def told() -> None:
            with said("slack_unreachable"):
                await once()

        try:
            await patiently(told)
        except ShareError as error:
            if not asked:
                raise
            certain = not isinstance(error.__cause__, SlackAmbiguousError)
            again = error.again and certain
            raise refusal("unconfirmed", unknown=True, again=again) from error

    async def _is_shown(self, file_id: str, channel_id: str | None) -> bool:
        """Tell whether a file is where an earlier request was to bring it."""
        found = await self._files.file(file_id)
        if found is None:
            return False
        return channel_id is None or channel_id in found.shared

    async def shown(self, file_id: str, channel_id: str) -> str | None:
        """Return the message in which Slack shows a completed file; None if it may not be asked.

        Raises:
            ShareError: Whether it shows it is not known: it was not seen to in half a minute.
        """
        for pause in LOOKS:
            await asyncio.sleep(pause)
            try:
                found = await self._files.file(file_id)
            except (SlackBusyError, SlackUnreachableError, SlackAmbiguousError):
                continue
            except SlackError:
                return None
            if found is not None and channel_id in found.shared:
                return found.shared[channel_id]
        raise refusal("unconfirmed", unknown=True)

    async def ready(self, file_id: str) -> None:
        """Return once a completed file can stand in a block.

        Raises:
            ShareError: Slack has not looked at it in half a minute.
        """
        for pause in LOOKS:
            await asyncio.sleep(pause)
            try:
                found = await self._files.file(file_id)
            except (SlackBusyError, SlackUnreachableError, SlackAmbiguousError):
                continue
            except SlackError:
                return  # whether it is ready shows when it is used
            if found is not None and found.ready:
                return
        raise refusal("not_processed", again=True)


async def patiently(once: Callable[[], Awaitable[T]]) -> T:
    """Return what *once* returns, trying again a few times what may work in a while."""
    for number in range(TRIES):
        try:
            return await once()
        except ShareError as error:
            if not error.again or number == TRIES - 1:
                raise
            asked = error.__cause__
            least = asked.retry_after if isinstance(asked, SlackBusyError) else 0.0
            if least > MAX_WAIT_SECONDS:
                raise
            await asyncio.sleep(max(least, 0.25 * 2**number))
    raise AssertionError("the last try returns or raises")


# --- what failures mean --------------------------------------------------------------------

_CHANNEL_CODES: Final = {
    "channel_not_found": "channel_not_found",
    "invalid_channel": "channel_not_found",
    "not_in_channel": "not_in_channel",
}
_FILE_CODES: Final = {
    "file_type_not_allowed": "its type is not allowed in this workspace",
    "file_upload_size_restricted": "it is too large for this workspace",
    "file_uploads_disabled": "uploads are switched off in this workspace",
    "file_uploads_except_images_disabled": "only images may be uploaded to this workspace",
    "storage_limit_reached": "the workspace's storage is full",
}


@contextlib.contextmanager
def said(unclear: str = "slack_unreachable") -> Iterator[None]:
    """Turn what an adapter raises into a `ShareError`, in words.

    Args:
        unclear: The code for when it is not known what Slack did, where that does no harm.
    """
    try:
        yield
    except ObjectsError as error:
        # The same state of a changed object is asked for in vain.
        raise refusal(error.code, again=error.again and error.code != "changed") from error
    except CredentialsError as error:
        raise refusal("no_credentials") from error
    except ScannerError as error:
        raise refusal(error.code, again=error.code == "scanner_unreachable") from error
    except SlackError as error:
        raise of_slack(error, unclear) from error


def of_slack(error: SlackError, unclear: str) -> ShareError:
    """Return what Slack's refusal means for a share."""
    match error:
        case SlackBusyError():
            return refusal("slack_busy", again=True)
        case SlackUnreachableError():
            return refusal("slack_unreachable", again=True)
        case SlackAmbiguousError():
            return refusal(unclear, again=True)
        case _ if error.code in _CHANNEL_CODES:
            return refusal(_CHANNEL_CODES[error.code])
        case _ if error.code in _FILE_CODES:
            return refusal("upload_refused", why=_FILE_CODES[error.code])
        case _ if error.code.startswith("upload http"):
            return refusal("upload_failed", again=True)
        case _:
            return refusal("slack_refused", why=error.code)


# --- streams -------------------------------------------------------------------------------


async def _peek(reading: Reading) -> tuple[bytes, AsyncIterator[bytes]]:
    """Return an object's first bytes, and all of it."""
    chunks = reading.chunks()
    begun: list[bytes] = []
    size = 0
    async for chunk in chunks:
        begun.append(chunk)
        size += len(chunk)
        if size >= content.HEAD_BYTES:
            break
    return b"".join(begun)[: content.HEAD_BYTES], _joined(begun, chunks)


async def _joined(begun: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while begun:
        yield begun.pop(0)
    async for chunk in rest:
        yield chunk


async def _passing(
    found: Object, chunks: AsyncIterator[bytes], scanning: Scanning | None, watch: Watch | None
) -> AsyncIterator[bytes]:
    """Yield an object's bytes on their way, past the scanner and whoever watches."""
    passed = 0
    async for chunk in chunks:
        if scanning is not None:
            await scanning.feed(chunk)
        yield chunk
        passed += len(chunk)
        if watch is not None:
            watch(found.key, passed, found.size)
