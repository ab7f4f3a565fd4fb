"""Tokens that STS issues: asked for rarely, renewed in time, and what is said without one."""

import asyncio
import base64
import contextlib
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.adapters.test_direct import a_request
from tests.adapters.test_execute_api import Ahead, Source
from tests.adapters.wire import Connection, Wire, answering, wired
from tests.ports import free_port
from tidegate.adapters.journal import EventJournal
from tidegate.adapters.pathways.direct import Direct
from tidegate.adapters.pathways.transport import Place
from tidegate.adapters.pathways.web_identity import RETRY_SECONDS, Wanted, WebIdentity
from tidegate.errors import TokenError
from tidegate.ports import Answered, NotSent
from tidegate_dev.sigv4_check import IssuedKeys
from tidegate_dev.sts import StsConfig, StsFarEnd

KEYS = IssuedKeys(
    access_key="ASIDEV",
    secret_key="secret-key",
    session_token="session-token",
    principal="arn:aws:sts::123456789012:assumed-role/gateway/tidegate",
)


@dataclass
class Stand:
    identity: WebIdentity
    sts: StsFarEnd
    source: Source
    clock: Ahead
    log: io.StringIO

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def calls(self) -> int:
        return len(self.sts.app.calls)

    async def renewed(self) -> None:
        assert self.identity._flight is not None
        await asyncio.wait({self.identity._flight})


@contextlib.asynccontextmanager
async def issued(**wanted: Any) -> AsyncIterator[Stand]:
    clock, source, log = Ahead(), Source(keys=KEYS), io.StringIO()
    async with StsFarEnd(StsConfig(keys={KEYS.access_key: KEYS}, now=clock.now)) as sts:
        fields: dict[str, Any] = {"audience": "tidegate-agent", "region": "eu-west-1"}
        identity = WebIdentity(
            Wanted(**(fields | {"endpoint_url": sts.url} | wanted)),
            credentials=source,
            clock=clock,
            journal=EventJournal(log),
        )
        try:
            yield Stand(identity, sts, source, clock, log)
        finally:
            await identity.close()


def claims(token: str) -> dict[str, Any]:
    middle = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return found


async def test_a_token_is_made_out_to_the_audience_and_lives_as_long_as_asked() -> None:
    async with issued(seconds=120) as stand:
        found = claims(await stand.identity.current())
        assert found["iss"] == stand.sts.issuer
    assert found["aud"] in ("tidegate-agent", ["tidegate-agent"])
    assert found["exp"] - found["iat"] == 120


async def test_one_token_serves_many_requests() -> None:
    async with issued() as stand:
        many = await asyncio.gather(*(stand.identity.current() for _ in range(20)))
        many.append(await stand.identity.current())
        assert len(set(many)) == 1
        assert stand.calls() == 1


async def test_a_token_is_renewed_beside_while_the_old_one_serves() -> None:
    async with issued(seconds=300) as stand:
        first = await stand.identity.current()
        stand.clock.seconds = 205
        assert await stand.identity.current() == first
        assert stand.calls() == 1
        stand.clock.seconds = 215
        assert await stand.identity.current() == first
        await stand.renewed()
        second = await stand.identity.current()
        assert second != first
        assert stand.calls() == 2


async def test_a_token_about_to_expire_is_renewed_first() -> None:
    async with issued(seconds=300) as stand:
        first = await stand.identity.current()
        stand.clock.seconds = 292
        assert await stand.identity.current() != first


async def test_a_renewal_that_fails_leaves_the_old_token_and_is_tried_again_later() -> None:
    async with issued(seconds=300) as stand:
        first = await stand.identity.current()
        stand.sts.set_fault("down", True)
        stand.clock.seconds = 220
        assert await stand.identity.current() == first
        await stand.renewed()
        assert await stand.identity.current() == first
        assert stand.identity._flight is None, "the next attempt waits a little"
        stand.sts.set_fault("down", False)
        stand.clock.seconds = 221 + RETRY_SECONDS
        assert await stand.identity.current() == first
        await stand.renewed()
        assert await stand.identity.current() != first


async def test_an_old_token_serves_to_its_last_second_and_no_longer() -> None:
    async with issued(seconds=300) as stand:
        first = await stand.identity.current()
        stand.sts.set_fault("down", True)
        stand.clock.seconds = 298
        assert await stand.identity.current() == first
        stand.clock.seconds = 301
        with pytest.raises(TokenError):
            await stand.identity.current()


async def test_a_clock_set_back_does_not_keep_an_old_token_for_ever() -> None:
    async with issued(seconds=300) as stand:
        stand.clock.seconds = 1000
        first = await stand.identity.current()
        stand.clock.seconds = 0
        assert await stand.identity.current() == first
        await stand.renewed()
        assert await stand.identity.current() != first


@pytest.mark.parametrize(
    ("fault", "mend"),
    [
        ("access_denied", "Allow sts:GetWebIdentityToken"),
        ("federation_disabled", "enable-outbound-web-identity-federation"),
        ("clock_skew", "clock"),
        ("down", "Is STS reached"),
    ],
)
async def test_why_there_is_no_token_is_logged_with_the_mend(fault: str, mend: str) -> None:
    async with issued() as stand:
        stand.sts.set_fault(fault, True)
        with pytest.raises(TokenError):
            await stand.identity.current()
        [line] = stand.events()
    assert (line["event"], line["level"]) == ("token_not_issued", "warning")
    assert mend in line["mend"]
    assert "secret" not in stand.log.getvalue()
    assert "session-token" not in stand.log.getvalue()


async def test_keys_that_sts_does_not_know_are_looked_for_anew() -> None:
    async with issued() as stand:
        stand.source.keys = IssuedKeys(access_key="ASIGONE", secret_key="x", session_token="y")
        with pytest.raises(TokenError):
            await stand.identity.current()
        assert stand.source.discarded == ["ASIGONE"]
        stand.source.keys = KEYS
        assert await stand.identity.current()


async def test_without_aws_credentials_there_is_no_token() -> None:
    async with issued() as stand:
        stand.source.keys = None
        with pytest.raises(TokenError):
            await stand.identity.current()
        assert stand.calls() == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"<WebIdentityToken>not a token</WebIdentityToken>",
        b"<WebIdentityToken>a.b.c\r\nX-Evil: 1</WebIdentityToken>",
        b"<WebIdentityToken>a.b.c</WebIdentityToken><Expiration>2001-01-01T00:00:00Z</Expiration>",
        b"<WebIdentityToken>a.b.c</WebIdentityToken><Expiration>2026-13-45</Expiration>",
    ],
)
async def test_an_answer_that_holds_no_token_is_none(body: bytes) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with wired(answering(raw)) as wire, issued(endpoint_url=wire.url()) as stand:
        with pytest.raises(TokenError, match="not_understood"):
            await stand.identity.current()


async def test_a_token_is_not_believed_to_live_longer_than_asked() -> None:
    body = (
        b"<WebIdentityToken>a.b.c</WebIdentityToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
    )
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with wired(answering(raw)) as wire, issued(endpoint_url=wire.url()) as stand:
        assert await stand.identity.current() == "a.b.c"
        stand.clock.seconds = 295
        assert await stand.identity.current() == "a.b.c"
        assert len(wire.seen) == 2


async def test_a_caller_that_leaves_does_not_take_the_token_with_it() -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def slowly(connection: Connection, wire: Wire) -> None:
        wire.seen.append(await connection.request())
        asked.set()
        await may_answer.wait()
        body = b"<WebIdentityToken>a.b.c</WebIdentityToken>"
        await connection.answer(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )

    async with wired(slowly) as wire, issued(endpoint_url=wire.url()) as stand:
        gone, stays = (asyncio.create_task(stand.identity.current()) for _ in range(2))
        await asked.wait()
        gone.cancel()
        may_answer.set()
        assert await stays == "a.b.c"
        assert len(wire.seen) == 1


def test_the_region_s_own_sts_is_asked() -> None:
    def url(region: str) -> str:
        return Wanted(audience="a", region=region).url

    assert url("eu-west-1") == "https://sts.eu-west-1.amazonaws.com"
    assert url("cn-north-1") == "https://sts.cn-north-1.amazonaws.com.cn"


async def test_the_service_is_shown_the_token() -> None:
    async with issued() as stand, wired(answering()) as wire:
        place = Place(url=wire.url(), timeout_seconds=5.0, concurrency=1)
        pathway = Direct(place, tokens=stand.identity)
        assert isinstance(await pathway.send(a_request()), Answered)
        stand.clock.seconds = 10_000
        stand.sts.set_fault("down", True)
        assert await pathway.send(a_request()) == NotSent(reason="token")
        await pathway.close()
    assert wire.seen[0].headers["authorization"].startswith("Bearer ey")
    assert len(wire.seen) == 1


async def test_an_sts_that_cannot_be_reached_is_told_with_the_reason() -> None:
    async with issued(endpoint_url=f"http://127.0.0.1:{free_port()}") as stand:
        with pytest.raises(TokenError):
            await stand.identity.current()
        [line] = stand.events()
    assert (line["event"], line["reason"]) == ("token_not_issued", "connect")
    assert "Is STS reached" in line["mend"]


async def test_a_gateway_that_stops_does_not_wait_for_a_token() -> None:
    asked = asyncio.Event()

    async def silent(connection: Connection, wire: Wire) -> None:
        wire.seen.append(await connection.request())
        asked.set()
        await connection.reader.read()

    async with wired(silent) as wire, issued(endpoint_url=wire.url()) as stand:
        waiting = asyncio.create_task(stand.identity.current())
        await asked.wait()
        await stand.identity.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
