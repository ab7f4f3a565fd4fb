"""The chart, rendered by Helm's own engine, and the values that it is tried with."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import helm_python
import yaml

Json = dict[str, Any]

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "deploy/helm/tidegate"
NAME: Final = "tidegate"
NAMESPACE: Final = "tidegate"
CAPABILITIES: Final = ("status", "logs", "deploy", "scale", "restart", "rollback")

#: One role that may do everything, where the tests' company has its workloads.
ROLES: Final[Json] = {
    "agent": {
        "namespaces": [{"name": "staging"}, {"name": "production"}],
        "roles": {"deployer": {"groups": ["SDEV"]}},
        "registries": ["registry.example.com"],
        "maxReplicas": 10,
    }
}
_AWS: Final = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/tidegate/0123456789"

#: By name, what the chart is rendered with.
SETS: Final[Mapping[str, Json]] = {
    "defaults": {},
    "everything on": {
        "commonLabels": {"team": "platform"},
        "imagePullSecrets": ["registry"],
        "gateway": {
            "image": {
                "repository": "registry.example.com/tidegate",
                "digest": "sha256:" + "a" * 64,
            },
            "config": {
                "slack": {
                    "bot_token": {"secretsmanager": "tidegate/slack", "key": "bot_token"},
                    "signing_secrets": [{"env": "SLACK_SIGNING_SECRET"}],
                },
                "store": {"retention_days": 30},
                "identity": {"issuer": "tidegate-eu"},
                "actions": {
                    "deploy": {
                        "use": "k8s_deploy",
                        "pathway": "cluster",
                        "allow": {"user_groups": ["S0DEVS"], "channels": ["C0OPS"]},
                        "idempotent": True,
                    }
                },
            },
            "identity": {"existingSecret": "tidegate-identity"},
            "tls": {"existingSecret": "tidegate-gateway-tls"},
            "clientCertificate": {"existingSecret": "tidegate-client"},
            "metrics": {"enabled": True},
            "store": {"storageClass": "gp3", "size": "10Gi"},
            "targetGroupBinding": {"enabled": True, "arn": _AWS},
            "networkPolicy": {"cidrs": ["10.0.0.0/16"], "metricsNamespaces": ["monitoring"]},
            "serviceAccount": {
                "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/t"}
            },
            "podAnnotations": {"example.com/scrape": "true"},
            "nodeSelector": {"kubernetes.io/arch": "amd64"},
            "tolerations": [{"key": "tools", "operator": "Exists"}],
            "priorityClassName": "tools",
        },
        "agent": {
            "replicas": 3,
            "tls": {"clientCaSecret": "tidegate-client-ca"},
            "identity": {"issuer": "tidegate-eu"},
            "tokenReview": {"serviceAccounts": ["tools/robot"]},
            "namespaces": [
                {"name": "staging"},
                {
                    "name": "production",
                    "workloads": {"deployments": ["web", "api"], "daemonsets": ["logs"]},
                },
            ],
            "defaultNamespace": "staging",
            "roles": {
                "deployers": {"groups": ["S0DEVS"], "namespaces": ["staging"]},
                "operators": {"groups": ["S0SRE"], "people": ["slack:T0:U0"]},
                "onlookers": {"groups": ["S0ALL"], "capabilities": ["status", "logs"]},
            },
            "individuals": {"slack:T0:U0": "tidegate-ada"},
            "impersonation": {"constrained": True},
            "registries": ["registry.example.com", "docker.io/library"],
            "requireDigest": True,
            "maxReplicas": 20,
            "settings": {
                "rollout_seconds": 300,
                "records": {"retention_hours": 48},
                "logs": {"max_lines": 100},
                "kubernetes": {"timeout_seconds": 10},
            },
            "admissionPolicy": {"containerFields": ["env", "resources"]},
            "networkPolicy": {
                "cidrs": ["10.0.0.0/16"],
                "namespaces": ["tools"],
                "metricsNamespaces": ["monitoring"],
                "apiServer": {"cidrs": ["10.1.0.0/28"], "ports": [443]},
                "dnsCidrs": ["169.254.20.10/32"],
            },
            "targetGroupBinding": {"enabled": True, "arn": _AWS},
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "topology.kubernetes.io/zone",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "agent"}},
                }
            ],
        },
    },
    "several namespaces": ROLES,
    "no agent": {
        "agent": {"enabled": False},
        "gateway": {
            "config": {
                "pathways": {
                    "cluster": {
                        "type": "api_gateway",
                        "url": "https://abc123.execute-api.eu-west-1.amazonaws.com",
                        "region": "eu-west-1",
                    }
                }
            }
        },
    },
    "no gateway": {
        "gateway": {"enabled": False},
        "agent": {
            **ROLES["agent"],
            "tls": {"existingSecret": ""},
            "tokenReview": {"enabled": False},
            "networkPolicy": {"cidrs": ["10.0.0.0/16"]},
            "targetGroupBinding": {"enabled": True, "arn": _AWS},
        },
    },
    "no impersonation": {"agent": {**ROLES["agent"], "impersonation": {"enabled": False}}},
    "postgres": {
        "gateway": {
            "replicas": 3,
            "store": {"url": "postgresql://tidegate@db.example.com/tidegate"},
            "files": {"existingSecret": "tidegate-files"},
            "config": {"store": {"password": {"file": "/etc/tidegate/files/password"}}},
            "identity": {"existingSecret": "tidegate-identity"},
        }
    },
}


def files(
    values: Mapping[str, Any], *, name: str = NAME, namespace: str = NAMESPACE
) -> dict[str, str]:
    """Return what each template renders to. Raises `helm_python.HelmError`."""
    with helm_python.Chart.load(CHART) as chart:
        chart.validate_schema(dict(values))
        return chart.render(dict(values), name=name, namespace=namespace)


def notes(values: Mapping[str, Any]) -> str:
    """Return what is said after an installation."""
    (found,) = [text for path, text in files(values).items() if path.endswith("NOTES.txt")]
    return found


def objects(values: Mapping[str, Any], **where: str) -> list[Json]:
    """Return every object that is rendered, in the order of its template's name."""
    return [dict(each) for each in json.loads(_objects(json.dumps(values), **where))]


@cache
def _objects(values: str, **where: str) -> str:
    found = files(json.loads(values), **where)
    manifests = [text for path, text in sorted(found.items()) if not path.endswith(".txt")]
    # The same as `safe_load_all`, in a tenth of the time.
    every = [obj for text in manifests for obj in yaml.load_all(text, yaml.CSafeLoader) if obj]
    return json.dumps(every)


def of_kind(found: Iterable[Json], *kinds: str) -> list[Json]:
    """Return those of these kinds."""
    return [each for each in found if each["kind"] in kinds]


def named(found: Iterable[Json], kind: str, name: str) -> Json:
    """Return the one of that kind and name."""
    (each,) = [obj for obj in of_kind(found, kind) if obj["metadata"]["name"] == name]
    return each


def changed(values: Mapping[str, Any], path: str, value: Any) -> Json:
    """Return *values* with another one at a path such as `agent.replicas`."""
    first, _, rest = path.partition(".")
    inner = values.get(first, {})
    return {**values, first: changed(inner, rest, value) if rest else value}
