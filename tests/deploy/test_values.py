"""What is wrong in the values is refused before anything is installed, in words that say where."""

import shutil
from pathlib import Path
from typing import Any

import helm_python
import pytest

from tests.deploy import chart
from tests.deploy.chart import ROLES, changed

BY_SCHEMA: list[tuple[str, Any, str]] = [
    ("gateway.replicas", 2, "'/gateway/replicas': value must be 1"),
    ("gateway.replicas", "1", "'/gateway/replicas': got string, want integer"),
    ("agent.replicas", 0, "'/agent/replicas': minimum: got 0, want 1"),
    ("agent.maxReplica", 3, "'/agent': additional properties 'maxReplica' not allowed"),
    ("gateway.slackToken", "xoxb-1", "'/gateway': additional properties 'slackToken'"),
    ("gateway.config.slack", {"bot_token": "xoxb-1"}, "bot_token': got string, want object"),
    ("gateway.config.server", {"port": 1}, "'/gateway/config': additional properties 'server'"),
    ("gateway.config.actions", {"d": {"use": "k8s_nope"}}, "must be one of 'k8s_deploy'"),
    ("gateway.store.url", "sqlite:////tmp/x.db", "does not match pattern '^(sqlite:////var/lib"),
    ("gateway.store.url", "postgresql://u:secret@h/d", "'/gateway/store/url'"),
    ("gateway.image.digest", "latest", "'/gateway/image/digest'"),
    ("agent.namespaces", [], "'/agent/namespaces': minItems: got 0, want 1"),
    ("agent.namespaces", [{"name": "Staging"}], "'/agent/namespaces/0/name': 'Staging'"),
    ("agent.namespaces", [{"name": "a", "workloads": {}}], "'/agent/namespaces/0/workloads'"),
    ("agent.roles", {"Dev": {"groups": ["S"]}}, "invalid propertyName 'Dev'"),
    ("agent.roles", {"dev": {"capabilities": ["exec"]}}, "capabilities/0': value must be one of"),
    ("agent.individuals", {"slack:T:U": "system:masters"}, "'/agent/individuals/slack:T:U'"),
    ("agent.individuals", {"ada": "tidegate-ada"}, "invalid propertyName 'ada'"),
    (
        "agent.impersonation",
        {"enabled": False, "constrained": True},
        "'/agent/impersonation/enabled': value must be true",
    ),
    ("agent.tls", {"existingSecret": "", "clientCaSecret": "x"}, "'/agent/tls/existingSecret'"),
    ("agent.identity.existingConfigMap", "", "'/agent/identity/existingConfigMap'"),
    ("agent.registries", ["https://registry.example.com"], "'/agent/registries/0'"),
    ("agent.targetGroupBinding.enabled", True, "'/agent/targetGroupBinding/arn'"),
    ("agent.networkPolicy.cidrs", ["10.0.0.0"], "'/agent/networkPolicy/cidrs/0'"),
    ("agent.networkPolicy.apiServer.cidrs", [], "'/agent/networkPolicy/apiServer/cidrs'"),
    (
        "agent.admissionPolicy.containerFields",
        ["securityContext"],
        "'/agent/admissionPolicy/containerFields/0': value must be one of",
    ),
    ("agent.settings", {"records": {"namespace": "x"}}, "'/agent/settings/records'"),
    ("agent.settings", {"rollout_seconds": 0}, "'/agent/settings/rollout_seconds'"),
    ("image", "x", "additional properties 'image' not allowed"),
]
BY_TEMPLATE: list[tuple[str, Any, str]] = [
    ("agent.namespaces", [{"name": "tidegate"}], "tidegate is the agent's own namespace"),
    (
        "agent.namespaces",
        [{"name": "a"}, {"name": "a", "workloads": {"deployments": ["web"]}}],
        "a namespace stands there twice",
    ),
    ("agent.defaultNamespace", "other", "the agent does not serve other"),
    ("agent.roles.viewer", {"namespaces": ["staging"]}, "agent.roles.viewer: nobody has this role"),
    ("agent.roles.deployer.namespaces", ["other"], "the agent does not serve other"),
    ("agent.capabilities.scale", False, ""),
    ("agent.tls.existingSecret", "", "the gateway calls the agent over https only"),
    ("gateway.enabled", False, "agent.tokenReview: nobody could call"),
]


@pytest.mark.parametrize(("path", "value", "words"), BY_SCHEMA)
def test_the_schema_refuses_it_and_says_where(path: str, value: Any, words: str) -> None:
    with pytest.raises(helm_python.HelmValuesError) as refused:
        chart.files(changed(ROLES, path, value))
    assert words in str(refused.value)


@pytest.mark.parametrize(("path", "value", "words"), BY_TEMPLATE)
def test_what_a_schema_cannot_know_the_templates_refuse(path: str, value: Any, words: str) -> None:
    if not words:
        value, words = False, "agent.roles.deployer.capabilities: scale is off"
        values = changed(ROLES, "agent.roles.deployer.capabilities", ["scale"])
    else:
        values = ROLES
    with pytest.raises(helm_python.HelmRenderError) as refused:
        chart.files(changed(values, path, value))
    assert words in str(refused.value)


def test_several_gateways_without_a_signing_key_of_their_own_are_refused() -> None:
    values = changed(chart.SETS["postgres"], "gateway.identity.existingSecret", "")
    with pytest.raises(helm_python.HelmRenderError, match="several gateways need one signing key"):
        chart.files(values)


def test_the_templates_keep_to_one_gateway_where_nobody_checks_the_schema(tmp_path: Path) -> None:
    """`--skip-schema-validation` is there, and two gateways on one file lose runs."""
    copied = tmp_path / "tidegate"
    shutil.copytree(chart.CHART, copied, ignore=shutil.ignore_patterns("values.schema.json"))
    values = changed({}, "gateway.replicas", 2)
    with (
        helm_python.Chart.load(copied) as loaded,
        pytest.raises(helm_python.HelmRenderError, match="there is exactly one gateway"),
    ):
        loaded.render(values, name="tidegate", namespace="tidegate")


def test_namespaces_that_are_given_take_the_place_of_the_default() -> None:
    """Helm merges maps and replaces lists: a default that stayed would be a right nobody gave."""
    found = chart.objects(ROLES)
    assert {each["metadata"].get("namespace") for each in chart.of_kind(found, "Role")} == {
        "staging",
        "production",
        "tidegate",
    }


def test_by_default_nobody_may_do_anything() -> None:
    found = chart.objects({})
    (role,) = chart.of_kind(found, "Role")
    assert role["metadata"]["name"] == "tidegate-records"
    (cluster,) = chart.of_kind(found, "ClusterRole")
    assert [rule["resources"] for rule in cluster["rules"]] == [["tokenreviews"]]
