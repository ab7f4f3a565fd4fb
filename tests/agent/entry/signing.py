"""Signs whatever it is sent and hands it on: for a client that knows nothing of statements."""

import re
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from tests.agent.entry.signer import Signer, claims

_RUN = re.compile(r"[A-Za-z0-9_-]{1,100}")


class Signing:
    """An ASGI application in front of another."""

    def __init__(self, app: ASGIApp, signer: Signer) -> None:
        self._app = app
        self._signer = signer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on one request with a statement that holds for it."""
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)

        async def again() -> Any:
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        headers = dict(scope["headers"])
        run = headers.get(b"idempotency-key", b"").decode("latin-1")
        path = scope["raw_path"].partition(b"?")[0].decode()
        statement = claims(scope["method"], path, bytes(body), run if _RUN.fullmatch(run) else "-")
        token = self._signer.sign(statement).encode()
        others = [each for each in scope["headers"] if each[0] != b"tidegate-identity"]
        signed = {**scope, "headers": [*others, (b"tidegate-identity", token)]}
        await self._app(signed, again, send)
