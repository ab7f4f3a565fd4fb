"""What `tidegate init` writes fits the templates, the chart and the agent that are beside it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.blueprints import ALL, PLAIN
from tests.deploy import chart
from tests.deploy.cloudformation.rendering import ACCOUNT, REGION
from tests.deploy.cloudformation.rendering import Stack as Rendered
from tests.deploy.cloudformation.stacks import DATABASE_SECRET, INVOKE, MADE_UP, NEEDED
from tests.deploy.cloudformation.templates import FOLDER, named
from tests.deploy.cloudformation.test_lint import LINT
from tidegate.core.blueprint import Blueprint, Home, draw
from tidegate.core.blueprint.answers import NOWHERE, Answers, complaint
from tidegate.core.blueprint.stacks import OPEN, Stack, last_stacks, stacks
from tidegate.core.configuration import parse
from tidegate.entry import check_command
from tidegate_agent.entry import settings as agent_settings

every = pytest.mark.parametrize("found", [*ALL.values(), PLAIN], ids=[*ALL, "plain"])
on_aws = pytest.mark.parametrize(
    "found",
    [each for each in ALL.values() if each.uses_aws],
    ids=[n for n in ALL if ALL[n].uses_aws],
)


#: What comes of each parameter that is left open, or is an output of another stack.
FILLED: Final = {
    "AlarmTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:tidegate-alarms",
    "ApiLogGroupName": "/tidegate/api",
    "DatabaseSecretArn": DATABASE_SECRET,
    "EksClusterArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/prod",
    "GatewaySecurityGroupId": "sg-0a1b2c3d4e5f60717",
    "HttpApiId": "abc123",
    "InvokePolicyArn": INVOKE,
    "LoadBalancerFullName": "app/tidegate-slack/0123456789abcdef",
    "QueueName": "tidegate-arrivals",
    "ServerName": "agent.example.com",
    "TargetGroupArn": f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/t/01",
}


def filled(found: Answers, stack: Stack) -> dict[str, str]:
    """Return a stack's parameters with all that was left open filled in."""
    known = {**FILLED, **NEEDED[stack.template]}
    said = given(found, stack).items()
    values = {name: known[name] if value == OPEN else value for name, value in said}
    return values | {name: known[name] for name in stack.outputs}


def standing(found: Answers, stack: Stack) -> Rendered:
    """Return a stack as it would stand."""
    made_up = MADE_UP.get(stack.template, {})
    return Rendered(named(stack.template), filled(found, stack), made_up)


def is_list(stack: Stack, name: str) -> bool:
    """Tell whether a parameter is a list."""
    kind: str = named(stack.template).parameters[name]["Type"]
    return kind.startswith("List<") or kind == "CommaDelimitedList"


@cache
def files(found: Answers) -> dict[str, str]:
    drawn: Blueprint = draw(found)
    return {file.name: file.text for file in drawn.files}


def listed(found: Answers) -> tuple[Stack, ...]:
    return (*stacks(found), *last_stacks(found))


def given(found: Answers, stack: Stack) -> dict[str, str]:
    """Return what a stack's parameter file says."""
    entries = json.loads(files(found)[f"parameters/{stack.template}.json"])
    assert all(entry.keys() == {"ParameterKey", "ParameterValue"} for entry in entries)
    values = {entry["ParameterKey"]: entry["ParameterValue"] for entry in entries}
    assert len(values) == len(entries)
    return values


# --- the templates --------------------------------------------------------------------------


@on_aws
def test_every_parameter_is_the_template_s_and_none_that_it_needs_is_left_out(
    found: Answers,
) -> None:
    for stack in listed(found):
        parameters = named(stack.template).parameters
        values = given(found, stack)
        assert not values.keys() & stack.outputs.keys()
        said = {*values, *stack.outputs}
        assert said <= parameters.keys(), stack.template
        needed = {name for name, each in parameters.items() if "Default" not in each}
        assert needed <= said, stack.template


@on_aws
def test_every_value_is_one_that_the_template_takes(found: Answers) -> None:
    for stack in listed(found):
        for name, value in given(found, stack).items():
            rule = named(stack.template).parameters[name]
            if value == OPEN:
                # AWS knows its ids; what is a text has a pattern that does not take it.
                aws = rule["Type"].startswith(("AWS::", "List<AWS::"))
                assert aws or not re.fullmatch(rule["AllowedPattern"], value), (stack, name)
                continue
            assert value in rule.get("AllowedValues", [value]), (stack.template, name)
            assert re.fullmatch(rule.get("AllowedPattern", ".*"), value), (stack.template, name)


@pytest.mark.parametrize("name", ["abc", "acme-reports", "b" * 57, "b" * 58, "acme.reports", "A"])
def test_a_bucket_that_may_be_named_is_one_that_the_template_makes(name: str) -> None:
    pattern = named("storage").parameters["BucketName"]["AllowedPattern"]
    assert (complaint("bucket", name) is None) == bool(re.fullmatch(pattern, name))


@on_aws
def test_what_a_stack_takes_of_others_they_say_and_they_come_before(found: Answers) -> None:
    before: list[str] = []
    for stack in listed(found):
        for name, output in stack.outputs.items():
            assert output.template in before, (stack.template, name)
            assert output.name in named(output.template).data["Outputs"], (stack.template, name)
        before.append(stack.template)
    assert len(before) == len(set(before))


@on_aws
def test_secrets_are_called_as_the_template_calls_them(found: Answers) -> None:
    made = named("secrets").resources.values()
    names = {str(each["Properties"].get("Name", {}).get("Fn::Sub")) for each in made}
    text = files(found)["tidegate.yaml"] + files(found)["NEXT.md"]
    for name in re.findall(rf"(?:secretsmanager: |--secret-id ){found.name}/(\w+)", text):
        assert f"${{Name}}/{name}" in names


@on_aws
def test_every_stack_stands_and_says_what_next_steps_read(found: Answers) -> None:
    stand = {stack.template: standing(found, stack) for stack in listed(found)}
    for name, each in stand.items():
        assert each.rules_broken() == [], name
        assert each.resources(), name
    read = set(re.findall(r"output ([a-z-]+) ([A-Z][A-Za-z]+)", files(found)["NEXT.md"]))
    assert read
    for name, output in read:
        assert stand[name].outputs()[output], (name, output)


@on_aws
def test_what_the_stacks_say_pastes_into_the_configuration(found: Answers, tmp_path: Path) -> None:
    stand = {stack.template: standing(found, stack).outputs() for stack in listed(found)}
    whole = yaml.safe_load(files(found)["tidegate.yaml"])
    if found.home is Home.ECS:
        whole["store"] = yaml.safe_load(stand["database"]["Store"])
        (says,) = re.findall(r"output (\S+) Pathway", files(found)["NEXT.md"])
        audience = whole["pathways"]["cluster"]["audience"]
        pasted = yaml.safe_load(stand[says]["Pathway"])
        assert pasted.keys() <= whole["pathways"]["cluster"].keys()
        whole["pathways"]["cluster"] = {**pasted, "audience": audience}
    assert NOWHERE not in yaml.safe_dump(whole)
    secrets = yaml.safe_load(stand["secrets"]["Slack"])
    assert secrets.keys() == whole["slack"].keys() - {"app_token"}
    # The names stand for the ARNs: what is after the last hyphen is AWS's own.
    assert f"secret:{whole['slack']['bot_token']['secretsmanager']}-" in (
        secrets["bot_token"]["secretsmanager"].replace("tidegate/", f"{found.name}/")
    )
    identity = yaml.safe_load(stand["secrets"]["Identity"])
    assert identity["signing_key"].keys() == whole["identity"]["signing_key"].keys()
    file = tmp_path / "tidegate.yaml"
    report = check_command.check(yaml.safe_dump(whole), file=str(file), environ={})
    assert report.problems == ()


@pytest.mark.long
@pytest.mark.timeout(240)
def test_cfn_lint_finds_nothing_in_any_stack_with_its_parameters(tmp_path: Path) -> None:
    deployments: list[str] = []
    for found in ALL.values():
        for stack in listed(found) if found.vpc is not None else ():
            file = tmp_path / f"{stack.template}-{len(deployments)}.json"
            values = filled(found, stack)
            parameters = {
                name: value.split(",") if is_list(stack, name) else value
                for name, value in values.items()
            }
            where = str(FOLDER / f"{stack.template}.yaml")
            deployment = {"template-file-path": where, "parameters": parameters, "tags": {}}
            if deployment not in map(json.loads, deployments):
                deployments.append(json.dumps(deployment))
                file.write_text(deployments[-1], "utf-8")
    assert len(deployments) > len(
        {stack.template for each in ALL.values() for stack in listed(each)}
    )
    ended = subprocess.run(
        [LINT, "--format", "parseable", "--deployment-files", *map(str, tmp_path.glob("*.json"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)


# --- the commands ---------------------------------------------------------------------------

_AWS: Final = """\
#!/bin/sh
if [ "$2" = describe-stacks ]; then
  while [ $# -gt 0 ]; do
    case $1 in --stack-name) stack=$2 ;; --query) query=${2#*"'"} ;; esac
    shift
  done
  echo "$stack:${query%%"'"*}"
else
  printf '%s\\n' "$@" END >> calls
fi
"""
#: For a machine without it: what the one filter does.
_JQ: Final = """\
#!PYTHON
import json, sys
for each in json.load(open(sys.argv[-1])):
    print(each["ParameterKey"] + "=" + each["ParameterValue"])
"""


def blocks(text: str) -> Iterator[str]:
    yield from re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


@every
def test_every_block_of_commands_is_a_shell_s(found: Answers) -> None:
    for block in blocks(files(found)["NEXT.md"]):
        checked = subprocess.run(
            ["sh", "-n"], input=block, text=True, capture_output=True, check=False
        )
        assert checked.stderr == ""


@pytest.mark.parametrize("name", ["api_gateway on ecs with a bucket", "privatelink on ecs"])
def test_the_commands_hand_every_parameter_to_its_stack(name: str, tmp_path: Path) -> None:
    found = ALL[name]
    (tmp_path / "parameters").mkdir()
    for file, text in files(found).items():
        (tmp_path / file).write_text(text, "utf-8")
    programs = {"aws": _AWS, **({} if shutil.which("jq") else {"jq": _JQ})}
    for program, text in programs.items():
        (tmp_path / program).write_text(text.replace("PYTHON", sys.executable), "utf-8")
        (tmp_path / program).chmod(0o755)
    commands = [each for each in blocks(files(found)["NEXT.md"]) if "stack() {" in each]
    commands += [
        "\n".join(re.findall(r"^stack (?:.*\\\n)*.*$", each, re.MULTILINE))
        for each in blocks(files(found)["NEXT.md"])
        if "stack() {" not in each
    ]
    subprocess.run(
        ["sh", "-eu"],
        input="\n".join(commands),
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        text=True,
        check=True,
    )
    said = (tmp_path / "calls").read_text("utf-8").removesuffix("END\n")
    calls = [call.splitlines() for call in said.split("END\n")]
    assert len(calls) == len(listed(found))
    for call, stack in zip(calls, listed(found), strict=True):
        assert call[call.index("--template-file") + 1] == (
            f"deploy/cloudformation/{stack.template}.yaml"
        )
        at = call.index("--parameter-overrides")
        overrides = dict(pair.split("=", 1) for pair in call[at + 1 :])
        assert overrides == {
            **given(found, stack),
            **{
                key: f"{found.name}-{output.template}:{output.name}"
                for key, output in stack.outputs.items()
            },
        }


@on_aws
def test_the_region_is_said_to_all_that_read_it(found: Answers) -> None:
    """The AWS CLI reads one variable; botocore, with which Tidegate reads secrets, the other."""
    (block,) = [each for each in blocks(files(found)["NEXT.md"]) if "stack() {" in each]
    ended = subprocess.run(
        ["sh", "-eu", "-c", f"{block}env"], env={}, capture_output=True, text=True, check=True
    )
    said = dict(line.split("=", 1) for line in ended.stdout.splitlines())
    assert said["AWS_REGION"] == said["AWS_DEFAULT_REGION"] == found.region


@on_aws
def test_in_an_account_that_is_new_ecs_gets_its_role_before_its_service(found: Answers) -> None:
    """ECS makes it with the first cluster; a service of the same stack may come too soon."""
    text = files(found)["NEXT.md"]
    made = (
        "|| aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com > /dev/null\n"
    )
    assert (made in text) == ("stack pathway-direct" in text)
    assert text.find(made) < text.find("stack pathway-direct") or made not in text


@every
def test_what_is_made_in_the_cluster_may_be_there_already(found: Answers) -> None:
    """Whoever runs a block once more is not stopped by what its first run made."""
    text = files(found)["NEXT.md"].replace("\\\n", " ")
    created = re.findall(r"^kubectl .*\bcreate .*$", text, re.MULTILINE)
    assert len(created) >= 3
    for line in created:
        assert "--dry-run=client -o yaml | kubectl apply -f -" in line


@every
def test_what_the_cluster_needs_is_said_before_its_commands(found: Answers) -> None:
    text = files(found)["NEXT.md"]
    said = text[: text.index("kubectl create namespace")]
    binds = bool(chart.of_kind(rendered(found), "TargetGroupBinding"))
    assert ("AWS Load Balancer Controller" in said) == binds
    by_pod_identity = found.uses_aws and found.home is Home.CLUSTER
    assert ("eks-pod-identity-agent" in said) == by_pod_identity


# --- the chart ------------------------------------------------------------------------------


def rendered(found: Answers) -> list[chart.Json]:
    values = yaml.safe_load(files(found)["values.yaml"])
    return chart.objects(values, name=found.name, namespace=found.name)


def configuration(objects: list[chart.Json], part: str, file: str) -> str:
    """Return the file that a part of the release is given."""
    (text,) = [
        each["data"][file]
        for each in chart.of_kind(objects, "ConfigMap")
        if each["metadata"]["labels"]["app.kubernetes.io/component"] == part
        and file in each.get("data", {})
    ]
    return str(text)


@every
def test_helm_renders_it_and_the_agent_takes_its_configuration(found: Answers) -> None:
    objects = rendered(found)
    text = configuration(objects, "agent", "agent.yaml")
    agent = agent_settings.parse(text, {})
    read = parse(files(found)["tidegate.yaml"], source="tidegate.yaml")
    assert agent.rules.audience == read.pathways["cluster"].audience
    assert agent.rules.issuer == read.identity.issuer
    assert (agent.callers is None) == (found.home is Home.ECS)


@every
def test_the_gateway_in_the_cluster_reads_what_stands_in_the_file(found: Answers) -> None:
    if found.home is not Home.CLUSTER:
        assert not [
            each
            for each in rendered(found)
            if each["metadata"]["labels"]["app.kubernetes.io/component"] == "gateway"
        ]
        return
    text = configuration(rendered(found), "gateway", "tidegate.yaml")
    mine = parse(files(found)["tidegate.yaml"], source="mine")
    assert parse(text, source="chart") == mine


@every
def test_what_next_steps_name_in_the_cluster_is_what_the_release_looks_for(
    found: Answers,
) -> None:
    steps, objects = files(found)["NEXT.md"], rendered(found)
    secrets = set(re.findall(r"create secret generic (\S+)", steps))
    maps = set(re.findall(r"create configmap (\S+)", steps))
    text = json.dumps([each for each in objects if each["kind"] in ("Deployment", "StatefulSet")])
    for name in secrets:
        assert f'"secretName": "{name}"' in text or f'"secretRef": {{"name": "{name}"}}' in text
    for name in maps:
        assert f'"configMap": {{"name": "{name}"' in text
    for name in set(re.findall(r"statefulset/(\S+)", steps)):
        assert chart.named(objects, "StatefulSet", name)
