"""The admin listener: metrics, and the runs as JSON for named callers.

A caller who may share sees the runs that it ordered: the token of a job in CI does not tell who
presses which buttons. One who may share nothing is there to look, and sees them all.
"""

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tidegate.app.share_request import ShareRequests
from tidegate.core.model import AuditEntry, Run, RunId, State
from tidegate.errors import StoreError
from tidegate.ports import RunFilter, Store

MAX_LISTED: Final = 200
MAX_BODY_BYTES: Final = 262_144
_NEVER_SHOWN: Final = frozenset({"response_url", "delivery_key", "effect_key", "value_digest"})

Handler = Callable[[Request], Awaitable[Response]]


def run_as_json(run: Run, hidden: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    """Return what people and machines may see of a run: no address, no secret param."""
    shown = {
        key: value for key, value in msgspec.to_builtins(run).items() if key not in _NEVER_SHOWN
    }
    # Of an action that is not configured any more nobody can say what was secret.
    secret = hidden.get(run.action, run.params.keys())
    shown["params"] = {k: "•••" if k in secret else v for k, v in run.params.items()}
    return shown


def entry_as_json(entry: AuditEntry) -> dict[str, Any]:
    """Return an audit entry."""
    return asdict(entry)


class AdminApi:
    """Answers on the admin listener."""

    def __init__(
        self,
        *,
        store: Store,
        metrics: Callable[[], bytes],
        tokens: Sequence[tuple[str, str]],
        hidden: Mapping[str, frozenset[str]],
        requests: ShareRequests | None = None,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._tokens = tokens
        self._hidden = hidden
        self._requests = requests

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/metrics", self._show_metrics),
                Route("/api/v1/shares", self._guarded(self._share), methods=["POST"]),
                Route("/api/v1/runs", self._guarded(self._list)),
                Route("/api/v1/runs/{run_id}", self._guarded(self._show)),
            ]
        )

    def _guarded(self, handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            if not self._tokens:
                return _error(404, "not found", "configure api.tokens to use this API")
            if self._caller(request) is None:
                return _error(401, "unauthorized", "send Authorization: Bearer TOKEN")
            try:
                return await handler(request)
            except StoreError:
                return _error(503, "unavailable", "the store cannot be read just now; try again")

        return answer

    def _caller(self, request: Request) -> str | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        found = None
        for name, secret in self._tokens:
            if hmac.compare_digest(secret.encode(), given.strip().encode()):
                found = name
        return found

    def _own(self, request: Request) -> str | None:
        """Return as whom a caller's runs are recorded that may see no others, or None."""
        if self._requests is None:
            return None
        return self._requests.orders_of(self._caller(request) or "")

    async def _show_metrics(self, _request: Request) -> Response:
        return PlainTextResponse(
            self._metrics(), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    async def _share(self, request: Request) -> Response:
        if self._requests is None:
            return _error(404, "not found", "configure s3.buckets to share from them")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return _error(415, "unsupported", "send application/json")
        body = await _bounded(request)
        if body is None:
            return _error(413, "too large", f"at most {MAX_BODY_BYTES} bytes are taken")
        key = request.headers.get("idempotency-key")
        answer = await self._requests.take(self._caller(request) or "", body, key)
        return JSONResponse(
            dict(answer.body),
            status_code=answer.status,
            headers={"Cache-Control": "no-store", **answer.headers},
        )

    async def _list(self, request: Request) -> Response:
        query = request.query_params
        try:
            limit = int(query.get("limit", "50"))
            state = State(query["state"]) if "state" in query else None
        except ValueError:
            return _error(400, "bad request", "limit is a number, state a run's state")
        before = query.get("before")
        which = RunFilter(
            state=state,
            action=query.get("action"),
            user_id=self._own(request) or query.get("user"),
            before=RunId(before) if before else None,
            limit=max(1, min(limit, MAX_LISTED)),
        )
        runs = await self._store.runs(which)
        return JSONResponse({"runs": [run_as_json(run, self._hidden) for run in runs]})

    async def _show(self, request: Request) -> Response:
        run_id = RunId(request.path_params["run_id"])
        run = await self._store.run(run_id)
        own = self._own(request)
        if run is None or own not in (None, run.user_id):
            return _error(404, "not found", "there is no run with this id")
        entries = await self._store.audit(run_id=run_id)
        audit = [entry_as_json(entry) for entry in entries]
        return JSONResponse({"run": run_as_json(run, self._hidden), "audit": audit})


async def _bounded(request: Request) -> bytes | None:
    """Return the body; None if it is too long."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)
