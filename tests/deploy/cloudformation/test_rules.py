"""Parameters that do not go together, or cannot be right, are refused before anything is made."""

import re
from typing import Any, Final

import pytest

from tests.deploy.cloudformation import stacks
from tests.deploy.cloudformation.stacks import stack
from tests.deploy.cloudformation.templates import NAMES, named

_CLUSTER: Final = "arn:aws:eks:eu-west-1:123456789012:cluster/acme"
_ISSUER: Final = "https://abc123.tokens.sts.global.api.aws"
_VPCE: Final = "vpce-0a1b-2c3d.execute-api.eu-west-1.vpce.amazonaws.com"

#: Template, parameters, and a piece of what is said about them.
TOGETHER: Final[tuple[tuple[str, dict[str, str], str], ...]] = (
    ("iam", {"Platform": "eks"}, "EksClusterArn is needed"),
    (
        "iam",
        {"Platform": "eks", "EksClusterArn": _CLUSTER, "SplitWorker": "yes"},
        "SplitWorker has to be no",
    ),
    ("iam", {"CiOidcProviderArn": stacks.GITHUB}, "every workflow on GitHub"),
    ("iam", {"DeadLetterArn": stacks.DEAD_LETTERS}, "belongs to QueueArn"),
    ("network", {"ExecuteApiPrivateDns": "yes"}, "ExecuteApiEndpoint has to be yes"),
    (
        "load-balancer",
        {
            "LoadBalancerType": "network",
            "TokenIssuer": _ISSUER,
            "TokenSubject": stacks.GATEWAY_ROLE,
        },
        "does not look at tokens",
    ),
    ("load-balancer", {"TokenIssuer": _ISSUER}, "name whose is taken"),
    (
        "pathway-api-gateway",
        {"TrustedPrincipalArn": "arn:aws:iam::210987654321:role/gateway"},
        "has to name an ExternalId",
    ),
    ("pathway-api-gateway-rest", {"EndpointType": "PRIVATE"}, "name at least one"),
    ("pathway-api-gateway-rest", {"VpcEndpointDnsName": _VPCE}, "is for a PRIVATE API"),
)

#: Template, parameter, and what somebody may take for a value of it.
WRONG: Final = (
    ("pathway-api-gateway", "ListenerArn", "http://internal-x.eu-west-1.elb.amazonaws.com/api"),
    ("pathway-api-gateway", "ListenerArn", stacks.NEEDED["privatelink-service"]["LoadBalancerArn"]),
    ("pathway-api-gateway", "ServerName", "https://agent.example.com"),
    ("pathway-api-gateway", "ServerName", "agent.example.com:443"),
    ("pathway-api-gateway-rest", "LoadBalancerArn", "arn:aws:elasticloadbalancing:eu-west-1:1:x"),
    ("pathway-api-gateway-rest", "CallerArns", "*"),
    ("pathway-api-gateway-rest", "StageName", "prod/v1"),
    ("privatelink-service", "AllowedPrincipalArns", "*"),
    (
        "privatelink-service",
        "LoadBalancerArn",
        stacks.NEEDED["pathway-api-gateway-rest"]["LoadBalancerArn"],
    ),
    ("pathway-direct", "ImageDigest", "latest"),
    ("pathway-direct", "ImageRepository", "registry.example.com/tidegate:1.0"),
    ("pathway-direct", "ProbeSchedule", "daily"),
    ("pathway-direct", "GatewayRoleArn", "tidegate-gateway"),
    ("storage", "BucketName", "Acme.Reports"),
    ("storage", "Prefix", "/q3/"),
    ("storage", "Prefix", "q3"),
    ("storage", "Prefix", "q3/*/"),
    ("storage", "CloudFrontPublicKey", "-----BEGIN RSA PRIVATE KEY-----"),
    ("storage", "CloudFrontPublicKey", f"{stacks.PUBLIC_KEY}\n"),
    ("iam", "CiSubject", "repo:acme/*:*"),
    ("iam", "SlackSecretArn", "tidegate/slack"),
    ("load-balancer", "CertificateArn", "arn:aws:iam::123456789012:server-certificate/x"),
    ("load-balancer", "TokenIssuer", "http://abc123.tokens.sts.global.api.aws"),
    ("network", "RouteTableIds", "subnet-0a1b2c3d"),
    ("network", "BucketArns", "arn:aws:s3:::acme/*"),
    ("vpc", "Cidr", "10.0.0.0/8"),
)


@pytest.mark.parametrize(("name", "parameters", "said"), TOGETHER)
def test_what_does_not_go_together_is_refused(
    name: str, parameters: dict[str, str], said: str
) -> None:
    (broken,) = stack(name, **parameters).rules_broken()
    assert said in broken


def test_every_rule_was_tried() -> None:
    every = {
        assertion["AssertDescription"]
        for name in NAMES
        for rule in named(name).data.get("Rules", {}).values()
        for assertion in rule["Assertions"]
    }
    tried = {
        broken for name, given, _ in TOGETHER for broken in stack(name, **given).rules_broken()
    }
    assert tried == every


@pytest.mark.parametrize(("name", "parameter", "value"), WRONG)
def test_what_cannot_be_right_is_refused(name: str, parameter: str, value: str) -> None:
    said: dict[str, Any] = named(name).parameters[parameter]
    assert not re.fullmatch(said["AllowedPattern"], value, re.DOTALL)
    assert said["ConstraintDescription"]
