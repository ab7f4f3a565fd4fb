"""What the templates say in the end pastes into tidegate.yaml and into the chart's values."""

import json
from typing import Any

import pytest
import yaml

from tests.deploy import chart
from tests.deploy.cloudformation.stacks import NEEDED, PUBLIC_KEY, stack
from tests.deploy.cloudformation.templates import NAMES, named
from tidegate.core.configuration import parse
from tidegate.core.settings import Settings

VPCE = "vpce-0a1b-2c3d.execute-api.eu-west-1.vpce.amazonaws.com"
ISSUER = "https://abc123.tokens.sts.global.api.aws"


def settings(**parts: str) -> Settings:
    """Return a configuration into which outputs were pasted."""
    found: dict[str, Any] = {
        "slack": {
            "bot_token": {"env": "SLACK_BOT_TOKEN"},
            "signing_secrets": [{"env": "SLACK_SIGNING_SECRET"}],
        },
        "store": {"url": "sqlite:////var/lib/tidegate/tidegate.db"},
    }
    for place, text in parts.items():
        *path, last = place.split("__")
        at = found
        for step in path:
            at = at.setdefault(step, {})
        at[last] = {**at.get(last, {}), **yaml.safe_load(text)}
    return parse(yaml.safe_dump(found), source="tidegate.yaml")


@pytest.mark.parametrize("name", NAMES)
def test_a_template_works_with_what_has_no_default_and_nothing_else(name: str) -> None:
    without = {each for each, said in named(name).parameters.items() if "Default" not in said}
    assert without == set(NEEDED[name])
    found = stack(name)
    assert found.rules_broken() == []
    assert found.resources()
    assert all(found.outputs().values())


@pytest.mark.parametrize(
    ("name", "parameters", "wanted"),
    [
        (
            "pathway-api-gateway",
            {},
            {"url": "https://abc123.execute-api.eu-west-1.amazonaws.com", "region": "eu-west-1"},
        ),
        (
            "pathway-api-gateway",
            {
                "TrustedPrincipalArn": "arn:aws:iam::210987654321:role/gateway",
                "ExternalId": "0123456789abcdef",
            },
            {
                "assume_role": "arn:aws:iam::123456789012:role/tidegate-InvokeRole",
                "external_id": "0123456789abcdef",
            },
        ),
        (
            "pathway-api-gateway-rest",
            {"StageName": "prod"},
            {"url": "https://def456.execute-api.eu-west-1.amazonaws.com/prod"},
        ),
        (
            "pathway-api-gateway-rest",
            {"EndpointType": "PRIVATE", "VpcEndpointIds": "vpce-0a1b"},
            {"private_addresses": True, "connect_to": None},
        ),
        (
            "pathway-api-gateway-rest",
            {
                "EndpointType": "PRIVATE",
                "VpcEndpointIds": "vpce-0a1b",
                "VpcEndpointDnsName": VPCE,
            },
            {"private_addresses": True, "connect_to": VPCE},
        ),
        (
            "pathway-privatelink",
            {},
            {
                "url": "https://agent.example.com",
                "connect_to": "vpce-0a1b-2c3d.vpce-svc-0e4f.eu-west-1.vpce.amazonaws.com",
            },
        ),
        (
            "load-balancer",
            {"ServerName": "agent.example.com"},
            {
                "url": "https://agent.example.com",
                "connect_to": "internal-tidegate-agent-1.eu-west-1.elb.amazonaws.com",
            },
        ),
        (
            "load-balancer",
            {
                "ServerName": "agent.example.com",
                "TokenIssuer": ISSUER,
                "TokenSubject": "arn:aws:iam::123456789012:role/tidegate-gateway",
            },
            {"url": "https://agent.example.com"},
        ),
    ],
)
def test_a_pathway_is_one_of_tidegate_yaml(
    name: str, parameters: dict[str, str], wanted: dict[str, object]
) -> None:
    found = stack(name, **parameters)
    assert found.rules_broken() == []
    pathway = settings(pathways__cluster=found.outputs()["Pathway"]).pathways["cluster"]
    for key, value in wanted.items():
        assert getattr(pathway, key) == value, key


def test_secrets_store_and_bucket_are_parts_of_tidegate_yaml() -> None:
    secrets, database = stack("secrets").outputs(), stack("database").outputs()
    storage = stack(
        "storage", Prefix="q3/", MalwareScan="yes", CloudFrontPublicKey=PUBLIC_KEY
    ).outputs()
    bucket = yaml.safe_load(storage["Bucket"])
    bucket["cloudfront"] = {
        "domain": storage["CloudFrontDomain"],
        "key_pair_id": storage["CloudFrontKeyPairId"],
        "private_key": {"file": "cloudfront.pem"},
    }
    events = yaml.safe_load(storage["Events"])
    rule = {"name": "new", "bucket": "reports", "channel": "C0OPS", "mode": "upload"}
    found = settings(
        slack=secrets["Slack"],
        identity=secrets["Identity"],
        store=database["Store"],
        s3=json.dumps(
            {
                "region": "eu-west-1",
                "buckets": {"reports": {**bucket, "channels": ["C0OPS"], "modes": ["upload"]}},
                "events": {**events, "rules": [{**rule, "prefix": "q3/"}]},
            }
        ),
    )
    assert found.s3 is not None
    assert found.s3.buckets["reports"].prefix == "q3/"
    assert found.s3.events is not None
    assert found.s3.events.queue_url == storage["QueueUrl"]
    assert found.store.url.startswith("postgresql://tidegate@tidegate.abc.eu-west-1.rds")


@pytest.mark.parametrize(
    ("name", "part"), [("load-balancer", "agent"), ("slack-ingress", "gateway")]
)
def test_values_bind_the_pods_to_the_target_group(name: str, part: str) -> None:
    values = json.loads(stack(name).outputs()["HelmValues"])
    agent = {**chart.ROLES["agent"], **values.get("agent", {})}
    found = chart.objects({**values, "agent": agent})
    (binding,) = chart.of_kind(found, "TargetGroupBinding")
    assert binding["metadata"]["name"] == f"tidegate-{part}"
    assert binding["spec"]["targetGroupARN"] == values[part]["targetGroupBinding"]["arn"]
