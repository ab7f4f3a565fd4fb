"""The ways through API Gateway over one that this project did not write, with IAM enforced."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.contract.test_pathways import a_request
from tests.contract.ways import open_way
from tests.far_ends import apis
from tests.far_ends.apis import ACCOUNT, Api
from tests.far_ends.ministack import REGION, client
from tests.service import Service
from tidegate.app.worker import Pathway
from tidegate.core.sigv4 import Credentials
from tidegate.ports import Answered, NotSent, Request

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = ("http", "rest")
EXTERNAL_ID = "acme-42"
NOBODY = Credentials(access_key="AKIANOBODY", secret_key="another")


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulated:
    """The emulator's APIs before one service, and a role of it.

    Attributes:
        apis: By their kind.
        service: What they lead to.
        role: ARN of a role that may invoke what the APIs' `key` may, given the external id.
    """

    apis: dict[str, Api]
    service: Service
    role: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def emulator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Emulated]:
    service = Service()
    await service.start()
    with apis.ministack(tmp_path_factory.mktemp("apis"), service.url) as both:
        role = _role(both[0].url)
        yield Emulated(apis={api.kind: api for api in both}, service=service, role=role)
    await service.stop()


@pytest.fixture
def emulated(emulator: Emulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Emulated:
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", emulator.apis["http"].url)
    emulator.service.seen.clear()
    return emulator


def _role(url: str) -> str:
    """Make a role that asks for an external id, and a right to ask for tokens."""
    iam = client("iam", url, Credentials(access_key="test", secret_key="test"))
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
    }
    invoke = {
        "Effect": "Allow",
        "Action": "execute-api:Invoke",
        "Resource": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:*/*/POST/api/v1/*",
    }
    token = {"Effect": "Allow", "Action": "sts:GetWebIdentityToken", "Resource": "*"}
    made = iam.create_role(RoleName="callers", AssumeRolePolicyDocument=_policy(trust))
    iam.put_role_policy(RoleName="callers", PolicyName="all", PolicyDocument=_policy(invoke))
    iam.put_user_policy(UserName="tidegate", PolicyName="token", PolicyDocument=_policy(token))
    return str(made["Role"]["Arn"])


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def use(patch: pytest.MonkeyPatch, key: Credentials) -> None:
    patch.setenv("AWS_ACCESS_KEY_ID", key.access_key)
    patch.setenv("AWS_SECRET_ACCESS_KEY", key.secret_key)
    if key.token is not None:
        patch.setenv("AWS_SESSION_TOKEN", key.token)


@contextlib.asynccontextmanager
async def through(api: Api, folder: Path, **changes: Any) -> AsyncIterator[Pathway]:
    configuration = {
        "type": "api_gateway",
        "url": f"{api.url}{api.stage}",
        "host": api.host,
        "region": REGION,
        **changes,
    }
    pathway, _ = open_way(configuration, folder)
    try:
        yield pathway
    finally:
        await pathway.upstream.close()


async def answered(pathway: Pathway, request: Request | None = None) -> Answered:
    response = await pathway.upstream.send(request or a_request())
    assert isinstance(response, Answered)
    return response


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keys", ["key", "temporary"])
async def test_a_signed_request_is_let_in_and_arrives_as_it_was(
    kind: str, keys: str, emulated: Emulated, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    api = emulated.apis[kind]
    use(monkeypatch, getattr(api, keys))
    async with through(api, tmp_path) as way:
        response = await answered(way)
    assert (response.status, response.fault) == (200, "")
    assert json.loads(response.body)["message"] == "all done"
    [seen] = emulated.service.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/api/v1/deploy", a_request().body)
    assert seen.headers["idempotency-key"] == "01HZ"
    assert seen.headers["tidegate-identity"] == "eyJh.eyJi.c2ln"


@pytest.mark.parametrize("kind", KINDS)
async def test_what_the_policies_do_not_name_is_kept_out(
    kind: str, emulated: Emulated, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    api = emulated.apis[kind]
    use(monkeypatch, api.key)
    async with through(api, tmp_path) as way:
        found = [
            await answered(way, request)
            for request in (a_request(path="/admin"), a_request(method="PUT"))
        ]
    use(monkeypatch, api.narrow)
    async with through(api, tmp_path) as way:
        found.append(await answered(way))
    assert [response.status for response in found] == [403, 403, 403]
    assert {response.fault for response in found} <= {"not_permitted", "edge_forbidden"}
    assert emulated.service.seen == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_signature_that_is_wrong_is_refused(
    kind: str, emulated: Emulated, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    api = emulated.apis[kind]
    forged = Credentials(access_key=api.key.access_key, secret_key=NOBODY.secret_key)
    for key, changes in ((forged, {}), (NOBODY, {}), (api.key, {"region": "us-east-1"})):
        use(monkeypatch, key)
        async with through(api, tmp_path, **changes) as way:
            response = await answered(way)
        assert response.status == 403
        assert response.fault
    assert emulated.service.seen == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_role_is_assumed_with_its_external_id_and_not_without(
    kind: str, emulated: Emulated, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    api = emulated.apis[kind]
    use(monkeypatch, api.narrow)
    role = {"assume_role": emulated.role}
    async with through(api, tmp_path, **role, external_id="acme-43") as way:
        assert await way.upstream.send(a_request()) == NotSent(reason="credentials")
    assert emulated.service.seen == []
    async with through(api, tmp_path, **role, external_id=EXTERNAL_ID) as way:
        assert (await answered(way)).status == 200
    assert len(emulated.service.seen) == 1


@pytest.mark.parametrize("permitted", [True, False])
async def test_a_token_is_issued_to_whoever_may_have_one(
    permitted: bool, emulated: Emulated, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    api = emulated.apis["http"]
    use(monkeypatch, api.key if permitted else api.narrow)
    auth = {"type": "web_identity", "audience": "agent", "region": REGION, "endpoint_url": api.url}
    configuration = {"type": "direct", "url": emulated.service.url, "auth": auth}
    way, log = open_way(configuration, tmp_path)
    response = await way.upstream.send(a_request())
    await way.upstream.close()
    if permitted:
        assert isinstance(response, Answered)
        assert emulated.service.seen[0].headers["authorization"].startswith("Bearer eyJ")
    else:
        assert response == NotSent(reason="token")
        assert "Allow sts:GetWebIdentityToken" in log.getvalue()
