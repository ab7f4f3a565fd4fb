"""What holds on every way to a private service, whatever stands in between.

The far ends are real listeners, TLS included, that refuse what AWS refuses; each way is opened
from the text of a configuration, as the gateway opens it. A way is set up once, and serves all
tests that are about it.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.responses import Response

from tests.contract import ways
from tests.contract.ways import Way, opened
from tests.core.values import a_route, a_run
from tests.service import Seen, says
from tidegate.adapters.pathways.transport import Place, Transport
from tidegate.app.worker import Pathway
from tidegate.core import notices, request
from tidegate.core.model import RunId
from tidegate.core.remedy import remedy
from tidegate.ports import Answered, NoAnswer, NotSent, Request

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY = b'{"params": {"namespace": "staging"}}'
SIGNED = [way.__name__ for way in ways.SIGNED]
APIS = [name for name in SIGNED if name != "lattice"]


def a_request(**changes: Any) -> Request:
    fields: dict[str, Any] = {
        "run_id": RunId("01HZ"),
        "method": "POST",
        "path": "/api/v1/deploy",
        "body": BODY,
        "headers": {
            "Content-Type": "application/json",
            "Idempotency-Key": "01HZ",
            "X-Request-Id": "01HZ-1",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "Tidegate-Identity": "eyJh.eyJi.c2ln",
        },
    }
    return Request(**(fields | changes))


@pytest_asyncio.fixture(params=sorted(ways.ALL), scope="module", loop_scope="module")
async def standing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Way]:
    with pytest.MonkeyPatch.context() as patch:
        async with opened(request.param, tmp_path_factory.mktemp("way"), patch) as way:
            yield way


@pytest.fixture
def way(standing: Way) -> Way:
    standing.forget()
    return standing


def only(*names: str) -> pytest.MarkDecorator:
    """Only on these ways: the others have no such thing."""
    return pytest.mark.parametrize("standing", names, indirect=True)


async def sent(way: Way, pathway: Pathway | None = None, **changes: Any) -> Answered:
    response = await (pathway or way.pathway).upstream.send(a_request(**changes))
    assert isinstance(response, Answered), (response, way.log.getvalue())
    return response


# --- what goes through ----------------------------------------------------------------------


async def test_a_request_arrives_once_and_as_it_was_and_its_answer_comes_back(way: Way) -> None:
    response = await sent(way)
    assert (response.status, response.fault) == (200, "")
    assert json.loads(response.body)["message"] == "all done"
    [seen] = way.service.seen
    assert (seen.method, seen.body, seen.key) == ("POST", BODY, "01HZ")
    for name, value in a_request().headers.items():
        assert seen.headers[name.lower()] == value


async def test_the_path_that_arrives_is_the_path_of_the_signed_statement(way: Way) -> None:
    """The stage, or a custom domain's mapping, is no part of it; a base path of direct ways is."""
    route = a_route(path="/api/v1/{params.x}/logs")
    for value in ("web", "a b", "a/b", "100%", "é⚓", "~!*'();:@,$", "a+b&c=d", "x?y#z"):
        path = request.path(route, a_run(params={"x": value}))
        await sent(way, path=path)
        claimed = path if way.pathway.stage else way.pathway.base_path + path
        assert way.service.seen[-1].path == claimed


async def test_long_work_is_followed_where_the_service_says(way: Way) -> None:
    location = f"{'' if way.pathway.stage else way.pathway.base_path}/api/v1/operations/7"
    way.service.answer = says(202, {"message": "taken"}, Location=location)
    taken = await sent(way)
    assert (taken.status, taken.location) == (202, location)
    below = request.safe_location(taken.location, base_path=way.pathway.base_path)
    way.service.answer = says(200, {"phase": "running"})
    polled = await sent(way, method="GET", path=below, body=b"", headers={})
    assert json.loads(polled.body) == {"phase": "running"}
    assert (way.service.seen[-1].method, way.service.seen[-1].path) == ("GET", location)


async def test_connections_are_kept_but_for_what_must_not_happen_twice(way: Way) -> None:
    before = way.far.connections()
    async with way.changed() as pathway:
        for _ in range(3):
            await sent(way, pathway)
        assert way.far.connections() == before + 1
        for _ in range(2):
            await sent(way, pathway, fresh=True)
        assert way.far.connections() == before + 3


async def test_many_at_once_all_arrive(way: Way) -> None:
    answers = await asyncio.gather(*(sent(way, headers={"X-N": str(n)}) for n in range(12)))
    assert {answer.status for answer in answers} == {200}
    assert {seen.headers["x-n"] for seen in way.service.seen} == {str(n) for n in range(12)}


# --- what the service says is the service's -------------------------------------------------


async def test_a_failure_of_the_service_comes_back_in_its_own_words(way: Way) -> None:
    for status in (400, 403, 404, 409, 429, 500, 503, 504):
        way.service.answer = says(status, {"message": "not now"}, Retry_After="7")
        response = await sent(way)
        assert (response.status, response.fault, response.retry_after) == (status, "", "7")
        assert json.loads(response.body)["message"] == "not now"
        way.service.answer = says(status, {"message": "not now"})
        assert (await sent(way)).fault == ""


async def test_a_redirect_is_followed_by_nobody(way: Way) -> None:
    for count, status in enumerate((301, 302, 303, 307, 308), 1):
        way.service.answer = says(status, Location="/api/v1/elsewhere")
        response = await sent(way)
        assert (response.status, response.fault) == (status, "")
        assert len(way.service.seen) == count


async def test_a_service_that_takes_too_long_may_have_done_it(way: Way) -> None:
    told = asyncio.Event()

    async def answer(_seen: Seen) -> Response:
        await told.wait()
        return Response()

    way.service.answer = answer
    async with way.changed(lambda keys: keys.update(timeout_seconds=0.3)) as pathway:
        assert await pathway.upstream.send(a_request()) == NoAnswer(reason="timeout")
    told.set()
    assert len(way.service.seen) == 1


# --- what is wrong on the way ---------------------------------------------------------------


@only(*(name for name in ways.FAULTS if name != "privatelink"))
async def test_each_fault_of_an_edge_has_a_word_of_its_own(way: Way) -> None:
    told, reached = {}, set()
    for fault in ways.FAULTS[way.name]:
        way.forget()
        way.far.set_fault(fault, True)
        told[fault] = (await sent(way)).fault
        way.far.set_fault(fault, False)
        reached |= {fault} if way.service.seen else set()
    assert told == ways.FAULTS[way.name]
    assert reached <= {"integration_timeout"}
    for word in told.values():
        assert notices.reason(word)
        assert remedy(word)
    assert (await sent(way)).fault == ""


@only("privatelink")
async def test_each_fault_of_an_endpoint_has_a_word_of_its_own(way: Way) -> None:
    for fault, word in ways.FAULTS[way.name].items():
        way.far.set_fault(fault, True)
        response = await way.pathway.upstream.send(a_request(fresh=True))
        way.far.set_fault(fault, False)
        assert response == NotSent(reason=word)
    assert way.service.seen == []
    await sent(way)


@only("privatelink")
async def test_an_endpoint_that_nobody_accepted_is_given_up_in_time(way: Way) -> None:
    """It takes connections, and nothing comes of them: not even a handshake."""
    way.far.set_fault("not_accepted", True)
    async with way.changed(lambda keys: keys.update(timeout_seconds=0.3)) as pathway:
        assert await pathway.upstream.send(a_request()) == NotSent(reason="connect")
    way.far.set_fault("not_accepted", False)
    assert way.service.seen == []
    await sent(way)


async def test_a_name_that_is_not_in_the_certificate_is_not_spoken_to(way: Way) -> None:
    async with way.changed(lambda keys: keys.update(host="other.acme.internal")) as pathway:
        assert await pathway.upstream.send(a_request()) == NotSent(reason="tls_name")
    assert way.service.seen == []


async def test_an_authority_that_is_not_named_is_not_trusted(way: Way) -> None:
    async with way.changed(lambda keys: keys.pop("ca_file")) as pathway:
        assert await pathway.upstream.send(a_request()) == NotSent(reason="tls")
    assert way.service.seen == []


@only("private_rest_by_private_dns", "lattice", "privatelink", "direct_none", "direct_mtls")
async def test_a_name_leads_to_private_addresses_only_where_that_is_said(way: Way) -> None:
    async with way.changed(lambda keys: keys.update(private_addresses=False)) as pathway:
        assert await pathway.upstream.send(a_request()) == NotSent(reason="private_address")
    assert way.service.seen == []


# --- what is signed -------------------------------------------------------------------------


@only(*APIS)
async def test_what_api_gateway_would_not_take_is_not_sent(way: Way) -> None:
    before = len(way.far.exchanges())
    large = await way.pathway.upstream.send(a_request(body=b"x" * (10 * 1024 * 1024 + 1)))
    long = await way.pathway.upstream.send(a_request(headers={"X-Filler": "a" * 10_240}))
    assert large == NotSent(reason="too_large", again=False)
    assert long == NotSent(reason="head_too_large", again=False)
    assert len(way.far.exchanges()) == before


@only(*APIS)
async def test_what_is_just_small_enough_for_api_gateway_is_sent(way: Way) -> None:
    """Its count of line and header values is ours: none that we let go is turned away."""
    fits, over = 0, 10_240
    while over - fits > 1:
        size = (fits + over) // 2
        response = await way.pathway.upstream.send(a_request(headers={"X-Filler": "a" * size}))
        if isinstance(response, NotSent):
            over = size
        else:
            assert isinstance(response, Answered)
            assert response.status == 200
            fits = size
    assert fits > 8_000


@only("lattice")
async def test_vpc_lattice_verifies_all_but_the_body(way: Way) -> None:
    await sent(way)
    exchange = way.far.exchanges()[-1]
    assert dict(exchange.headers)["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert exchange.canonical_request.endswith("UNSIGNED-PAYLOAD")


@only("rest_assumed_role")
async def test_a_role_is_assumed_with_its_external_id_and_is_who_calls(way: Way) -> None:
    await sent(way)
    [authorization] = [
        value for name, value in way.far.exchanges()[-1].headers if name == "authorization"
    ]
    assert ways.KEYS.access_key not in authorization


def _with_external_id(value: str | None) -> Callable[[dict[str, Any]], None]:
    return lambda keys: keys.update(external_id=value)


@only("rest_assumed_role")
async def test_a_role_that_cannot_be_assumed_is_told_and_nothing_is_sent(way: Way) -> None:
    for wrong in ("acme-43", None):
        way.forget()
        async with way.changed(_with_external_id(wrong)) as other:
            assert await other.upstream.send(a_request()) == NotSent(reason="credentials")
        [line] = way.lines()
        assert line["event"] == "credentials_not_read"
        assert "trust policy" in line["mend"]
        assert way.service.seen == []


@only(*APIS)
async def test_what_the_pathway_proves_itself_by_does_not_reach_the_service(way: Way) -> None:
    await sent(way)
    assert ways.KEYS.secret_key not in str(way.service.seen)
    assert "x-amz-security-token" not in way.service.seen[0].headers


@only("http_api", "rest_regional")
async def test_a_pathway_without_a_signature_learns_that_one_is_asked_for(way: Way) -> None:
    def unsigned(keys: dict[str, Any]) -> None:
        keys.update(type="privatelink")
        del keys["region"]

    async with way.changed(unsigned) as pathway:
        assert (await sent(way, pathway)).fault == "unsigned"
    assert way.service.seen == []


# --- what is shown instead ------------------------------------------------------------------


@only("direct_token_file")
async def test_the_projected_token_is_shown_and_read_anew(way: Way) -> None:
    await sent(way)
    (way.folder / "token").write_text("rotated")
    await sent(way)
    shown = [seen.headers["authorization"] for seen in way.service.seen]
    assert shown == ["Bearer projected-token", "Bearer rotated"]


@only("direct_web_identity")
async def test_the_service_verifies_the_token_by_the_account_s_public_keys(way: Way) -> None:
    await sent(way)
    await sent(way)
    keys = await _get(f"{way.far.configuration['auth']['endpoint_url']}/.well-known/jwks.json")
    first, second = [seen.headers["authorization"] for seen in way.service.seen]
    assert first == second, "one token serves until it is renewed"
    claims = _verified(first.removeprefix("Bearer "), keys["keys"])
    assert claims["aud"] in ("tidegate-agent", ["tidegate-agent"])
    assert "gateway" in claims["sub"]


async def _get(url: str) -> Any:
    transport = Transport(Place(url=url, timeout_seconds=5.0, concurrency=1))
    response = await transport.exchange(method="GET", path="", headers={}, body=b"", fresh=True)
    await transport.close()
    assert isinstance(response, Answered)
    return json.loads(response.body)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _verified(token: str, keys: list[dict[str, str]]) -> dict[str, Any]:
    head, middle, signature = token.split(".")
    kid = json.loads(_decoded(head))["kid"]
    [key] = [key for key in keys if key["kid"] == kid]
    e, n = (int.from_bytes(_decoded(key[name]), "big") for name in ("e", "n"))
    rsa.RSAPublicNumbers(e, n).public_key().verify(
        _decoded(signature), f"{head}.{middle}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    claims: dict[str, Any] = json.loads(_decoded(middle))
    return claims


@only("direct_mtls")
async def test_without_its_certificate_a_gateway_is_not_let_in(way: Way) -> None:
    def bare(keys: dict[str, Any]) -> None:
        del keys["client_cert"], keys["client_key"]

    async with way.changed(bare) as pathway:
        assert isinstance(await pathway.upstream.send(a_request()), NotSent | NoAnswer)
    assert way.service.seen == []


@only(*(way.__name__ for way in ways.UNSIGNED))
async def test_no_signature_is_sent_where_none_is_asked_for(way: Way) -> None:
    await sent(way)
    headers = way.service.seen[0].headers
    assert not any(header.startswith("x-amz-") for header in headers)
    assert ways.KEYS.access_key not in headers.get("authorization", "")
