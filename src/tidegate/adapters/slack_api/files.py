"""Files in Slack by the external upload: named, sent, completed.

Source: https://docs.slack.dev/messaging/working-with-files#upload
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from tidegate.adapters.slack_api.channels import ChannelNames
from tidegate.adapters.slack_api.client import SlackClient, items, mapping, text_of, unanswered
from tidegate.core.web_address import is_loopback
from tidegate.errors import (
    SlackAmbiguousError,
    SlackBusyError,
    SlackError,
)
from tidegate.ports import SlackFile, Upload

#: Between two bytes that move. A whole file takes as long as it takes.
STALL_SECONDS: Final = 120.0
_SLACK_HOST: Final = re.compile(
    r"[a-z0-9-]+(\.[a-z0-9-]+)*\.(slack|slack-gov|slack-files)\.com", re.ASCII
)
_PLAIN_URL: Final = re.compile(r"[!-\[\]-~]+")  # printable ASCII, without a space or a backslash


class SlackFiles:
    """Speaks to Slack about files."""

    def __init__(self, client: SlackClient) -> None:
        self._client = client
        self._names = ChannelNames(client)

    async def begin(self, *, name: str, size: int, alt_text: str = "") -> Upload:
        """Have Slack name a file of exactly *size* bytes."""
        # As a form, which it is for slack_sdk: JSON is understood by some installations only.
        asked = self._client.web.files_getUploadURLExternal(
            filename=name, length=size, alt_txt=alt_text or None
        )
        found = await self._client.call(asked)
        file_id, url = text_of(found.get("file_id")), text_of(found.get("upload_url"))
        if not file_id or not self._is_slack(url):
            raise SlackError("upload_url not Slack's")
        return Upload(file_id=file_id, url=url)

    async def send(self, upload: Upload, body: AsyncIterator[bytes], *, size: int) -> None:
        """Send a file's bytes. What *body* raises is raised, and then Slack has no whole file."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        source = _Source(body)
        try:
            async with (
                asyncio.timeout(STALL_SECONDS) as watch,
                self._client.http.post(
                    upload.url,
                    data=source.read(watch),
                    headers=headers,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=5.0),
                    allow_redirects=False,
                ) as response,
            ):
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if source.failure is not None:
                raise source.failure from None
            raise unanswered(error) from None
        if source.failure is not None:
            raise source.failure
        if status == 429:
            raise SlackBusyError(1.0)
        if status >= 500 or status == 408:
            raise SlackAmbiguousError(f"http {status}")
        if status != 200:
            raise SlackError(f"upload http {status}")

    async def complete(
        self,
        files: Sequence[tuple[str, str]],
        *,
        channel_id: str | None = None,
        thread_ts: str | None = None,
        comment: str = "",
    ) -> None:
        """Show sent files in a channel; without one, keep them for blocks."""
        listed = [{"id": file_id, "title": title} for file_id, title in files]
        await self._client.call(
            self._client.web.files_completeUploadExternal(
                files=listed,  # type: ignore[arg-type]  # annotated with too narrow a value type
                channel_id=channel_id,
                thread_ts=thread_ts,
                initial_comment=comment or None,
            )
        )

    async def file(self, file_id: str) -> SlackFile | None:
        """Return a file, or None if Slack has none that was completed."""
        try:
            found = await self._client.call(self._client.web.files_info(file=file_id))
        except SlackError as error:
            if error.code in ("file_not_found", "file_deleted"):
                return None
            raise
        entry = mapping(found.get("file"), "files.info without a file")
        return SlackFile(ready=bool(entry.get("mimetype")), shared=_shared(entry.get("shares")))

    async def channel_id(self, name: str) -> str | None:
        """Return the id of the channel of that name, or None."""
        return await self._names.id_of(name)

    def _is_slack(self, url: str) -> bool:
        """Tell whether bytes may be sent there: to Slack, or where the API is on loopback."""
        if not _PLAIN_URL.fullmatch(url):
            return False  # what one reader of addresses skips, another takes for a part of it
        try:
            there, ours = urlsplit(url), urlsplit(self._client.api_url)
            ports = (there.port, ours.port)
        except ValueError:
            return False
        if "@" in there.netloc:
            return False
        host = there.hostname or ""
        if is_loopback(ours.hostname or ""):
            return (there.scheme, host, ports[0]) == (ours.scheme, ours.hostname, ports[1])
        secure = there.scheme == "https" and ports[0] in (None, 443)
        return secure and _SLACK_HOST.fullmatch(host) is not None


class _Source:
    """A body on its way, which tells its own failure from the connection's."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self.failure: Exception | None = None

    async def read(self, watch: asyncio.Timeout) -> AsyncIterator[bytes]:
        """Yield the body, and put the end of the wait off while it moves."""
        loop = asyncio.get_running_loop()
        try:
            async for chunk in self._body:
                yield chunk
                watch.reschedule(loop.time() + STALL_SECONDS)
        except Exception as error:
            self.failure = error
            raise


def _shared(shares: Any) -> dict[str, str]:
    """Return the first message of each channel in which a file is shown."""
    found: dict[str, str] = {}
    for kind in ("public", "private"):
        channels = shares.get(kind) if isinstance(shares, Mapping) else None
        if not isinstance(channels, Mapping):
            continue
        for channel_id, messages in channels.items():
            for message in items(messages)[:1]:
                if isinstance(message, Mapping) and text_of(message.get("ts")):
                    found[str(channel_id)] = text_of(message.get("ts"))
    return found
