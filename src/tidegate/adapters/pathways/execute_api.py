"""The pathway through API Gateway: each attempt signed with SigV4, over what is really sent."""

from datetime import UTC, datetime
from typing import Protocol

from tidegate.adapters.pathways.transport import Place, Transport
from tidegate.core.sigv4 import Credentials, Signer
from tidegate.errors import CredentialsError
from tidegate.ports import Clock, NotSent, Request, Response


class CredentialsSource(Protocol):
    """Where credentials come from."""

    async def current(self) -> Credentials:
        """Return credentials that are valid now. Raises `CredentialsError`."""


class ExecuteApi:
    """Calls a service behind API Gateway."""

    def __init__(
        self,
        place: Place,
        *,
        region: str,
        service: str,
        credentials: CredentialsSource,
        clock: Clock,
    ) -> None:
        self._place = place
        self._region = region
        self._service = service
        self._credentials = credentials
        self._clock = clock
        self._signer = Signer()
        self._transport = Transport(place)

    async def send(self, request: Request) -> Response:
        """Send once, signed anew: a signature ages, and credentials change."""
        try:
            credentials = await self._credentials.current()
        except CredentialsError:
            return NotSent(reason="credentials")
        url = self._place.address(request.path)
        headers = dict(request.headers)
        if self._place.host is not None:
            headers["Host"] = self._place.host
        try:
            signed = self._signer.sign(
                method=request.method,
                url=url,
                headers=headers,
                body=request.body,
                credentials=credentials,
                region=self._region,
                service=self._service,
                now=datetime.fromtimestamp(self._clock.now(), tz=UTC),
            )
        except ValueError:
            return NotSent(reason="unsignable")
        return await self._transport.exchange(
            method=request.method,
            url=url,
            headers={**headers, **signed},
            body=request.body,
            fresh=request.fresh,
        )

    async def close(self) -> None:
        """Let connections go."""
        await self._transport.close()
