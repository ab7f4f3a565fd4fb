"""The templates say what the product says: routes, ports, paths, names of files."""

import argparse
import ipaddress
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.contract.clock import StillClock
from tests.deploy import chart
from tests.deploy.cloudformation.stacks import PUBLIC_KEY, stack
from tests.deploy.cloudformation.templates import ROOT, Json, every, named, text
from tidegate.adapters.cloudfront import CloudFront
from tidegate.app.intake import Endpoint
from tidegate.core import outcome
from tidegate.core.presets import PRESETS
from tidegate.core.settings import ApiGatewayPathway, Server
from tidegate.core.share import Object
from tidegate.entry import check_command

#: What CloudFront itself reads of a signed link, and takes away.
#: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-creating-signed-url-custom-policy.html
CLOUDFRONTS_OWN: Final = {"Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"}


def agents_routes() -> set[str]:
    """Return what the agent answers, as METHOD PATH."""
    paths = json.loads((ROOT / "docs/agent.openapi.json").read_text())["paths"]
    return {
        f"{method.upper()} {path}"
        for path, each in paths.items()
        for method in each
        if method != "parameters"
    }


def rest_routes() -> dict[str, Json]:
    """Return the methods of the REST API by METHOD PATH."""
    template = named("pathway-api-gateway-rest")
    parts = dict(template.of("ApiGateway::Resource"))

    def path(reference: Json) -> str:
        if "Ref" not in reference:
            return ""
        part = parts[reference["Ref"]]
        return f"{path(part['ParentId'])}/{part['PathPart']}"

    return {
        f"{each['HttpMethod']} {path(each['ResourceId'])}": each
        for _, each in template.of("ApiGateway::Method")
    }


# --- the agent ------------------------------------------------------------------------------------


def test_the_http_api_has_the_routes_of_the_agent_and_no_others() -> None:
    routes = [
        each["RouteKey"] for _, each in named("pathway-api-gateway").of("ApiGatewayV2::Route")
    ]
    assert len(routes) == len(set(routes))
    assert set(routes) == agents_routes()


def test_the_rest_api_has_the_routes_of_the_agent_and_passes_each_on_as_it_is() -> None:
    routes = rest_routes()
    assert routes.keys() == agents_routes()
    for route, method in routes.items():
        verb, _, path = route.partition(" ")
        integration = method["Integration"]
        assert integration["IntegrationHttpMethod"] == verb
        assert text(integration["Uri"]) == f"https://${{ServerName}}:443{path}"
        wanted = re.findall(r"\{([a-z]+)\}", path)
        assert list(method.get("RequestParameters", {})) == [
            f"method.request.path.{name}" for name in wanted
        ]
        assert integration.get("RequestParameters", {}) == {
            f"integration.request.path.{name}": f"method.request.path.{name}" for name in wanted
        }


def test_what_the_presets_send_is_among_the_routes() -> None:
    sent = {
        f"{preset['request']['method']} {preset['request']['path']}"
        for preset in PRESETS.values()
        if "request" in preset
    }
    assert sent <= agents_routes()


@pytest.mark.parametrize(
    ("name", "stage"), [("pathway-api-gateway", "$default"), ("pathway-api-gateway-rest", "prod")]
)
def test_the_right_to_call_is_for_each_route_and_nothing_else(name: str, stage: str) -> None:
    found = stack(name, **({"StageName": stage} if stage != "$default" else {}))
    (policy,) = [each for key, each in found.resources().items() if key == "InvokePolicy"]
    allowed = [
        resource
        for statement in policy["PolicyDocument"]["Statement"]
        for resource in statement["Resource"]
    ]
    api = {"pathway-api-gateway": "abc123", "pathway-api-gateway-rest": "def456"}[name]
    begin = f"arn:aws:execute-api:eu-west-1:123456789012:{api}/{stage}/"
    wanted = {
        f"{begin}{route.replace(' /', '/').replace('{key}', '*')}" for route in agents_routes()
    }
    assert len(allowed) == len(wanted)
    assert set(allowed) == wanted


def test_the_load_balancer_asks_the_agent_where_it_listens() -> None:
    values = yaml.safe_load((chart.CHART / "values.yaml").read_text())
    template = named("load-balancer")
    assert template.parameters["AgentPort"]["Default"] == values["agent"]["service"]["port"]
    (group,) = [each for _, each in template.of("ElasticLoadBalancingV2::TargetGroup")]
    source = (ROOT / "src/tidegate_agent/entry/http.py").read_text()
    assert f'Route("{group["HealthCheckPath"]}"' in source
    assert named("network").parameters["AgentPort"]["Default"] == values["agent"]["service"]["port"]


def test_an_integration_gives_up_after_the_pathway_would() -> None:
    waits = float(ApiGatewayPathway.model_fields["timeout_seconds"].default)
    for _, each in named("pathway-api-gateway").of("ApiGatewayV2::Integration"):
        assert waits < each["TimeoutInMillis"] / 1000
    for each in rest_routes().values():
        assert waits < each["Integration"]["TimeoutInMillis"] / 1000


# --- the gateway ----------------------------------------------------------------------------------


def test_slack_reaches_the_paths_that_the_gateway_answers_and_no_others() -> None:
    template = named("slack-ingress")
    (rule,) = [each for _, each in template.of("ElasticLoadBalancingV2::ListenerRule")]
    conditions = {each["Field"]: each for each in rule["Conditions"]}
    paths = conditions["path-pattern"]["PathPatternConfig"]["Values"]
    assert set(paths) == {each.value for each in Endpoint}
    assert conditions["http-request-method"]["HttpRequestMethodConfig"]["Values"] == ["POST"]
    (group,) = [each for _, each in template.of("ElasticLoadBalancingV2::TargetGroup")]
    assert group["Port"] == Server().port
    assert group["HealthCheckPath"] == "/readyz"


def containers() -> dict[str, Json]:
    """Return the containers of the gateway's task by name."""
    (task,) = [
        each
        for name, each in named("pathway-direct").of("ECS::TaskDefinition")
        if name == "GatewayTask"
    ]
    return {each["Name"]: each for each in task["ContainerDefinitions"]}


def test_the_task_runs_the_image_as_it_is_meant_to_run() -> None:
    gateway = containers()["gateway"]
    image = (ROOT / "deploy/images/gateway.Dockerfile").read_text()
    (command,) = re.findall(r"^CMD (.+)$", image, re.MULTILINE)
    (user,) = re.findall(r"^USER (.+)$", image, re.MULTILINE)
    assert gateway["Command"] == json.loads(command)
    assert gateway["User"] == user
    assert [each["ContainerPort"] for each in gateway["PortMappings"]] == [Server().port]
    (mount,) = [each for each in gateway["MountPoints"] if each["SourceVolume"] == "config"]
    assert mount["ContainerPath"] == str(Path(gateway["Command"][-1]).parent)


def write_files(files: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run what the first container runs, in a folder instead of the task's."""
    (code,) = containers()["files"]["Command"]
    (folder / "config").mkdir()
    (folder / "tmp").mkdir()
    code = code.replace("/etc/tidegate/config", str(folder / "config"))
    code = code.replace('"/tmp"', repr(str(folder / "tmp")))
    return subprocess.run(
        [sys.executable, "-I", "-c", code],
        env={**os.environ, "FILES": files},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_first_container_writes_the_files_that_the_secret_holds(tmp_path: Path) -> None:
    ended = write_files(json.dumps({"tidegate.yaml": "version: 1\n", "rds-ca.pem": "x"}), tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    written = {each.name: each.read_text() for each in (tmp_path / "config").iterdir()}
    assert written == {"tidegate.yaml": "version: 1\n", "rds-ca.pem": "x"}
    assert (tmp_path / "tmp").stat().st_mode & 0o1777 == 0o1777


@pytest.mark.parametrize("name", ["../other", "/etc/passwd", "a/b", "", "."])
def test_the_first_container_writes_nowhere_else(name: str, tmp_path: Path) -> None:
    ended = write_files(json.dumps({name: "x"}), tmp_path)
    assert ended.returncode != 0
    assert list((tmp_path / "config").iterdir()) == []


def test_the_files_that_the_outputs_name_are_those_beside_the_configuration() -> None:
    store = stack("database").outputs()["Store"]
    assert "sslrootcert=rds-ca.pem" in store, "a relative path begins at the configuration"


def test_the_role_is_for_the_service_account_of_the_chart() -> None:
    parameters = named("iam").parameters
    accounts = chart.of_kind(chart.objects(chart.ROLES), "ServiceAccount")
    assert parameters["EksServiceAccount"]["Default"] in {e["metadata"]["name"] for e in accounts}
    assert parameters["EksNamespace"]["Default"] == chart.NAMESPACE


# --- sharing --------------------------------------------------------------------------------------


def test_cloudfront_passes_on_what_a_link_asks_of_s3() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    front = CloudFront(
        domain="d1.cloudfront.net",
        key_pair_id="K2JCJMDEHXQW5F",
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        clock=StillClock(),
    )
    found = Object(bucket="b", key="k", size=1, etag='"e"', version_id="v1")
    query = parse_qsl(urlsplit(front.link(found, seconds=60, name="a.pdf").url).query)
    asked = {name for name, _ in query} - CLOUDFRONTS_OWN
    made = stack("storage", CloudFrontPublicKey=PUBLIC_KEY).resources()
    policy = made["OriginRequest"]["OriginRequestPolicyConfig"]
    assert set(policy["QueryStringsConfig"]["QueryStrings"]) == asked


def test_a_message_outlives_a_store_that_is_away_for_an_hour() -> None:
    (queue,) = [each for name, each in named("storage").of("SQS::Queue") if name == "Queue"]
    receives = queue["RedrivePolicy"]["maxReceiveCount"]
    waits = sum(
        outcome.backoff(each, jitter=0, first=1.0, most=300.0) for each in range(1, receives)
    )
    assert waits >= 90 * 60
    assert waits < queue["MessageRetentionPeriod"]


def test_events_are_told_for_the_prefix_that_is_shared() -> None:
    whole, part = stack("storage").resources(), stack("storage", Prefix="q3/").resources()
    (everything,) = whole["Bucket"]["NotificationConfiguration"]["QueueConfigurations"]
    (narrow,) = part["Bucket"]["NotificationConfiguration"]["QueueConfigurations"]
    assert "Filter" not in everything
    assert narrow["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": "q3/"}]
    assert set(every(narrow["Event"])) == {"s3:ObjectCreated:*"}


# --- the network ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nat_gateways", "ways_out"), [("1", {"nata-id"}), ("2", {"nata-id", "natb-id"})]
)
def test_private_subnets_go_out_by_nat_and_public_ones_by_the_internet_gateway(
    nat_gateways: str, ways_out: set[str]
) -> None:
    made = stack("vpc", NatGateways=nat_gateways).resources()
    subnets = {n: each for n, each in made.items() if "CidrBlock" in each and "VpcId" in each}
    blocks = [ipaddress.ip_network(each["CidrBlock"]) for each in subnets.values()]
    assert len(subnets) == 4
    assert not any(a.overlaps(b) for a, b in itertools.combinations(blocks, 2))
    assert {each["AvailabilityZone"] for each in subnets.values()} == {"eu-west-1a", "eu-west-1b"}
    tables = {
        each["SubnetId"]: each["RouteTableId"]
        for each in made.values()
        if "SubnetId" in each and "RouteTableId" in each
    }
    routes = {
        each["RouteTableId"]: each for each in made.values() if "DestinationCidrBlock" in each
    }
    out = {subnet: routes[table] for subnet, table in tables.items()}
    assert all("GatewayId" in out[f"publicsubnet{zone}-id"] for zone in "ab")
    assert {out[f"privatesubnet{zone}-id"]["NatGatewayId"] for zone in "ab"} == ways_out


def test_no_subnet_gives_out_public_addresses() -> None:
    for _, subnet in named("vpc").of("EC2::Subnet"):
        assert subnet["MapPublicIpOnLaunch"] is False


# --- the probe ------------------------------------------------------------------------------------


def test_the_probe_runs_a_command_that_there_is_as_whoever_carries_runs_out() -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:tidegate-alarms"
    probing = {"ProbeSchedule": "rate(1 day)", "AlarmTopicArn": topic}
    made = stack("pathway-direct", **probing).resources()
    (override,) = json.loads(made["Probe"]["Target"]["Input"])["containerOverrides"]
    assert override["name"] in containers()
    commands = argparse.ArgumentParser()
    check_command.add_parser(commands.add_subparsers())
    arguments = commands.parse_args(override["command"])
    assert arguments.live
    assert arguments.config == containers()["gateway"]["Command"][-1]
    assert made["Probe"]["Target"]["EcsParameters"]["TaskDefinitionArn"] == "gatewaytask-id"
    beside = stack("pathway-direct", **probing, WorkerTasks="2").resources()
    assert beside["Probe"]["Target"]["EcsParameters"]["TaskDefinitionArn"] == "workertask-id"
    (target,) = made["ProbeFailed"]["Targets"]
    assert target["Arn"] == topic
    families = {
        f"family:{each['Family']}" for name, each in beside.items() if name.endswith("Task")
    }
    assert set(made["ProbeFailed"]["EventPattern"]["detail"]["group"]) == families


def test_without_a_schedule_there_is_no_probe_and_without_workers_no_service_of_theirs() -> None:
    made = stack("pathway-direct").resources()
    assert not {name for name in made if name.startswith(("Probe", "Worker"))}
