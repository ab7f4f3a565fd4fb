"""What is written from other files is what these say now; the pages say what the chart does."""

import json
import re
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.deploy import chart, derived, stand
from tests.deploy.chart import CAPABILITIES, CHART, ROLES, ROOT, changed
from tidegate_agent.core import record

PAGE: Final = ROOT / "docs/kubernetes.md"


def test_what_scripts_manifests_writes_is_up_to_date() -> None:
    differ = [
        str(path.relative_to(ROOT))
        for path, content in derived.all_files()
        if path.read_text() != content
    ]
    assert differ == [], "run scripts/manifests"


def test_the_plain_manifests_hold_all_objects_of_the_chart_and_no_trace_of_helm() -> None:
    values = yaml.safe_load(derived.VALUES.read_text())
    there = [
        obj
        for name in ("gateway.yaml", "agent.yaml")
        for obj in yaml.safe_load_all((derived.MANIFESTS / name).read_text())
    ]
    wanted = chart.objects(values)
    for obj in wanted:
        for metadata in (
            obj["metadata"],
            obj.get("spec", {}).get("template", {}).get("metadata", {}),
        ):
            for label in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
                metadata.get("labels", {}).pop(label, None)

    def key(obj: chart.Json) -> str:
        return json.dumps(obj, sort_keys=True)

    assert sorted(map(key, there)) == sorted(map(key, wanted))


def test_every_value_has_a_default_a_description_and_a_row_in_the_table() -> None:
    schema = json.loads(derived.SCHEMA.read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    keys = [key for key, _, _ in derived.rows_of(schema, defaults)]
    assert len(keys) == len(set(keys))
    for key in keys:
        at = defaults
        for step in key.split("."):
            if step.endswith("[]") or step == "NAME":
                break
            assert step in at, f"{key} has no default in values.yaml"
            at = at[step]
    for key, _, what in derived.rows_of(schema, defaults):
        assert what.endswith("."), key


@pytest.mark.parametrize("path", [PAGE, CHART / "README.md"], ids=lambda path: path.name)
def test_every_value_that_a_page_names_is_one(path: Path) -> None:
    schema = json.loads(derived.SCHEMA.read_text())
    keys = {key for key, _, _ in derived.rows_of(schema, {})}
    groups = {key.rpartition(".")[0] for key in keys} | {"agent.resources", "gateway.config"}
    text = path.read_text()
    named = set(re.findall(r"`((?:agent|gateway)\.[A-Za-z.]+[A-Za-z])`", text))
    named = {each for each in named if not re.search(r"\.(yaml|txt|Dockerfile|md)$", each)}
    assert named, path
    for each in named:
        assert each in keys | groups or each.startswith("gateway.config."), each


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_the_page_lists_the_rights_of_a_capability(capability: str) -> None:
    found = chart.objects(changed(ROLES, "agent.roles.deployer.capabilities", [capability]))
    role = chart.named(
        [each for each in found if each["metadata"].get("namespace") == stand.STAGING],
        "Role",
        f"tidegate-{capability}",
    )
    (row,) = re.findall(rf"^\| {capability} \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    told = {
        (verb.strip(), resource.strip())
        for part in row.split("; ")
        for resource in re.findall(r"`([^`]+)`", part.partition(":")[0])
        for verb in part.partition(":")[2].split(",")
    }
    wanted = {
        (
            verb,
            f"{resource.partition('/')[0]}{f'.{group}' if group else ''}"
            + (f"/{resource.partition('/')[2]}" if "/" in resource else ""),
        )
        for verb, group, resource in stand.rights_of(role["rules"])
    }
    assert told == wanted


def test_the_page_finds_the_records_where_the_agent_keeps_them() -> None:
    assert f"get configmaps -l {record.SELECTOR}" in PAGE.read_text()
    policies = chart.of_kind(chart.objects(ROLES), "ValidatingAdmissionPolicy")
    (fence,) = [each for each in policies if each["metadata"]["name"].endswith("-records")]
    (validation,) = fence["spec"]["validations"]
    (prefix,) = re.findall(r"startsWith\('([^']+)'\)", validation["expression"])
    assert record.name("any").startswith(prefix)


def test_no_page_and_no_file_names_a_registry_of_packages() -> None:
    folders = [ROOT / "deploy", ROOT / "tests/deploy", PAGE]
    hosts = re.compile("py" + r"pi\.org|files\.python" + "hosted|registry" + r"\.npmjs", re.I)
    for folder in folders:
        for path in [folder] if folder.is_file() else folder.rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                assert not hosts.search(path.read_text()), path
