"""Slack's Web API: one call in, one answer out, with Slack's errors and limits.

Source: https://docs.slack.dev/apis/web-api/. An answer is HTTP 200 even when it is an error;
only rate limits (429) and broken moments (500) are not.
"""

import asyncio
import hmac
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tidegate_dev.slack import arguments as call_arguments
from tidegate_dev.slack.arguments import Arguments
from tidegate_dev.slack.errors import ApiError
from tidegate_dev.slack.faults import SlackFaults
from tidegate_dev.slack.file_store import FileStore
from tidegate_dev.slack.methods import chat, conversations, files, people, views
from tidegate_dev.slack.methods.call import Call, Method
from tidegate_dev.slack.pictures import Pictures
from tidegate_dev.slack.rate_limits import RateLimits
from tidegate_dev.slack.state import Change, Workspace
from tidegate_dev.slack.triggers import Triggers

METHODS: Final[Mapping[str, Method]] = {
    **chat.METHODS,
    **conversations.METHODS,
    **files.METHODS,
    **people.METHODS,
    **views.METHODS,
}
_KEPT_CALLS: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One call as it was made and answered; the token is not part of it.

    *status* is 0 for a call that hung until the caller gave up: nothing was done.
    """

    method: str
    arguments: Mapping[str, Any]
    at: float
    status: int
    answer: Mapping[str, Any] = field(default_factory=dict)
    ms: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it did what was asked."""
        return bool(self.answer.get("ok"))

    @property
    def error(self) -> str | None:
        """Return Slack's error code, or None."""
        return self.answer.get("error")


class _LimitedError(Exception):
    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class WebApi:
    """Answers `/api/{method}` over one workspace and keeps a record of the calls."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        faults: SlackFaults,
        limits: RateLimits,
        triggers: Triggers,
        files: FileStore,
        pictures: Pictures,
        cut: Callable[[Request], Response],
    ) -> None:
        self._workspace = workspace
        self._faults = faults
        self._limits = limits
        self._triggers = triggers
        self._files = files
        self._pictures = pictures
        self._cut = cut
        self.calls: deque[ApiCall] = deque(maxlen=_KEPT_CALLS)

    async def endpoint(self, request: Request) -> Response:
        """Answer one call."""
        method = request.path_params["method"]
        started = time.perf_counter()
        if not await self._waited_out(request, method):
            self._record(method, Arguments(values={}), {}, status=0, started=started)
            return Response(status_code=500)
        fault = self._faults.next_for(method)
        if fault == "drop_before":
            return self._cut(request)
        instead = self._faults.instead(fault)
        if instead is not None:
            return instead
        arguments = Arguments(values={})
        retry_after = 0
        try:
            arguments = await call_arguments.read(request)
            answer = await self._answer(method, arguments)
        except ApiError as error:
            answer = error.answer()
        except _LimitedError as limited:
            answer = {"ok": False, "error": "ratelimited"}
            retry_after = limited.seconds
        status = 429 if retry_after else 200
        self._record(method, arguments, answer, status=status, started=started)
        if fault == "drop_after":
            return self._cut(request)
        if fault == "error_after":
            return PlainTextResponse("stream timeout", status_code=500)
        return self._response(answer, arguments, retry_after)

    async def _answer(self, name: str, arguments: Arguments) -> dict[str, Any]:
        method = METHODS.get(name)
        if method is None:
            raise ApiError("unknown_method", fields={"req_method": name})
        if name != "api.test":
            self._authenticate(arguments.token)
        if self._faults.limits(name):
            raise _LimitedError(self._faults.retry_after_seconds)
        self._wait_free(self._limits.take_call(name, method.tier))
        call = Call(
            workspace=self._workspace,
            arguments=arguments,
            triggers=self._triggers,
            files=self._files,
            pictures=self._pictures,
            take_post=lambda channel: self._wait_free(self._limits.take_post(channel)),
        )
        call.needs(*method.scopes)
        done = method.run(call)
        result = await done if isinstance(done, Awaitable) else done
        answer: dict[str, Any] = {"ok": True, **result}
        if arguments.warnings:
            answer["warning"] = ",".join(arguments.warnings)
            answer.setdefault("response_metadata", {})["warnings"] = list(arguments.warnings)
        return answer

    def _authenticate(self, token: str | None) -> None:
        if not token:
            raise ApiError("not_authed")
        expected = self._workspace.identity.bot_token
        if not hmac.compare_digest(token.encode(), expected.encode()):
            raise ApiError("invalid_auth")

    @staticmethod
    def _wait_free(seconds: int) -> None:
        if seconds:
            raise _LimitedError(seconds)

    async def _waited_out(self, request: Request, method: str) -> bool:
        """Hold the call while Slack hangs; False when the caller did not wait for the end."""
        if not self._faults.hangs(method):
            return True
        await request.body()
        while self._faults.hangs(method):
            if await request.is_disconnected():
                return False
            await asyncio.sleep(0.05)
        return True

    def _response(self, answer: dict[str, Any], arguments: Arguments, retry_after: int) -> Response:
        headers = {"x-slack-req-id": f"{time.monotonic_ns():x}"}
        if arguments.token == self._workspace.identity.bot_token:
            headers["x-oauth-scopes"] = ",".join(sorted(self._workspace.scopes))
        if retry_after:
            headers["retry-after"] = str(retry_after)
        return JSONResponse(answer, status_code=429 if retry_after else 200, headers=headers)

    def _record(
        self,
        method: str,
        arguments: Arguments,
        answer: dict[str, Any],
        *,
        status: int,
        started: float,
    ) -> None:
        made = ApiCall(
            method=method,
            arguments=dict(arguments.values),
            at=self._workspace.clock.now(),
            status=status,
            answer=answer,
            ms=(time.perf_counter() - started) * 1000,
        )
        self.calls.append(made)
        self._workspace.tell(Change(kind="call", subject=made))
