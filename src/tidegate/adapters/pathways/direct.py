"""The pathways on which the gateway reaches the service itself: `direct` and `privatelink`."""

import asyncio
import base64
from pathlib import Path
from typing import Final

import msgspec

from tidegate.adapters.pathways.transport import Place, Transport
from tidegate.ports import NotSent, Request, Response

MAX_TOKEN_BYTES: Final = 65_536


class Direct:
    """Calls a service, with a bearer token from a file where one is configured."""

    def __init__(
        self, place: Place, *, token_file: Path | None, token_audience: str | None = None
    ) -> None:
        self._place = place
        self._token_file = token_file
        self._token_audience = token_audience
        self._transport = Transport(place)

    async def send(self, request: Request) -> Response:
        """Send once. The token is read anew: Kubernetes replaces it while we run.

        Source: https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken
        """
        headers = dict(request.headers)
        if self._place.host is not None:
            headers["Host"] = self._place.host
        if self._token_file is not None:
            token = await asyncio.to_thread(_read_token, self._token_file)
            if token is None or not _is_meant_for(token, self._token_audience):
                return NotSent(reason="token")
            headers["Authorization"] = f"Bearer {token}"
        return await self._transport.exchange(
            method=request.method,
            url=self._place.address(request.path),
            headers=headers,
            body=request.body,
            fresh=request.fresh,
        )

    async def close(self) -> None:
        """Let connections go."""
        await self._transport.close()


def _is_meant_for(token: str, audience: str | None) -> bool:
    """Tell whether a JSON Web Token names the audience; whether it is genuine, the service does.

    Source: https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3
    """
    if audience is None:
        return True
    try:
        middle = token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        named = claims.get("aud")
    except (IndexError, ValueError, AttributeError, msgspec.MsgspecError):
        return False
    return audience in named if isinstance(named, list) else audience == named


def _read_token(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_TOKEN_BYTES + 1)
        token = raw.decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return token if token and len(raw) <= MAX_TOKEN_BYTES and token.isprintable() else None
