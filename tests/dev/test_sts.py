"""STS on a real listener, asked by botocore, and the tokens verified by their published keys."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import aiohttp
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.dev.edge_stage import staged
from tests.examples import examples
from tidegate_dev.iam import Statement
from tidegate_dev.sigv4_check import IssuedKeys
from tidegate_dev.sts import Role, StsConfig, StsFarEnd
from tidegate_dev.sts.query import Form, QueryError, failure

REGION = "eu-west-1"
USER = IssuedKeys(
    access_key="AKIAGATEWAY",
    secret_key="gateway-secret",
    principal="arn:aws:iam::123456789012:user/gateway",
)
ROLE = Role(
    arn="arn:aws:iam::210987654321:role/tidegate-invoke",
    trusted=("arn:aws:iam::123456789012:user/gateway",),
    external_id="acme-7",
)
CHAIN = Role(
    arn="arn:aws:iam::210987654321:role/inner",
    trusted=("arn:aws:iam::210987654321:role/tidegate-invoke",),
    max_session_seconds=43_200,
)
OPEN = Role(
    arn="arn:aws:iam::210987654321:role/path/open", trusted=("arn:aws:iam::123456789012:root",)
)


class Asked:
    """An STS, and what botocore makes of it."""

    def __init__(self, sts: StsFarEnd, keys: dict[str, IssuedKeys]) -> None:
        self.sts = sts
        self.keys = keys

    async def call(
        self, operation: str, *, keys: IssuedKeys = USER, region: str = REGION, **arguments: Any
    ) -> dict[str, Any]:
        def call() -> dict[str, Any]:
            client = _session.create_client(
                "sts",
                endpoint_url=self.sts.url,
                region_name=region,
                aws_access_key_id=keys.access_key,
                aws_secret_access_key=keys.secret_key,
                aws_session_token=keys.session_token,
                config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=2),
            )
            with contextlib.closing(client):
                found: dict[str, Any] = getattr(client, operation)(**arguments)
                return found

        return await asyncio.to_thread(call)

    async def assume(self, role: Role = ROLE, **arguments: Any) -> IssuedKeys:
        arguments = {"RoleSessionName": "tidegate", "ExternalId": "acme-7"} | arguments
        answer = await self.call("assume_role", RoleArn=role.arn, **arguments)
        return self.keys[answer["Credentials"]["AccessKeyId"]]

    async def refused(self, operation: str, **arguments: Any) -> tuple[str, int, str]:
        with pytest.raises(ClientError) as caught:
            await self.call(operation, **arguments)
        answer = caught.value.response
        status = answer["ResponseMetadata"]["HTTPStatusCode"]
        return answer["Error"]["Code"], status, answer["Error"]["Message"]

    async def json(self, path: str) -> dict[str, Any]:
        async with aiohttp.ClientSession() as client, client.get(self.sts.url + path) as response:
            found: dict[str, Any] = await response.json()
            return found


_session: Any = botocore.session.Session()


@asynccontextmanager
async def asked(**changes: Any) -> AsyncIterator[Asked]:
    keys = {USER.access_key: USER}
    config = replace(StsConfig(keys=keys, roles=(ROLE, CHAIN, OPEN)), **changes)
    async with StsFarEnd(config) as sts:
        yield Asked(sts, keys)


# Assuming a role


async def test_whom_a_role_trusts_gets_keys_that_the_edge_lets_in_until_they_end() -> None:
    async with asked() as far_end:
        answer = await far_end.call(
            "assume_role",
            RoleArn=ROLE.arn,
            RoleSessionName="tidegate",
            ExternalId="acme-7",
            DurationSeconds=900,
        )
        assert answer["AssumedRoleUser"]["Arn"] == (
            "arn:aws:sts::210987654321:assumed-role/tidegate-invoke/tidegate"
        )
        given = answer["Credentials"]
        made = far_end.keys[given["AccessKeyId"]]
        assert made.session_token == given["SessionToken"]
        assert 800 < len(given["SessionToken"]) < 2048
        assert made.expires_at == given["Expiration"].timestamp()
        policies = {answer["AssumedRoleUser"]["Arn"]: (Statement(),)}
        async with staged(keys=far_end.keys, permissions=(), policies=policies) as stage:
            assert (await stage.ask(keys=made))[0] == 202
            assert (await stage.ask(keys=USER))[0] == 403
            far_end.keys[made.access_key] = replace(made, expires_at=1.0)
            assert (await stage.ask(keys=made))[0] == 403
            assert stage.seen[-1].verdict == "ExpiredTokenException"


@pytest.mark.parametrize("external_id", ["acme-8", None])
async def test_without_the_external_id_a_role_trusts_nobody(external_id: str | None) -> None:
    async with asked() as far_end:
        arguments = {} if external_id is None else {"ExternalId": external_id}
        code, status, told = await far_end.refused(
            "assume_role", RoleArn=ROLE.arn, RoleSessionName="tidegate", **arguments
        )
        assert (code, status) == ("AccessDenied", 403)
        assert told == (
            f"User: {USER.principal} is not authorized to perform: sts:AssumeRole "
            f"on resource: {ROLE.arn}"
        )
        assert set(far_end.keys) == {USER.access_key}


async def test_nobody_learns_which_roles_there_are() -> None:
    async with asked() as far_end:
        there = await far_end.refused("assume_role", RoleArn=CHAIN.arn, RoleSessionName="x1")
        missing = CHAIN.arn.replace("inner", "other")
        absent = await far_end.refused("assume_role", RoleArn=missing, RoleSessionName="x1")
        assert there[:2] == absent[:2] == ("AccessDenied", 403)


async def test_a_role_that_trusts_an_account_trusts_whom_that_lets() -> None:
    async with asked() as far_end:
        assert (await far_end.assume(OPEN)).principal.endswith("assumed-role/open/tidegate")
    async with asked(policies={}) as far_end:
        assert (await far_end.refused("assume_role", RoleArn=OPEN.arn, RoleSessionName="x1"))[
            0
        ] == ("AccessDenied")


async def test_a_chained_session_lasts_an_hour_at_most() -> None:
    async with asked() as far_end:
        first = await far_end.assume()
        arguments = {"RoleArn": CHAIN.arn, "RoleSessionName": "inner"}
        code, status, told = await far_end.refused(
            "assume_role", keys=first, DurationSeconds=3601, **arguments
        )
        assert (code, status) == ("ValidationError", 400)
        assert "1 hour session limit for roles assumed by role chaining" in told
        await far_end.call("assume_role", keys=first, DurationSeconds=3600, **arguments)


async def test_a_session_lasts_no_longer_than_its_role_says() -> None:
    async with asked() as far_end:
        code, _, told = await far_end.refused(
            "assume_role",
            RoleArn=ROLE.arn,
            RoleSessionName="tidegate",
            ExternalId="acme-7",
            DurationSeconds=3601,
        )
        assert code == "ValidationError"
        assert "MaxSessionDuration" in told


# Who asks


@pytest.mark.parametrize(
    ("claimed", "code"),
    [
        ({"keys": replace(USER, secret_key="other")}, "SignatureDoesNotMatch"),
        ({"keys": replace(USER, access_key="AKIAOTHER")}, "InvalidClientTokenId"),
        ({"keys": replace(USER, session_token="made-up")}, "InvalidClientTokenId"),
        ({"region": "us-east-1"}, "SignatureDoesNotMatch"),
    ],
)
async def test_a_signature_that_does_not_hold_is_refused(
    claimed: dict[str, Any], code: str
) -> None:
    async with asked() as far_end:
        found, status, _ = await far_end.refused("get_caller_identity", **claimed)
        assert (found, status) == (code, 403)


async def test_keys_that_have_ended_are_told_so() -> None:
    async with asked() as far_end:
        made = await far_end.assume()
        ended = far_end.keys[made.access_key] = replace(made, expires_at=1.0)
        assert (await far_end.refused("get_caller_identity", keys=ended))[:2] == (
            "ExpiredToken",
            403,
        )


async def test_who_is_asked_says_who_asks() -> None:
    async with asked() as far_end:
        made = await far_end.assume()
        found = await far_end.call("get_caller_identity", keys=made)
        assert (found["Arn"], found["Account"]) == (made.principal, "210987654321")
        assert far_end.sts.app.calls == ["AssumeRole", "GetCallerIdentity"]


async def test_a_request_that_is_not_signed_or_not_a_call_is_refused_in_xml() -> None:
    async with asked() as far_end, aiohttp.ClientSession() as client:
        for body in (b"Action=GetCallerIdentity&Version=2011-06-15", b"\xff", b"", b"x" * 70_000):
            async with client.post(far_end.sts.url, data=body) as response:
                assert response.status in (403, 413)
                assert "<ErrorResponse xmlns=" in await response.text()


@settings(max_examples=examples(200))
@given(body=st.one_of(st.binary(max_size=60), st.text(max_size=40).map(str.encode)))
@example(body=b"Action=%00%01%EF%BF%BF<&Action")
@example(body=b"A=%FF")
@example(body=b"&".join([b"a=1"] * 300))
def test_whatever_the_form_is_it_is_read_or_refused_in_xml(body: bytes) -> None:
    told = QueryError("ValidationError", "")
    try:
        form = Form.read(body)
    except QueryError as error:
        told = error
    else:
        for value in form.fields.values():
            told = QueryError("ValidationError", f"Value '{value}'")
    found = ElementTree.fromstring(failure(told))
    assert found.findtext(".//{*}Code") == told.code


# Tokens for others


def claims_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims, _ = (decoded(part) for part in token.split("."))
    return json.loads(header), json.loads(claims)


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def number(part: str) -> int:
    return int.from_bytes(decoded(part), "big")


def verify(token: str, jwks: dict[str, Any]) -> None:
    """Return when *token* was signed with one of the published keys."""
    header, _ = claims_of(token)
    [key] = [key for key in jwks["keys"] if key["kid"] == header["kid"]]
    assert key["alg"] == header["alg"]
    signed, _, signature = token.rpartition(".")
    raw = decoded(signature)
    if header["alg"] == "RS256":
        public = rsa.RSAPublicNumbers(number(key["e"]), number(key["n"])).public_key()
        public.verify(raw, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        numbers = ec.EllipticCurvePublicNumbers(number(key["x"]), number(key["y"]), ec.SECP384R1())
        der = utils.encode_dss_signature(
            int.from_bytes(raw[:48], "big"), int.from_bytes(raw[48:], "big")
        )
        numbers.public_key().verify(der, signed.encode(), ec.ECDSA(hashes.SHA384()))


@pytest.mark.parametrize("algorithm", ["RS256", "ES384"])
async def test_a_token_is_verified_by_what_its_issuer_publishes(algorithm: str) -> None:
    async with asked() as far_end:
        made = await far_end.assume()
        answer = await far_end.call(
            "get_web_identity_token",
            keys=made,
            Audience=["tidegate-agent"],
            SigningAlgorithm=algorithm,
            DurationSeconds=60,
            Tags=[{"Key": "pathway", "Value": "cluster"}],
        )
        token = answer["WebIdentityToken"]
        header, claims = claims_of(token)
        assert header["alg"] == algorithm
        assert (claims["iss"], claims["aud"]) == (far_end.sts.issuer, "tidegate-agent")
        assert claims["sub"] == "arn:aws:iam::210987654321:role/tidegate-invoke"
        assert claims["exp"] - claims["iat"] == 60
        assert claims["exp"] == answer["Expiration"].timestamp()
        about = claims["https://sts.amazonaws.com/"]
        assert about["aws_account"] == "210987654321"
        assert about["request_tags"] == {"pathway": "cluster"}
        found = await far_end.json("/.well-known/openid-configuration")
        assert found["issuer"] == claims["iss"]
        verify(token, await far_end.json(found["jwks_uri"].removeprefix(far_end.sts.url)))


async def test_a_token_outlives_no_session() -> None:
    async with asked() as far_end:
        made = await far_end.assume(DurationSeconds=900)
        arguments = {"Audience": ["a"], "SigningAlgorithm": "RS256", "keys": made}
        code, status, _ = await far_end.refused(
            "get_web_identity_token", DurationSeconds=960, **arguments
        )
        assert (code, status) == ("SessionDurationEscalationException", 403)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"SigningAlgorithm": "HS256"}, "ValidationError"),
        ({"Audience": [f"a{number}" for number in range(11)]}, "ValidationError"),
        ({"DurationSeconds": 3601}, "ValidationError"),
    ],
)
async def test_a_token_of_another_kind_is_not_given(arguments: dict[str, Any], code: str) -> None:
    async with asked() as far_end:
        whole = {"Audience": ["a"], "SigningAlgorithm": "RS256"} | arguments
        assert (await far_end.refused("get_web_identity_token", **whole))[:2] == (code, 400)


async def test_only_whom_a_policy_lets_gets_a_token() -> None:
    policies = {"*": (Statement(action="sts:AssumeRole"),)}
    async with asked(policies=policies) as far_end:
        arguments = {"Audience": ["a"], "SigningAlgorithm": "RS256"}
        code, status, told = await far_end.refused("get_web_identity_token", **arguments)
        assert (code, status) == ("AccessDenied", 403)
        assert "sts:GetWebIdentityToken" in told


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        ("throttle", "Throttling", 400),
        ("down", "ServiceUnavailable", 503),
        ("clock_skew", "SignatureDoesNotMatch", 403),
        ("access_denied", "AccessDenied", 403),
        ("federation_disabled", "OutboundWebIdentityFederationDisabledException", 403),
    ],
)
async def test_a_fault_can_be_switched_on_and_off(fault: str, code: str, status: int) -> None:
    async with asked() as far_end:
        arguments: Any = {"Audience": ["a"], "SigningAlgorithm": "ES384"}
        far_end.sts.set_fault(fault, True)
        assert (await far_end.refused("get_web_identity_token", **arguments))[:2] == (code, status)
        far_end.sts.set_fault(fault, False)
        await far_end.call("get_web_identity_token", **arguments)
        with pytest.raises(ValueError, match="no fault is called 'rain'"):
            far_end.sts.set_fault("rain", True)


async def test_one_that_hangs_lets_its_callers_wait() -> None:
    async with asked() as far_end, aiohttp.ClientSession() as client:
        far_end.sts.set_fault("hang", True)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), client.post(far_end.sts.url, data=b"x"):
                pass
