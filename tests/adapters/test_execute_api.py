import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from tests.adapters.test_direct import a_request
from tests.adapters.wire import answering, wired
from tests.core.values import a_route, a_run
from tests.service import Seen, Service
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.pathways.execute_api import ExecuteApi
from tidegate.adapters.pathways.transport import Place
from tidegate.core import request
from tidegate.core.sigv4 import Credentials
from tidegate.errors import CredentialsError
from tidegate.ports import Answered, NotSent
from tidegate_dev.edge import Edge, EdgeConfig, Permission, edge_app
from tidegate_dev.listener import Listener
from tidegate_dev.sigv4_check import IssuedKeys

KEYS = IssuedKeys(access_key="ASIDEV", secret_key="secret-key", session_token="session-token")
OTHER = IssuedKeys(access_key="ASINEW", secret_key="new-secret", session_token=None)


@dataclass
class Source:
    """Credentials that change when told to."""

    keys: IssuedKeys | None = KEYS
    asked: int = 0
    discarded: list[str] = field(default_factory=list)

    async def current(self) -> Credentials:
        self.asked += 1
        if self.keys is None:
            raise CredentialsError("none")
        return Credentials(
            access_key=self.keys.access_key,
            secret_key=self.keys.secret_key,
            token=self.keys.session_token,
        )

    def discard(self, refused: Credentials) -> None:
        self.discarded.append(refused.access_key)


@dataclass
class Ahead(SystemClock):
    seconds: float = 0.0

    def now(self) -> float:  # type: ignore[explicit-override]
        return super().now() + self.seconds


@dataclass
class Journey:
    pathway: ExecuteApi
    edge: Edge
    service: Service
    source: Source = field(default_factory=Source)
    clock: Ahead = field(default_factory=Ahead)


@contextlib.asynccontextmanager
async def behind_the_edge(prefix: str = "", **changes: Any) -> AsyncIterator[Journey]:
    def answer(seen: Seen) -> Response:
        return JSONResponse({"message": seen.path})

    service = Service(answer=answer)
    await service.start()
    edge = edge_app(
        EdgeConfig(
            integration_url=service.url,
            keys={keys.access_key: keys for keys in (KEYS, OTHER)},
            permissions=(Permission(method="*", path="/*"),),
        )
    )
    source, clock = Source(), Ahead()
    async with Listener(edge) as listener:
        fields: dict[str, Any] = {"url": f"{listener.url}{prefix}", "timeout_seconds": 5.0}
        place = Place(**(fields | {"concurrency": 4} | changes))
        pathway = ExecuteApi(
            place, region="eu-west-1", service="execute-api", credentials=source, clock=clock
        )
        try:
            yield Journey(pathway, edge, service, source, clock)
        finally:
            await pathway.close()
            await edge.aclose()
            await service.stop()


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE"])
async def test_what_is_sent_is_what_was_signed(method: str) -> None:
    async with behind_the_edge("/prod") as path:
        response = await path.pathway.send(a_request(method=method))
        exchange = path.edge.exchanges[-1]
    assert isinstance(response, Answered)
    assert (exchange.verdict, exchange.message) == ("accepted", "")
    assert (exchange.method, exchange.path) == (method, "/prod/api/v1/deploy")
    assert all(seen.body == b'{"a":1}' for seen in path.service.seen)


@pytest.mark.parametrize(
    "value",
    [
        "web",
        "a b",
        "a/b",
        "a%2Fb",
        "100%",
        "é⚓",
        "a+b&c=d",
        "x?y#z",
        "~!*'();:@,$",
        "..",
        "",
        "\n",
        '"<>`{|}[]^\\',
    ],
)
async def test_a_path_of_any_params_is_accepted(value: str) -> None:
    route = a_route(path="/café/{params.x}//end/")
    sent = request.path(route, a_run(params={"x": value}))
    async with behind_the_edge("/prod") as path:
        response = await path.pathway.send(a_request(path=sent))
        verdict = path.edge.exchanges[-1]
    assert (verdict.verdict, verdict.message) == ("accepted", "")
    assert isinstance(response, Answered)
    assert verdict.path == f"/prod{sent}"


async def test_every_attempt_is_signed_anew_with_the_credentials_of_its_time() -> None:
    async with behind_the_edge() as path:
        await path.pathway.send(a_request())
        path.source.keys = OTHER
        path.clock.seconds = 61
        response = await path.pathway.send(a_request())
        one, two = [dict(e.headers)["x-amz-date"] for e in path.edge.exchanges]
    assert isinstance(response, Answered)
    assert response.status == 200
    assert one != two
    assert path.source.asked == 2


async def test_a_clock_that_is_wrong_is_told_by_the_edge_not_by_us() -> None:
    async with behind_the_edge() as path:
        path.clock.seconds = 3600
        response = await path.pathway.send(a_request())
    assert isinstance(response, Answered)
    assert response.status == 403
    assert path.service.seen == []


async def test_without_credentials_nothing_is_sent() -> None:
    async with wired(answering()) as wire:
        place = Place(url=wire.url(), timeout_seconds=5.0, concurrency=1)
        pathway = ExecuteApi(
            place, region="r", service="s", credentials=Source(keys=None), clock=SystemClock()
        )
        assert await pathway.send(a_request()) == NotSent(reason="credentials")
        await pathway.close()
    assert wire.connections == 0


async def test_a_private_api_is_signed_for_its_own_name() -> None:
    async with behind_the_edge(host="a1b2c3.execute-api.eu-west-1.amazonaws.com") as path:
        response = await path.pathway.send(a_request())
        headers = dict(path.edge.exchanges[-1].headers)
    assert isinstance(response, Answered)
    assert response.status == 200
    assert headers["host"] == "a1b2c3.execute-api.eu-west-1.amazonaws.com"


async def test_an_api_reached_elsewhere_is_signed_for_the_name_of_its_url() -> None:
    async with behind_the_edge() as near:
        there = near.pathway._place.url.removeprefix("http://")
        async with behind_the_edge() as path:
            place = Place(
                url="http://a1b2c3.execute-api.internal/prod",
                timeout_seconds=5.0,
                concurrency=1,
                connect_to=there,
            )
            pathway = ExecuteApi(
                place,
                region="eu-west-1",
                service="execute-api",
                credentials=path.source,
                clock=path.clock,
            )
            response = await pathway.send(a_request())
            await pathway.close()
        assert dict(near.edge.exchanges[-1].headers)["host"] == "a1b2c3.execute-api.internal"
    assert isinstance(response, Answered)
    assert response.status == 200


async def test_the_words_of_the_edge_come_back() -> None:
    async with behind_the_edge() as path:
        path.edge.set_fault("not_permitted", True)
        response = await path.pathway.send(a_request())
    assert isinstance(response, Answered)
    assert (response.status, response.json) == (403, True)


@contextlib.asynccontextmanager
async def opened(url: str, **changes: Any) -> AsyncIterator[tuple[ExecuteApi, Source]]:
    source = Source()
    fields: dict[str, Any] = {"region": "eu-west-1", "service": "execute-api"}
    place = changes.pop("place", {})
    pathway = ExecuteApi(
        Place(url=url, timeout_seconds=5.0, concurrency=1, **place),
        credentials=source,
        clock=SystemClock(),
        **(fields | changes),
    )
    try:
        yield pathway, source
    finally:
        await pathway.close()


def signed_names(authorization: str) -> list[str]:
    return authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")


async def test_the_id_of_a_private_api_is_sent_and_signed() -> None:
    async with wired(answering()) as wire, opened(wire.url(), api_id="abc123") as (pathway, _):
        await pathway.send(a_request())
    headers = wire.seen[0].headers
    assert headers["x-apigw-api-id"] == "abc123"
    assert "x-apigw-api-id" in signed_names(headers["authorization"])


async def test_vpc_lattice_is_sent_a_signature_without_the_body() -> None:
    async with (
        wired(answering()) as wire,
        opened(wire.url(), service="vpc-lattice-svcs") as (pathway, _),
    ):
        await pathway.send(a_request())
    headers = wire.seen[0].headers
    assert headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert "x-amz-content-sha256" in signed_names(headers["authorization"])
    assert "/vpc-lattice-svcs/aws4_request" in headers["authorization"]


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"host": "api.acme.io"},
        {"host": "api.acme.io:8443"},
        {"host": "API.acme.io"},
    ],
)
async def test_the_host_that_is_sent_is_the_host_that_is_signed(place: dict[str, Any]) -> None:
    """The edge verifies what arrives: with a name of its own, and a default port left out.

    In lower case, as AWS's own SDKs send it: what stands between may rewrite it so.
    """
    async with behind_the_edge(**place) as path:
        response = await path.pathway.send(a_request())
        exchange = path.edge.exchanges[-1]
    assert isinstance(response, Answered)
    assert exchange.verdict == "accepted"
    host = dict(exchange.headers)["host"]
    assert host == place.get("host", host).lower()


async def test_an_address_that_cannot_be_signed_is_never_tried_again() -> None:
    async with opened("http://127.0.0.1:9") as (pathway, _):
        response = await pathway.send(a_request(headers={"X-A": "a\nb"}))
    assert response == NotSent(reason="unsignable", again=False)


@pytest.mark.parametrize(
    ("error_type", "discards"),
    [
        ("ExpiredTokenException", True),
        ("UnrecognizedClientException", True),
        ("AccessDeniedException", False),
        ("InvalidSignatureException", False),
    ],
)
async def test_credentials_that_aws_refuses_are_looked_for_anew(
    error_type: str, discards: bool
) -> None:
    raw = (
        f"HTTP/1.1 403 Forbidden\r\nx-amzn-ErrorType: {error_type}\r\n"
        'Content-Length: 15\r\n\r\n{"message":"x"}'
    ).encode()
    async with wired(answering(raw)) as wire, opened(wire.url()) as (pathway, source):
        response = await pathway.send(a_request())
    assert isinstance(response, Answered)
    assert response.fault
    assert source.discarded == ([KEYS.access_key] if discards else [])


async def test_a_redirect_takes_no_signature_anywhere_else() -> None:
    async with wired(answering()) as elsewhere:
        raw = f"HTTP/1.1 307 X\r\nLocation: {elsewhere.url()}/x\r\nContent-Length: 0\r\n\r\n"
        async with wired(answering(raw.encode())) as wire, opened(wire.url()) as (pathway, _):
            response = await pathway.send(a_request())
    assert isinstance(response, Answered)
    assert (response.status, response.fault, elsewhere.connections) == (307, "", 0)
