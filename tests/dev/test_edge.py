"""The edge on a real listener, before a real private service, called with real signatures."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from yarl import URL

from tests.dev.edge_stage import KEYS, REGION, Stage, staged
from tidegate_dev.edge import Permission
from tidegate_dev.listener import bind
from tidegate_dev.sigv4_check import IssuedKeys


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as ready:
        yield ready


async def test_a_request_that_botocore_signed_reaches_the_service(stage: Stage) -> None:
    url = f"{stage.url}/api/v1/deploy?b=2&a=%2F"
    request = AWSRequest("POST", url, {"Content-Type": "application/json"}, b'{"a":1}')
    keys = BotocoreCredentials(KEYS.access_key, KEYS.secret_key, KEYS.session_token)
    SigV4Auth(keys, "execute-api", REGION).add_auth(request)
    status, answer, headers = await stage.send("POST", url, dict(request.headers), b'{"a":1}')
    assert (status, answer) == (202, {"message": "taken"})
    assert headers["Location"] == "/api/v1/deploy/operations/1"
    assert headers["apigw-requestid"]
    [(scope, body)] = stage.service.requests
    assert body == b'{"a":1}'
    assert scope["query_string"] == b"b=2&a=%2F"


@pytest.mark.parametrize(
    "path", ["/api/v1/a b", "/api/v1/100%", "/api/v1/名前", "/api/v1//x//", "/api/v1/./y"]
)
async def test_a_request_that_we_signed_arrives_letter_by_letter(stage: Stage, path: str) -> None:
    method, url, headers, body = stage.ours(path, query=[("q", ""), ("ü", "a b&c")])
    status, _, _ = await stage.send(method, url, headers, body)
    assert status == 202
    [(scope, _)] = stage.service.requests
    assert scope["raw_path"] == URL(url, encoded=True).raw_path.encode()
    assert scope["query_string"] == b"q=&%C3%BC=a%20b%26c"


async def test_the_service_sees_the_caller_but_not_the_credentials(stage: Stage) -> None:
    sent = {
        "Idempotency-Key": "run-1",
        "Tidegate-Identity": "a.b.c",
        "traceparent": "00-1-1-01",
        "X-Request-Id": "r1",
        "X-Forwarded-For": "10.0.0.1",
    }
    await stage.send(*stage.ours(headers=sent))
    [(scope, _)] = stage.service.requests
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    assert headers["idempotency-key"] == "run-1"
    assert headers["tidegate-identity"] == "a.b.c"
    assert headers["traceparent"] == "00-1-1-01"
    assert headers["x-request-id"] == "r1"
    assert headers["content-type"] == "application/json"
    assert headers["via"] == "HTTP/1.1 AmazonAPIGateway"
    assert headers["x-forwarded-for"] == "10.0.0.1, 127.0.0.1"
    assert "for=127.0.0.1" in headers["forwarded"]
    assert "authorization" not in headers
    assert not [name for name in headers if name.startswith("x-amz-")]


@pytest.mark.parametrize("status", [200, 404, 409, 500, 503])
async def test_what_the_service_answers_goes_back_unchanged(stage: Stage, status: int) -> None:
    stage.service.status = status
    assert (await stage.send(*stage.ours()))[:2] == (status, {"message": "taken"})


async def test_work_begun_through_the_edge_is_followed_through_the_edge(stage: Stage) -> None:
    status, _, headers = await stage.send(*stage.ours(headers={"Idempotency-Key": "run-1"}))
    assert (status, headers["Location"]) == (202, "/api/v1/deploy/operations/1")
    stage.service.status, stage.service.body = 200, b'{"phase":"succeeded"}'
    request = stage.ours(headers["Location"], method="GET", body=b"")
    assert (await stage.send(*request))[:2] == (200, {"phase": "succeeded"})
    assert [exchange.answer for exchange in stage.seen] == [
        {"message": "taken"},
        {"phase": "succeeded"},
    ]


@pytest.mark.parametrize("body", [b"[1]", b"no JSON", b'"' + b"x" * 70_000 + b'"', b"[" * 50_000])
async def test_only_an_answer_that_is_an_object_is_kept(stage: Stage, body: bytes) -> None:
    stage.service.body = body
    method, url, headers, sent = stage.ours()
    async with stage.client.request(method, url, headers=headers, data=sent) as response:
        assert await response.read() == body
    assert [exchange.answer for exchange in stage.seen] == [None]


async def test_the_way_to_the_service_can_be_slow() -> None:
    async with staged(slow_seconds=0.2) as stage:
        stage.edge.set_fault("integration_slow", True)
        begin = time.monotonic()
        assert (await stage.send(*stage.ours()))[0] == 202
        assert time.monotonic() - begin >= 0.2


async def test_a_redirect_is_not_followed(stage: Stage) -> None:
    stage.service.status = 307
    status, _, headers = await stage.send(*stage.ours())
    assert status == 307
    assert headers["Location"] == "/api/v1/deploy/operations/1"
    assert len(stage.service.requests) == 1


async def test_an_unsigned_request_is_forbidden(stage: Stage) -> None:
    method, url, _, body = stage.ours()
    status, answer, headers = await stage.send(method, url, {}, body)
    assert (status, answer) == (403, {"message": "Forbidden"})
    assert "x-amzn-errortype" not in headers
    assert stage.service.requests == []


async def test_a_bad_signature_is_named(stage: Stage) -> None:
    method, url, headers, _ = stage.ours()
    status, answer, answered = await stage.send(method, url, headers, b"tampered")
    assert status == 403
    assert answered["x-amzn-ErrorType"] == "InvalidSignatureException"
    assert answer["message"].startswith("The request signature we calculated does not match")
    assert stage.service.requests == []


@pytest.mark.parametrize(
    ("claimed", "error"),
    [
        ({"region": "us-east-1"}, "InvalidSignatureException"),
        ({"service": "lambda"}, "InvalidSignatureException"),
        ({"keys": replace(KEYS, secret_key="other")}, "InvalidSignatureException"),
        ({"keys": replace(KEYS, session_token=None)}, "UnrecognizedClientException"),
        ({"keys": replace(KEYS, access_key="AKOTHER")}, "UnrecognizedClientException"),
        ({"now": datetime.now(UTC) - timedelta(minutes=7)}, "InvalidSignatureException"),
    ],
)
async def test_a_signature_that_does_not_hold_stops_at_the_edge(
    stage: Stage, claimed: dict[str, Any], error: str
) -> None:
    status, _, headers = await stage.send(*stage.ours(**claimed))
    assert (status, headers["x-amzn-ErrorType"]) == (403, error)
    assert stage.service.requests == []


@pytest.mark.parametrize("changed", ["/api/v1/scale", "/api/v1/deploy?a=1"])
async def test_a_url_changed_after_the_signature_is_rejected(stage: Stage, changed: str) -> None:
    method, _, headers, body = stage.ours()
    status, _, _ = await stage.send(method, stage.url + changed, headers, body)
    assert status == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/api/v1/deploy"), ("POST", "/admin"), ("POST", "/api/v1/../../admin")],
)
async def test_what_the_policy_does_not_name_is_denied(
    stage: Stage, method: str, path: str
) -> None:
    status, answer, headers = await stage.send(*stage.ours(path, method=method))
    assert (status, headers["x-amzn-ErrorType"]) == (403, "AccessDeniedException")
    assert (
        "is not authorized to perform: execute-api:Invoke on resource: arn:aws:"
        in (answer["message"])
    )
    assert stage.service.requests == []


async def test_keys_that_are_rotated_hold_at_once() -> None:
    issued = {KEYS.access_key: KEYS}
    async with staged(keys=issued) as stage:
        rotated = IssuedKeys(access_key="ASINEW", secret_key="new", session_token="new-token")
        issued[rotated.access_key] = rotated
        assert (await stage.send(*stage.ours(keys=rotated)))[0] == 202
        del issued[KEYS.access_key]
        assert (await stage.send(*stage.ours()))[0] == 403


async def test_a_body_over_the_limit_is_too_large() -> None:
    async with staged(max_body_bytes=1000) as stage:
        assert (await stage.send(*stage.ours(body=b"x" * 1000)))[0] == 202
        status, answer, _ = await stage.send(*stage.ours(body=b"x" * 1001))
        assert (status, answer) == (413, {"message": "Request Entity Too Large"})
        assert len(stage.service.requests) == 1


async def test_ten_megabytes_are_the_limit_unless_told_otherwise() -> None:
    async with staged() as stage:
        allowed = 10 * 1024 * 1024
        assert (await stage.send(*stage.ours(body=bytes(allowed))))[0] == 202
        assert (await stage.send(*stage.ours(body=bytes(allowed + 1))))[0] == 413


async def test_headers_over_10240_bytes_are_too_large(stage: Stage) -> None:
    assert (await stage.send(*stage.ours(headers={"X-A": "a" * 9_000})))[0] == 202
    status, answer, _ = await stage.send(*stage.ours(headers={"X-A": "a" * 10_240}))
    assert (status, answer) == (431, {"message": "Request header fields too large"})
    assert len(stage.service.requests) == 1


async def test_a_service_that_takes_too_long_times_out() -> None:
    async with staged(integration_timeout_seconds=0.1) as stage:
        stage.service.may_answer.clear()
        status, answer, _ = await stage.send(*stage.ours())
        assert (status, answer) == (504, {"message": "Endpoint request timed out"})
        assert stage.seen[-1].forwarded


async def test_a_service_that_is_not_there_is_unavailable() -> None:
    closed = bind()
    port = closed.getsockname()[1]
    closed.close()
    async with staged(integration_url=f"http://127.0.0.1:{port}") as stage:
        status, answer, _ = await stage.send(*stage.ours())
        assert (status, answer) == (503, {"message": "Service Unavailable"})
        assert not stage.seen[-1].forwarded


async def test_a_service_that_hangs_up_is_an_internal_error() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, staged(integration_url=f"http://127.0.0.1:{port}") as stage:
        status, answer, _ = await stage.send(*stage.ours())
        assert (status, answer) == (500, {"message": "Internal Server Error"})
        assert stage.seen[-1].forwarded


async def test_an_answer_over_the_limit_is_an_internal_error() -> None:
    async with staged(max_body_bytes=1000) as stage:
        stage.service.body = b"x" * 1001
        status, answer, _ = await stage.send(*stage.ours())
        assert (status, answer) == (500, {"message": "Internal Server Error"})


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        ("throttle", 429, "Too Many Requests"),
        ("integration_down", 503, "Service Unavailable"),
        ("clock_skew", 403, "Signature expired: "),
        ("not_permitted", 403, "User: arn:aws:sts::"),
    ],
)
async def test_a_fault_can_be_switched_on_and_off(
    stage: Stage, fault: str, status: int, told: str
) -> None:
    stage.edge.set_fault(fault, True)
    answered, answer, _ = await stage.send(*stage.ours())
    assert answered == status
    assert answer["message"].startswith(told)
    assert stage.service.requests == []
    assert stage.edge.state()["faults"] == [fault]
    stage.edge.set_fault(fault, False)
    assert (await stage.send(*stage.ours()))[0] == 202


async def test_an_unknown_fault_is_refused(stage: Stage) -> None:
    with pytest.raises(ValueError, match="no fault is called 'earthquake'"):
        stage.edge.set_fault("earthquake", True)


async def test_every_exchange_is_remembered_without_its_secrets(stage: Stage) -> None:
    sent = {"Idempotency-Key": "run-7", "Tidegate-Identity": "the.identity.statement"}
    before = time.time()
    method, url, headers, body = stage.ours(query=[("a", "1")], headers=sent)
    await stage.send(method, url, headers, body)
    [exchange] = stage.seen
    assert list(stage.edge.exchanges) == [exchange]
    assert (exchange.run_id, exchange.status, exchange.verdict) == ("run-7", 202, "accepted")
    assert (exchange.method, exchange.path) == ("POST", "/api/v1/deploy?a=1")
    assert exchange.forwarded
    assert exchange.ms > 0
    assert datetime.fromisoformat(exchange.at).timestamp() == pytest.approx(before, abs=10)
    assert exchange.canonical_request.startswith("POST\n/api/v1/deploy\na=1\n")
    assert exchange.string_to_sign.startswith("AWS4-HMAC-SHA256\n")
    shown = str(exchange.to_dict()) + str(stage.edge.state())
    signature = headers["Authorization"].rpartition("Signature=")[2]
    for secret in (signature, KEYS.session_token, KEYS.secret_key, sent["Tidegate-Identity"]):
        assert str(secret) not in shown
    assert "Credential=ASIDEV/" in shown
    assert "Signature=(hidden)" in shown


async def test_a_refusal_is_remembered_with_its_reason(stage: Stage) -> None:
    method, url, headers, _ = stage.ours()
    await stage.send(method, url, headers, b"tampered")
    await stage.send(method, url, {"Authorization": "Bearer a-token"}, b"")
    tampered, bearer = stage.seen
    assert tampered.verdict == "InvalidSignatureException"
    assert "does not match" in tampered.message
    assert tampered.canonical_request.startswith("POST\n")
    assert not tampered.forwarded
    assert "a-token" not in str(bearer.to_dict())


async def test_only_the_latest_exchanges_are_kept() -> None:
    async with staged(max_exchanges=5) as stage:
        for number in range(8):
            await stage.send("POST", f"{stage.url}/{number}", {}, b"")
        assert [exchange.path for exchange in stage.edge.exchanges] == [
            "/3",
            "/4",
            "/5",
            "/6",
            "/7",
        ]
        assert stage.edge.state()["exchanges"][0]["path"] == "/7"


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        ("/api/v1/*", "/api/v1/deploy/operations/1", True),
        ("/api/v?/deploy", "/api/v2/deploy", True),
        ("/api/v1/deploy", "/api/v1/deploy2", False),
        ("/api/v1.deploy", "/api/v1/deploy", False),
    ],
)
def test_a_permission_reads_like_an_iam_resource(pattern: str, path: str, covered: bool) -> None:
    assert Permission(method="*", path=pattern).covers("POST", path) is covered
