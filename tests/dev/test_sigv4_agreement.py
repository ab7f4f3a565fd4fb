"""The check against three signers, and against every single change to what they signed."""

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.test_sigv4 import (
    BASE,
    botocore_authorization,
    credentials,
    crt_authorization,
    headers_sent,
    paths,
    queries,
    signed,
    times,
)
from tests.dev.edge_stage import Stage, staged
from tests.dev.mutations import single_changes
from tests.examples import examples
from tidegate.core.sigv4 import Credentials, wire_url
from tidegate_dev.edge import Permission
from tidegate_dev.sigv4_check import (
    IssuedKeys,
    ReceivedRequest,
    Rules,
    Verdict,
    check_by,
)

KNOWN: Final = {
    "",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "UnrecognizedClientException",
}
requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"]),
        "url": st.builds(wire_url, st.just(BASE), paths, queries),
        "headers": headers_sent,
        "body": st.binary(max_size=40),
        "credentials": credentials,
        "region": st.sampled_from(["eu-west-1", "us-east-1", "ap-southeast-2", "cn-north-1"]),
        "service": st.sampled_from(["execute-api", "lambda", "sts", "sqs"]),
        "now": times,
    }
)


class Signed:
    """A request as one of the signers leaves it, and what the check needs to know."""

    def __init__(
        self,
        authorization: str | None = None,
        *,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        credentials: Credentials,
        region: str,
        service: str,
        now: datetime,
    ) -> None:
        added = signed(
            url,
            method=method,
            headers=headers,
            body=body,
            credentials=credentials,
            region=region,
            service=service,
            now=now,
        )
        if authorization is not None:
            added["Authorization"] = authorization
        parts = urlsplit(url)
        sent = {"Host": parts.netloc, **headers, **added}
        self.request = ReceivedRequest(
            method=method,
            raw_path=parts.path.encode(),
            raw_query=parts.query.encode(),
            headers=[(name.lower().encode(), value.encode()) for name, value in sent.items()],
            body=body,
        )
        self._rules = Rules(region=region, service=service)
        self._now = now
        keys = IssuedKeys(
            access_key=credentials.access_key,
            secret_key=credentials.secret_key,
            session_token=credentials.token,
        )
        self._issued = {keys.access_key: keys}

    def verdict(self, request: ReceivedRequest | None = None) -> Verdict:
        return check_by(self._rules, request or self.request, issued=self._issued, now=self._now)


def all_agree(request: dict[str, object]) -> None:
    """Fail unless the check accepts what each of the three signers makes of *request*."""
    shared = {name: value for name, value in request.items() if name != "now"}
    for oracle in (botocore_authorization, crt_authorization):
        made = oracle(**shared, now=request["now"])  # type: ignore[arg-type]
        assert Signed(made, **request).verdict().message == ""  # type: ignore[arg-type]
    assert Signed(**request).verdict().message == ""  # type: ignore[arg-type]


def every_change_is_refused(request: dict[str, object]) -> None:
    """Fail if one thing about a signed request can be changed unnoticed."""
    good = Signed(**request)  # type: ignore[arg-type]
    assert good.verdict().accepted
    for word, changed in single_changes(good.request):
        verdict = good.verdict(changed)
        assert not verdict.accepted, word
        assert verdict.error_type in KNOWN, word


@settings(max_examples=examples(500))
@given(request=requests)
def test_what_botocore_and_awscrt_and_we_sign_is_accepted(request: dict[str, object]) -> None:
    all_agree(request)


@settings(max_examples=examples(250))
@given(request=requests)
def test_every_single_change_is_refused(request: dict[str, object]) -> None:
    every_change_is_refused(request)


@pytest.mark.long
@pytest.mark.timeout(300)
@settings(max_examples=5000)
@given(request=requests)
def test_thousands_of_requests_are_accepted(request: dict[str, object]) -> None:
    all_agree(request)


@pytest.mark.long
@pytest.mark.timeout(300)
@settings(max_examples=2000)
@given(request=requests)
def test_every_single_change_to_thousands_of_requests_is_refused(
    request: dict[str, object],
) -> None:
    every_change_is_refused(request)


# Over sockets


async def told_by(stage: Stage, request: ReceivedRequest) -> int:
    """Return the status with which the edge answers a request, sent letter by letter."""
    target = request.raw_path + (b"?" + request.raw_query if request.raw_query else b"")
    head = [b"%s %s HTTP/1.1" % (request.method.encode(), target)]
    head += [name + b": " + value for name, value in request.headers]
    head += [b"content-length: %d" % len(request.body), b"connection: close"]
    host, port = urlsplit(stage.url).netloc.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\r\n".join(head) + b"\r\n\r\n" + request.body)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split(b" ", 2)[1])


async def test_no_single_change_gets_through_the_edge() -> None:
    async with staged(permissions=(Permission(method="*", path="/*"),)) as stage:
        query = [("a", "1"), ("b c", "/")]
        headers = {"Idempotency-Key": "run-1", "X-Request-Id": "r1"}
        method, url, sent, body = stage.ours("/api/v1/a b", query=query, headers=headers)
        parts = urlsplit(url)
        good = ReceivedRequest(
            method=method,
            raw_path=parts.path.encode(),
            raw_query=parts.query.encode(),
            headers=[
                (name.lower().encode(), value.encode())
                for name, value in {"Host": parts.netloc, **sent}.items()
            ],
            body=body,
        )
        assert sent["X-Amz-Content-Sha256"] == hashlib.sha256(body).hexdigest()
        assert await told_by(stage, good) == 202
        changes = list(single_changes(good))
        assert len(changes) > 50
        for word, changed in changes:
            assert await told_by(stage, changed) == 403, word
        assert len(stage.service.requests) == 1
