"""The pathways on which the gateway reaches the service itself: `direct` and `privatelink`."""

from tidegate.adapters.pathways.tokens import Tokens
from tidegate.adapters.pathways.transport import Place, Transport
from tidegate.errors import CredentialsError
from tidegate.ports import Journal, NotSent, Request, Response


class Direct:
    """Calls a service, with a bearer token where there are such.

    Args:
        place: Where the service is.
        tokens: Where the token to show comes from; None shows none.
        journal: Where it is noted what cannot be told in an answer.
    """

    def __init__(
        self, place: Place, *, tokens: Tokens | None = None, journal: Journal | None = None
    ) -> None:
        self._tokens = tokens
        self._transport = Transport(place, journal=journal)

    async def send(self, request: Request) -> Response:
        """Send once, with the token of this moment."""
        headers = dict(request.headers)
        if self._tokens is not None:
            try:
                headers["Authorization"] = f"Bearer {await self._tokens.current()}"
            except CredentialsError:
                return NotSent(reason="token")
        return await self._transport.exchange(
            method=request.method,
            path=request.path,
            headers=headers,
            body=request.body,
            fresh=request.fresh,
        )

    async def close(self) -> None:
        """Let connections go."""
        if self._tokens is not None:
            await self._tokens.close()
        await self._transport.close()
