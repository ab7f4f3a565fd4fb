"""All files: from the promise of an upload, over its processing, to where they are shared.

Source: https://docs.slack.dev/messaging/working-with-files/. That files are processed after the
call that completes them, and that an upload nobody completes is thrown away, is how Slack
behaves; it publishes no times.
"""

import asyncio
import itertools
import secrets
import shutil
import string
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tidegate_dev.slack.faults import PROCESSING, SHARING, SlackFaults
from tidegate_dev.slack.file_types import FileType
from tidegate_dev.slack.files import File, Share
from tidegate_dev.slack.messages import Message
from tidegate_dev.slack.state import Change, Workspace

PROCESSING_SECONDS: Final = 0.4
UPLOAD_LIFE_SECONDS: Final = 60 * 60
_ALPHABET: Final = string.ascii_uppercase + string.digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What files.completeUploadExternal asked for: one message in each of *channels*."""

    files: Sequence[File]
    channels: Sequence[str]
    text: str = ""
    blocks: Sequence[dict[str, Any]] = ()
    thread_ts: str | None = None


class FileStore:
    """The workspace's files; with *keep_bytes* off, what comes is counted and hashed only."""

    def __init__(
        self,
        workspace: Workspace,
        faults: SlackFaults,
        *,
        keep_bytes: bool = True,
        processing_seconds: float = PROCESSING_SECONDS,
    ) -> None:
        self.keep_bytes = keep_bytes
        self.processing_seconds = processing_seconds
        self.base_url = ""
        self._workspace = workspace
        self._faults = faults
        self._files: dict[str, File] = {}
        self._uncompleted: dict[str, File] = {}  # by id, oldest first
        self._upload_urls: dict[str, str] = {}
        self._processing: dict[int, tuple[asyncio.TimerHandle, Callable[[], None]]] = {}
        self._numbers = itertools.count(1)
        self._folder: Path | None = None
        workspace.listeners.append(self._noticed)

    # Uploading

    def promise(
        self, *, name: str, size: int, user: str, alt_text: str = "", snippet_type: str = ""
    ) -> File:
        """Return a new file whose bytes are to come."""
        self._forget_old()
        file = File(
            id="F0" + "".join(secrets.choice(_ALPHABET) for _ in range(9)),
            name=name,
            size=size,
            user=user,
            team=self._workspace.identity.team_id,
            address=self.base_url,
            created=self._workspace.clock.now(),
            alt_text=alt_text,
            snippet_type=snippet_type,
        )
        self._files[file.id] = self._uncompleted[file.id] = file
        return file

    def upload_url(self, file: File) -> str:
        """Return the address that takes the bytes of *file*, once."""
        secret = secrets.token_urlsafe(32)
        self._upload_urls[secret] = file.id
        return f"{self.base_url}/upload/v1/{secret}"

    def take_upload(self, secret: str) -> File | None:
        """Return the file whose bytes come now; None for an address that is not good any more."""
        self._forget_old()
        file = self._uncompleted.get(self._upload_urls.pop(secret, ""))
        if file is not None:
            file.state = "uploading"
        return file

    def path_for(self, file: File) -> Path | None:
        """Return where the bytes of *file* are to be written, or None if they are not kept."""
        if not self.keep_bytes:
            return None
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="tidegate-slack-files-"))
        return self._folder / file.id

    def uploaded(self, file: File, *, type_: FileType, sha256: str, path: Path | None) -> None:
        """The bytes of *file* have come, all of them."""
        file.type, file.sha256, file.path = type_, sha256, path
        file.state = "uploaded"
        self._tell(file)

    def broken(self, file: File) -> None:
        """What came for *file* was not what was promised; nothing can be made of it."""
        file.state = "broken"
        self._tell(file)

    def expire(self) -> None:
        """Every upload that nobody completed so far has had its time."""
        for file in self._uncompleted.values():
            file.created = 0.0
        self._forget_old()

    # Processing and sharing

    def complete(self, sharing: Sharing) -> None:
        """The files are processed in a moment, and then stand in the channels."""
        for file in sharing.files:
            file.state = "processing"
            self._uncompleted.pop(file.id, None)
        slow = self._faults.next_for(PROCESSING) == "slow"
        delay = self._faults.slow_processing_seconds if slow else self.processing_seconds
        lost = self._faults.next_for(SHARING) == "lost"
        number = next(self._numbers)

        def done() -> None:
            self._processing.pop(number, None)
            self._processed(sharing, lost=lost)

        self._processing[number] = (asyncio.get_running_loop().call_later(delay, done), done)

    def hurry(self) -> None:
        """Everything that is being processed is done now."""
        for timer, done in tuple(self._processing.values()):
            timer.cancel()
            done()

    def share(self, message: Message, files: Sequence[File]) -> Message:
        """*message* is in its channel and carries *files*."""
        message.files = list(files)
        channel = self._workspace.channels[message.channel]
        for file in files:
            made = Share(channel=channel, ts=message.ts, thread_ts=message.thread_ts)
            file.shares.append(made)
        return self._workspace.post(message)

    def _processed(self, sharing: Sharing, *, lost: bool) -> None:
        files = [file for file in sharing.files if file.state == "processing"]
        for file in files:
            file.state = "ready"
        if files and not lost:
            for channel in sharing.channels:
                message = self._workspace.bot_message(
                    channel,
                    text=sharing.text,
                    blocks=[dict(block) for block in sharing.blocks],
                    thread_ts=sharing.thread_ts,
                )
                self.share(message, files)
        for file in files:
            self._tell(file)

    # Looking, adding and deleting

    def get(self, file_id: str) -> File | None:
        """Return the file in whatever state it is, or None."""
        return self._files.get(file_id)

    def at(self, address: str) -> File | None:
        """Return the file that has *address* among its own, or None."""
        found = (file for file in self._files.values() if address in file.addresses.values())
        return next(found, None)

    def all(self) -> list[File]:
        """Return the files whose uploads were completed, newest first."""
        found = [file for file in self._files.values() if file.is_there]
        return sorted(found, key=lambda file: file.created, reverse=True)

    def can_see(self, file: File, user: str) -> bool:
        """Whether *user* may open *file*: it is theirs, or stands where they are a member."""
        if file.user == user:
            return True
        places = [share.channel for share in file.shares]
        places += [self._workspace.channels[channel] for channel in file.displayed]
        return any(user in channel.members for channel in places)

    def add(self, name: str, content: bytes, *, user: str, type_: FileType) -> File:
        """Return a file of *user*'s that was uploaded and processed before."""
        file = self.promise(name=name, size=len(content), user=user)
        del self._uncompleted[file.id]
        file.type, file.state, file.path = type_, "ready", self.path_for(file)
        if file.path is not None:
            file.path.write_bytes(content)
        return file

    def delete(self, file: File) -> None:
        """*file* is gone, from the messages too; a message that held nothing else goes with it."""
        file.state = "deleted"
        _unlink(file)
        for share in tuple(file.shares):
            message = self._workspace.message(share.channel.id, share.ts)
            if message is None:
                continue
            message.files = [other for other in message.files if other is not file]
            if message.text.strip() or message.blocks or message.files:
                self._workspace.changed(message)
            else:
                self._workspace.delete(message)
        file.shares.clear()
        self._tell(file)

    def close(self) -> None:
        """Nothing is processed any more and no byte is left on the disk."""
        for timer, _ in self._processing.values():
            timer.cancel()
        self._processing.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    # Inside

    def _forget_old(self) -> None:
        oldest = self._workspace.clock.now() - UPLOAD_LIFE_SECONDS
        for file in tuple(self._uncompleted.values()):
            if file.created >= oldest:
                return
            del self._files[file.id], self._uncompleted[file.id]
            self._upload_urls = {s: i for s, i in self._upload_urls.items() if i != file.id}
            _unlink(file)

    def _noticed(self, change: Change) -> None:
        """A message that was deleted shares no file any more."""
        message = change.subject
        if change.kind != "message_deleted" or not isinstance(message, Message):
            return
        for file in message.files:
            file.shares = [
                share
                for share in file.shares
                if (share.channel.id, share.ts) != (message.channel, message.ts)
            ]

    def _tell(self, file: File) -> None:
        self._workspace.tell(Change(kind="file", subject=file))


def _unlink(file: File) -> None:
    if file.path is not None:
        file.path.unlink(missing_ok=True)
        file.path = None
