"""The listener that Tidegate calls.

Every request takes the same way: who asked is proven by its head, its bytes are read within a
bound, the proof has to be of exactly these bytes, and only then is anything in them looked at.
Whatever comes is answered with a JSON object; a reason why somebody was not believed goes to the
log and never into an answer.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from typing_extensions import override

from tidegate_agent.app.agent import Agent
from tidegate_agent.core import answer as answers
from tidegate_agent.core.answer import Answer
from tidegate_agent.core.identity import Statement
from tidegate_agent.core.request import CHANGES, PARAMS
from tidegate_agent.entry.admission import Admission, Admitted
from tidegate_agent.entry.metrics import Metrics
from tidegate_agent.entry.openapi import openapi
from tidegate_agent.errors import (
    IdentityError,
    InputError,
    KubernetesError,
    RefusedError,
    UnavailableError,
)
from tidegate_agent.ports import Clock, Journal

MAX_IN_FLIGHT: Final = 256
MAX_ARRIVING: Final = 128  # whose body, or whose caller's token, is waited for
MAX_STATUS_CHARS: Final = 100
MAX_FIELD_CHARS: Final = 200
BROKEN: Final = "The agent broke down at this. Whether it was done is not known: look first."
_CROWDED: Final = "The agent is at too much at once."
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

_Act = Callable[[Admitted, Request], Awaitable[Answer]]
_Endpoint = Callable[[Request], Awaitable[Response]]


class AgentApp:
    """The listener as an ASGI application, `app`."""

    def __init__(
        self,
        agent: Agent,
        admission: Admission,
        *,
        clock: Clock,
        journal: Journal,
        metrics: Metrics,
    ) -> None:
        self._agent = agent
        self._admission = admission
        self._clock = clock
        self._journal = journal
        self._metrics = metrics
        self._in_flight = 0
        self._arriving = 0
        app = Starlette(routes=list(self._routes()), exception_handlers={HTTPException: _not_here})
        app.router.redirect_slashes = False  # a path is another, or it is signed as it stands
        self.app: ASGIApp = app

    def _routes(self) -> Iterator[Route]:
        for verb in PARAMS:
            endpoint = self._endpoint(verb, self._asking(verb), has_body=True)
            yield Route(f"/api/v1/{verb}", endpoint, methods=["POST"])
        # Where a run left no location, its progress is asked for below the path of its request.
        for place in ("/api/v1/operations", *(f"/api/v1/{verb}/operations" for verb in CHANGES)):
            follow = self._endpoint("follow", self._follow, has_body=False)
            cancel = self._endpoint("cancel", self._cancel, has_body=False)
            yield Route(f"{place}/{{key}}", follow, methods=["GET"])
            yield Route(f"{place}/{{key}}/cancel", cancel, methods=["POST"])
        yield Route("/openapi.json", _document, methods=["GET"])
        yield Route("/healthz", _healthy, methods=["GET"])

    def _asking(self, verb: str) -> _Act:
        async def ask(admitted: Admitted, _: Request) -> Answer:
            return await self._agent.ask(verb, admitted.body, admitted.who)

        return ask

    async def _follow(self, admitted: Admitted, request: Request) -> Answer:
        return await self._agent.follow(request.path_params["key"], admitted.who)

    async def _cancel(self, admitted: Admitted, request: Request) -> Answer:
        return await self._agent.cancel(request.path_params["key"], admitted.who)

    def _endpoint(self, verb: str, act: _Act, *, has_body: bool) -> _Endpoint:
        """Return what answers requests for one thing."""

        async def endpoint(request: Request) -> Response:
            begun = self._clock.monotonic()
            answer, response = await self._answer(verb, act, request, has_body=has_body)
            seconds = self._clock.monotonic() - begun
            self._metrics.answered(verb, answer.status, seconds)
            self._note(verb, request, answer, seconds)
            return response

        return endpoint

    async def _answer(
        self, verb: str, act: _Act, request: Request, *, has_body: bool
    ) -> tuple[Answer, Response]:
        try:
            _check_form(request, has_body=has_body)
            admitted = await self._admitted(request)
            request.state.who = admitted.who
            answer = await self._acted(act, admitted, request)
            return answer, _response(answer, request)
        except IdentityError as error:
            self._journal.note("not_admitted", level="warning", verb=verb, reason=error.reason)
            self._metrics.refused(error.reason)
            answer = answers.of_error(error)
        except (RefusedError, UnavailableError, KubernetesError) as error:
            answer = answers.of_error(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is answered and noted
            self._journal.note("broken", level="error", verb=verb, **_where(error))
            answer = _failed(BROKEN)
        return answer, _response(answer, request)

    async def _admitted(self, request: Request) -> Admitted:
        if self._in_flight >= MAX_IN_FLIGHT or self._arriving >= MAX_ARRIVING:
            raise UnavailableError(_CROWDED, retry_after=1.0)
        self._arriving += 1
        try:
            return await self._admission.admit(request)
        finally:
            self._arriving -= 1

    async def _acted(self, act: _Act, admitted: Admitted, request: Request) -> Answer:
        self._count(1)
        try:
            return await act(admitted, request)
        finally:
            self._count(-1)

    def _count(self, step: int) -> None:
        self._in_flight += step
        self._metrics.in_flight(self._in_flight)

    def _note(self, verb: str, request: Request, answer: Answer, seconds: float) -> None:
        who: Statement | None = getattr(request.state, "who", None)
        self._journal.note(
            "request",
            level="info" if answer.status < 400 else "warning",
            verb=verb,
            status=answer.status,
            run=who and who.run,
            by=who and who.subject,
            id=_request_id(request),
            ms=round(seconds * 1000, 1),
        )


class _Ascii(JSONResponse):
    """JSON in ASCII, which there is for every text: for half of a surrogate pair as well."""

    @override
    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def _check_form(request: Request, *, has_body: bool) -> None:
    """The request has the form that every one has.

    Raises:
        InputError: It has not.
    """
    if request.scope["query_string"]:
        # No statement covers it.
        raise InputError("There is no query here: what is asked for stands in the body.")
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and media != "application/json":
        raise InputError("A request is application/json.", status=415)


def _response(answer: Answer, request: Request) -> Response:
    headers = dict(_HEADERS)
    if answer.location is not None:
        headers["Location"] = answer.location
    if answer.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(answer.retry_after)))
    if answer.status == 401:
        headers["WWW-Authenticate"] = "Tidegate-Identity"
    if answer.status in (408, 413):
        headers["Connection"] = "close"
    request_id = _request_id(request)
    if request_id is not None:
        headers["X-Request-Id"] = request_id
    return _Ascii(_bounded(answer.content), answer.status, headers)


def _bounded(content: Any) -> dict[str, Any]:
    """Return an answer that is no longer than Tidegate shows."""
    whole = dict(content)
    bounds = (
        ("message", answers.MAX_MESSAGE),
        ("status", MAX_STATUS_CHARS),
        ("field", MAX_FIELD_CHARS),
    )
    for name, most in bounds:
        said = whole.get(name)
        if isinstance(said, str) and len(said) > most:
            whole[name] = f"{said[: most - 1]}…"
    return whole


def _request_id(request: Request) -> str | None:
    said = request.headers.get("x-request-id", "")
    return said if _REQUEST_ID.fullmatch(said) else None


def _failed(message: str) -> Answer:
    return Answer(status=500, content={"message": message, "status": "unknown"})


def _where(error: BaseException) -> dict[str, object]:
    """Return what broke and where: no words of the error, which may hold content."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = None
    if trace is not None:
        code = trace.tb_frame.f_code
        place = f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}"
    return {"error": type(error).__name__, "place": place}


async def _document(_: Request) -> Response:
    return JSONResponse(openapi())


async def _healthy(_: Request) -> Response:
    return JSONResponse({"ok": True})


async def _not_here(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(_HEADERS)
    if isinstance(error, HTTPException) and error.headers:
        headers |= error.headers
    message = "There is nothing here." if status == 404 else "This is not how it is asked."
    return JSONResponse({"message": message, "status": "refused"}, status, headers)
