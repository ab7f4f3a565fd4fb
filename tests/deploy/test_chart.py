"""The chart renders what a cluster takes, and what it renders is what it promises."""

import contextlib
import functools
import json
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import helm_python
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.deploy import chart
from tests.deploy.chart import ROLES, SETS, Json, changed
from tidegate.entry import check_command
from tidegate_agent.entry import settings as agent_settings

VERSIONS: Final = ("1.30", "1.37")  # the oldest that is supported, the newest that there is
BETWEEN: Final = ("1.32", "1.34", "1.36")
_ELSEWHERE: Final = {"TargetGroupBinding"}  # not Kubernetes' own
_ENVIRON: Final = {"SLACK_BOT_TOKEN": "made-up", "SLACK_SIGNING_SECRET": "made-up"}


@pytest.fixture(scope="module", autouse=True)
def schemas_are_read_once() -> Iterator[None]:
    """The validator reads a version's definitions, megabytes of them, for every object."""
    read_once = functools.cache(kubernetes_validate.utils.schema_contents)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kubernetes_validate.utils, "schema_contents", read_once)
        yield


every_set = pytest.mark.parametrize("values", SETS.values(), ids=SETS)


def pods(found: list[Json]) -> Iterator[tuple[str, Json]]:
    """Yield each pod template with the component it is."""
    for obj in chart.of_kind(found, "Deployment", "StatefulSet"):
        yield obj["metadata"]["labels"]["app.kubernetes.io/component"], obj["spec"]["template"]


@every_set
@pytest.mark.parametrize(
    "version", [*VERSIONS, *(pytest.param(each, marks=pytest.mark.long) for each in BETWEEN)]
)
def test_every_object_is_valid_in_every_version_that_is_supported(
    values: Json, version: str
) -> None:
    found = [obj for obj in chart.objects(values) if obj["kind"] not in _ELSEWHERE]
    assert found
    for obj in found:
        kubernetes_validate.validate(obj, version, strict=True)


def test_the_validator_would_find_what_is_wrong() -> None:
    obj = chart.named(chart.objects({}), "Deployment", "tidegate-agent")
    obj["spec"]["template"]["spec"]["containers"][0]["readOnlyRootFilesystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(obj, VERSIONS[-1], strict=True)


@every_set
def test_helm_finds_nothing_to_complain_of(values: Json) -> None:
    report = helm_python.lint(chart.CHART, values, strict=True, kube_version="v1.30.0")
    assert [each for each in report["messages"] if each["severity"] > 1] == []
    assert report["errors"] in ([], None)


@every_set
def test_no_two_objects_are_one(values: Json) -> None:
    names = [
        (obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"])
        for obj in chart.objects(values)
    ]
    assert len(names) == len(set(names))


def test_two_releases_do_not_meet() -> None:
    def in_the_cluster(**where: str) -> set[str]:
        return {
            f"{obj['kind']}/{obj['metadata']['name']}"
            for obj in chart.objects(ROLES, **where)
            if "namespace" not in obj["metadata"]
        }

    ours = in_the_cluster(name="tidegate", namespace="tidegate")
    assert ours.isdisjoint(in_the_cluster(name="tidegate", namespace="tools"))
    assert ours.isdisjoint(in_the_cluster(name="other", namespace="tidegate"))


@every_set
def test_the_gateway_reads_the_configuration_that_is_written_for_it(
    values: Json, tmp_path: Path
) -> None:
    found = chart.of_kind(chart.objects(values), "ConfigMap")
    texts = [obj["data"]["tidegate.yaml"] for obj in found if "tidegate.yaml" in obj["data"]]
    assert len(texts) == (0 if values == SETS["no gateway"] else 1)
    for text in texts:
        report = check_command.check(text, file=str(tmp_path / "tidegate.yaml"), environ=_ENVIRON)
        assert [problem.what for problem in report.problems] == []


@every_set
def test_the_agent_reads_the_configuration_that_is_written_for_it(values: Json) -> None:
    found = chart.of_kind(chart.objects(values), "ConfigMap")
    texts = [obj["data"]["agent.yaml"] for obj in found if "agent.yaml" in obj["data"]]
    assert len(texts) == (0 if values == SETS["no agent"] else 1)
    for text in texts:
        read = agent_settings.parse(text, {})
        assert read.rules.home == chart.NAMESPACE
        assert read.metrics.host == "0.0.0.0", "for the probes"


def test_what_the_values_say_reaches_the_agent() -> None:
    text = chart.named(chart.objects(SETS["everything on"]), "ConfigMap", "tidegate-agent")
    read = agent_settings.parse(text["data"]["agent.yaml"], {})
    assert read.rules.max_replicas == 20
    assert read.rules.digest_required
    assert read.rules.registries == ("registry.example.com", "docker.io/library")
    assert read.rules.rollout_seconds == 300
    assert read.rules.retention_seconds == 48 * 3600
    assert read.rules.max_log_lines == 100
    assert read.rules.default_namespace == "staging"
    assert read.cluster.timeout_seconds == 10
    assert read.callers is not None
    assert read.callers.users == {
        "system:serviceaccount:tools:robot",
        "system:serviceaccount:tidegate:tidegate-gateway",
    }
    assert {role.name: role.namespaces for role in read.rules.roles.roles} == {
        "deployers": ("staging",),
        "operators": ("staging", "production"),
        "onlookers": ("staging", "production"),
    }
    assert read.listen.tls is not None
    assert read.listen.tls.client_ca is not None


@every_set
def test_every_pod_is_nobody_s_and_has_nothing_to_write_on(values: Json) -> None:
    found = list(pods(chart.objects(values)))
    assert found
    for component, template in found:
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is (component == "agent")
        assert spec["serviceAccountName"] == f"tidegate-{component}"
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        (container,) = spec["containers"]
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
        mounted = {each["name"]: each for each in container["volumeMounts"]}
        assert mounted.keys() == {each["name"] for each in spec["volumes"]} | (
            {"store"} if "store" in mounted else set()
        )
        writable = {name for name, each in mounted.items() if not each.get("readOnly")}
        assert writable <= {"tmp", "store"}


@every_set
def test_containers_listen_and_are_probed_where_their_configurations_say(values: Json) -> None:
    found = chart.objects(values)
    for component, template in pods(found):
        (container,) = template["spec"]["containers"]
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        (text,) = chart.named(found, "ConfigMap", f"tidegate-{component}")["data"].values()
        config = yaml.safe_load(text)
        main, probed = ("listen", "metrics") if component == "agent" else ("server", "server")
        assert ports[{"agent": "agent", "gateway": "http"}[component]] == config[main]["port"]
        assert ports.get("metrics", 3001) == config.get("metrics", config.get("admin"))["port"]
        scheme = "HTTPS" if "tls" in config[probed] else "HTTP"
        for probe, path in (
            ("startupProbe", "/healthz"),
            ("livenessProbe", "/healthz"),
            ("readinessProbe", "/readyz"),
        ):
            asked = container[probe]["httpGet"]
            assert ports[asked["port"]] == config[probed]["port"]
            assert asked["path"] == path
            assert asked.get("scheme", "HTTP") == scheme


@every_set
def test_service_accounts_are_ours_and_bring_no_token_by_themselves(values: Json) -> None:
    for account in chart.of_kind(chart.objects(values), "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


@every_set
def test_no_secret_is_rendered_only_named(values: Json) -> None:
    found = chart.objects(values)
    assert chart.of_kind(found, "Secret") == []
    assert not re.search(r"xox[bpa]-|BEGIN [A-Z ]*PRIVATE KEY|made-up", json.dumps(found))


def test_the_gateway_sees_the_agent_s_authority_and_not_its_key() -> None:
    template = dict(pods(chart.objects({})))["gateway"]
    (volume,) = [each for each in template["spec"]["volumes"] if each["name"] == "agent-ca"]
    assert [item["key"] for item in volume["secret"]["items"]] == ["ca.crt"]


def test_the_gateway_shows_the_agent_a_token_made_for_it_alone() -> None:
    found = chart.objects({})
    template = dict(pods(found))["gateway"]
    (volume,) = [each for each in template["spec"]["volumes"] if each["name"] == "agent-token"]
    (source,) = volume["projected"]["sources"]
    token = source["serviceAccountToken"]
    assert token["expirationSeconds"] >= 600
    text = chart.named(found, "ConfigMap", "tidegate-agent")["data"]["agent.yaml"]
    callers = agent_settings.parse(text, {}).callers
    assert callers is not None
    assert callers.audiences == (token["audience"],)
    config = yaml.safe_load(
        chart.named(found, "ConfigMap", "tidegate-gateway")["data"]["tidegate.yaml"]
    )
    pathway = config["pathways"]["cluster"]
    (container,) = template["spec"]["containers"]
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "agent-token"]
    assert pathway["auth"]["path"] == f"{mount['mountPath']}/{token['path']}"
    assert pathway["auth"]["audience"] == token["audience"]
    identity = yaml.safe_load(text)["identity"]
    assert pathway["audience"] == identity["audience"]


@every_set
def test_every_file_that_a_configuration_names_is_mounted_there(values: Json) -> None:
    found = chart.objects(values)
    configs = {
        obj["metadata"]["labels"]["app.kubernetes.io/component"]: "".join(obj["data"].values())
        for obj in chart.of_kind(found, "ConfigMap")
    }
    for component, template in pods(found):
        (container,) = template["spec"]["containers"]
        mounts = [each["mountPath"] for each in container["volumeMounts"]]
        named = re.findall(r": (/(?:etc|var/run)/\S+)", configs[component])
        assert named or component == "gateway"
        for path in named:
            assert any(path.startswith(f"{mount}/") for mount in mounts), path
        config = container["args"][container["args"].index("--config") + 1]
        assert str(Path(config).parent) in mounts


def test_with_sqlite_there_is_one_gateway_with_a_volume_of_its_own() -> None:
    found = chart.objects({})
    gateway = chart.named(found, "StatefulSet", "tidegate-gateway")
    assert gateway["spec"]["replicas"] == 1
    (claim,) = gateway["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    (container,) = gateway["spec"]["template"]["spec"]["containers"]
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "store"]
    assert f"sqlite:///{mount['mountPath']}/" in json.dumps(chart.of_kind(found, "ConfigMap"))
    assert chart.of_kind(found, "PodDisruptionBudget") == []


def test_with_postgres_there_can_be_several_gateways_and_no_volume() -> None:
    found = chart.objects(SETS["postgres"])
    gateway = chart.named(found, "Deployment", "tidegate-gateway")
    assert gateway["spec"]["replicas"] == 3
    assert chart.named(found, "PodDisruptionBudget", "tidegate-gateway")
    assert chart.of_kind(found, "StatefulSet") == []
    text = chart.named(found, "ConfigMap", "tidegate-gateway")["data"]["tidegate.yaml"]
    assert yaml.safe_load(text)["store"] == {
        "url": "postgresql://tidegate@db.example.com/tidegate",
        "password": {"file": "/etc/tidegate/files/password"},
    }


@pytest.mark.parametrize("replicas", [1, 2])
def test_several_agents_have_a_disruption_budget(replicas: int) -> None:
    budgets = chart.of_kind(
        chart.objects(changed(ROLES, "agent.replicas", replicas)), "PodDisruptionBudget"
    )
    assert [each["metadata"]["name"] for each in budgets] == ["tidegate-agent"] * (replicas - 1)


def test_the_agent_is_cut_off_from_all_that_it_does_not_need() -> None:
    policy = chart.named(chart.objects({}), "NetworkPolicy", "tidegate-agent")["spec"]
    assert sorted(policy["policyTypes"]) == ["Egress", "Ingress"]
    (gateway,) = policy["ingress"]
    (peer,) = gateway["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "gateway"
    assert gateway["ports"] == [{"port": "agent", "protocol": "TCP"}]
    dns, server = policy["egress"]
    assert {each["port"] for each in dns["ports"]} == {53}
    assert {each["port"] for each in server["ports"]} == {443, 6443}
    for rule in (*policy["ingress"], *policy["egress"]):
        assert all(rule.get("from") or rule.get("to") or []), "no rule is for everybody"


def test_who_else_may_call_the_agent_is_said_by_address_or_namespace() -> None:
    policy = chart.named(chart.objects(SETS["everything on"]), "NetworkPolicy", "tidegate-agent")[
        "spec"
    ]
    calls, metrics = policy["ingress"]
    assert {"ipBlock": {"cidr": "10.0.0.0/16"}} in calls["from"]
    tools = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "tools"}}}
    assert tools in calls["from"]
    assert metrics["ports"] == [{"port": "metrics", "protocol": "TCP"}]
    assert policy["egress"][1]["to"] == [{"ipBlock": {"cidr": "10.1.0.0/28"}}]


def test_nobody_may_call_an_agent_that_names_no_caller() -> None:
    values = changed(SETS["no gateway"], "agent.networkPolicy.cidrs", [])
    policy = chart.named(chart.objects(values), "NetworkPolicy", "tidegate-agent")["spec"]
    assert policy["ingress"] == []


@every_set
def test_selectors_find_the_pods_and_ports_that_they_mean(values: Json) -> None:
    found = chart.objects(values)
    templates = dict(pods(found))
    for obj in chart.of_kind(found, "Service", "NetworkPolicy", "PodDisruptionBudget"):
        component = obj["metadata"]["labels"]["app.kubernetes.io/component"]
        labels = templates[component]["metadata"]["labels"]
        spec = obj["spec"]
        selector = spec.get("podSelector", spec.get("selector", {}))
        assert selector.get("matchLabels", selector).items() <= labels.items()
        (container,) = templates[component]["spec"]["containers"]
        ports = {each["name"] for each in container["ports"]}
        named = [each["targetPort"] for each in spec.get("ports", [])]
        named += [each["port"] for rule in spec.get("ingress", []) for each in rule["ports"]]
        assert set(named) <= ports


def test_a_target_group_is_bound_to_the_service() -> None:
    found = chart.objects(SETS["everything on"])
    for obj in chart.of_kind(found, "TargetGroupBinding"):
        assert obj["apiVersion"] == "elbv2.k8s.aws/v1beta1"
        reference = obj["spec"]["serviceRef"]
        service = chart.named(found, "Service", reference["name"])
        assert reference["port"] in [each["port"] for each in service["spec"]["ports"]]
        assert obj["spec"]["targetType"] == "ip"
    assert len(chart.of_kind(found, "TargetGroupBinding")) == 2


@pytest.mark.parametrize("part", ["gateway", "agent"])
def test_a_new_configuration_makes_new_pods(part: str) -> None:
    path = {"gateway": "gateway.config.worker", "agent": "agent.settings"}[part]
    value: Json = {"gateway": {"concurrency": 8}, "agent": {"rollout_seconds": 60}}[part]
    one, other = (
        dict(pods(chart.objects(each)))[part]["metadata"]["annotations"]["tidegate.dev/config"]
        for each in (ROLES, changed(ROLES, path, value))
    )
    assert one != other


@every_set
def test_the_notes_say_what_to_do_next_with_commands_that_name_what_is_there(values: Json) -> None:
    notes, found = chart.notes(values), chart.objects(values)
    assert "<no value>" not in notes
    assert "%!" not in notes
    for kind, name in re.findall(r"(statefulset|deployment|service)/([a-z0-9-]+)", notes):
        names = {obj["metadata"]["name"] for obj in found if obj["kind"].lower() == kind}
        assert name in names
    for role in re.findall(r"--as-group tidegate:(\S+)", notes):
        bindings = json.dumps(chart.of_kind(found, "RoleBinding"))
        assert f'"tidegate:{role}"' in bindings
    for namespace in re.findall(r"kubectl -n (\S+) auth can-i", notes):
        assert namespace in {
            each["metadata"].get("namespace") for each in chart.of_kind(found, "Role")
        }
    secrets = set(re.findall(r"create secret generic (\S+)", notes))
    assert secrets <= set(re.findall(r'"(?:secretName|name)": "([^"]+)"', json.dumps(found)))


def test_the_notes_warn_where_the_agent_is_not_fenced() -> None:
    assert "WARNING" not in chart.notes(ROLES)
    values = changed(ROLES, "agent.admissionPolicy.enabled", False)
    assert "WARNING: agent.admissionPolicy is off" in chart.notes(values)
    assert chart.of_kind(chart.objects(values), "ValidatingAdmissionPolicy") == []


def image_of(values: Json, part: str) -> Any:
    (container,) = dict(pods(chart.objects(values)))[part]["spec"]["containers"]
    return container["image"]


def test_a_digest_counts_more_than_a_tag() -> None:
    assert image_of({}, "agent") == "tidegate-agent:0.1.0"
    given: Json = {"repository": "registry.example.com/agent", "tag": "2"}
    assert image_of(changed({}, "agent.image", given), "agent") == "registry.example.com/agent:2"
    given["digest"] = "sha256:" + "b" * 64
    assert image_of(changed({}, "agent.image", given), "agent").endswith(f":2@{given['digest']}")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here")
@pytest.mark.parametrize("place", ["notes", "page"])
def test_the_certificate_that_is_made_by_hand_is_one_that_the_gateway_takes(
    place: str, tmp_path: Path
) -> None:
    """As Python 3.13 checks it by default, which the images have: strictly."""
    page = (chart.ROOT / "docs/kubernetes.md").read_text()
    text = {"notes": chart.notes(ROLES), "page": page}[place]
    (command,) = re.findall(r"openssl req (?:[^\n]*\\\n)+[^\n]*", text)
    subprocess.run(["sh", "-ec", command], cwd=tmp_path, check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    client = ssl.create_default_context(cafile=str(tmp_path / "tls.crt"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    gateway = chart.named(chart.objects(ROLES), "ConfigMap", "tidegate-gateway")
    pathway = yaml.safe_load(gateway["data"]["tidegate.yaml"])["pathways"]["cluster"]
    host = urlsplit(pathway["url"]).hostname
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller = client.wrap_bio(back, there, server_hostname=host)
    called = server.wrap_bio(there, back, server_side=True)
    for side in (caller, called, caller, called):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    assert caller.getpeercert()
