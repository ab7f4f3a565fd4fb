"""Images in blocks: fetched while the message is posted, and shown to people from what was kept.

Source: https://docs.slack.dev/reference/block-kit/blocks/image-block/. One image that cannot be
had refuses the whole message. People never fetch `image_url` themselves: they see it through a
proxy of the workspace, for as long as that remembers the image or can fetch it again.
"""

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from yarl import URL

from tidegate_dev.slack import blocks as block_kit
from tidegate_dev.slack.file_store import FileStore
from tidegate_dev.slack.file_types import HEAD_BYTES, FileType, by_content
from tidegate_dev.slack.files import File

FETCH_SECONDS: Final = 10.0
MAX_BYTES: Final = 20 * 1024 * 1024  # Slack publishes no number; this one is only there to be one
MAX_REDIRECTS: Final = 5
AT_ONCE: Final = 8
KEPT_BYTES: Final = 64 * 1024 * 1024
_KEPT_ADDRESSES: Final = 5_000
_USER_AGENT: Final = "Slackbot 1.0 (+https://api.slack.com/robots)"
_HEADERS: Final = {
    "Cache-Control": "private, max-age=60",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}

Json = dict[str, Any]


class _NotHadError(Exception):
    """There is no image at an address; the text says why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that was fetched."""

    content: bytes
    type: FileType


class Pictures:
    """The images of a workspace's messages."""

    def __init__(self, files: FileStore, *, fetch_seconds: float = FETCH_SECONDS) -> None:
        self.fetch_seconds = fetch_seconds
        self._files = files
        self._secret = secrets.token_bytes(16)
        self._kept: OrderedDict[str, Picture] = OrderedDict()
        self._addresses: OrderedDict[str, str] = OrderedDict()

    # Posting

    async def accepted(self, blocks: object, *, user: str, channel: str) -> list[Json]:
        """Return *blocks* as Slack stores them, once every image in them was had.

        Args:
            blocks: What the app sent.
            user: Who posts; files in the blocks must be theirs to see.
            channel: Where to; its members then see those files.

        Raises:
            ApiError: `invalid_blocks_format`, or `invalid_blocks` with the places.
        """
        stored = block_kit.accepted(blocks)
        parts = list(block_kit.images(stored))
        if not parts:
            return stored
        fetched = await self._fetch_all({p["image_url"] for p, _ in parts if "image_url" in p})
        errors: list[str] = []
        shown: list[File] = []
        for part, at in parts:
            if "slack_file" in part:
                file = self.slack_file(part["slack_file"])
                if file is None or not file.is_picture or not self._files.can_see(file, user):
                    errors.append(f"invalid slack file [json-pointer:{at}/slack_file]")
                else:
                    shown.append(file)
                continue
            picture = fetched.get(part["image_url"])
            if picture is None:
                errors.append(f"downloading image failed [json-pointer:{at}/image_url]")
            else:
                part.update(_facts(picture))
        if errors:
            raise block_kit.refusal(errors)
        for file in shown:
            file.displayed.add(channel)
        return stored

    def slack_file(self, named: Json) -> File | None:
        """Return the file that a `slack_file` object names by id or address, or None."""
        if "id" in named:
            return self._files.get(str(named["id"]))
        return self._files.at(str(named.get("url", "")))

    async def _fetch_all(self, urls: set[str]) -> dict[str, Picture]:
        """Return the images that could be had, by address."""
        if not urls:
            return {}
        found: dict[str, Picture] = {}
        async with self._session() as session:

            async def fetch(url: str) -> None:
                try:
                    found[url] = await self._fetch(session, url)
                except _NotHadError:
                    return
                self._keep(url, found[url])

            await asyncio.gather(*(fetch(url) for url in urls))
        return found

    def _session(self) -> aiohttp.ClientSession:
        # Addresses are asked for letter by letter as they were given: they may be signed.
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=AT_ONCE),
            timeout=aiohttp.ClientTimeout(total=self.fetch_seconds),
            headers={"User-Agent": _USER_AGENT},
            requote_redirect_url=False,
            trust_env=False,
        )

    async def _fetch(self, session: aiohttp.ClientSession, url: str) -> Picture:
        if not (url.startswith(("http://", "https://")) and url.isascii() and url.isprintable()):
            raise _NotHadError("the address is none of the web")
        try:
            address = URL(url, encoded=True)
            async with session.get(address, max_redirects=MAX_REDIRECTS) as response:
                if response.status != 200:
                    raise _NotHadError(f"the answer was {response.status}")
                content = await _read(response)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise _NotHadError(type(error).__name__) from error
        type_ = by_content(content[:HEAD_BYTES])
        if type_ is None or not type_.is_picture:
            raise _NotHadError("it is no PNG, JPEG or GIF")
        return Picture(content, type_)

    # Showing

    def place(self, url: str) -> str:
        """Return the path at which the workspace shows what is at *url*."""
        name = hashlib.blake2b(url.encode(), key=self._secret, digest_size=16).hexdigest()
        self._addresses[name] = url
        self._addresses.move_to_end(name)
        if len(self._addresses) > _KEPT_ADDRESSES:
            self._addresses.popitem(last=False)
        return f"/proxy/{name}"

    def forget(self) -> None:
        """No image is kept; each is fetched again when it is looked at next, if it still can be."""
        self._kept.clear()

    async def endpoint(self, request: Request) -> Response:
        """Answer the proxy's address of one image."""
        url = self._addresses.get(request.path_params["picture"])
        if url is None:
            return PlainTextResponse("There is no such picture.", status_code=404)
        picture = self._kept.get(url)
        if picture is None:
            picture = (await self._fetch_all({url})).get(url)
        if picture is None:
            return PlainTextResponse("The picture is not there any more.", status_code=404)
        return Response(picture.content, media_type=picture.type.mimetype, headers=_HEADERS)

    def _keep(self, url: str, picture: Picture) -> None:
        self._kept[url] = picture
        self._kept.move_to_end(url)
        kept = sum(len(other.content) for other in self._kept.values())
        while kept > KEPT_BYTES:
            _, dropped = self._kept.popitem(last=False)
            kept -= len(dropped.content)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        content += chunk
        if len(content) > MAX_BYTES:
            raise _NotHadError("it is too large")
    return bytes(content)


def _facts(picture: Picture) -> Json:
    """Return what Slack writes beside `image_url` in a stored block."""
    facts: Json = {"image_bytes": len(picture.content), "is_animated": False}
    if picture.type.size is not None:
        width, height = picture.type.size
        facts.update(image_width=width, image_height=height, fallback=f"{width}x{height}px image")
    return facts
