"""A private service for tests: a real listener that counts effects by idempotency key."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate_dev.listener import Listener

Answer = Callable[["Seen"], Awaitable[Response] | Response]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    client: tuple[str, int] | None = None

    @property
    def key(self) -> str:
        return self.headers.get("idempotency-key", "")

    @property
    def deployment(self) -> str:
        params = self.json().get("params", {})
        return str(params.get("deployment", ""))

    def json(self) -> Any:
        return json.loads(self.body)


def done(_seen: Seen) -> Response:
    return JSONResponse({"message": "all done", "status": "ok"})


@dataclass(slots=True)
class Service:
    """Counts, and answers what it is told to."""

    answer: Answer = done
    seen: list[Seen] = field(default_factory=list)
    effects: Counter[str] = field(default_factory=Counter)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _listener: Listener | None = None
    _port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def posts(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.method == "POST"]

    def posts_for(self, deployment: str) -> list[Seen]:
        """What came for one deployment, which tests name differently for every press."""
        return [seen for seen in self.posts if seen.deployment == deployment]

    def cut(self, seen: Seen) -> Response:
        """Break the connection that *seen* came on, without an answer."""
        if self._listener is not None:
            self._listener.drop(seen.client)
        return Response(status_code=500)

    def app(self) -> Starlette:
        """The application, to be served by whoever has a listener of their own."""
        return Starlette(routes=[Route("/{path:path}", self._take, methods=["GET", "POST"])])

    async def start(self) -> None:
        self._listener = Listener(self.app(), port=self._port)
        await self._listener.start()
        self._port = self._listener.port

    async def stop(self) -> None:
        if self._listener is not None:
            await self._listener.stop()
            self._listener = None

    async def wait_for(self, condition: Callable[[], bool], *, seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(condition)

    async def _take(self, request: Request) -> Response:
        seen = Seen(
            method=request.method,
            path=request.scope["raw_path"].decode(),
            headers={k.lower(): v for k, v in request.headers.items()},
            body=await request.body(),
            client=(request.client.host, request.client.port) if request.client else None,
        )
        self.seen.append(seen)
        if seen.method == "POST":
            self.effects[seen.key] += 1
        async with self.changed:
            self.changed.notify_all()
        answer = self.answer(seen)
        return answer if isinstance(answer, Response) else await answer


@dataclass(slots=True)
class Script:
    """Answers by deployment, one after the other, the last one for good.

    Journeys that name their deployments differently can so share one service. A look at
    long work (`GET`) is answered by what is scripted for the deployment of its run.
    """

    posts: dict[str, list[Answer]] = field(default_factory=dict)
    polls: dict[str, list[Answer]] = field(default_factory=dict)
    _deployments: dict[str, str] = field(default_factory=dict)

    def __call__(self, seen: Seen) -> Awaitable[Response] | Response:
        if seen.method == "POST":
            name = seen.deployment
            self._deployments[seen.key] = name
            return self._next(self.posts, name)(seen)
        return self._next(self.polls, self._deployments.get(seen.key, ""))(seen)

    @staticmethod
    def _next(lines: dict[str, list[Answer]], name: str) -> Answer:
        answers = lines.get(name) or [done]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def says(status: int, body: Any = None, **headers: str) -> Answer:
    """An answer with a status, a JSON body and headers (`Retry_After="1"`)."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(_seen: Seen) -> Response:
        return JSONResponse({} if body is None else body, status, headers=named)

    return answer


@contextlib.asynccontextmanager
async def service(answer: Answer = done) -> Any:
    """A service that runs while the block does."""
    found = Service(answer=answer)
    await found.start()
    try:
        yield found
    finally:
        await found.stop()


def slow(seconds: float) -> Answer:
    """An answer that takes its time; it ends early when the listener closes."""

    async def answer(seen: Seen) -> Response:
        await asyncio.sleep(seconds)
        return done(seen)

    return answer
