"""The VPC Lattice service on a real listener, called with real signatures."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from yarl import URL

from tests.dev.edge_stage import KEYS, REGION, Service
from tidegate.core.sigv4 import Credentials, Signer
from tidegate_dev.iam import Statement
from tidegate_dev.lattice import Lattice, LatticeConfig
from tidegate_dev.listener import Listener

SERVICE = "arn:aws:vpc-lattice:eu-west-1:123456789012:service/svc-0123456789abcdef0"


class Caller:
    def __init__(self, url: str, lattice: Lattice, service: Service) -> None:
        self.url = url
        self.lattice = lattice
        self.service = service

    def signed(
        self,
        path: str = "/api/v1/deploy",
        *,
        unsigned_payload: bool = True,
        service: str = "vpc-lattice-svcs",
        region: str = REGION,
        token: str | None = KEYS.session_token,
        now: datetime | None = None,
        **headers: str,
    ) -> dict[str, str]:
        return headers | Signer().sign(
            method="POST",
            url=self.url + path,
            headers=headers,
            body=b"{}",
            credentials=Credentials(
                access_key=KEYS.access_key, secret_key=KEYS.secret_key, token=token
            ),
            region=region,
            service=service,
            now=now or datetime.now(UTC),
            unsigned_payload=unsigned_payload,
        )

    async def send(
        self, headers: dict[str, str], path: str = "/api/v1/deploy", body: bytes = b"{}"
    ) -> tuple[int, str, str]:
        async with (
            aiohttp.ClientSession() as client,
            client.post(
                URL(self.url + path, encoded=True), headers=headers, data=io.BytesIO(body)
            ) as response,
        ):
            return response.status, response.content_type, await response.text()


@asynccontextmanager
async def behind_lattice(**changes: Any) -> AsyncIterator[Caller]:
    service = Service()
    service.may_answer.set()
    async with Listener(service) as private:
        config = LatticeConfig(target_url=private.url, keys={KEYS.access_key: KEYS})
        lattice = Lattice(replace(config, **changes))
        async with Listener(lattice) as public:
            yield Caller(public.url, lattice, service)
        await lattice.aclose()


async def test_a_request_signed_without_its_body_reaches_the_target() -> None:
    async with behind_lattice() as caller:
        assert await caller.send(caller.signed()) == (
            202,
            "application/json",
            '{"message":"taken"}',
        )
        [(scope, body)] = caller.service.requests
        headers = dict(scope["headers"])
        assert body == b"{}"
        assert headers[b"x-amzn-lattice-identity"] == f"Principal={KEYS.principal}".encode()
        assert b"svc-0123456789abcdef0" in headers[b"x-amzn-lattice-target"]
        # The signature does not bind the body: another one passes.
        assert (await caller.send(caller.signed(), body=b'{"a":2}'))[0] == 202


async def test_a_request_that_botocore_signed_for_lattice_is_accepted() -> None:
    async with behind_lattice() as caller:
        request = AWSRequest("POST", f"{caller.url}/api/v1/deploy", {}, b"{}")
        request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
        request.context["payload_signing_enabled"] = False
        keys = BotocoreCredentials(KEYS.access_key, KEYS.secret_key, KEYS.session_token)
        signer = SigV4Auth(keys, "vpc-lattice-svcs", REGION)
        signer.payload = lambda _: "UNSIGNED-PAYLOAD"
        signer.add_auth(request)
        assert (await caller.send(dict(request.headers)))[0] == 202


async def test_a_signed_body_is_not_what_lattice_takes() -> None:
    async with behind_lattice() as caller:
        status, kind, told = await caller.send(caller.signed(unsigned_payload=False))
        assert (status, kind) == (403, "text/plain")
        assert told == (
            "InvalidSignatureException: The 'x-amz-content-sha256' header must be "
            "'UNSIGNED-PAYLOAD'."
        )
        assert caller.service.requests == []


@pytest.mark.parametrize(
    ("claimed", "told"),
    [
        ({"service": "execute-api"}, "correct service: 'vpc-lattice-svcs'"),
        ({"region": "us-east-1"}, "valid region"),
        ({"token": None}, "security token"),
        ({"now": datetime.now(UTC) - timedelta(minutes=9)}, "Signature expired"),
    ],
)
async def test_a_signature_that_does_not_hold_is_named(claimed: dict[str, Any], told: str) -> None:
    async with behind_lattice() as caller:
        status, _, words = await caller.send(caller.signed(**claimed))
        assert status == 403
        assert told in words


async def test_a_path_changed_after_the_signature_is_refused() -> None:
    async with behind_lattice() as caller:
        status, _, told = await caller.send(caller.signed(), "/api/v1/scale")
        assert status == 403
        assert told.startswith("InvalidSignatureException: ")


async def test_who_does_not_sign_is_nobody_and_no_policy_is_for_them() -> None:
    async with behind_lattice() as caller:
        assert await caller.send({}) == (
            403,
            "text/plain",
            "AccessDeniedException: User: anonymous is not authorized to perform: "
            f"vpc-lattice-svcs:Invoke on resource: {SERVICE}/api/v1/deploy because no "
            "service-based policy allows the vpc-lattice-svcs:Invoke action",
        )
    async with behind_lattice(service_policy=(Statement(resource="*/healthz"),)) as caller:
        assert (await caller.send({}, "/healthz"))[0] == 202
        assert (await caller.send({}))[0] == 403


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"service_policy": ()}, "because no service-based policy allows the "),
        ({"network_policy": ()}, "because no network-based policy allows the "),
        ({"policies": {}}, "because no identity-based policy allows the "),
        (
            {"service_policy": (Statement(), Statement(effect="Deny", resource="*/deploy"))},
            "with an explicit deny in a service-based policy",
        ),
        (
            {"policies": {"*": (Statement(), Statement(effect="Deny"))}},
            "with an explicit deny in an identity-based policy",
        ),
        ({"service_policy": (Statement(resource=f"{SERVICE}/other"),)}, "no service-based policy"),
    ],
)
async def test_every_policy_that_there_is_has_to_let_the_request_in(
    changes: dict[str, Any], told: str
) -> None:
    async with behind_lattice(**changes) as caller:
        status, _, words = await caller.send(caller.signed())
        assert status == 403
        assert words.startswith(f"AccessDeniedException: User: {KEYS.principal} is not authorized")
        assert told in words
        assert caller.service.requests == []


async def test_another_host_leads_to_nothing() -> None:
    async with behind_lattice(domain="deploys.acme.internal") as caller:
        assert (await caller.send(caller.signed()))[0] == 404
        assert (await caller.send(caller.signed(Host="deploys.acme.internal")))[0] == 202


async def test_a_service_without_auth_takes_what_comes() -> None:
    async with behind_lattice(auth_type="NONE") as caller:
        assert (await caller.send({}))[0] == 202


async def test_a_fault_can_be_switched_on_and_off() -> None:
    async with behind_lattice() as caller:
        for fault, status in (
            ("not_permitted", 403),
            ("explicit_deny", 403),
            ("clock_skew", 403),
            ("target_down", 503),
        ):
            caller.lattice.set_fault(fault, True)
            assert (await caller.send(caller.signed()))[0] == status, fault
            caller.lattice.set_fault(fault, False)
        assert (await caller.send(caller.signed()))[0] == 202
        with pytest.raises(ValueError, match="no fault is called 'rain'"):
            caller.lattice.set_fault("rain", True)


async def test_an_exchange_is_remembered_without_its_secrets() -> None:
    async with behind_lattice() as caller:
        await caller.send(caller.signed())
        [exchange] = caller.lattice.exchanges
        assert (exchange.verdict, exchange.status, exchange.forwarded) == ("accepted", 202, True)
        assert str(KEYS.session_token) not in str(exchange.to_dict())
