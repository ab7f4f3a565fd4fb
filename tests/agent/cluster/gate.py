"""What stands between agents and the API server: it sees each call, and can hold one.

So what an agent did, and as whom, is known without the API server's audit log; and an agent can be
ended just before or just after a call of its was carried out.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from yarl import URL

from tidegate_agent.adapters.kubernetes import Credentials
from tidegate_dev.listener import Listener

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_OF_A_HOP: Final = frozenset({"host", "connection", "content-length", "transfer-encoding"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of an agent's; `status` is what the API server answered."""

    method: str
    path: str
    query: str
    headers: Headers
    status: int

    @property
    def is_change(self) -> bool:
        """Return whether a workload was changed by it."""
        is_workload = self.path.startswith("/apis/apps/")
        is_done = self.method == "PATCH" and self.status == 200
        return is_workload and is_done and "dryRun" not in self.query

    @property
    def run(self) -> str:
        """Return for which run it was made, or nothing."""
        return self.headers.get("impersonate-extra-tidegate.dev%2frun", "")


@dataclass(slots=True)
class Hold:
    """Holds one call.

    Attributes:
        path: The beginning of where it goes to.
        after: Whether the API server is to have carried it out by then.
        is_held: Set once it is held.
        let_go: Set it to let it go.
    """

    method: str
    path: str
    after: bool
    is_held: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)


class Gate:
    """Hands on what agents ask, with the credentials that they bring themselves."""

    def __init__(self, credentials: Credentials, session: aiohttp.ClientSession) -> None:
        self._credentials = credentials
        self._session = session
        self._hold: Hold | None = None
        self.calls: list[Call] = []
        self.app = Starlette(routes=[Route("/{path:path}", self._serve, methods=list(_METHODS))])

    def hold(self, method: str, path: str, *, after: bool) -> Hold:
        """Return what holds the next such call."""
        self._hold = Hold(method, path, after)
        return self._hold

    def changes(self, path: str = "/") -> list[Call]:
        """Return what was changed below a path."""
        return [each for each in self.calls if each.is_change and each.path.startswith(path)]

    async def _serve(self, request: Request) -> Response:
        hold, body = self._hold, await request.body()
        path = request.scope["raw_path"].partition(b"?")[0].decode()
        if hold is None or (request.method, path[: len(hold.path)]) != (hold.method, hold.path):
            return await self._hand_on(request, path, body)
        self._hold = None
        answer = await self._hand_on(request, path, body) if hold.after else None
        hold.is_held.set()
        await hold.let_go.wait()
        return answer or Response(status_code=503)  # nobody waits for it any more

    async def _hand_on(self, request: Request, path: str, body: bytes) -> Response:
        query = request.url.query
        async with self._session.request(
            request.method,
            URL(f"{self._credentials.server}{path}?{query}", encoded=True),
            data=body or None,
            headers=[each for each in request.headers.items() if each[0] not in _OF_A_HOP],
            allow_redirects=False,
            server_hostname=self._credentials.server_name,
        ) as response:
            content = await response.read()
        headers = _kept(response.headers)
        self.calls.append(
            Call(
                method=request.method,
                path=path,
                query=query,
                headers=request.headers,
                status=response.status,
            )
        )
        return Response(content, response.status, headers)


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in ("Content-Type", "Retry-After") if name in headers}


@asynccontextmanager
async def opened(credentials: Credentials) -> AsyncIterator[tuple[Gate, str]]:
    """The gate is open at an address of loopback."""
    connector = aiohttp.TCPConnector(ssl=credentials.tls if credentials.tls else True, limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        gate = Gate(credentials, session)
        async with Listener(gate.app) as listener:
            yield gate, listener.url
