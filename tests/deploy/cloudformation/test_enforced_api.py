"""The HTTP API of the template, made by an emulator from the template itself.

It knows neither VPC links nor listeners, so that nothing stands behind the API: whoever is let in
gets 502. Who is let in is what is tried here.
"""

import copy
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from tests.deploy.cloudformation.calls import Source
from tests.deploy.cloudformation.stacks import NEEDED
from tests.deploy.cloudformation.templates import named
from tests.far_ends.ministack import REGION, ROOT_KEY, client, policy, running, user
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.pathways.execute_api import ExecuteApi
from tidegate.adapters.pathways.transport import Place
from tidegate.core.model import RunId
from tidegate.core.sigv4 import Credentials
from tidegate.ports import Answered, Request

pytestmark = pytest.mark.long

#: What the emulator does not know.
_UNKNOWN: Final = ("AWS::ApiGatewayV2::VpcLink", "AWS::EC2::SecurityGroupIngress")
NAME: Final = "pathway-api-gateway"


@dataclass(frozen=True, slots=True)
class Made:
    """The API.

    Attributes:
        url: The emulator's address.
        api: The API's id.
        caller: Keys of a user with the template's InvokePolicy.
        other: Keys of a user who may do something else.
    """

    url: str
    api: str
    caller: Credentials
    other: Credentials

    @property
    def host(self) -> str:
        """The API's own name."""
        return f"{self.api}.execute-api.localhost:{self.url.rpartition(':')[2]}"


def deployed(url: str) -> dict[str, str]:
    """Make the stack, and return its outputs."""
    body = copy.deepcopy(named(NAME).data)
    for name, resource in list(body["Resources"].items()):
        if resource["Type"] in _UNKNOWN:
            del body["Resources"][name]
    del body["Outputs"]["VpcLinkId"]
    cloudformation = client("cloudformation", url, ROOT_KEY)
    cloudformation.create_stack(
        StackName=NAME,
        TemplateBody=json.dumps(body),
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in NEEDED[NAME].items()
        ],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    found: dict[str, Any] = {}
    for _ in range(100):
        (found,) = cloudformation.describe_stacks(StackName=NAME)["Stacks"]
        if not found["StackStatus"].endswith("IN_PROGRESS"):
            break
        time.sleep(0.1)
    assert found["StackStatus"] == "CREATE_COMPLETE", found
    return {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder: Path = tmp_path_factory.mktemp("api")
    elsewhere = policy(["execute-api:Invoke"], "arn:aws:execute-api:*:*:0123456789/*")
    with running(folder) as url:
        outputs = deployed(url)
        yield Made(
            url=url,
            api=outputs["ApiId"],
            caller=user(url, "caller", {}, outputs["InvokePolicyArn"]),
            other=user(url, "other", {"own": elsewhere}),
        )


async def asked(made: Made, keys: Credentials, method: str, path: str) -> int:
    """Return the status of a request that the product's own pathway signs and sends."""
    pathway = ExecuteApi(
        Place(
            url=f"http://{made.host}",
            connect_to=made.url.removeprefix("http://"),
            timeout_seconds=10,
            concurrency=1,
        ),
        region=REGION,
        service="execute-api",
        credentials=Source(keys),
        clock=SystemClock(),
    )
    request = Request(run_id=RunId("01"), method=method, path=path, body=b"{}")
    answer = await pathway.send(request)
    await pathway.close()
    assert isinstance(answer, Answered), answer
    return answer.status


ROUTES: Final = tuple(
    tuple(str(each["RouteKey"]).replace("{key}", "01HZX").split(" "))
    for _, each in named(NAME).of("ApiGatewayV2::Route")
)


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_who_has_the_policy_is_let_in_by_every_route(
    made: Made, method: str, path: str
) -> None:
    assert await asked(made, made.caller, method, path) == 502


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_nobody_else_is_let_in(made: Made, method: str, path: str) -> None:
    assert await asked(made, made.other, method, path) == 403
    unsigned = {"Host": made.host}
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"{made.url}{path}", headers=unsigned, data=b"{}") as answer,
    ):
        assert answer.status == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/"), ("POST", "/api/v1/exec"), ("GET", "/api/v1/deploy"), ("GET", "/metrics")],
)
async def test_there_is_no_other_route(made: Made, method: str, path: str) -> None:
    assert await asked(made, made.caller, method, path) in (403, 404)
