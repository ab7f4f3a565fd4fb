"""What the README tells people to type works on these templates."""

import re
import subprocess
from typing import Final

import pytest

from tests.deploy.cloudformation.rendering import Stack
from tests.deploy.cloudformation.stacks import MADE_UP, NEEDED
from tests.deploy.cloudformation.templates import FOLDER, NAMES, named

TEXT: Final = (FOLDER / "README.md").read_text()
BLOCKS: Final = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
COMMANDS: Final = tuple(
    line
    for block in BLOCKS
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("deploy ")
)
#: What stands for a variable or for another stack's output.
VALUES: Final = {
    "vpc": NEEDED["network"]["VpcId"],
    "private": NEEDED["network"]["SubnetIds"],
    "public": NEEDED["network"]["SubnetIds"],
    "routes": NEEDED["network"]["RouteTableIds"],
    "pods": NEEDED["load-balancer"]["AgentSecurityGroupId"],
    "agent_certificate": NEEDED["load-balancer"]["CertificateArn"],
    "slack_certificate": NEEDED["slack-ingress"]["CertificateArn"],
}
_OUTPUT: Final = re.compile(r"\bout ([a-z-]+) ([A-Z][A-Za-z]+)")
#: Of outputs that are ids or ARNs, one that their parameter takes.
_LIKE: Final = {
    "GatewaySecurityGroupId": "sg-0a1b2c3d4e5f60717",
    "LoadBalancerSecurityGroupId": "sg-0a1b2c3d4e5f60717",
    "AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:tidegate-alarms",
    "ListenerArn": NEEDED["pathway-api-gateway"]["ListenerArn"],
    "LoadBalancerArn": NEEDED["pathway-api-gateway-rest"]["LoadBalancerArn"],
    "TargetGroupArn": NEEDED["pathway-api-gateway-rest"]["TargetGroupArn"],
    "ExecuteApiEndpointId": "vpce-0a1b",
    "ExecuteApiEndpointDnsName": "vpce-0a1b-2c3d.execute-api.eu-west-1.vpce.amazonaws.com",
    "SlackSecretArn": NEEDED["iam"]["SlackSecretArn"],
    "IdentitySecretArn": NEEDED["iam"]["IdentitySecretArn"],
    "FilesSecretArn": NEEDED["pathway-direct"]["FilesSecretArn"],
    "DatabaseSecretArn": NEEDED["iam"]["SlackSecretArn"],
    "InvokePolicyArn": "arn:aws:iam::123456789012:policy/tidegate-invoke",
    "BucketName": "acme-reports",
    "LogBucketName": "acme-reports-logs",
    "QueueArn": "arn:aws:sqs:eu-west-1:123456789012:tidegate-arrivals",
    "DeadLetterArn": "arn:aws:sqs:eu-west-1:123456789012:tidegate-arrivals-dead",
    "QueueName": "tidegate-arrivals",
    "GatewayRoleArn": NEEDED["pathway-direct"]["GatewayRoleArn"],
    "LogGroupName": "/tidegate/gateway",
    "AccessLogGroupName": "/aws/vendedlogs/tidegate/api",
    "ApiId": "abc123",
    "LoadBalancerFullName": "app/tidegate-slack/0123456789abcdef",
}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.split()[:3]))
def test_a_command_gives_a_template_what_it_takes(command: str) -> None:
    _, name, rest = command.partition(" # ")[0].split(maxsplit=2)
    given: dict[str, str] = {}
    for parameter, value in re.findall(
        r'"?([A-Z]\w+)=(\$\([^)]*\)|(?:rate\([^)]*\)|[^ "])*)', rest
    ):
        output = _OUTPUT.search(value)
        if output is not None:
            value = _LIKE[output[2]]
        elif value.startswith("$"):
            value = VALUES[value[1:]]
        elif name == "privatelink-service" and parameter == "LoadBalancerArn":
            value = value.replace("/app/", "/net/")
        given[parameter] = value
    if name == "privatelink-service":
        given["LoadBalancerArn"] = given["LoadBalancerArn"].replace("/app/", "/net/")
    found = Stack(named(name), given, MADE_UP.get(name, {}))
    assert found.rules_broken() == []
    assert found.outputs()


def test_outputs_that_the_readme_names_are_given_out() -> None:
    for name, output in _OUTPUT.findall(TEXT):
        assert output in named(name).data["Outputs"], f"{name} {output}"


def test_every_template_is_described_and_numbered_in_its_order() -> None:
    rows = re.findall(r"^\| (\d+) \| `([a-z-]+)` \|", TEXT, re.MULTILINE)
    assert {name for _, name in rows} == set(NAMES)
    for number, name in rows:
        assert f"Tidegate {number} of {len(rows)}." in named(name).data["Description"]


def test_parameters_that_the_readme_names_are_some() -> None:
    known = {each for name in NAMES for each in named(name).parameters}
    known |= {each for name in NAMES for each in named(name).data["Outputs"]}
    for each in re.findall(r"`([A-Z][a-z]+[A-Z]\w+)(?:=[^`]*)?`", TEXT):
        known_resource = any(each in named(name).resources for name in NAMES)
        assert each in known or known_resource, each


def test_everything_is_taken_down_in_the_opposite_order() -> None:
    (order,) = re.findall(r"for each in (.*?); do", TEXT.replace("\\\n", " "))
    rows = [name for _, name in re.findall(r"^\| (\d+) \| `([a-z-]+)` \|", TEXT, re.MULTILINE)]
    places = [rows.index(name) for name in order.split()]
    assert set(rows) - set(order.split()) == {"database", "storage", "pathway-direct-apprunner"}
    assert places[0] == len(rows) - 1
    # Secrets hang on nobody; the rest goes strictly backwards.
    backwards = [place for place in places if rows[place] != "secrets"]
    assert backwards == sorted(backwards, reverse=True)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_commands_are_such_as_bash_takes(block: str) -> None:
    ended = subprocess.run(
        ["bash", "-n", "-c", block], capture_output=True, text=True, timeout=10, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_each_alarm_of_the_table_is_one() -> None:
    made = {
        name.removesuffix("Alarm")
        for template in ("observability", "network", "storage")
        for name, _ in named(template).of("CloudWatch::Alarm")
    }
    table = TEXT.partition("| alarm | what to do |")[2].partition("\n\n")[0]
    for row in table.splitlines()[2:]:
        for each in re.findall(r"[A-Z]\w+", row.split("|")[1].replace("Rest… too", "")):
            assert each in made, each
