"""Bearer tokens that AWS issues for the gateway's own role: no secret is kept anywhere.

The service, or a load balancer before it, verifies them with the account's public keys.

Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetWebIdentityToken.html
"""

import asyncio
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from tidegate.adapters.pathways.execute_api import CredentialsSource
from tidegate.adapters.pathways.transport import Place, Transport
from tidegate.core.sigv4 import Signer
from tidegate.errors import CredentialsError, TokenError
from tidegate.ports import Answered, Clock, Journal

STS_SECONDS: Final = 10.0  # for one request for a token
AHEAD_SHARE: Final = 0.3  # of a token's life: with less left, a new one is fetched beside
NEAR_EXPIRY_SECONDS: Final = 10.0  # with less left, a caller waits for a new one
RETRY_SECONDS: Final = 5.0  # between attempts to renew a token that still lives
_FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"
_TOKEN: Final = re.compile(
    rb"<WebIdentityToken>\s*([A-Za-z0-9_-]{1,16384}(?:\.[A-Za-z0-9_-]{1,16384}){2})\s*<"
)
_EXPIRATION: Final = re.compile(rb"<Expiration>\s*([0-9TZ:.+-]{10,40})\s*<")
_CODE: Final = re.compile(rb"<Code>\s*([A-Za-z.]{1,80})\s*<")
_MENDS: Final = {
    "AccessDenied": "Allow sts:GetWebIdentityToken in the policy of the gateway's role.",
    "OutboundWebIdentityFederationDisabledException": (
        "Enable it once in the account: aws iam enable-outbound-web-identity-federation."
    ),
    "OutboundWebIdentityFederationDisabled": (
        "Enable it once in the account: aws iam enable-outbound-web-identity-federation."
    ),
    "SessionDurationEscalationException": (
        "The gateway's own session ends sooner than the token would: lower auth.seconds."
    ),
    "ExpiredToken": "The gateway's own session has run out: give it a role instead of fixed keys.",
    "InvalidClientTokenId": "AWS does not know the gateway's keys: give it a role.",
    "SignatureDoesNotMatch": "Look at the gateway's clock and at proxies on the way to STS.",
}
_MEND: Final = "Is STS reached from the gateway's place (endpoint, NAT), and is region right?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What tokens are asked for.

    Attributes:
        audience: Whom they are made out to.
        region: The region whose STS is asked; the global STS issues none.
        seconds: How long each is to live.
        algorithm: RS256 or ES384.
        endpoint_url: Another STS than the region's own, or None.
    """

    audience: str
    region: str
    seconds: int = 300
    algorithm: str = "RS256"
    endpoint_url: str | None = None

    @property
    def url(self) -> str:
        """The STS to ask."""
        if self.endpoint_url is not None:
            return self.endpoint_url.rstrip("/")
        china = ".cn" if self.region.startswith("cn-") else ""
        return f"https://sts.{self.region}.amazonaws.com{china}"

    def form(self) -> Sequence[tuple[str, str]]:
        """The request, as STS's query protocol has it."""
        return (
            ("Action", "GetWebIdentityToken"),
            ("Version", "2011-06-15"),
            ("Audience.member.1", self.audience),
            ("DurationSeconds", str(self.seconds)),
            ("SigningAlgorithm", self.algorithm),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    text: str
    issued: float
    expires: float


class WebIdentity:
    """One token for many requests, renewed well before it expires.

    Args:
        wanted: What tokens are asked for.
        credentials: Who the gateway is.
        clock: Tells when a token expires.
        journal: Where it is noted that none was issued, and why.
    """

    def __init__(
        self, wanted: Wanted, *, credentials: CredentialsSource, clock: Clock, journal: Journal
    ) -> None:
        self._wanted = wanted
        self._credentials = credentials
        self._clock = clock
        self._journal = journal
        self._signer = Signer()
        self._transport = Transport(
            Place(url=wanted.url, timeout_seconds=STS_SECONDS, concurrency=1), signed=True
        )
        self._token: _Token | None = None
        self._flight: asyncio.Task[_Token] | None = None
        self._retry_at = -math.inf

    async def current(self) -> str:
        """Return a token that holds now.

        One about to expire is renewed first; one that has used up most of its life is used while
        the next is fetched beside. A renewal that fails leaves the old one for as long as it lives.

        Raises:
            TokenError: There is none, or none that still lives.
        """
        now = self._clock.now()
        token = self._token
        if token is not None and token.expires - now > NEAR_EXPIRY_SECONDS:
            ahead = (token.expires - token.issued) * AHEAD_SHARE
            # A clock set back makes a token look younger than new: that counts as old.
            if (token.expires - now < ahead or now < token.issued) and now >= self._retry_at:
                self._renew()
            return token.text
        try:
            return (await asyncio.shield(self._renew())).text
        except TokenError:
            if token is not None and token.expires > self._clock.now():
                return token.text
            raise

    async def close(self) -> None:
        """Ask for no more tokens."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait({self._flight})
        await self._transport.close()

    def _renew(self) -> "asyncio.Task[_Token]":
        if self._flight is None:
            self._flight = asyncio.ensure_future(self._fetch())
            self._flight.add_done_callback(self._landed)
        return self._flight

    def _landed(self, flight: "asyncio.Task[_Token]") -> None:
        self._flight = None
        if flight.cancelled():
            return
        if flight.exception() is None:
            self._token, self._retry_at = flight.result(), -math.inf
        else:
            self._retry_at = self._clock.now() + RETRY_SECONDS

    async def _fetch(self) -> _Token:
        try:
            credentials = await self._credentials.current()
        except CredentialsError as error:
            raise TokenError("without AWS credentials no token is issued") from error
        now = self._clock.now()
        body = urlencode(self._wanted.form()).encode()
        headers = {"Content-Type": _FORM}
        signed = self._signer.sign(
            method="POST",
            url=f"{self._wanted.url}/",
            headers=headers,
            body=body,
            credentials=credentials,
            region=self._wanted.region,
            service="sts",
            now=datetime.fromtimestamp(now, tz=UTC),
        )
        # Asking twice does no harm, so a kept connection will do.
        response = await self._transport.exchange(
            method="POST", path="/", headers={**headers, **signed}, body=body, fresh=False
        )
        if isinstance(response, Answered) and response.status == 200:
            found = _read(response.body, now=now, seconds=self._wanted.seconds)
            if found is not None:
                return found
            raise self._refused("not_understood", response)
        if isinstance(response, Answered):
            code = _CODE.search(response.body)
            name = code[1].decode() if code else f"status {response.status}"
            if name in {"ExpiredToken", "InvalidClientTokenId"}:
                self._credentials.discard(credentials)
            raise self._refused(name, response)
        raise self._refused(response.reason, None)

    def _refused(self, reason: str, answer: Answered | None) -> TokenError:
        self._journal.note(
            "token_not_issued",
            level="warning",
            reason=reason,
            request_id=answer.request_id if answer is not None else None,
            mend=_MENDS.get(reason, _MEND),
        )
        return TokenError(f"AWS STS issued no token ({reason})")


def _read(body: bytes, *, now: float, seconds: int) -> _Token | None:
    """Return the token of an answer, or None. A life is not believed to be longer than asked."""
    token = _TOKEN.search(body)
    if token is None:
        return None
    end = now + seconds
    expiration = _EXPIRATION.search(body)
    if expiration is not None:
        try:
            said = datetime.fromisoformat(expiration[1].decode().replace("Z", "+00:00"))
        except ValueError:
            return None
        end = min(end, said.replace(tzinfo=said.tzinfo or UTC).timestamp())
    return _Token(text=token[1].decode(), issued=now, expires=end) if end > now else None
