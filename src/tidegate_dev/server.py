"""The page's server: static files, the state, the event stream, and what a person does."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Protocol

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tidegate_dev.events import EventHub
from tidegate_dev.faults import FAULTS, UnknownFaultError
from tidegate_dev.guard import Guard
from tidegate_dev.slack.deliveries import Delivery
from tidegate_dev.slack.far_end import NotThereError
from tidegate_dev.slack.payloads import UnknownOptionError

Json = dict[str, Any]

PAGE_FOLDER: Final = Path(__file__).parent / "page"
MAX_BODY_BYTES: Final = 64 * 1024
MAX_TEXT: Final = 4_000
PING_SECONDS: Final = 15
_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".woff2": "font/woff2",
}


class BadRequestError(Exception):
    """What came is not what the page sends; the text says what is wrong."""


class Actions(Protocol):
    """What the server asks of the workspace."""

    hub: EventHub

    def state(self) -> Json:
        """Return everything, as `GET /dev/state` tells it."""

    async def journey(self, journey_id: str) -> Json | None:
        """Return one journey with all that is known of it."""

    async def click(self, request: Json) -> Delivery:
        """Press an element of a message."""

    async def command(self, request: Json) -> Delivery:
        """Run a slash command."""

    def say(self, channel: str, text: str) -> None:
        """Write a message as the person who is at the page."""

    def become(self, user: str) -> None:
        """Be another person."""

    def read(self, channel: str) -> None:
        """Nothing in the channel is unread any more."""

    def switch(self, name: str, *, on: bool) -> None:
        """Switch a fault."""

    def kill(self) -> int | None:
        """Kill the gateway and return its process id."""

    def shown_delivery(self, delivery: Delivery) -> Json:
        """Return a delivery as the page takes it."""


class PageServer:
    """Answers the browser."""

    def __init__(self, actions: Actions, *, folder: Path = PAGE_FOLDER) -> None:
        self._actions = actions
        self._folder = folder.resolve()

    def app(self, others: list[Route], *, port: int) -> Guard:
        """Return the application of the page's port, *others* being Slack's own routes."""
        posts: dict[str, Callable[[Json], Awaitable[Json]]] = {
            "user": self._user,
            "click": self._click,
            "command": self._command,
            "message": self._message,
            "read": self._read,
            "fault": self._fault,
            "kill": self._kill,
        }
        routes = [
            Route("/", self._index, methods=["GET"]),
            Route("/page/{path:path}", self._file, methods=["GET"]),
            Route("/dev/state", self._state, methods=["GET"]),
            Route("/dev/events", self._events, methods=["GET"]),
            Route("/dev/journey/{journey}", self._journey, methods=["GET"]),
            *(Route(f"/dev/{name}", _post(do), methods=["POST"]) for name, do in posts.items()),
            *others,
        ]
        return Guard(Starlette(routes=routes), port=port)

    # Looking

    async def _index(self, request: Request) -> Response:
        return await self._static(request, "index.html")

    async def _file(self, request: Request) -> Response:
        return await self._static(request, request.path_params["path"])

    async def _static(self, _request: Request, name: str) -> Response:
        path = await asyncio.to_thread(self._find, name)
        if path is None:
            return PlainTextResponse("There is no such file.", status_code=404)
        media_type = _TYPES.get(path.suffix, "application/octet-stream")
        return FileResponse(path, media_type=media_type, headers={"Cache-Control": "no-cache"})

    def _find(self, name: str) -> Path | None:
        if "\0" in name:
            return None
        path = (self._folder / name).resolve()
        return path if path.is_relative_to(self._folder) and path.is_file() else None

    async def _state(self, _request: Request) -> Response:
        return JSONResponse(self._actions.state(), headers={"Cache-Control": "no-store"})

    async def _events(self, _request: Request) -> Response:
        stream = self._actions.hub.stream(self._actions.state)
        return EventSourceResponse(stream, ping=PING_SECONDS)

    async def _journey(self, request: Request) -> Response:
        found = await self._actions.journey(request.path_params["journey"])
        if found is None:
            return _problem("This journey is no longer kept.", 404)
        return JSONResponse(found, headers={"Cache-Control": "no-store"})

    # Doing

    async def _user(self, body: Json) -> Json:
        self._actions.become(_text(body, "user"))
        return {}

    async def _click(self, body: Json) -> Json:
        return {"delivery": self._actions.shown_delivery(await self._actions.click(body))}

    async def _command(self, body: Json) -> Json:
        return {"delivery": self._actions.shown_delivery(await self._actions.command(body))}

    async def _message(self, body: Json) -> Json:
        self._actions.say(_text(body, "channel"), _text(body, "text"))
        return {}

    async def _read(self, body: Json) -> Json:
        self._actions.read(_text(body, "channel"))
        return {}

    async def _fault(self, body: Json) -> Json:
        on = body.get("on")
        if not isinstance(on, bool):
            raise BadRequestError("`on` must be true or false.")
        self._actions.switch(_text(body, "name"), on=on)
        return {}

    async def _kill(self, _body: Json) -> Json:
        pid = self._actions.kill()
        if pid is None:
            raise NotThereError("The gateway is not running just now; it is being started again.")
        return {"pid": pid}


def _post(do: Callable[[Json], Awaitable[Json]]) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint that reads JSON, does *do* and answers in one shape."""

    async def endpoint(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return _problem("Send JSON, with the content type application/json.", 415)
        try:
            answer = await do(await _body(request))
        except BadRequestError as error:
            return _problem(str(error), 400)
        except UnknownOptionError:
            return _problem("That is not one of the choices that are offered there.", 400)
        except UnknownFaultError as error:
            known = ", ".join(FAULTS)
            return _problem(f"There is no fault called {error}. There are {known}.", 404)
        except NotThereError as error:
            return _problem(str(error), 404)
        return JSONResponse({"ok": True, **answer})

    return endpoint


async def _body(request: Request) -> Json:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            raise BadRequestError("That is too long.")
    try:
        body = json.loads(bytes(raw) or b"{}")
        json.dumps(body, ensure_ascii=False).encode()  # half a character could not be shown
    except (ValueError, RecursionError):
        raise BadRequestError("That is not JSON.") from None
    if not isinstance(body, dict):
        raise BadRequestError("Send a JSON object.")
    return body


def _text(body: Json, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadRequestError(f"`{name}` is missing.")
    if len(value) > MAX_TEXT:
        raise BadRequestError(f"`{name}` is too long.")
    return value


def _problem(words: str, status: int) -> Response:
    return JSONResponse({"ok": False, "error": words}, status_code=status)
