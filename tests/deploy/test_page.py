"""What docs/kubernetes.md tells people to type does what it says."""

import json
import re
import shlex
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.deploy import chart
from tests.deploy.chart import ROOT, Json
from tests.deploy.fence import Fence
from tests.deploy.stand import installed
from tests.dev.kubernetes.kubectl import Kubectl
from tidegate.entry import check_command

TEXT: Final = (ROOT / "docs/kubernetes.md").read_text()


def values() -> Json:
    (text,) = re.findall(r"cat > values.yaml <<'EOF'\n(.*?)\nEOF\n", TEXT, re.DOTALL)
    found: Json = yaml.safe_load(text)
    return found


def test_its_values_make_a_gateway_with_an_action_that_somebody_may_use(tmp_path: Path) -> None:
    gateway = chart.named(chart.objects(values()), "ConfigMap", "tidegate-gateway")
    environ = {"SLACK_BOT_TOKEN": "made-up", "SLACK_SIGNING_SECRET": "made-up"}
    report = check_command.check(
        gateway["data"]["tidegate.yaml"], file=str(tmp_path / "tidegate.yaml"), environ=environ
    )
    assert report.problems == ()
    not_here = "there is no file"
    assert [each.what for each in report.warnings if not_here not in each.what] == []


def test_it_names_what_the_chart_calls_so() -> None:
    found = chart.objects(values())
    for kind, name in re.findall(r"\b(statefulset|deployment|service)/(tidegate-[a-z]+)", TEXT):
        assert [o for o in found if (o["kind"].lower(), o["metadata"]["name"]) == (kind, name)]
    (claim,) = re.findall(r"delete pvc (\S+)", TEXT)
    gateway = chart.named(found, "StatefulSet", "tidegate-gateway")
    (template,) = gateway["spec"]["volumeClaimTemplates"]
    assert claim == f"{template['metadata']['name']}-{gateway['metadata']['name']}-0"
    secrets = set(re.findall(r"create (?:secret generic|configmap) (\S+)", TEXT))
    gone = set(re.findall(r"kubectl -n tidegate delete (?:secret|configmap) (.+)", TEXT))
    assert {name for line in gone for name in line.split()} == secrets
    rendered = json.dumps(found)
    assert secrets <= set(re.findall(r'"(?:secretName|name)": "([^"]+)"', rendered))


CAN_I: Final = re.findall(r"^(kubectl -n \S+ auth can-i .*?) +# (yes|no)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize(("command", "answer"), CAN_I)
async def test_what_a_role_may_do_is_what_it_says(
    command: str, answer: str, tmp_path: Path
) -> None:
    async with installed(chart.objects(values())) as stage:
        ran = await Kubectl(stage.cluster, tmp_path).run(*shlex.split(command)[1:])
        assert ran.out.strip() == answer


def test_both_answers_are_tried() -> None:
    assert {answer for _, answer in CAN_I} == {"yes", "no"}


async def test_the_policy_says_no_where_it_says_so(tmp_path: Path) -> None:
    (command,) = re.findall(r"^(kubectl .*?) +# the policy says no$", TEXT, re.MULTILINE)
    found = chart.objects(values())
    async with installed(found) as stage:
        kubectl = Kubectl(stage.cluster, tmp_path)
        before = await kubectl.run(*shlex.split(command)[1:])
        assert before.code == 0, "RBAC lets it through"
        stage.cluster.admissions.add(Fence(found).admit)
        after = await kubectl.run(*shlex.split(command)[1:])
        assert after.code == 1
        assert "tidegate may not change a container but for its image" in after.error
