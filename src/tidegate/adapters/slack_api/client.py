"""One connection to Slack's Web API, and what each failure of a call means.

No call is made twice in here, because a post that was repeated after a broken connection is a
second message. Each failure is told apart by what it means: nothing done, wait, or not known.

Source: https://docs.slack.dev/apis/web-api/
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from tidegate.adapters.slack_api.exchange import Methods
from tidegate.core.web_address import is_loopback
from tidegate.errors import (
    SecretError,
    SlackAmbiguousError,
    SlackBusyError,
    SlackError,
    SlackUnreachableError,
)

TIMEOUT_SECONDS: Final = 10.0
#: Slack says of these that something may have been done all the same.
_AMBIGUOUS_CODES: Final = frozenset(
    {"fatal_error", "internal_error", "request_timeout", "service_unavailable", "team_added_to_org"}
)


#: What Slack says of a token that was replaced.
_STALE_CODES: Final = frozenset({"invalid_auth", "token_expired", "token_revoked"})
RENEW_SECONDS: Final = 60.0  # between looks for a newer token

#: Reads the token anew, wherever it is kept; raises `SecretError`.
ReadToken = Callable[[], Awaitable[str]]


class SlackClient:
    """Slack's Web API by slack_sdk, over one aiohttp session.

    Args:
        api_url: Where the API is.
        token: The bot token.
        read_token: Reads the token anew: a token that Slack does not take any more may have been
            replaced where it is kept. None where it cannot have been.

    Attributes:
        api_url: Where the API is.
    """

    def __init__(self, *, api_url: str, token: str, read_token: ReadToken | None = None) -> None:
        self.api_url = api_url
        self._token = token
        self._read_token = read_token
        self._renewed_at = -RENEW_SECONDS
        self._session: aiohttp.ClientSession | None = None
        self._client: Methods | None = None

    @property
    def http(self) -> aiohttp.ClientSession:
        """The session, for what is not a method of the API."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS, sock_connect=5.0),
                connector=aiohttp.TCPConnector(limit=64),
                trust_env=False,
            )
        return self._session

    @property
    def web(self) -> Methods:
        """The methods of the API, each to be given to `call`."""
        if self._client is None:
            self._client = Methods(
                token=self._token,
                base_url=self.api_url,
                session=self.http,
            )
            if is_loopback(urlsplit(self.api_url).hostname or ""):
                self._client.proxy = None  # the environment's proxy does not lead to this machine
        return self._client

    async def _renew(self) -> bool:
        """Tell whether there is another token now than the one in use."""
        now = asyncio.get_running_loop().time()
        if self._read_token is None or now - self._renewed_at < RENEW_SECONDS:
            return False
        self._renewed_at = now
        before = self._token
        try:
            self._token = await self._read_token()
        except SecretError:
            return False
        if self._client is not None:
            self._client.token = self._token
        return self._token != before

    async def close(self) -> None:
        """Let connections go."""
        if self._session is not None:
            await self._session.close()

    async def call(self, asked: Awaitable[Any]) -> Mapping[str, Any]:
        """Return a method's answer, or raise what its failure means."""
        try:
            answer = await asked
        except SlackApiError as error:
            refused = _refused(error)
            if refused.code in _STALE_CODES and await self._renew():
                # Nothing was done, and with the token there is now it may well be.
                raise SlackBusyError(1.0) from None
            raise refused from None  # the vendor's error carries the answer's content
        except (aiohttp.ClientError, TimeoutError) as error:
            raise unanswered(error) from None
        except (SlackClientError, ValueError, TypeError, AttributeError, KeyError):
            # What was to be sent, or the answer's head, is met in several ways.
            raise SlackAmbiguousError("answer not understood") from None
        data = answer.data
        if not isinstance(data, Mapping):
            raise SlackAmbiguousError("answer not understood")
        return data


def _refused(error: SlackApiError) -> SlackError:
    response: Any = error.response
    status: int = getattr(response, "status_code", 0) or getattr(response, "status", 0)
    headers = getattr(response, "headers", None) or {}
    data = getattr(response, "data", None)
    code = data.get("error") if isinstance(data, Mapping) else None
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return SlackBusyError(_seconds(headers.get("Retry-After")))
    if status >= 500 or status == 408 or code in _AMBIGUOUS_CODES or not isinstance(code, str):
        nonsense = "answer not understood" if status == 200 else f"http {status}"
        return SlackAmbiguousError(code if isinstance(code, str) else nonsense)
    return SlackError(code if code.isprintable() and code.isascii() else "unreadable")


def unanswered(error: Exception) -> SlackError:
    """Return what a broken exchange means: without a connection nothing was done."""
    nothing_sent = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
    if isinstance(error, nothing_sent):
        return SlackUnreachableError()
    return SlackAmbiguousError("timeout" if isinstance(error, asyncio.TimeoutError) else "broken")


def _seconds(value: object) -> float:
    text = str(value or "")
    # At least a second: «now» would be asked again without a pause.
    return float(max(1, min(int(text[:9]), 3600))) if text.isascii() and text.isdigit() else 1.0


def mapping(value: object, what: str) -> Mapping[str, Any]:
    """Return a JSON object of an answer; anything else raises `SlackError`."""
    if not isinstance(value, Mapping):
        raise SlackError(what)
    return value


def items(value: object) -> list[Any]:
    """Return a list of an answer; empty if it is something else."""
    return value if isinstance(value, list) else []


def text_of(value: object) -> str:
    """Return a text of an answer; empty if it is something else."""
    return value if isinstance(value, str) else ""
