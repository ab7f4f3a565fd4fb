"""HTTP APIs, REST APIs and private REST APIs: the words, stages, routes and names of each."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.dev.edge_stage import KEYS, Stage, staged
from tidegate_dev.edge import (
    CustomDomain,
    EdgeConfig,
    InterfaceEndpoint,
    Permission,
    Route,
    Statement,
    edge_app,
)

ANYTHING = (Permission(method="*", path="/*"),)
OWN = "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"
NOT_FOUND = {"message": "Not Found"}
FORBIDDEN = {"message": "Forbidden"}
UNAVAILABLE = {"message": "Service Unavailable"}
BROKEN = {"message": "Internal server error"}
UNSIGNED = {"message": "Missing Authentication Token"}


def paths(stage: Stage) -> list[str]:
    return [scope["raw_path"].decode() for scope, _ in stage.service.requests]


# What each kind says


#: A fault, what an HTTP API says then, what a REST API does, and the error that it names.
WORDS = [
    ("unsigned", (403, FORBIDDEN), (403, UNSIGNED), "MissingAuthenticationTokenException"),
    ("wrong_stage", (404, NOT_FOUND), (403, FORBIDDEN), "ForbiddenException"),
    ("unknown_route", (404, NOT_FOUND), (403, UNSIGNED), "MissingAuthenticationTokenException"),
    ("endpoint_disabled", (404, NOT_FOUND), (403, FORBIDDEN), "ForbiddenException"),
    (
        "throttle",
        (429, {"message": "Too Many Requests"}),
        (429, {"message": "Too Many Requests"}),
        "TooManyRequestsException",
    ),
    ("vpc_link_pending", (503, UNAVAILABLE), (500, BROKEN), "InternalServerErrorException"),
    ("vpc_link_inactive", (503, UNAVAILABLE), (500, BROKEN), "InternalServerErrorException"),
    (
        "vpc_link_failed",
        (500, {"message": "Internal Server Error"}),
        (500, BROKEN),
        "InternalServerErrorException",
    ),
    (
        "backend_tls",
        (500, {"message": "Internal Server Error"}),
        (500, BROKEN),
        "InternalServerErrorException",
    ),
    ("integration_down", (503, UNAVAILABLE), (500, BROKEN), "InternalServerErrorException"),
    (
        "integration_timeout",
        (504, {"message": "Endpoint request timed out"}),
        (504, {"message": "Endpoint request timed out"}),
        "InternalServerErrorException",
    ),
]


async def test_each_kind_refuses_in_its_own_words() -> None:
    async with staged() as http, staged(kind="rest") as rest:
        for fault, *told, error_type in WORDS:
            for stage, path, right in zip(
                (http, rest), ("/api/v1/x", "/prod/api/v1/x"), told, strict=True
            ):
                stage.edge.set_fault(fault, True)
                status, answer, headers = await stage.send(*stage.ours(path))
                stage.edge.set_fault(fault, False)
                assert (status, answer) == right, fault
                named = headers.get("x-amzn-errortype")
                assert named == (error_type if stage is rest else None), fault
                assert stage.seen[-1].forwarded is (fault == "integration_timeout")


#: A fault, the error that either kind names then, and how its words begin.
NOT_BELIEVED = [
    ("bad_signature", "InvalidSignatureException", "The request signature we calculated"),
    ("clock_skew", "InvalidSignatureException", "Signature expired: "),
    ("wrong_region", "InvalidSignatureException", "Credential should be scoped to a valid"),
    ("unknown_key", "UnrecognizedClientException", "The security token included in the"),
    ("expired_token", "ExpiredTokenException", "The security token included in the request is"),
]


async def test_a_signature_that_does_not_hold_is_named_by_either_kind() -> None:
    async with staged() as http, staged(kind="rest") as rest:
        for fault, error_type, told in NOT_BELIEVED:
            for stage, path in ((http, "/api/v1/x"), (rest, "/prod/api/v1/x")):
                stage.edge.set_fault(fault, True)
                status, answer, headers = await stage.send(*stage.ours(path))
                stage.edge.set_fault(fault, False)
                assert (status, headers["x-amzn-errortype"]) == (403, error_type), fault
                assert answer["message"].startswith(told), fault


async def test_a_rest_api_tells_what_it_would_have_signed_and_so_the_token() -> None:
    async with staged(kind="rest") as stage:
        method, url, headers, _ = stage.ours("/prod/api/v1/x")
        _, answer, _ = await stage.send(method, url, headers, b"tampered")
        assert (
            "The Canonical String for this request should have been\n'POST\n" in (answer["message"])
        )
        assert f"x-amz-security-token:{KEYS.session_token}" in answer["message"]
        # … which whoever looks at the exchange does not get to see.
        assert str(KEYS.session_token) not in str(stage.seen[-1].to_dict())
        assert stage.seen[-1].message.endswith("for details.")


async def test_a_denial_of_a_rest_api_has_a_capital_and_hides_the_account() -> None:
    async with staged(kind="rest", permissions=()) as stage:
        status, answer, headers = await stage.send(*stage.ours("/prod/api/v1/x"))
        assert (status, headers["x-amzn-errortype"]) == (403, "AccessDeniedException")
        assert answer == {
            "Message": f"User: {KEYS.principal} is not authorized to perform: execute-api:Invoke "
            "on resource: arn:aws:execute-api:eu-west-1:********9012:a1b2c3d4e5/prod/POST/api/v1/x "
            "because no identity-based policy allows the execute-api:Invoke action"
        }


async def test_each_kind_numbers_its_answers_in_its_own_header() -> None:
    async with staged() as http, staged(kind="rest") as rest:
        _, _, headers = await http.send(*http.ours())
        assert headers["apigw-requestid"] == http.seen[-1].request_id
        assert "x-amzn-requestid" not in headers
        _, _, headers = await rest.send(*rest.ours("/prod/api/v1/deploy"))
        assert headers["x-amzn-requestid"] == rest.seen[-1].request_id
        assert headers["x-amz-apigw-id"]
        assert "apigw-requestid" not in headers


async def test_a_rest_api_says_in_plain_text_that_a_body_is_too_large() -> None:
    async with staged(kind="rest", max_body_bytes=1000) as stage:
        method, url, headers, body = stage.ours("/prod/api/v1/x", body=b"x" * 1001)
        async with stage.client.request(method, url, headers=headers, data=body) as response:
            assert response.status == 413
            assert response.content_type == "text/plain"
            assert await response.text() == "HTTP content length exceeded 10485760 bytes."


async def test_an_http_api_may_say_no_more_than_forbidden() -> None:
    async with staged(terse=True) as stage:
        for fault in ("bad_signature", "clock_skew", "expired_token", "not_permitted"):
            stage.edge.set_fault(fault, True)
            assert await stage.ask() == (403, FORBIDDEN)
            stage.edge.set_fault(fault, False)
        assert (await stage.ask())[0] == 202


async def test_a_service_that_takes_too_long_may_look_like_one_that_is_not_there() -> None:
    async with staged(integration_timeout_seconds=0.1, timeout_status=503) as stage:
        stage.service.may_answer.clear()
        assert await stage.ask() == (503, UNAVAILABLE)
        assert stage.seen[-1].verdict == "IntegrationTimeout"
        assert stage.seen[-1].forwarded


async def test_a_rest_api_keeps_some_of_the_services_headers_for_itself() -> None:
    async with staged(kind="rest") as stage:
        stage.service.answer_headers = [
            (b"content-type", b"application/json"),
            (b"server", b"agent"),
            (b"location", b"/prod/api/v1/operations/1"),
        ]
        _, _, headers = await stage.send(*stage.ours("/prod/api/v1/x"))
        assert headers["x-amzn-Remapped-Server"] == "agent"
        assert headers["Location"] == "/prod/api/v1/operations/1"
        assert "Server" not in headers


# Stages, routes, domains


async def test_a_named_stage_is_in_the_path_that_the_service_gets() -> None:
    async with staged(stage="prod", permissions=ANYTHING) as stage:
        assert (await stage.ask("/prod/api/v1/deploy"))[0] == 202
        assert (await stage.ask("/prod"))[0] == 202
        for elsewhere in ("/api/v1/deploy", "/production/api/v1/deploy", "/", "/dev/x"):
            assert await stage.ask(elsewhere) == (404, NOT_FOUND)
        assert paths(stage) == ["/prod/api/v1/deploy", "/prod/"]


async def test_a_named_stage_is_left_out_where_the_path_is_overwritten() -> None:
    async with staged(stage="prod", overwrite_path=True) as stage:
        assert (await stage.ask("/prod/api/v1/deploy"))[0] == 202
        assert paths(stage) == ["/api/v1/deploy"]


async def test_a_statement_names_the_stage() -> None:
    arn = "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5"
    session = "arn:aws:sts::*:assumed-role/tidegate-gateway/*"
    policies = {
        session: (
            Statement(resource=f"{arn}/prod/POST/api/v1/*"),
            Statement(effect="Deny", resource=f"{arn}/*/POST/api/v1/scale"),
        ),
        "arn:aws:sts::*:assumed-role/another/*": (Statement(),),
    }
    async with staged(stage="prod", permissions=(), policies=policies) as stage:
        assert (await stage.ask("/prod/api/v1/deploy"))[0] == 202
        status, answer = await stage.ask("/prod/api/v1/scale")
        assert status == 403
        assert answer["message"].endswith("with an explicit deny in an identity-based policy")
        for method, path in (("GET", "/prod/api/v1/x"), ("POST", "/prod/api/v2/x")):
            status, answer = await stage.ask(path, method=method)
            assert status == 403
            assert answer["message"].endswith(
                "because no identity-based policy allows the execute-api:Invoke action"
            )
    async with staged(stage="dev", permissions=(), policies=policies) as stage:
        assert (await stage.ask("/dev/api/v1/deploy"))[0] == 403


async def test_of_two_routes_the_closer_one_is_taken() -> None:
    routes = (
        Route(key="ANY /api/{proxy+}"),
        Route(key="POST /api/v1/deploy", auth="NONE"),
        Route(key="GET /api/v1/{name}"),
    )
    async with staged(routes=routes, permissions=ANYTHING) as stage:
        method, url, _, body = stage.ours("/api/v1/deploy")
        assert (await stage.send(method, url, {}, body))[0] == 202
        for method, path in (("PUT", "/api/v1/deploy"), ("GET", "/api/v1/x"), ("GET", "/api/x/y")):
            assert (await stage.send(method, stage.url + path, {}, b""))[0] == 403
            assert (await stage.ask(path, method=method))[0] == 202
        for path in ("/api", "/api/", "/other", "/"):
            assert await stage.ask(path) == (404, NOT_FOUND)


async def test_a_domain_leads_to_the_stage_and_keeps_its_base_path_to_itself() -> None:
    domain = CustomDomain(name="deploys.acme.io", base_path="ops")
    changes = {"domains": (domain,), "stage": "prod", "default_endpoint": False}
    host = {"Host": "deploys.acme.io"}
    async with staged(**changes) as stage:
        assert (await stage.ask("/ops/api/v1/deploy", headers=host))[0] == 202
        assert paths(stage) == ["/prod/api/v1/deploy"]
        assert await stage.ask("/api/v1/deploy", headers=host) == (404, NOT_FOUND)
        assert await stage.ask("/opsx/api/v1/deploy", headers=host) == (404, NOT_FOUND)
        # By the name that API Gateway gave it, it no longer answers.
        assert await stage.ask("/prod/api/v1/deploy") == (404, NOT_FOUND)
    async with staged(kind="rest", **changes) as stage:
        assert (await stage.ask("/ops/api/v1/deploy", headers=host))[0] == 202
        assert await stage.ask("/api/v1/deploy", headers=host) == (403, FORBIDDEN)
        assert await stage.ask("/prod/api/v1/deploy") == (403, FORBIDDEN)


async def test_a_host_that_is_nobodys_is_forbidden_where_that_is_asked_for() -> None:
    async with staged(strict_host=True) as stage:
        assert (await stage.ask(headers={"Host": OWN}))[0] == 202
        assert (await stage.ask())[0] == 202
        for other in ("zzz.execute-api.eu-west-1.amazonaws.com", "acme.io", "127.0.0.1.acme.io"):
            assert await stage.ask(headers={"Host": other}) == (403, FORBIDDEN)
        assert stage.edge.hosts == {OWN}


# Private


ENDPOINT = InterfaceEndpoint(id="vpce-0aaa", suffix="zz")
BY_ENDPOINT = "vpce-0aaa-zz.execute-api.eu-west-1.vpce.amazonaws.com"


async def test_a_private_domain_leads_to_a_private_api() -> None:
    domain = CustomDomain(name="deploys.acme.internal")
    async with staged(kind="private_rest", endpoint=ENDPOINT, domains=(domain,)) as stage:
        host = {"Host": "deploys.acme.internal"}
        assert (await stage.ask("/api/v1/deploy", headers=host))[0] == 202
        assert paths(stage) == ["/prod/api/v1/deploy"]


#: What names the API, and whether that is enough.
NAMES: list[tuple[dict[str, str], bool]] = [
    ({"Host": OWN}, True),
    ({"Host": OWN.upper()}, True),
    ({"Host": BY_ENDPOINT, "x-apigw-api-id": "a1b2c3d4e5"}, True),
    ({"Host": "a1b2c3d4e5-vpce-0aaa.execute-api.eu-west-1.amazonaws.com"}, True),
    ({"Host": BY_ENDPOINT}, False),
    ({"Host": BY_ENDPOINT, "x-apigw-api-id": "zzz"}, False),
    ({"Host": "zzz.execute-api.eu-west-1.amazonaws.com"}, False),
    ({"Host": "zzz.execute-api.eu-west-1.amazonaws.com", "x-apigw-api-id": "zzz"}, False),
    ({}, False),
]


async def test_a_private_api_is_found_by_its_names_alone() -> None:
    async with staged(kind="private_rest", endpoint=ENDPOINT) as stage:
        for headers, admitted in NAMES:
            request = stage.ours("/prod/api/v1/deploy", headers=headers)
            status, answer, answered = await stage.send(*request)
            if admitted:
                assert status == 202, headers
            else:
                assert (status, answer) == (403, FORBIDDEN), headers
                assert answered["x-amzn-errortype"] == "ForbiddenException"
                assert stage.seen[-1].verdict == "UnknownHost"


async def test_the_host_that_is_sent_has_to_be_the_one_that_was_signed() -> None:
    named = {"Host": BY_ENDPOINT, "x-apigw-api-id": "a1b2c3d4e5"}
    async with staged(kind="private_rest", endpoint=ENDPOINT) as stage:
        assert (await stage.ask("/prod/api/v1/deploy", headers=named))[0] == 202
        method, url, headers, body = stage.ours("/prod/api/v1/deploy", headers={"Host": OWN})
        status, _, answered = await stage.send(method, url, {**headers, **named}, body)
        assert (status, answered["x-amzn-errortype"]) == (403, "InvalidSignatureException")


def test_the_apis_own_name_leads_to_the_endpoint_only_with_private_dns() -> None:
    def hosts(private_dns: bool) -> frozenset[str]:
        endpoint = replace(ENDPOINT, private_dns=private_dns)
        config = EdgeConfig(
            integration_url="http://x", keys={}, kind="private_rest", endpoint=endpoint
        )
        return edge_app(config).hosts

    alias = "a1b2c3d4e5-vpce-0aaa.execute-api.eu-west-1.amazonaws.com"
    assert hosts(True) == {OWN, BY_ENDPOINT, alias}
    assert hosts(False) == {BY_ENDPOINT, alias}


@pytest.mark.parametrize(
    ("policy", "permissions", "told"),
    [
        (
            (Statement(source_vpce=("vpce-0aaa",)),),
            (),
            "",
        ),
        (
            (Statement(resource="execute-api:/prod/POST/*", source_vpce=("vpce-0aaa",)),),
            (),
            "",
        ),
        (
            (Statement(resource="execute-api:/dev/*"),),
            (),
            "because no identity-based policy allows the execute-api:Invoke action",
        ),
        (
            (Statement(effect="Deny", not_source_vpce=("vpce-0bbb",)),),
            ANYTHING,
            "with an explicit deny in a resource-based policy",
        ),
        (
            (Statement(principal="arn:aws:iam::999999999999:*"),),
            (),
            "because no identity-based policy allows the execute-api:Invoke action",
        ),
    ],
)
async def test_the_policy_of_an_api_says_by_which_endpoint(
    policy: tuple[Statement, ...], permissions: tuple[Permission, ...], told: str
) -> None:
    changes = {"resource_policy": policy, "permissions": permissions}
    async with staged(kind="private_rest", endpoint=ENDPOINT, **changes) as stage:
        status, answer = await stage.ask("/prod/api/v1/x", headers={"Host": OWN})
        assert status == (403 if told else 202)
        assert answer.get("Message", "").endswith(told)


# What cannot be deployed


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"kind": "rest", "stage": "$default"}, "no \\$default stage"),
        ({"kind": "rest", "routes": (Route(key="$default"),)}, "no \\$default route"),
        ({"resource_policy": ()}, "no resource policy"),
        ({"integration_timeout_seconds": 31.0}, "0.05 to 30 seconds"),
        ({"kind": "rest", "integration_timeout_seconds": 301.0}, "0.05 to 300 seconds"),
        ({"integration_uri": "http://internal-nlb.elb.amazonaws.com/api"}, "leads to no"),
        ({"kind": "rest", "integration_uri": "arn:aws:elasticloadbalancing:x"}, "leads to no"),
    ],
)
def test_what_api_gateway_would_not_deploy_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        EdgeConfig(**({"integration_url": "http://x", "keys": {}} | changes))


def test_what_a_vpc_link_leads_to_is_a_listener_or_a_cloud_map_service() -> None:
    balancer = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener"
    for uri in (
        f"{balancer}/app/agent/50dc6c495c0c9188/f2f7dc8efc522ab2",
        f"{balancer}/net/agent/50dc6c495c0c9188/f2f7dc8efc522ab2",
        "arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-abc123",
    ):
        EdgeConfig(integration_url="http://x", keys={}, integration_uri=uri)
    EdgeConfig(
        integration_url="http://x", keys={}, kind="rest", integration_uri="https://agent:443/api"
    )


def test_an_http_api_waits_for_30_seconds_and_a_rest_api_for_29() -> None:
    def seconds(**changes: Any) -> float:
        return EdgeConfig(integration_url="http://x", keys={}, **changes).timeout_seconds

    assert (seconds(), seconds(kind="rest"), seconds(kind="private_rest")) == (30.0, 29.0, 29.0)


def test_a_key_of_a_route_has_a_method_and_a_path() -> None:
    with pytest.raises(ValueError, match="no route key"):
        Route(key="/api/v1/deploy")


async def test_keys_end_when_they_end() -> None:
    ends = replace(KEYS, expires_at=(datetime.now(UTC) + timedelta(hours=1)).timestamp())
    async with staged(keys={KEYS.access_key: ends}) as stage:
        assert (await stage.ask())[0] == 202
        ended = replace(KEYS, expires_at=datetime.now(UTC).timestamp())
        stage.edge.config.keys[KEYS.access_key] = ended  # type: ignore[index]
        status, answer = await stage.ask()
        assert (status, answer["message"]) == (
            403,
            "The security token included in the request is expired",
        )
