"""The stacks that a pathway is made of, in order, with the parameters of each.

What the templates in deploy/cloudformation are called, and their parameters and outputs, is known
here by name: an installed Tidegate has no templates beside it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from tidegate.core.blueprint.answers import Answers, Home, Pathway

#: Stands in a parameter file for what only whoever owns the account knows; AWS refuses it.
OPEN: Final = "REPLACE-ME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What another stack says once it stands."""

    template: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One stack.

    Attributes:
        template: The template's name, without `.yaml`.
        what: What it makes, in a few words.
        known: Parameters whose values follow from the answers.
        open: Parameters that are left to be filled in, and what each is.
        outputs: Parameters that are outputs of stacks before it.
        foreign: It stands in the account and VPC of the cluster, which may be another's.
    """

    template: str
    what: str
    known: Mapping[str, str] = field(default_factory=dict)
    open: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    foreign: bool = False


_SUBNETS: Final = "private subnets of {}, in two availability zones or more, a comma between them"
_GATEWAY_VPC: Final = {
    "VpcId": "the VPC that the gateway runs in",
    "SubnetIds": _SUBNETS.format("the gateway's VPC"),
}
_CLUSTER_VPC: Final = {
    "VpcId": "the cluster's VPC",
    "SubnetIds": _SUBNETS.format("the cluster's VPC"),
}
_SERVER_NAME: Final = "the name in the load balancer's certificate, such as agent.example.com"


def stacks(answers: Answers) -> tuple[Stack, ...]:
    """Return the stacks, each after those whose outputs it takes."""
    if not answers.uses_aws:
        return ()
    return tuple(_filled(answers, stack) for stack in _stacks(answers))


def _stacks(answers: Answers) -> list[Stack]:
    mail = "where alarms are sent; Email=ADDRESS behind it has them mailed"
    found = [Stack(template="alarm-topic", what=mail)]
    if answers.home is Home.ECS:
        found += [_network(), *_way(answers)]
    if answers.bucket is not None:
        found.append(
            Stack(
                template="storage",
                what="the private bucket, and one for logs",
                known={"BucketName": answers.bucket},
                outputs=_outputs("alarm-topic", "AlarmTopicArn"),
            )
        )
    found.append(Stack(template="secrets", what="the places of the secrets"))
    if answers.home is Home.ECS:
        found.append(_database())
    return [*found, _roles(answers)]


def last_stacks(answers: Answers) -> tuple[Stack, ...]:
    """Return the stacks that come when secrets and files are in place: the gateway itself."""
    if answers.home is not Home.ECS:
        return ()
    listed = [_service(answers), _observability(answers)]
    if not answers.socket_mode:
        listed.insert(0, _ingress(answers))
    return tuple(_filled(answers, stack) for stack in listed)


def parameters(answers: Answers, stack: Stack) -> str:
    """Return the parameter file of a stack.

    Source: https://docs.aws.amazon.com/cli/latest/reference/cloudformation/deploy/ and
    create-stack, which take this form
    """
    values = {"Name": answers.name, **stack.known, **dict.fromkeys(stack.open, OPEN)}
    listed = [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]
    return json.dumps(listed, indent=2) + "\n"


def unknown_parameters(answers: Answers) -> tuple[str, ...]:
    """Return those of the given parameters that no stack leaves open."""
    bare = replace(answers, parameters=(), vpc=None, subnets=())
    listed = (*stacks(bare), *last_stacks(bare))
    known = {name for stack in listed for name in stack.open}
    known |= {f"{stack.template}.{name}" for stack in listed for name in stack.open}
    return tuple(name for name, _ in answers.parameters if name not in known)


def _filled(answers: Answers, stack: Stack) -> Stack:
    """Return the stack with what is known by now of what it leaves open."""
    said = dict(answers.parameters)
    given = {name: said.get(name, "") for name in stack.open}
    # Over PrivateLink the cluster is in another VPC than the gateway.
    if not (stack.foreign and answers.pathway is Pathway.PRIVATELINK):
        given["VpcId"] = given.get("VpcId") or answers.vpc or ""
        given["SubnetIds"] = given.get("SubnetIds") or ",".join(answers.subnets)
    given |= {
        name: said[f"{stack.template}.{name}"]
        for name in stack.open
        if f"{stack.template}.{name}" in said
    }
    known = {name: given[name] for name in stack.open if given[name]}
    still = {name: what for name, what in stack.open.items() if name not in known}
    return replace(stack, known={**stack.known, **known}, open=still)


# --- each of them ---------------------------------------------------------------------------


def _network() -> Stack:
    tables = (
        "the route tables of these subnets, a comma between them (nothing, if an endpoint leads "
        "from there to S3 already)"
    )
    return Stack(
        template="network",
        what="security groups, ways to AWS without the internet, flow logs",
        open={**_GATEWAY_VPC, "RouteTableIds": tables},
        outputs=_outputs("alarm-topic", "AlarmTopicArn"),
    )


def _database() -> Stack:
    return Stack(
        template="database",
        what="the database in which every click is written down",
        open=_GATEWAY_VPC,
        outputs=_outputs("network", "GatewaySecurityGroupId"),
    )


def _way(answers: Answers) -> Iterator[Stack]:
    """Yield what leads from the gateway to the agent."""
    network = answers.pathway is Pathway.PRIVATELINK
    direct = answers.pathway is Pathway.DIRECT
    yield Stack(
        template="load-balancer",
        what="the internal load balancer in front of the agent",
        known={"LoadBalancerType": "network" if network else "application"},
        open={
            **_CLUSTER_VPC,
            "CertificateArn": "a certificate in ACM for the name that callers use",
            "AgentSecurityGroupId": "the security group of the cluster's nodes or pods",
            **({"ServerName": _SERVER_NAME} if direct else {}),
        },
        outputs=_outputs("network", "GatewaySecurityGroupId") if direct else {},
        foreign=True,
    )
    match answers.pathway:
        case Pathway.API_GATEWAY:
            yield Stack(
                template="pathway-api-gateway",
                what="an HTTP API that takes signed requests alone, and its VPC link",
                open={**_CLUSTER_VPC, "ServerName": _SERVER_NAME},
                outputs=_outputs("load-balancer", "ListenerArn", "LoadBalancerSecurityGroupId"),
                foreign=True,
            )
        case Pathway.PRIVATELINK:
            yield Stack(
                template="privatelink-service",
                what="the endpoint service: what may be reached from elsewhere",
                open={"AllowedPrincipalArns": "arn:aws:iam::ACCOUNT:root of the gateway's account"},
                outputs=_outputs("load-balancer", "LoadBalancerArn"),
                foreign=True,
            )
            yield Stack(
                template="pathway-privatelink",
                what="the endpoint in the gateway's VPC",
                open={**_GATEWAY_VPC, "ServerName": _SERVER_NAME},
                outputs={
                    **_outputs("privatelink-service", "EndpointServiceName"),
                    **_outputs("network", "GatewaySecurityGroupId"),
                },
            )
        case Pathway.DIRECT:
            return


def _roles(answers: Answers) -> Stack:
    on_ecs = answers.home is Home.ECS
    known = {"Platform": "ecs" if on_ecs else "eks"}
    opened: dict[str, str] = {}
    outputs = _outputs("secrets", "SlackSecretArn", "IdentitySecretArn")
    if on_ecs:
        outputs |= _outputs("database", "DatabaseSecretArn")
    else:
        known |= {"EksNamespace": answers.name, "EksServiceAccount": f"{answers.name}-gateway"}
        opened["EksClusterArn"] = "the cluster's ARN (`aws eks describe-cluster` tells it)"
    if answers.bucket is not None:
        # What the bucket tells of new objects is read only where tidegate.yaml has s3.events.
        known["BucketName"] = answers.bucket
    if answers.pathway is Pathway.API_GATEWAY:
        outputs |= _outputs("pathway-api-gateway", "InvokePolicyArn")
    return Stack(
        template="iam",
        what="the gateway's role, with the least that it needs",
        known=known,
        open=opened,
        outputs=outputs,
    )


def _ingress(answers: Answers) -> Stack:
    opened = {
        "VpcId": _GATEWAY_VPC["VpcId"],
        "PublicSubnetIds": "public subnets of it for the load balancer that Slack calls",
        "CertificateArn": f"a certificate in ACM for {answers.url}",
    }
    outputs = _outputs("network", "GatewaySecurityGroupId")
    if answers.bucket is None:
        opened["AccessLogBucketName"] = (
            "a bucket of this region for the load balancer's access logs, whose policy lets "
            "logdelivery.elasticloadbalancing.amazonaws.com write there"
        )
    else:
        outputs["AccessLogBucketName"] = Output(template="storage", name="LogBucketName")
    return Stack(
        template="slack-ingress",
        what="the public load balancer that takes what Slack sends, and nothing else",
        open=opened,
        outputs=outputs,
    )


def _service(answers: Answers) -> Stack:
    outputs = {
        **_outputs("iam", "GatewayRoleArn"),
        **_outputs("secrets", "FilesSecretArn"),
        **_outputs("network", "GatewaySecurityGroupId"),
    }
    if not answers.socket_mode:
        outputs |= _outputs("slack-ingress", "TargetGroupArn")
    return Stack(
        template="pathway-direct",
        what="the gateway on ECS, which looks over itself once a day",
        # A VPC link that carried nothing for 60 days is asleep for a while.
        # Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-vpc-links.html
        known={"ProbeSchedule": "rate(1 day)"},
        open={
            "SubnetIds": _GATEWAY_VPC["SubnetIds"],
            "ImageRepository": "the name of the ECR repository that the gateway's image is in",
            "ImageDigest": "the image's digest, sha256:…",
        },
        outputs=outputs,
    )


def _observability(answers: Answers) -> Stack:
    outputs = {
        **_outputs("pathway-direct", "LogGroupName"),
        **_outputs("alarm-topic", "AlarmTopicArn"),
    }
    if not answers.socket_mode:
        outputs |= _outputs("slack-ingress", "LoadBalancerFullName")
    if answers.bucket is not None:
        outputs |= _outputs("storage", "QueueName")
    if answers.pathway is Pathway.API_GATEWAY:
        api = "pathway-api-gateway"
        outputs["HttpApiId"] = Output(template=api, name="ApiId")
        outputs["ApiLogGroupName"] = Output(template=api, name="AccessLogGroupName")
    return Stack(template="observability", what="dashboard and alarms", outputs=outputs)


def _outputs(template: str, *names: str) -> dict[str, Output]:
    """Return outputs that are handed on under their own names."""
    return {name: Output(template=template, name=name) for name in names}
