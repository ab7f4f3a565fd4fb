"""Bearer tokens that a file holds, such as a projected service-account token."""

import asyncio
import base64
from pathlib import Path
from typing import Final, Protocol

import msgspec

from tidegate.errors import TokenError

MAX_TOKEN_BYTES: Final = 65_536


class Tokens(Protocol):
    """Where tokens come from."""

    async def current(self) -> str:
        """Return a token that holds now, fit for a header. Raises `TokenError`."""

    async def close(self) -> None:
        """Let go of what it takes to get one."""


class TokenFile:
    """A token that stands in a file.

    Args:
        path: The file; a link is followed at each reading.
        audience: Whom the token must be made out to, or None for anybody.
    """

    def __init__(self, path: Path, *, audience: str | None = None) -> None:
        self._path = path
        self._audience = audience

    async def current(self) -> str:
        """Return the token, read anew: Kubernetes replaces it while we run.

        Source: https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken

        Raises:
            TokenError: There is none, or it is made out to somebody else.
        """
        token = await asyncio.to_thread(_read, self._path)
        if token is None:
            raise TokenError("the token's file holds no token")
        if self._audience is not None and not is_meant_for(token, self._audience):
            raise TokenError("the token is made out to another audience")
        return token

    async def close(self) -> None:
        """Nothing is held."""


def is_meant_for(token: str, audience: str) -> bool:
    """Tell whether a JSON Web Token names the audience; whether it is genuine, the service does.

    Source: https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3
    """
    try:
        middle = token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        named = claims.get("aud")
    except (IndexError, ValueError, AttributeError, msgspec.MsgspecError):
        return False
    return audience in named if isinstance(named, list) else audience == named


def _read(path: Path) -> str | None:
    if not path.is_file():
        return None  # a pipe would be waited for, and hold a thread
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_TOKEN_BYTES + 1)
        token = raw.decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return token if token and len(raw) <= MAX_TOKEN_BYTES and token.isprintable() else None
