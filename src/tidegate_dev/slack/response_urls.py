"""Response URLs: secret addresses to answer one interaction by, five times in thirty minutes.

Source: https://docs.slack.dev/interactivity/handling-user-interaction/#message_responses
"""

import json
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tidegate_dev.slack.arguments import fields
from tidegate_dev.slack.errors import ApiError
from tidegate_dev.slack.faults import SlackFaults
from tidegate_dev.slack.messages import Message
from tidegate_dev.slack.pictures import Pictures
from tidegate_dev.slack.state import Change, Workspace

MAX_USES: Final = 5
LIFE_SECONDS: Final = 30 * 60
MAX_BODY_BYTES: Final = 1024 * 1024
_KEPT: Final = 5_000


@dataclass(slots=True, kw_only=True)
class ResponseUrl:
    """One address and what it stands for; *source* is the message that was clicked."""

    channel: str
    user: str
    source: str | None
    expires_at: float
    uses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseCall:
    """One use of a response URL, without the address itself."""

    channel: str
    user: str
    body: Mapping[str, Any]
    at: float
    status: int
    error: str | None = None


class _RefusedError(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass(slots=True)
class ResponseUrls:
    """All response URLs of a workspace, and what was sent to them."""

    workspace: Workspace
    faults: SlackFaults
    pictures: Pictures
    base_url: str = ""
    calls: deque[ResponseCall] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _open: dict[str, ResponseUrl] = field(default_factory=dict)

    def make(self, *, channel: str, user: str, source: str | None) -> str:
        """Return a new address, good from now on."""
        secret = secrets.token_urlsafe(24)
        expires_at = self.workspace.clock.now() + LIFE_SECONDS
        self._open[secret] = ResponseUrl(
            channel=channel, user=user, source=source, expires_at=expires_at
        )
        if len(self._open) > _KEPT:
            del self._open[next(iter(self._open))]
        return f"{self.base_url}/response/{secret}"

    def expire(self) -> None:
        """Every address made so far has had its thirty minutes."""
        for opened in self._open.values():
            opened.expires_at = 0.0

    async def endpoint(self, request: Request) -> Response:
        """Answer one use of an address."""
        opened = self._open.get(request.path_params["secret"])
        body: dict[str, Any] = {}
        try:
            body = await _read(request)
            await self._use(opened, body)
        except _RefusedError as refused:
            self._record(opened, body, refused.status, refused.code)
            answer = {"ok": False, "error": refused.code}
            return JSONResponse(answer, status_code=refused.status)
        self._record(opened, body, 200, None)
        return PlainTextResponse("ok")

    async def _use(self, found: ResponseUrl | None, body: dict[str, Any]) -> None:
        if self.faults.response_urls_fail:
            raise _RefusedError(500, "internal_error")
        opened = self._usable(found)
        blocks = await self._blocks(opened, body)
        self._usable(opened)  # others may have used it up while images were fetched
        text = str(body.get("text") or "")
        deletes = bool(body.get("delete_original"))
        if not (text.strip() or blocks or deletes):
            raise _RefusedError(400, "no_text")
        opened.uses += 1
        if deletes:
            self._delete_source(opened)
        if text.strip() or blocks:
            self._say(opened, body, text, blocks)

    def _usable(self, opened: ResponseUrl | None) -> ResponseUrl:
        if opened is None or self.workspace.clock.now() > opened.expires_at:
            raise _RefusedError(404, "expired_url")
        if opened.uses >= MAX_USES:
            raise _RefusedError(404, "used_url")
        return opened

    async def _blocks(self, opened: ResponseUrl, body: dict[str, Any]) -> list[dict[str, Any]]:
        if not body.get("blocks"):
            return []
        bot = self.workspace.identity.bot_user_id
        try:
            return await self.pictures.accepted(body["blocks"], user=bot, channel=opened.channel)
        except ApiError as error:
            raise _RefusedError(400, error.code) from error

    def _delete_source(self, opened: ResponseUrl) -> None:
        source = self._source(opened)
        if source is not None:
            self.workspace.delete(source)

    def _source(self, opened: ResponseUrl) -> Message | None:
        """Return the clicked message; the URL of a command has none."""
        if opened.source is None:
            return None
        return self.workspace.message(opened.channel, opened.source)

    def _say(
        self, opened: ResponseUrl, body: Mapping[str, Any], text: str, blocks: list[dict[str, Any]]
    ) -> None:
        public = body.get("response_type") == "in_channel"
        thread = body.get("thread_ts") if public else None
        # A thread is only honoured together with `replace_original: false`.
        into_thread = isinstance(thread, str) and body.get("replace_original") is False
        source = self._source(opened)
        replaces = bool(body.get("replace_original")) or (thread is not None and not into_thread)
        if replaces and source is not None:
            source.text, source.blocks = text, blocks
            source.edited = {"user": source.user, "ts": self.workspace.clock.ts()}
            self.workspace.changed(source)
            return
        message = self.workspace.bot_message(
            opened.channel,
            text=text,
            blocks=blocks,
            thread_ts=thread if into_thread else None,
            ephemeral_for=None if public else opened.user,
        )
        self.workspace.post(message)

    def _record(
        self, opened: ResponseUrl | None, body: Mapping[str, Any], status: int, error: str | None
    ) -> None:
        made = ResponseCall(
            channel=opened.channel if opened is not None else "",
            user=opened.user if opened is not None else "",
            body=dict(body),
            at=self.workspace.clock.now(),
            status=status,
            error=error,
        )
        self.calls.append(made)
        self.workspace.tell(Change(kind="call", subject=made))


async def _read(request: Request) -> dict[str, Any]:
    raw = await request.body()
    if len(raw) > MAX_BODY_BYTES:
        raise _RefusedError(400, "invalid_payload")
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        try:
            raw = fields(raw).get("payload", "").encode()
        except ApiError:
            raise _RefusedError(400, "invalid_payload") from None
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):
        raise _RefusedError(400, "invalid_payload") from None
    if not isinstance(parsed, dict):
        raise _RefusedError(400, "invalid_payload")
    return parsed
