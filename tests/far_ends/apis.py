"""API Gateways that are not ours: an emulator that verifies signatures and rights.

It has an HTTP API and a REST API, each with IAM on every route, before one service. What it does
otherwise than AWS is written down in `LAXER`.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.far_ends.ministack import REGION, ROOT_KEY, client, policy, running, user
from tidegate.core.sigv4 import Credentials
from tidegate_dev.iam import Statement

_LAXER: Final[Mapping[str, str]] = {
    "another service": "does not look at the service that a signature is for",
    "changed: body longer": "believes `x-amz-content-sha256` and does not look at the body",
    "changed: body shorter": "… the same",
    "changed: body flipped": "… the same",
    "changed: scope end": "does not look at the end of the scope",
    "changed: twice": "looks at one of two signatures",
}
#: What each kind of API lets in there that AWS does not, by the word for the request, and why.
LAXER: Final[Mapping[str, Mapping[str, str]]] = {
    "rest": _LAXER,
    "http": {**_LAXER, "a bearer token": "takes any Authorization that is no signature"},
}
ACCOUNT: Final = "000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """An API that answers.

    Attributes:
        kind: `http` or `rest`.
        id: The API's id.
        url: Where it listens, without a slash at the end.
        host: The `Host` by which it is known.
        stage: The path of its stage; empty where that is `$default`.
        key: May POST to `/api/v1/` and below.
        temporary: A session of a role that may do the same.
        narrow: A good key that may invoke nothing.
    """

    kind: str
    id: str
    url: str
    host: str
    stage: str
    key: Credentials
    temporary: Credentials
    narrow: Credentials


@contextlib.contextmanager
def ministack(folder: Path, service_url: str) -> Iterator[tuple[Api, Api]]:
    """Run ministack before a service while the block does; yield its HTTP API and its REST API."""
    with running(folder, "apigateway", "iam", "sts") as url:
        http = _http_api(url, service_url)
        rest = _rest_api(url, service_url)
        may = [_arn(http, "$default"), _arn(rest, "prod")]
        key = _user(url, "tidegate", may=may)
        temporary = _session(url, key, may=may)
        narrow = _user(url, "narrow", may=["arn:aws:execute-api:*:*:other/*"])
        made: dict[str, Any] = {"key": key, "temporary": temporary, "narrow": narrow, "url": url}
        yield (
            Api(kind="http", id=http, host=_host(http, url), stage="", **made),
            Api(kind="rest", id=rest, host=_host(rest, url), stage="/prod", **made),
        )


def _arn(api: str, stage: str) -> str:
    return f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}/{stage}/POST/api/v1/*"


def statement(api: str, kind: str) -> Statement:
    """Return the same right as the dev workspace's edge has it."""
    arn = _arn(api, "prod" if kind == "rest" else "$default")
    return Statement(resource=arn.replace(ACCOUNT, "*"))


def _host(api: str, url: str) -> str:
    return f"{api}.execute-api.localhost:{url.rpartition(':')[2]}"


def _http_api(url: str, service_url: str) -> str:
    gateway = client("apigatewayv2", url, ROOT_KEY)
    api = str(gateway.create_api(Name="deploys", ProtocolType="HTTP")["ApiId"])
    integration = gateway.create_integration(
        ApiId=api,
        IntegrationType="HTTP_PROXY",
        IntegrationMethod="ANY",
        IntegrationUri=service_url,
        PayloadFormatVersion="1.0",
    )["IntegrationId"]
    gateway.create_route(
        ApiId=api,
        RouteKey="$default",
        AuthorizationType="AWS_IAM",
        Target=f"integrations/{integration}",
    )
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    return api


def _rest_api(url: str, service_url: str) -> str:
    gateway = client("apigateway", url, ROOT_KEY)
    api = str(gateway.create_rest_api(name="deploys")["id"])
    [root] = gateway.get_resources(restApiId=api)["items"]
    proxy = gateway.create_resource(restApiId=api, parentId=root["id"], pathPart="{proxy+}")["id"]
    place: dict[str, Any] = {"restApiId": api, "resourceId": proxy, "httpMethod": "ANY"}
    gateway.put_method(
        **place,
        authorizationType="AWS_IAM",
        requestParameters={"method.request.path.proxy": True},
    )
    gateway.put_integration(
        **place,
        type="HTTP_PROXY",
        integrationHttpMethod="ANY",
        uri=f"{service_url}/{{proxy}}",
        requestParameters={"integration.request.path.proxy": "method.request.path.proxy"},
    )
    gateway.create_deployment(restApiId=api, stageName="prod")
    return api


def _user(url: str, name: str, *, may: list[str]) -> Credentials:
    return user(url, name, {"invoke": _policy(may), "assume": policy(["sts:AssumeRole"])})


def _policy(may: list[str]) -> str:
    return policy(["execute-api:Invoke"], may)


def _session(url: str, key: Credentials, *, may: list[str]) -> Credentials:
    iam = client("iam", url, ROOT_KEY)
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    }
    role = iam.create_role(
        RoleName="tidegate-invoke",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    iam.put_role_policy(
        RoleName="tidegate-invoke", PolicyName="invoke", PolicyDocument=_policy(may)
    )
    found = client("sts", url, key).assume_role(RoleArn=role, RoleSessionName="tidegate")
    given = found["Credentials"]
    return Credentials(
        access_key=given["AccessKeyId"],
        secret_key=given["SecretAccessKey"],
        token=given["SessionToken"],
    )
