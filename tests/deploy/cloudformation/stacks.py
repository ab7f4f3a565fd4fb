"""Stacks as people would have them: parameters that go together, for the tests to try."""

from collections.abc import Mapping
from typing import Any, Final

from tests.deploy.cloudformation.rendering import ACCOUNT, REGION, Stack
from tests.deploy.cloudformation.templates import named

_SUBNETS: Final = "subnet-0a1b2c3d4e5f60718,subnet-0a1b2c3d4e5f60719"
_ELB: Final = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}"
_SECRET: Final = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:tidegate"
LOG_BUCKET: Final = "acme-reports-logs"
CERTIFICATE: Final = (
    f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/0a1b2c3d-0000-4000-8000-000000000000"
)
SLACK_SECRET: Final = f"{_SECRET}/slack-AbCdEf"
IDENTITY_SECRET: Final = f"{_SECRET}/identity-AbCdEf"
DATABASE_SECRET: Final = f"{_SECRET}-db-AbCdEf"
CLOUDFRONT_SECRET: Final = f"{_SECRET}/cloudfront-AbCdEf"
CI_SECRET: Final = f"{_SECRET}/ci-token-AbCdEf"
QUEUE: Final = f"arn:aws:sqs:{REGION}:{ACCOUNT}:tidegate-arrivals"
DEAD_LETTERS: Final = f"{QUEUE}-dead"
KEY: Final = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0a1b2c3d-0000-4000-8000-000000000000"
INVOKE: Final = f"arn:aws:iam::{ACCOUNT}:policy/tidegate-invoke"
ELSEWHERE: Final = "arn:aws:iam::210987654321:role/tidegate-invoke"
GATEWAY_ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/tidegate-gateway"
GITHUB: Final = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
PUBLIC_KEY: Final = "-----BEGIN PUBLIC KEY-----\nMFkwEwYH\n-----END PUBLIC KEY-----"

#: By template, what has no default.
NEEDED: Final[Mapping[str, Mapping[str, str]]] = {
    "alarm-topic": {},
    "vpc": {},
    "network": {
        "VpcId": "vpc-0a1b2c3d4e5f60718",
        "SubnetIds": _SUBNETS,
        "RouteTableIds": "rtb-0a1b2c3d4e5f60718",
    },
    "load-balancer": {
        "VpcId": "vpc-0a1b2c3d4e5f60718",
        "SubnetIds": _SUBNETS,
        "AgentSecurityGroupId": "sg-0a1b2c3d4e5f60718",
        "CertificateArn": CERTIFICATE,
    },
    "pathway-api-gateway": {
        "VpcId": "vpc-0a1b2c3d4e5f60718",
        "SubnetIds": _SUBNETS,
        "ListenerArn": f"{_ELB}:listener/app/tidegate-agent/0123456789abcdef/0123456789abcdef",
        "LoadBalancerSecurityGroupId": "sg-0a1b2c3d4e5f60719",
        "ServerName": "agent.example.com",
    },
    "pathway-api-gateway-rest": {
        "VpcId": "vpc-0a1b2c3d4e5f60718",
        "SubnetIds": _SUBNETS,
        "LoadBalancerArn": f"{_ELB}:loadbalancer/app/tidegate-agent/0123456789abcdef",
        "ListenerArn": f"{_ELB}:listener/app/tidegate-agent/0123456789abcdef/0123456789abcdef",
        "TargetGroupArn": f"{_ELB}:targetgroup/tidegate-agent/0123456789abcdef",
        "LoadBalancerSecurityGroupId": "sg-0a1b2c3d4e5f60719",
        "ServerName": "agent.example.com",
        "CallerArns": GATEWAY_ROLE,
    },
    "privatelink-service": {
        "LoadBalancerArn": f"{_ELB}:loadbalancer/net/tidegate-agent/0123456789abcdef",
        "AllowedPrincipalArns": "arn:aws:iam::210987654321:root",
    },
    "pathway-privatelink": {
        "VpcId": "vpc-0a1b2c3d4e5f60718",
        "SubnetIds": _SUBNETS,
        "EndpointServiceName": f"com.amazonaws.vpce.{REGION}.vpce-svc-0a1b2c3d4e5f60718",
        "ServerName": "agent.example.com",
        "GatewaySecurityGroupId": "sg-0a1b2c3d4e5f60717",
    },
    "storage": {"BucketName": "acme-reports"},
    "secrets": {},
    "database": {
        "VpcId": "vpc-0a1b2c3d4e5f60718",
        "SubnetIds": _SUBNETS,
        "GatewaySecurityGroupId": "sg-0a1b2c3d4e5f60717",
    },
    "iam": {"SlackSecretArn": SLACK_SECRET, "IdentitySecretArn": IDENTITY_SECRET},
    "slack-ingress": {
        "VpcId": "vpc-0a1b2c3d4e5f60718",
        "PublicSubnetIds": _SUBNETS,
        "GatewaySecurityGroupId": "sg-0a1b2c3d4e5f60717",
        "CertificateArn": CERTIFICATE,
        "AccessLogBucketName": LOG_BUCKET,
    },
    "pathway-direct": {
        "SubnetIds": _SUBNETS,
        "GatewaySecurityGroupId": "sg-0a1b2c3d4e5f60717",
        "ImageRepository": "tidegate-gateway",
        "ImageDigest": "sha256:" + "a" * 64,
        "FilesSecretArn": f"{_SECRET}/files-AbCdEf",
        "GatewayRoleArn": GATEWAY_ROLE,
    },
    "pathway-direct-apprunner": {
        "SubnetIds": _SUBNETS,
        "GatewaySecurityGroupId": "sg-0a1b2c3d4e5f60717",
        "ImageRepository": "tidegate-gateway",
        "ImageDigest": "sha256:" + "a" * 64,
        "GatewayRoleArn": GATEWAY_ROLE,
    },
    "observability": {"LogGroupName": "/tidegate/gateway"},
}

#: What AWS would call some of the things that are made.
MADE_UP: Final[Mapping[str, Mapping[str, Any]]] = {
    "slack-ingress": {"TargetGroup": f"{_ELB}:targetgroup/tidegate-slack/0123456789abcdef"},
    "load-balancer": {
        "TargetGroup": f"{_ELB}:targetgroup/tidegate-agent/0123456789abcdef",
        "LoadBalancer.DNSName": "internal-tidegate-agent-1.eu-west-1.elb.amazonaws.com",
    },
    "network": {
        "ExecuteApi.DnsEntries": [
            "Z38GZ743OKFT7T:vpce-0a1b-2c3d.execute-api.eu-west-1.vpce.amazonaws.com"
        ]
    },
    "pathway-api-gateway": {
        "Api": "abc123",
        "InvokeRole.Arn": "arn:aws:iam::123456789012:role/tidegate-InvokeRole",
    },
    "pathway-api-gateway-rest": {"Api": "def456"},
    "pathway-privatelink": {
        "Endpoint.DnsEntries": [
            "Z38GZ743OKFT7T:vpce-0a1b-2c3d.vpce-svc-0e4f.eu-west-1.vpce.amazonaws.com"
        ]
    },
    "storage": {
        "Queue": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/tidegate-arrivals",
        "DeadLetters": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/tidegate-arrivals-dead",
        "Distribution.DomainName": "d111111abcdef8.cloudfront.net",
        "PublicKey": "K2JCJMDEHXQW5F",
    },
    "secrets": {"SlackSecret": SLACK_SECRET, "IdentitySecret": IDENTITY_SECRET},
    "database": {
        "Database.Endpoint.Address": "tidegate.abc.eu-west-1.rds.amazonaws.com",
        "Database.MasterUserSecret.SecretArn": DATABASE_SECRET,
    },
}


def stack(name: str, **parameters: str) -> Stack:
    """Return a template with what it needs, and what differs from the defaults."""
    return Stack(named(name), {**NEEDED[name], **parameters}, MADE_UP.get(name, {}))
