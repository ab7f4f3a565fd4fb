"""Whom AWS takes our keys for, as STS tells: it needs no right, and nothing comes of it.

Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
"""

import asyncio
import re
from datetime import UTC, datetime
from typing import Final

import aiohttp

from tidegate.core.diagnosis.keys import Caller
from tidegate.core.sigv4 import Credentials, Signer
from tidegate.ports import Clock

SECONDS: Final = 5.0
MAX_ANSWER_BYTES: Final = 16_384
_BODY: Final = b"Action=GetCallerIdentity&Version=2011-06-15"
_TYPE: Final = "application/x-www-form-urlencoded; charset=utf-8"
_ARN: Final = re.compile(rb"<Arn>([!-;=?-~]{1,2048})</Arn>")
_CODE: Final = re.compile(rb"<Code>([A-Za-z.]{1,80})</Code>")


class CallerIdentity:
    """Asks STS of one region.

    Args:
        region: Whose STS is asked.
        endpoint: Another STS than the region's own, without a slash at its end.
        clock: Tells the time of signatures.
    """

    def __init__(self, *, region: str, endpoint: str | None, clock: Clock) -> None:
        self._region = region
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        self._url = f"{endpoint or f'https://sts.{region}.{domain}'}/"
        self._clock = clock

    async def ask(self, credentials: Credentials) -> Caller | None:
        """Return whom the keys are of, or why they are not taken; None without an answer."""
        headers = {"Content-Type": _TYPE}
        signed = Signer().sign(
            method="POST",
            url=self._url,
            headers=headers,
            body=_BODY,
            credentials=credentials,
            region=self._region,
            service="sts",
            now=datetime.fromtimestamp(self._clock.now(), tz=UTC),
        )
        try:
            async with (
                asyncio.timeout(SECONDS),
                aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False) as http,
                http.post(
                    self._url, data=_BODY, headers={**headers, **signed}, allow_redirects=False
                ) as response,
            ):
                body = await response.content.read(MAX_ANSWER_BYTES)
                date = response.headers.get("Date")
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
        arn, code = _ARN.search(body), _CODE.search(body)
        if arn is None and code is None:
            return None
        return Caller(
            arn=arn[1].decode() if arn else "",
            refusal="" if arn or code is None else code[1].decode(),
            date=date,
        )
