"""slack_sdk's methods over an exchange of our own: bounded, and to Slack alone.

slack_sdk knows the methods and their arguments. Its own exchange reads an answer of any size,
follows redirects, and puts the fields of a form into the address, where every proxy logs them:
a file's name, its title, what is said with it.
"""

import json as json_format
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from typing_extensions import override

from tidegate.errors import SlackAmbiguousError

#: A page of a thousand channels, or of a hundred messages, has a few.
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json;charset=utf-8"


class Methods(AsyncWebClient):
    """The methods of the Web API, each sent once."""

    @override
    async def api_call(  # what every method of slack_sdk ends in
        self,
        api_method: str,
        *,
        http_verb: str = "POST",
        params: dict[str, Any] | None = None,
        json: dict[str, Any] | None = None,
        **more: Any,
    ) -> AsyncSlackResponse:
        """Return a method's answer; what is posted is in the body.

        Raises:
            SlackApiError: It is not Slack's yes.
            SlackAmbiguousError: It is too large to be read.
        """
        if self.session is None or any(value is not None for value in more.values()):
            raise NotImplementedError("over a session, by params or json")
        given = (params or {}).items()
        fields = {name: _field(value) for name, value in given if value is not None}
        posted = http_verb == "POST"
        body = json_format.dumps(json) if json is not None else urlencode(fields)
        headers = {
            **self.headers,
            "Authorization": f"Bearer {self.token}",
            "Content-Type": _FORM if json is None else _JSON,
        }
        url = f"{self.base_url}{api_method}"
        async with self.session.request(
            http_verb,
            url,
            params=None if posted else fields,
            data=body.encode() if posted else None,
            headers=headers,
            proxy=self.proxy,
            allow_redirects=False,
        ) as response:
            content = await _read(response)
        answer = AsyncSlackResponse(
            client=self,
            http_verb=http_verb,
            api_url=url,
            req_args={},
            data=_object(content) if response.content_type == "application/json" else {},
            headers=response.headers,  # type: ignore[arg-type]  # a mapping, and not case-sensitive
            status_code=response.status,
        )
        answer.validate()  # type: ignore[no-untyped-call]
        return answer


def _field(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    found = bytearray()
    async for chunk in response.content.iter_any():
        found += chunk
        if len(found) > MAX_ANSWER_BYTES:
            raise SlackAmbiguousError("answer too large")
    return bytes(found)


def _object(content: bytes) -> dict[str, Any]:
    """Return a JSON object; an empty one if it is none."""
    try:
        found = json_format.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
