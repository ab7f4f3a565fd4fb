"""The listener that monitoring calls: is the process up, can it work, what has it done.

It asks nobody who they are, and says nothing but counts. A probe of the kubelet cannot show a
client certificate, so that liveness and readiness are here, whatever the other listener asks for.
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tidegate_agent.entry.metrics import CONTENT_TYPE, Metrics
from tidegate_agent.errors import KubernetesError
from tidegate_agent.ports import Clock

FRESH_SECONDS: Final = 2.0


class Readiness:
    """Whether requests can be taken.

    Ready once the API server has answered, until the agent is told to stop. Should the API server
    go away, requests are still taken, and answered that it has: a balancer that finds no agent
    could only say less.

    Args:
        probe: Returns if the API server answers. Raises `KubernetesError`.
    """

    def __init__(self, probe: Callable[[], Awaitable[None]], clock: Clock) -> None:
        self._probe = probe
        self._clock = clock
        self._looked_at: float | None = None
        self._why: str | None = "the API server has not answered yet"
        self._has_been_ready = False
        self.stopping = False

    async def why_not(self) -> str | None:
        """Return why no request can be taken; None, if it can."""
        if self.stopping:
            return "stopping"
        if not self._has_been_ready:
            await self.look()
        return None if self._has_been_ready else self._why

    async def look(self) -> str | None:
        """Return why the API server does not answer; None, if it does."""
        now = self._clock.monotonic()
        if self._looked_at is not None and now - self._looked_at < FRESH_SECONDS:
            return self._why
        self._looked_at = now
        try:
            await self._probe()
        except KubernetesError as error:
            self._why = f"the API server does not answer: {type(error).__name__}"
        else:
            self._why = None
            self._has_been_ready = True
        return self._why


def monitoring_app(readiness: Readiness, metrics: Metrics) -> ASGIApp:
    """Return the listener as an ASGI application."""

    async def healthy(_: Request) -> Response:
        return JSONResponse({"ok": True})

    async def ready(_: Request) -> Response:
        why = await readiness.why_not()
        if why is not None:
            return JSONResponse({"ok": False, "why": why}, 503)
        return JSONResponse({"ok": True})

    async def measured(_: Request) -> Response:
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    return Starlette(
        routes=[
            Route("/healthz", healthy),
            Route("/readyz", ready),
            Route("/metrics", measured),
        ]
    )
