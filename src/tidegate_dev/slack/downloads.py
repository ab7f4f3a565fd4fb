"""`url_private` and `url_private_download`: files for who may see them, sign-in for the others.

Source: https://docs.slack.dev/reference/objects/file-object/ (both need the app's token). That a
request without one is led to a sign-in page, and so ends in 200 and HTML, is what breaks clients
that forget the header.
"""

import hmac
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)

from tidegate_dev.slack.file_store import FileStore
from tidegate_dev.slack.files import File
from tidegate_dev.slack.state import Workspace

_SIGN_IN: Final = (
    "<!doctype html><title>Sign in</title><h1>Sign in to the workspace</h1>"
    "<p>This file is for members, and for apps that send their token.</p>"
)
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, max-age=300",
}


class Downloads:
    """Serves the files of one workspace; *viewer* is who looks at the page, if there is one."""

    def __init__(
        self, workspace: Workspace, files: FileStore, *, viewer: Callable[[], str | None]
    ) -> None:
        self._workspace = workspace
        self._files = files
        self._viewer = viewer

    async def inline(self, request: Request) -> Response:
        """Answer `url_private`: only a picture is anything but an attachment."""
        return self._answer(request, inline=True)

    async def attachment(self, request: Request) -> Response:
        """Answer `url_private_download`."""
        return self._answer(request, inline=False)

    async def permalink(self, request: Request) -> Response:
        """Lead on to the file itself."""
        file = self._files.get(request.path_params["file"])
        if file is None:
            return PlainTextResponse("not found", status_code=404)
        return RedirectResponse(file.place, status_code=302)

    async def sign_in(self, _request: Request) -> Response:
        """Show what a person sees who is not signed in."""
        return HTMLResponse(_SIGN_IN)

    def _answer(self, request: Request, *, inline: bool) -> Response:
        reader = self._reader(request)
        if reader is None:
            return RedirectResponse(f"/signin?redir={quote(request.url.path)}", status_code=302)
        file = self._files.get(request.path_params["file"])
        if file is None or not file.is_there:
            return PlainTextResponse("There is no such file.", status_code=404)
        if not self._files.can_see(file, reader):
            return PlainTextResponse("This file is not for you.", status_code=403)
        if file.path is None:
            return PlainTextResponse("The bytes of this file were not kept.", status_code=410)
        return _served(file, inline=inline and file.is_picture)

    def _reader(self, request: Request) -> str | None:
        """Return who asks: the bot by its token, or the person at the page by their browser."""
        identity = self._workspace.identity
        authorization = request.headers.get("authorization")
        if authorization is not None:
            expected = f"Bearer {identity.bot_token}".encode()
            known = hmac.compare_digest(authorization.encode(), expected)
            reads = "files:read" in self._workspace.scopes
            return identity.bot_user_id if known and reads else None
        # Browsers say where a request comes from, and pages cannot make them say anything else.
        ours = request.headers.get("sec-fetch-site") in ("same-origin", "none")
        return self._viewer() if ours else None


def _served(file: File, *, inline: bool) -> Response:
    known = file.known_type
    return FileResponse(
        file.path or "",
        media_type=known.mimetype if known else "application/octet-stream",
        filename=file.name.replace("/", "_"),
        content_disposition_type="inline" if inline else "attachment",
        headers=_HEADERS,
    )
