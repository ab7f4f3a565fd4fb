"""The pathway through API Gateway: each attempt signed with SigV4, over what is really sent.

VPC Lattice takes the same signature, over everything but the body.
"""

from datetime import UTC, datetime
from typing import Final, Protocol

from tidegate.adapters.pathways.transport import Place, Transport
from tidegate.core.pathway_settings import VPC_LATTICE
from tidegate.core.sigv4 import Credentials, Signer
from tidegate.errors import CredentialsError
from tidegate.ports import Answered, Clock, Journal, NotSent, Request, Response

_REFUSED_KEYS: Final = frozenset({"expired_credentials", "unknown_credentials"})


class CredentialsSource(Protocol):
    """Where credentials come from."""

    async def current(self) -> Credentials:
        """Return credentials that are valid now. Raises `CredentialsError`."""

    def discard(self, refused: Credentials) -> None:
        """Use no longer what AWS refused, however long it was to live."""


class ExecuteApi:
    """Calls a service behind API Gateway or VPC Lattice.

    Args:
        place: Where it is reached.
        region: The region in the signature's scope.
        service: The service in the signature's scope, such as `execute-api`.
        credentials: Where credentials come from.
        clock: Tells the time of a signature.
        api_id: Of a private REST API whose endpoint is called by the endpoint's own name.
        journal: Where it is noted what cannot be told in an answer.
    """

    def __init__(
        self,
        place: Place,
        *,
        region: str,
        service: str,
        credentials: CredentialsSource,
        clock: Clock,
        api_id: str | None = None,
        journal: Journal | None = None,
    ) -> None:
        self._place = place
        self._region = region
        self._service = service
        self._credentials = credentials
        self._clock = clock
        # Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-private-api-test-invoke-url.html
        self._always = {"x-apigw-api-id": api_id} if api_id is not None else {}
        self._signer = Signer()
        self._transport = Transport(place, signed=True, journal=journal)

    async def send(self, request: Request) -> Response:
        """Send once, signed anew: a signature ages, and credentials change."""
        try:
            credentials = await self._credentials.current()
        except CredentialsError:
            return NotSent(reason="credentials")
        headers = {**request.headers, **self._always, "Host": self._place.host_header}
        try:
            signed = self._signer.sign(
                method=request.method,
                url=self._place.address(request.path),
                headers=headers,
                body=request.body,
                credentials=credentials,
                region=self._region,
                service=self._service,
                now=datetime.fromtimestamp(self._clock.now(), tz=UTC),
                unsigned_payload=self._service == VPC_LATTICE,
            )
        except ValueError:
            return NotSent(reason="unsignable", again=False)
        response = await self._transport.exchange(
            method=request.method,
            path=request.path,
            headers={**headers, **signed},
            body=request.body,
            fresh=request.fresh,
        )
        if isinstance(response, Answered) and response.fault in _REFUSED_KEYS:
            self._credentials.discard(credentials)
        return response

    async def close(self) -> None:
        """Let connections go."""
        await self._transport.close()
